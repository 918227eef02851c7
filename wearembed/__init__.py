"""Foundation-model encoders for wearable signals that behave like scikit-learn transformers."""

__version__ = "0.1.0"

from . import augment, datasets, nets, objectives, signals
from .encoders import Encoder, RelConDistance, RelConEncoder, from_pretrained
from .recordings import Recording, cut, read_recording

__all__ = [
    "Encoder",
    "Recording",
    "RelConDistance",
    "RelConEncoder",
    "augment",
    "cut",
    "datasets",
    "from_pretrained",
    "nets",
    "objectives",
    "read_recording",
    "signals",
]
