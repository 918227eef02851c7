"""Batch norm over the rows of all processes, on a CPU as on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .. import distributed
from .uncompiled import uncompiled


@contextmanager
def whole_batch_norms(module: nn.Module) -> Iterator[None]:
    """Inside, each batch norm of `module` that is in training sees the rows of all processes.

    ``torch.nn.SyncBatchNorm`` does so on a GPU alone, and is another module in another place.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)] if distributed.team else []
    for norm in norms:
        norm.forward = partial(norm_of_all, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


@uncompiled
def norm_of_all(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Batch norm with mean and variance of all processes, which its running statistics follow."""
    if not norm.training:
        return type(norm).forward(norm, x)
    n = x.numel() // x.shape[1]
    dims = [d for d in range(x.ndim) if d != 1]
    with torch.no_grad():
        own = x.double()
        mean = own.sum(dims) / max(1, n)
        var = (own - per_channel(mean, x)).square().sum(dims) / max(1, n)
        n, mean, var = moments_of_all(n, mean, var)
        kind = torch.promote_types(x.dtype, torch.float32)
        mean, var = mean.to(kind), var.to(kind)
        follow(norm, mean, var, n)
    return Norm.apply(x, norm.weight, norm.bias, mean, (var + norm.eps).rsqrt(), n)


def moments_of_all(n: int, mean: Tensor, var: Tensor) -> tuple[int, Tensor, Tensor]:
    """Count, mean and variance of all processes from those of each, in float64."""
    if distributed.team is None:
        return n, mean, var
    sums = distributed.total(torch.cat([mean.new_tensor([n]), n * mean]))
    n_all, mean_all = int(sums[0]), sums[1:] / sums[0]
    return n_all, mean_all, distributed.total(n * (var + (mean - mean_all).square())) / n_all


def follow(norm: _BatchNorm, mean: Tensor, var: Tensor, n: int):
    """What batch norm remembers for evaluation: the mean, and the variance without bias."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(var * (n / max(1, n - 1)), share)


class Norm(torch.autograd.Function):
    """Of given mean and reciprocal deviation, those of `n` numbers a channel of all processes."""

    @staticmethod
    def forward(ctx, x, gain, shift, mean, rstd, n):
        ctx.save_for_backward(x, gain, mean, rstd)
        ctx.n = n
        return F.batch_norm(x, mean, rstd.pow(-2), gain, shift, eps=0.0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_y):
        x, gain, mean, rstd = ctx.saved_tensors
        dims = [d for d in range(x.ndim) if d != 1]
        normed = (x - per_channel(mean, x)) * per_channel(rstd, x)  # in float32 at least, as mean is
        to_y = to_y.to(normed.dtype)
        to_gain, to_shift = (to_y * normed).sum(dims), to_y.sum(dims)
        of_all = distributed.total(torch.stack([to_gain, to_shift])) / ctx.n
        factor = rstd if gain is None else rstd * gain
        to_x = (to_y - per_channel(of_all[1], x) - normed * per_channel(of_all[0], x)) * per_channel(factor, x)
        affine = (None, None) if gain is None else (to_gain, to_shift)
        return to_x.to(x.dtype), *affine, None, None, None


def per_channel(numbers: Tensor, x: Tensor) -> Tensor:
    """One for each channel, to be spread over `x`."""
    return numbers.view(1, -1, *[1] * (x.ndim - 2))
