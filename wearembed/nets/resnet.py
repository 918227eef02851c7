"""The 1D residual network of RelCon."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .fused import channels_last, norm_relu_conv
from .uncompiled import uncompiled

SHORTEST = 11  # samples: what the stem's convolution (7, stride 2) and pooling (3, stride 2) need for one output


class ResNet1d(nn.Module):
    """Pre-activation residual network over time, averaged to one vector a window.

    The defaults are the released architecture of RelCon (official code; 3,635,840 parameters with 3 channels): a stem,
    then 3, 4 and 6 blocks of 64, 128 and 256 filters. The paper calls it ResNet-34; it has 27 spatial convolutions,
    since the fourth stage of that net is missing in the release. All strides after the stem are 1.

    Parameters
    ----------
    n_channels : int, default=3
    width : int, default=64
        Filters of the stem and of the first stage; each later stage has twice as many as the one before.
    blocks : sequence of int, default=(3, 4, 6)
        Residual blocks of each stage.
    kernels : sequence of int, default=(3, 4, 4)
        Samples that a convolution of each stage spans.
    pool : sequence of {"mean", "deviation"}, default=("mean",)
        What is told of each filter over time (official code: the mean). The last block ends in a sum with no ReLU after
        it, so whatever swings about zero leaves no trace in a mean; the standard deviation keeps it.

    Attributes
    ----------
    dim : int
        Length of an embedding, ``width * 2 ** (len(blocks) - 1) * len(pool)``: 256 by default.

    Notes
    -----
    Any length from one sample on: windows shorter than 11 samples are extended by their last sample.

    References
    ----------
    Xu et al. RelCon: Relative Contrastive Learning for a Motion Foundation Model for Wearable Data. ICLR 2025.

    Examples
    --------
    >>> import torch
    >>> net = ResNet1d()
    >>> sum(p.numel() for p in net.parameters())
    3635840
    >>> net(torch.zeros(2, 3, 256)).shape
    torch.Size([2, 256])
    """

    def __init__(
        self,
        n_channels: int = 3,
        width: int = 64,
        blocks: Sequence[int] = (3, 4, 6),
        kernels: Sequence[int] = (3, 4, 4),
        pool: Sequence[str] = ("mean",),
    ):
        super().__init__()
        if not len(pool) or not set(pool) <= POOLS.keys():
            raise ValueError(f"pool names one or more of {tuple(POOLS)}; got {tuple(pool)}.")
        if len(blocks) != len(kernels) or not len(blocks):
            raise ValueError(
                f"blocks and kernels name the same stages, one number each; got blocks={tuple(blocks)} and "
                f"kernels={tuple(kernels)}."
            )
        self.conv = nn.Conv1d(n_channels, width, 7, stride=2)
        self.norm = nn.BatchNorm1d(width)
        stages, n_in = [], width
        for stage, (n_blocks, kernel) in enumerate(zip(blocks, kernels, strict=True)):
            n_out = width * 2**stage
            for _ in range(n_blocks):
                stages.append(Block(n_in, n_out, kernel))
                n_in = n_out
        self.blocks = nn.Sequential(*stages)
        self.pool = tuple(pool)
        self.dim = n_in * len(self.pool)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] < SHORTEST:
            x = F.pad(x, (0, SHORTEST - x.shape[-1]), mode="replicate")
        x = F.max_pool1d(self.norm(self.conv(x)).relu_(), 3, 2)  # (B, width, about T / 4)
        if self.training and x.device.type == "cpu":
            return self.fused(x)
        return self.pooled(self.blocks(x))

    @uncompiled
    def fused(self, x: Tensor) -> Tensor:
        """The same as the blocks one after another, for training on a CPU: faster, and in half the memory."""
        x = channels_last(x)
        blocks: Any = self.blocks
        for block in blocks:
            y = norm_relu_conv(norm_relu_conv(x, block.norm1, block.conv1), block.norm2, block.conv2)
            x = y.add_(block.project(x.squeeze(2)).unsqueeze(2))
        return self.pooled(x.squeeze(2))

    def pooled(self, x: Tensor) -> Tensor:
        """What is told of each filter over time: (B, C, T) to (B, dim)."""
        return torch.cat([POOLS[name](x) for name in self.pool], 1)


def mean(x: Tensor) -> Tensor:
    """Over time."""
    return x.mean(-1)


def deviation(x: Tensor) -> Tensor:
    """Over time; the little more keeps the gradient of a filter that stands still."""
    return (x.var(-1, correction=0) + 1e-5).sqrt()


POOLS = {"mean": mean, "deviation": deviation}


class Block(nn.Module):
    """Norm, ReLU, convolution, twice; plus the raw input, projected where the width changes."""

    def __init__(self, n_in: int, n_out: int, kernel: int):
        super().__init__()
        self.norm1 = nn.BatchNorm1d(n_in)
        self.conv1 = nn.Conv1d(n_in, n_out, kernel, padding=(kernel - 1) // 2)
        self.norm2 = nn.BatchNorm1d(n_out)
        self.conv2 = nn.Conv1d(n_out, n_out, kernel, padding=(kernel - 1) // 2)
        self.is_even = kernel % 2 == 0
        self.project = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.padded(self.norm1(x).relu_()))  # in place: memory is half the cost on a CPU
        return self.conv2(self.padded(self.norm2(y).relu_())).add_(self.project(x))

    def padded(self, x: Tensor) -> Tensor:
        """An even kernel keeps the length with one more zero on the right than on the left."""
        return F.pad(x, (0, 1)) if self.is_even else x
