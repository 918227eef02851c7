"""Batch norm, ReLU and convolution as one operation, for training on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AT_ONCE = 2**21  # numbers of a layer that are worked on together


def norm_relu_conv(x: Tensor, norm: nn.BatchNorm1d, conv: nn.Conv1d) -> Tensor:
    """``conv(norm(x).relu())`` of a net in training, padded so that the length stays; (B, C, 1, T) to (B, D, 1, T).

    What torch does layer by layer, and what is different is only its cost: samples lie next to their channels
    (``channels_last``), which is what the fast convolutions of a CPU want; the batch goes through in parts that stay in
    cache; and `x` alone is kept for the way back, where norm and ReLU are computed again. An even kernel sees one more
    zero on the right than on the left. Statistics are those of the whole batch, and `norm` follows them.
    """
    with torch.no_grad():
        mean, var = statistics(x, norm)
        follow(norm, mean, var, x.numel() // x.shape[1])
    return NormReluConv.apply(x, norm.weight, norm.bias, conv.weight, conv.bias, mean, (var + norm.eps).rsqrt())


def channels_last(x: Tensor) -> Tensor:
    """(B, C, T) as (B, C, 1, T), in memory (B, T, C)."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def parts(x: Tensor) -> list[slice]:
    """The rows of a batch, some at a time."""
    size = max(1, AT_ONCE // x[0].numel())
    return [slice(start, start + size) for start in range(0, len(x), size)]


def statistics(x: Tensor, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over the batch, joined from those of its parts."""
    share, means, vars = [], [], []
    for part in parts(x):
        some = x[part]
        _, mean, rstd = torch.native_batch_norm(some, norm.weight, norm.bias, None, None, True, 0.0, norm.eps)
        share.append(len(some) / len(x))
        means.append(mean.double())
        vars.append(rstd.double().pow(-2) - norm.eps)
    shares = torch.tensor(share, dtype=torch.float64)[:, None]
    each = torch.stack(means)
    mean = (shares * each).sum(0)
    var = (shares * (torch.stack(vars) + (each - mean).square())).sum(0).clamp_min_(0)
    return mean.to(norm.weight.dtype), var.to(norm.weight.dtype)


def follow(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor, n: int):
    """What batch norm remembers for evaluation: the mean, and the variance without bias."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(var * (n / max(1, n - 1)), share)


class NormReluConv(torch.autograd.Function):
    """Of the batch's `mean` and `rstd`, the reciprocal of its deviation; see `norm_relu_conv`."""

    @staticmethod
    def forward(ctx, x, gain, shift, weight, bias, mean, rstd):
        ctx.save_for_backward(x, gain, shift, weight, mean, rstd)
        kernel, bias, var = flat(weight, x), bias.to(x.dtype), rstd.pow(-2)
        y = torch.empty(len(x), len(weight), 1, x.shape[3], dtype=x.dtype, memory_format=torch.channels_last)
        for part in parts(x):
            seen = F.batch_norm(x[part], mean, var, gain, shift, eps=0.0).relu_()
            y[part] = F.conv2d(seen, kernel, bias, padding=around(weight))[..., late(weight) :]
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_y):
        x, gain, shift, weight, mean, rstd = ctx.saved_tensors
        kernel, var = flat(weight, x), rstd.pow(-2)
        to_y = to_y.contiguous(memory_format=torch.channels_last)
        to_x = torch.empty_like(x)
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        to_gain, to_shift = torch.zeros_like(gain), torch.zeros_like(shift)
        for part in parts(x):
            some = x[part]
            seen = F.batch_norm(some, mean, var, gain, shift, eps=0.0).relu_()
            to_some = F.pad(to_y[part], (late(weight), 0))
            to_seen, to_kernel, to_b = torch.ops.aten.convolution_backward(
                to_some, seen, kernel, [len(weight)], [1, 1], around(weight), [1, 1], False, [0, 0], 1, [True] * 3
            )
            to_seen = torch.ops.aten.threshold_backward(to_seen, seen, 0)
            _, to_g, to_s = torch.ops.aten.native_batch_norm_backward(
                to_seen, some, gain, None, None, mean, rstd, True, 0.0, [False, True, True]
            )
            to_x[part] = to_seen
            to_weight += to_kernel.squeeze(2)
            to_bias += to_b
            to_gain += to_g
            to_shift += to_s
        # d x = gain * rstd * (d norm - its mean - normed x * mean of (d norm * normed x)): affine in d norm and in x
        n = x.numel() // x.shape[1]
        nothing, one = torch.zeros_like(mean), torch.ones_like(mean)
        factor = gain * rstd
        for part in parts(x):
            direct = F.batch_norm(to_x[part], nothing, one, factor, -factor * to_shift / n, eps=0.0)
            through = F.batch_norm(x[part], mean, var, -factor * to_gain / n, nothing, eps=0.0)
            to_x[part] = direct.add_(through)
        return to_x, to_gain, to_shift, to_weight, to_bias, None, None


def flat(weight: Tensor, x: Tensor) -> Tensor:
    """A kernel over time as one of a single row, in the precision of `x`."""
    return weight.to(x.dtype).unsqueeze(2).contiguous(memory_format=torch.channels_last)


def around(weight: Tensor) -> list[int]:
    """Zeros on either side of a window: of an even kernel one too many on the left, see `late`."""
    return [0, weight.shape[-1] // 2]


def late(weight: Tensor) -> int:
    """How many outputs to leave out at the start, so that the length stays."""
    return 1 - weight.shape[-1] % 2
