"""A net made ready for inference on a CPU: equal but for rounding, with less to move through memory."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .efficientnet import EfficientNet1d
from .resnet import Block, ResNet1d

# Of a part: a convolution, and the norm that comes right after it.
FOLDED = {ResNet1d: ("conv", "norm"), Block: ("conv1", "norm2"), nn.Sequential: ("0", "1")}


def for_inference(net: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of a net whose convolutional parts are faster on a CPU.

    In a `ResNet1d` and an `EfficientNet1d`, wherever they are inside `net`, batch norms become part of the convolution
    before them, or a scale and a shift, and 1D convolutions become 2D ones of height one with channels last. All else
    stays: a transformer, for one, is as fast as it can be.

    Parameters
    ----------
    net : nn.Module
        Left alone.
    dtype : torch.dtype, default=torch.float32
        Of weights and numbers inside those parts; what goes in and comes out is float32.

    Returns
    -------
    nn.Module
        In evaluation mode. `net` itself where it has no such part, or has hooks, which would miss what they watch.

    Examples
    --------
    >>> import torch
    >>> from wearembed.nets import ResNet1d
    >>> net, x = ResNet1d(width=8).eval(), torch.randn(2, 3, 256)
    >>> torch.allclose(for_inference(net)(x), net(x), atol=1e-5)
    True
    """
    if any(part._forward_hooks or part._forward_pre_hooks for part in net.modules()):
        return net
    if not any(type(part) in (ResNet1d, EfficientNet1d) for part in net.modules()):
        return net
    return ready(copy.deepcopy(net).eval().requires_grad_(False), dtype)


def ready(net: nn.Module, dtype: torch.dtype) -> nn.Module:
    if type(net) in (ResNet1d, EfficientNet1d):
        return Cast(faster(net).to(dtype), dtype)
    for name, part in net.named_children():
        setattr(net, name, ready(part, dtype))
    return net


def faster(part: nn.Module) -> nn.Module:
    """What takes the place of a part; its own parts are replaced in it."""
    if type(part) is nn.Conv1d:
        return Convolution(part)
    if type(part) is nn.BatchNorm1d:
        return Affine(part)
    conv, norm = (getattr(part, name, None) for name in FOLDED.get(type(part), ("", "")))
    if type(conv) is nn.Conv1d and type(norm) is nn.BatchNorm1d:
        fold(conv, norm)
        setattr(part, FOLDED[type(part)][1], nn.Identity())
    if type(part) is Block and part.is_even:
        part.is_even = False  # the zero on the right is theirs
        for name in ("conv1", "conv2"):
            setattr(part, name, Convolution(getattr(part, name), 1))
    for name, child in part.named_children():
        setattr(part, name, faster(child))
    return part


def fold(conv: nn.Conv1d, norm: nn.BatchNorm1d):
    """Make the norm a part of the convolution before it, in place."""
    scale, shift = scale_and_shift(norm)
    bias = torch.zeros_like(shift) if conv.bias is None else conv.bias
    conv.weight = nn.Parameter(conv.weight * scale[:, None, None], requires_grad=False)
    conv.bias = nn.Parameter(bias * scale + shift, requires_grad=False)


def scale_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation: ``scale * x + shift``."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - scale * norm.running_mean


class Cast(nn.Module):
    """`net` in a `dtype` of its own: float32 goes in and comes out."""

    def __init__(self, net: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(self.dtype)).float()


class Affine(nn.Module):
    """A batch norm with no convolution before it: a scale and a shift."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm1d):
        super().__init__()
        for name, numbers in zip(("scale", "shift"), scale_and_shift(norm)):
            self.register_buffer(name, numbers[:, None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


class Convolution(nn.Module):
    """A 1D convolution as a 2D one of height one, channels last; `more` zeros on the right than on the left."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv1d, more: int = 0):
        super().__init__()
        self.register_buffer("weight", conv.weight[:, :, None].contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", conv.bias)
        self.stride, self.dilation = (1, *conv.stride), (1, *conv.dilation)
        self.padding, self.groups, self.more = (0, int(conv.padding[0]) + more), conv.groups, more

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, None].contiguous(memory_format=torch.channels_last)  # (B, C, 1, T)
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        return y[:, :, 0, self.more :]  # those on the left were too many
