"""The transformer over patches of Apple's distilled accelerometer model and of its masked teacher."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchTransformer(nn.Module):
    """Transformer over stretches of all channels, averaged over them to one vector a window.

    A window of 3,840 samples becomes 192 patches of 20 samples, 0.31 s at 64 Hz, each holding all channels; fixed
    sinusoids say where each lies; attention then looks over the whole window.

    Parameters
    ----------
    n_channels : int, default=3
    width : int, default=256
        Numbers of a patch inside the net.
    n_layers : int, default=8
    hidden : int, default=1024
        Units of the feed-forward part of a layer.
    n_heads : int, default=None
        Of attention. None: one for each 64 of the width, 4 for 256 (our default; the papers' is not known).
    dim : int, default=None
        Length of an embedding; another than `width` is reached by a linear layer. None is `width`.
    patch : int, default=20
        Samples of a patch.

    Attributes
    ----------
    dim, width, n_layers, patch : int

    Notes
    -----
    Norms come first in a layer, and the activation is GELU (our default). Windows that patches do not fill are
    continued by zeros, the mean of a standardised window. The papers' sizes are not known; ours have 6.3 (256, 8,
    1024), 3.2 (256, 4, 1024), 1.8 (192, 4, 768) and 1.2 (128, 6, 512) million parameters.

    References
    ----------
    Abbaspourazad et al. Wearable Accelerometer Foundation Models for Health via Knowledge Distillation. 2024.
    arXiv:2412.11276

    Examples
    --------
    >>> import torch
    >>> net = PatchTransformer(n_channels=3)
    >>> sum(p.numel() for p in net.parameters())
    6334208
    >>> net(torch.zeros(2, 3, 3840)).shape
    torch.Size([2, 256])
    """

    def __init__(
        self,
        n_channels: int = 3,
        width: int = 256,
        n_layers: int = 8,
        hidden: int = 1024,
        *,
        n_heads: int | None = None,
        dim: int | None = None,
        patch: int = 20,
    ):
        super().__init__()
        self.width, self.n_layers, self.patch = width, n_layers, patch
        self.dim = width if dim is None else dim
        self.embed = nn.Linear(n_channels * patch, width)
        self.layers = Layers(width, n_layers, hidden, n_heads)
        self.project = nn.Identity() if self.dim == width else nn.Linear(width, self.dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.encode(self.patches(x)).mean(1))

    def patches(self, x: Tensor) -> Tensor:
        """Windows ``(B, C, T)`` as rows of raw samples ``(B, N, C * patch)``."""
        x = F.pad(x, (0, -x.shape[-1] % self.patch))
        return x.unflatten(-1, (-1, self.patch)).transpose(1, 2).flatten(2)

    def encode(self, patches: Tensor, kept: Tensor | None = None) -> Tensor:
        """Tokens ``(B, K, width)`` of those patches that `kept` ``(B, K)`` names; None is all of them."""
        where = positions(patches.shape[1], self.width, patches.device).to(patches.dtype)
        if kept is None:
            return self.layers(self.embed(patches) + where)
        patches = patches.gather(1, kept[:, :, None].expand(-1, -1, patches.shape[2]))
        return self.layers(self.embed(patches) + where[kept])


class Layers(nn.Module):
    """Layers of attention and feed-forward, and a norm at the end."""

    def __init__(self, width: int, n_layers: int, hidden: int, n_heads: int | None = None):
        super().__init__()
        n_heads = max(1, width // 64) if n_heads is None else n_heads
        if width % (2 * n_heads):
            raise ValueError(f"width is an even multiple of n_heads; got width={width} and n_heads={n_heads}.")
        self.layers = nn.Sequential(*(Layer(width, hidden, n_heads) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.norm(self.layers(tokens))


class Layer(nn.Module):
    """Tokens look at one another, then each is worked on alone; both are added to what was there."""

    def __init__(self, width: int, hidden: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * width)  # queries, keys and values
        self.answer = nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.ask(self.norm1(tokens)).unflatten(-1, (3, self.n_heads, -1))  # (B, N, 3, H, D)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v)  # (B, H, N, D)
        tokens = tokens + self.answer(seen.transpose(1, 2).flatten(2))
        return tokens + self.think(self.norm2(tokens))


def positions(n: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines of `n` places at wavelengths from 2 pi to 10,000 times that: (n, width)."""
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000) / width))
    angle = torch.arange(n, device=device)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
