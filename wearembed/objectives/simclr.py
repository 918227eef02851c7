"""SimCLR: two changed views of one window embed alike, and unlike those of any other."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..distributed import Share
from .contrastive import info_nce


class SimCLR(nn.Module):
    """Two views of each window find one another among all views of a batch: NT-Xent on a projection.

    Parameters
    ----------
    net : nn.Module
        ``(B, C, T)`` to ``(B, D)``, with ``dim``. What is kept afterwards; the head is not.
    augment : callable
        ``(B, C, T)`` to ``(B, C, T)``, called once for each view.
    temperature : float, default=0.1
        Of the loss (our default, RelCon's).
    projection : int, default=128
        Outputs of the head (Chen et al.), whose one hidden layer is as wide as the embedding (likewise).

    Notes
    -----
    NT-Xent is `info_nce` with ``negatives="both"`` and no groups. Both views go through the net in one call, so that
    batch normalisation sees one batch. The loss is in float32.

    References
    ----------
    Chen et al. A Simple Framework for Contrastive Learning of Visual Representations. ICML 2020. arXiv:2002.05709

    Tang et al. Exploring Contrastive Learning in Human Activity Recognition for Healthcare. 2020. arXiv:2011.11542

    Examples
    --------
    >>> import torch
    >>> from wearembed.augment import rotate
    >>> from wearembed.nets import ResNet1d
    >>> objective = SimCLR(ResNet1d(width=8, blocks=(1,), kernels=(3,)), rotate)
    >>> objective({"x": torch.randn(4, 3, 64)}).shape
    torch.Size([])
    """

    n_mates = 0

    def __init__(
        self, net: nn.Module, augment: Callable[[Tensor], Tensor], temperature: float = 0.1, projection: int = 128
    ):
        super().__init__()
        self.net, self.augment, self.temperature = net, augment, temperature
        dim: Any = net.dim
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, projection))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, share = batch["x"], Share.of(batch["x"])
        with torch.autocast(x.device.type, enabled=False):
            whole = share.whole(x)
            views = torch.cat([share.own(self.augment(whole)), share.own(self.augment(whole))])
        z = self.head(self.net(views)).float()  # (2 B, projection)
        with torch.autocast(x.device.type, enabled=False):
            one, two = (share.whole(half) for half in z.chunk(2))
            return info_nce(one, two, temperature=self.temperature)
