"""Training of RelCon's distance: rebuild a window from a changed copy of itself."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..distributed import Share


class MotifReconstruction(nn.Module):
    """Squared error of rebuilding each window from an augmented copy of the same window.

    The copy is the key, so that a pattern has to be found again under changes that keep its meaning; without the
    changes an exact match would be trivial (paper). No other window takes part.

    Parameters
    ----------
    net : nn.Module
        ``net(anchors, candidates)`` is each window's distance to its candidate, like `nets.CrossAttention`.
    augment : callable
        ``(B, C, T)`` to ``(B, C, T)``.

    Notes
    -----
    The mean over windows, where the official code sums over the batch: Adam sees the same direction, and the number can
    be compared between batch sizes and data sets (our choice, docs/decisions).
    """

    n_mates = 0

    def __init__(self, net: nn.Module, augment: Callable[[Tensor], Tensor]):
        super().__init__()
        self.net = net
        self.augment = augment

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, share = batch["x"], Share.of(batch["x"])
        with torch.autocast(x.device.type, enabled=False):
            changed = share.changed(self.augment, x)
        return share.weighed(self.net(x, changed).mean())
