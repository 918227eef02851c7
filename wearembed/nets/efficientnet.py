"""The 1D EfficientNet of Apple's PPG and ECG models."""

from torch import Tensor, nn

# Of each stage: blocks, width in units of width / 36, kernel, stride of the first block (released code)
STAGES = ((1, 4, 3, 1), (2, 5, 3, 2), (2, 7, 5, 2), (3, 9, 3, 2), (3, 11, 5, 2), (4, 14, 5, 2), (1, 18, 5, 1))


class EfficientNet1d(nn.Module):
    """Sixteen inverted residual blocks with squeeze and excitation, averaged over time to one vector a window.

    Of 3,840 samples 60 frames are left at the end (stride 64), each of which sees 1,619 samples: 25 s at 64 Hz.

    Parameters
    ----------
    n_channels : int, default=4
    expansion : int, default=7
        How many times wider a block is inside than outside. 7 is the released code's for PPG (3,146,129 parameters with
        4 channels, where the paper says 3.3 million); 6 with one channel has the 2.5 million (2,468,755) of the paper's
        ECG model.
    width : int, default=256
        Channels of the last layer; those of all stages go with it, rounded down as in the released code.
    dim : int, default=None
        Length of an embedding; another than `width` is reached by a linear layer. None is `width`, 256 (paper).

    Attributes
    ----------
    dim : int

    Notes
    -----
    Any length from one sample on. No dropout, no stochastic depth; the projection head is the objective's.

    References
    ----------
    Abbaspourazad et al. Large-scale Training of Foundation Models for Wearable Biosignals. ICLR 2024. arXiv:2312.05409

    Examples
    --------
    >>> import torch
    >>> net = EfficientNet1d()
    >>> sum(p.numel() for p in net.parameters())
    3146129
    >>> net(torch.zeros(2, 4, 3840)).shape
    torch.Size([2, 256])
    """

    def __init__(self, n_channels: int = 4, expansion: int = 7, width: int = 256, *, dim: int | None = None):
        super().__init__()
        if width < 9:
            raise ValueError(f"width of EfficientNet1d is 9 at least, so that no stage is empty; got {width}.")
        n_in = 6 * width // 36
        layers = [convolved(n_channels, n_in, 3, stride=2), nn.SiLU()]
        for stage, (n_blocks, units, kernel, stride) in enumerate(STAGES):
            n_out = units * width // 36
            for block in range(n_blocks):
                wider = 1 if stage == 0 else expansion
                layers.append(InvertedResidual(n_in, n_out, kernel, stride if block == 0 else 1, wider))
                n_in = n_out
        self.layers = nn.Sequential(*layers, convolved(n_in, width, 1), nn.SiLU())
        self.dim = width if dim is None else dim
        self.project = nn.Identity() if self.dim == width else nn.Linear(width, self.dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.layers(x).mean(-1))  # over about T / 64 frames


class InvertedResidual(nn.Module):
    """Widen, convolve each channel apart, weigh the channels, narrow; plus the input where shapes allow."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        n_wide = n_in * expansion
        self.widen = nn.Sequential(convolved(n_in, n_wide, 1), nn.SiLU()) if expansion > 1 else nn.Identity()
        self.each = nn.Sequential(convolved(n_wide, n_wide, kernel, stride, groups=n_wide), nn.SiLU())
        n_squeezed = max(1, n_wide // 4)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool1d(1), nn.Conv1d(n_wide, n_squeezed, 1), nn.SiLU(), nn.Conv1d(n_squeezed, n_wide, 1)
        )
        self.narrow = convolved(n_wide, n_out, 1)
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.each(self.widen(x))
        y = self.narrow(y * self.weigh(y).sigmoid())
        return x + y if self.is_residual else y


def convolved(n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, padded to the same length, then batch norm."""
    return nn.Sequential(
        nn.Conv1d(n_in, n_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm1d(n_out, eps=1e-3, momentum=0.1),
    )
