"""Masked reconstruction: rebuild most of a window from the little that is left of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributed import Share
from ..nets import PatchTransformer
from ..nets.patch_transformer import Layers, positions


class MaskedReconstruction(nn.Module):
    """Squared error of the patches that the net has not seen, as rebuilt by a decoder from those that it has.

    Parameters
    ----------
    net : PatchTransformer
        Sees the kept patches alone. What is kept afterwards; the decoder is not.
    mask_ratio : float, default=0.8
        Share of patches that are hidden, drawn anew for each window and step (the paper's, as it is recalled; it could
        not be checked).
    n_layers, width, hidden : int, default=None
        Of the decoder. None is half of the net's layers, its width, and twice that: 4, 256 and 512 for the largest (our
        default: lighter than the net; the paper's is not known).

    Notes
    -----
    The target are the samples as they come, without a scale for each patch (our default). The loss is a mean over the
    hidden samples, so 1 is what a prediction of zeros costs on standardised windows.

    References
    ----------
    He et al. Masked Autoencoders Are Scalable Vision Learners. CVPR 2022. arXiv:2111.06377
    """

    n_mates = 0

    def __init__(
        self,
        net: PatchTransformer,
        mask_ratio: float = 0.8,
        n_layers: int | None = None,
        width: int | None = None,
        hidden: int | None = None,
    ):
        super().__init__()
        n_layers = max(1, net.n_layers // 2) if n_layers is None else n_layers
        width = net.width if width is None else width
        hidden = 2 * width if hidden is None else hidden
        self.net = net
        self.mask_ratio = mask_ratio
        self.enter = nn.Linear(net.width, width)
        self.hole = nn.Parameter(torch.randn(width) * 0.02)  # what stands where nothing was seen
        self.decoder = Layers(width, n_layers, hidden)
        self.leave = nn.Linear(width, net.embed.in_features)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        share = Share.of(batch["x"])
        patches = self.net.patches(batch["x"])  # (B, N, P)
        drawn = self.drawn(sum(share.sizes), patches.shape[1], patches.device)
        kept, hidden = (share.own(places) for places in drawn)
        rebuilt = self.rebuild(self.net.encode(patches, kept), kept, patches.shape[1])
        wanted, got = (p.gather(1, hidden[:, :, None].expand(-1, -1, p.shape[2])) for p in (patches, rebuilt))
        return share.weighed(F.mse_loss(got.float(), wanted.float()))

    def drawn(self, n_windows: int, n_patches: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Places of the patches that each window keeps, and of those that it loses; one of each at least."""
        n_kept = min(max(1, round((1 - self.mask_ratio) * n_patches)), max(1, n_patches - 1))
        order = torch.rand(n_windows, n_patches, device=device).argsort(1)
        return order[:, :n_kept], order[:, n_kept:] if n_patches > 1 else order

    def rebuild(self, tokens: Tensor, kept: Tensor, n_patches: int) -> Tensor:
        """Samples of all patches ``(B, N, P)`` from the tokens of the kept ones."""
        tokens = self.enter(tokens)
        whole = self.hole.to(tokens.dtype).expand(len(tokens), n_patches, -1)
        whole = whole.scatter(1, kept[:, :, None].expand_as(tokens), tokens)
        where = positions(n_patches, tokens.shape[2], tokens.device).to(tokens.dtype)
        return self.leave(self.decoder(whole + where))
