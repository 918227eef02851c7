"""Foundation-model encoders for wearable signals that behave like scikit-learn transformers."""

__version__ = "0.1.0"

from . import augment, datasets, nets, objectives, signals
from .encoders import Encoder, RelConDistance, RelConEncoder, from_pretrained

__all__ = [
    "Encoder",
    "RelConDistance",
    "RelConEncoder",
    "augment",
    "datasets",
    "from_pretrained",
    "nets",
    "objectives",
    "signals",
]
