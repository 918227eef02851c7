"""Nets that see a window in several ways, each its own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .resnet import ResNet1d

STILL = 0.02  # g: what counts as little motion, a few times the noise of a sensor


def as_worn(x: Tensor) -> Tensor:
    """The axes of the device, with gravity: how it is held."""
    return x


def upright(x: Tensor) -> Tensor:
    """Motion along the window's mean, gravity's line for a sensor that does not turn, and across it: two channels.

    It is the same however the device is turned in its pocket.
    """
    mean = x.mean(-1, keepdim=True)
    up = mean / mean.norm(dim=1, keepdim=True).clamp_min(1e-6)
    along = (x * up).sum(1, keepdim=True)
    return torch.cat([along, (x - along * up).norm(dim=1, keepdim=True)], 1)


def shape(x: Tensor) -> Tensor:
    """`x` with each channel's mean taken off and its size divided out: form and rhythm, slow motion like vigorous."""
    x = x - x.mean(-1, keepdim=True)
    return x / (x.var(-1, correction=0, keepdim=True).sqrt() + STILL)


def upright_shape(x: Tensor) -> Tensor:
    """The `shape` of `upright` motion and of the magnitude: three channels."""
    return shape(torch.cat([upright(x), x.norm(dim=1, keepdim=True)], 1))


VIEWS = {"as worn": as_worn, "shape": shape, "upright": upright, "upright shape": upright_shape}
N_SEEN = {"upright": 2, "upright shape": 3}  # channels, where not as many as the device has


def n_seen(views: Sequence[str], n_channels: int) -> list[int]:
    """Channels of each view."""
    if not len(views) or not set(views) <= VIEWS.keys():
        raise ValueError(f"views names one or more of {tuple(VIEWS)}; got {tuple(views)}.")
    return [N_SEEN.get(view, n_channels) for view in views]


class Views(nn.Module):
    """Several residual nets, each of which sees the same window in a way of its own; their embeddings side by side.

    A pocket takes a phone in any way, so what its axes show of a gait differs from person to person, where the motion
    along gravity and across it does not; but how a wrist is held is told by its axes alone. One net that is given all
    channels mixes them in its first layer; a net for each view keeps what each has to tell (our own; RelCon has the
    first view alone).

    Parameters
    ----------
    n_channels : int, default=3
        Axes of an accelerometer.
    views : sequence of {"as worn", "shape", "upright", "upright shape"}, default=all four
        The axes as they come; the same with mean and size taken off; motion along and across the window's mean; the
        form of these two and of the magnitude.
    width, blocks, kernels, pool
        Of each `ResNet1d`.

    Attributes
    ----------
    dim : int
        Length of an embedding, as many times that of a `ResNet1d` as there are views.

    Examples
    --------
    >>> import torch
    >>> from wearembed.nets import Views
    >>> net, x = Views(views=["upright"], width=8).eval(), torch.randn(2, 3, 256)
    >>> turned = x[:, [1, 2, 0]]
    >>> torch.allclose(net(x), net(turned), atol=1e-5)
    True
    """

    def __init__(
        self,
        n_channels: int = 3,
        views: Sequence[str] = tuple(VIEWS),
        width: int = 64,
        blocks: Sequence[int] = (3, 4, 6),
        kernels: Sequence[int] = (3, 4, 4),
        pool: Sequence[str] = ("mean", "deviation"),
    ):
        super().__init__()
        self.nets = nn.ModuleList(ResNet1d(n, width, blocks, kernels, pool) for n in n_seen(views, n_channels))
        self.views = tuple(views)
        nets: Any = self.nets
        self.dim = sum(net.dim for net in nets)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([net(VIEWS[view](x)) for view, net in zip(self.views, self.nets)], 1)
