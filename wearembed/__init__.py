"""Foundation-model encoders for wearable signals that behave like scikit-learn transformers."""

__version__ = "0.1.0"

from . import augment, datasets, metrics, nets, objectives, signals
from .encoders import (
    AccelContrastiveEncoder,
    AccelMaskedEncoder,
    DistilledAccelEncoder,
    ECGContrastiveEncoder,
    Encoder,
    FineTunedClassifier,
    FineTunedRegressor,
    PPGContrastiveEncoder,
    PPGMaskedEncoder,
    RelConDistance,
    RelConEncoder,
    from_pretrained,
)
from .recordings import Recording, cut, read_recording

__all__ = [
    "AccelContrastiveEncoder",
    "AccelMaskedEncoder",
    "DistilledAccelEncoder",
    "ECGContrastiveEncoder",
    "Encoder",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "PPGContrastiveEncoder",
    "PPGMaskedEncoder",
    "Recording",
    "RelConDistance",
    "RelConEncoder",
    "augment",
    "cut",
    "datasets",
    "from_pretrained",
    "metrics",
    "nets",
    "objectives",
    "read_recording",
    "signals",
]
