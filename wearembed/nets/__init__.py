"""Networks: a batch ``(B, C, T)`` in, ``(B, dim)`` out; plain ``torch.nn``, no loss and no file."""

from .cross_attention import CrossAttention, sparsemax
from .frozen import Frozen
from .resnet import ResNet1d

__all__ = ["CrossAttention", "Frozen", "ResNet1d", "sparsemax"]
