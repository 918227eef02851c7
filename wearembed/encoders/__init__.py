"""Encoders: scikit-learn's face of nets and objectives."""

from .base import Encoder
from .contrastive import AccelContrastiveEncoder, ECGContrastiveEncoder, PPGContrastiveEncoder
from .distilled import DistilledAccelEncoder
from .finetuned import FineTunedClassifier, FineTunedRegressor
from .masked import AccelMaskedEncoder, PPGMaskedEncoder
from .pretrained import from_pretrained
from .relcon import RelConDistance, RelConEncoder

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
    "RelConDistance",
    "RelConEncoder",
    "from_pretrained",
]
