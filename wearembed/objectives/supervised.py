"""Supervision: the labels themselves, through a head."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributed import Share


class Supervised(nn.Module):
    """Cross-entropy of classes, or squared error of numbers.

    Parameters
    ----------
    net : nn.Module
        ``(B, C, T)`` to ``(B, n_outputs)``, head and all.
    classes : bool
        Whether ``y`` are whole numbers that name classes; else ``(B, n_outputs)`` numbers.
    augment : callable, default=None
        ``(B, C, T)`` to ``(B, C, T)``, in training alone.

    Notes
    -----
    A batch that holds ``weight`` has a factor for the loss of each window in it.
    """

    n_mates = 0

    def __init__(self, net: nn.Module, classes: bool, augment: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.net = net
        self.classes = classes
        self.augment = augment

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, share = batch["x"], Share.of(batch["x"])
        if self.augment is not None and self.training:
            with torch.autocast(x.device.type, enabled=False):
                x = share.changed(self.augment, x)
        said = self.net(x).float()
        if self.classes:
            wrong = F.cross_entropy(said, batch["y"], reduction="none")
        else:
            wrong = (said - batch["y"].float()).square().mean(1)
        return share.weighed((wrong * batch["weight"]).mean() if "weight" in batch else wrong.mean())
