"""Networks: a batch ``(B, C, T)`` in, ``(B, dim)`` out; plain ``torch.nn``, no loss and no file."""

from .cross_attention import CrossAttention, sparsemax
from .efficientnet import EfficientNet1d
from .frozen import Frozen
from .inference import for_inference
from .patch_transformer import PatchTransformer
from .resnet import ResNet1d
from .views import Views

__all__ = [
    "CrossAttention",
    "EfficientNet1d",
    "Frozen",
    "PatchTransformer",
    "ResNet1d",
    "Views",
    "for_inference",
    "sparsemax",
]
