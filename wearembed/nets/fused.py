"""Batch norm, ReLU and convolution as one operation, for training on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import distributed
from .synced import follow, moments_of_all

AT_ONCE = 2**21  # numbers of a layer that are worked on together


def norm_relu_conv(x: Tensor, norm: nn.BatchNorm1d, conv: nn.Conv1d) -> Tensor:
    """``conv(norm(x).relu())`` of a net in training, padded so that the length stays; (B, C, 1, T) to (B, D, 1, T).

    What torch does layer by layer, and what is different is only its cost: samples lie next to their channels
    (``channels_last``), which is what the fast convolutions of a CPU want; the batch goes through in parts that stay in
    cache; and `x` alone is kept for the way back, where norm and ReLU are computed again. An even kernel sees one more
    zero on the right than on the left. Statistics are those of the whole batch, of all processes where several train
    together, and `norm` follows them.
    """
    with torch.no_grad():
        n, mean, var = statistics(x, norm)
        follow(norm, mean, var, n)
    return NormReluConv.apply(x, norm.weight, norm.bias, conv.weight, conv.bias, mean, (var + norm.eps).rsqrt(), n)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, T) as (B, C, 1, T), in memory (B, T, C)."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def parts(x: Tensor) -> list[slice]:
    """The rows of a batch, some at a time."""
    size = max(1, AT_ONCE // x.shape[1:].numel())
    return [slice(start, start + size) for start in range(0, len(x), size)]


def statistics(x: Tensor, norm: nn.BatchNorm1d) -> tuple[int, Tensor, Tensor]:
    """Count, mean and variance of each channel over the batch; of the rows of all processes."""
    n, mean, var = moments_of_all(x.numel() // x.shape[1], *own_moments(x, norm))
    return n, mean.to(norm.weight.dtype), var.to(norm.weight.dtype)


def own_moments(x: Tensor, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, joined from those of the batch's parts, in float64."""
    share, means, vars = [], [], []
    for part in parts(x):
        some = x[part]
        _, mean, rstd = torch.native_batch_norm(some, norm.weight, norm.bias, None, None, True, 0.0, norm.eps)
        share.append(len(some) / len(x))
        means.append(mean.double())
        vars.append(rstd.double().pow(-2) - norm.eps)
    if not share:  # of several processes one may be left without rows
        nothing = torch.zeros_like(norm.weight, dtype=torch.float64)
        return nothing, nothing
    shares = torch.tensor(share, dtype=torch.float64)[:, None]
    each = torch.stack(means)
    mean = (shares * each).sum(0)
    return mean, (shares * (torch.stack(vars) + (each - mean).square())).sum(0).clamp_min_(0)


class NormReluConv(torch.autograd.Function):
    """Of the batch's `mean` and `rstd`, the reciprocal of its deviation, of `n` numbers; see `norm_relu_conv`."""

    @staticmethod
    def forward(ctx, x, gain, shift, weight, bias, mean, rstd, n):
        ctx.save_for_backward(x, gain, shift, weight, mean, rstd)
        ctx.n = n
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
        n, all_gain, all_shift = ctx.n, distributed.total(to_gain), distributed.total(to_shift)
        nothing, one = torch.zeros_like(mean), torch.ones_like(mean)
        factor = gain * rstd
        for part in parts(x):
            direct = F.batch_norm(to_x[part], nothing, one, factor, -factor * all_shift / n, eps=0.0)
            through = F.batch_norm(x[part], mean, var, -factor * all_gain / n, nothing, eps=0.0)
            to_x[part] = direct.add_(through)
        return to_x, to_gain, to_shift, to_weight, to_bias, None, None, None


def flat(weight: Tensor, x: Tensor) -> Tensor:
    """A kernel over time as one of a single row, in the precision of `x`."""
    return weight.to(x.dtype).unsqueeze(2).contiguous(memory_format=torch.channels_last)


def around(weight: Tensor) -> list[int]:
    """Zeros on either side of a window: of an even kernel one too many on the left, see `late`."""
    return [0, weight.shape[-1] // 2]


def late(weight: Tensor) -> int:
    """How many outputs to leave out at the start, so that the length stays."""
    return 1 - weight.shape[-1] % 2
