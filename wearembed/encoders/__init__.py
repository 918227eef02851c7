"""Encoders: scikit-learn's face of nets and objectives."""

from .base import Encoder
from .baselines import HandmadeFeatures, RawWindows, Spectra
from .classifier import FineTunedClassifier
from .contrastive import AccelContrastiveEncoder, ECGContrastiveEncoder, PPGContrastiveEncoder
from .distilled import DistilledAccelEncoder
from .masked import AccelMaskedEncoder, PPGMaskedEncoder
from .minirocket import MiniRocketFeatures
from .pretrained import from_pretrained
from .regressor import FineTunedRegressor
from .relcon import RelConDistance, RelConEncoder
from .simclr import SimCLREncoder
from .torch_encoder import TorchEncoder

__all__ = [
    "AccelContrastiveEncoder",
    "AccelMaskedEncoder",
    "DistilledAccelEncoder",
    "ECGContrastiveEncoder",
    "Encoder",
    "FineTunedClassifier",
    "FineTunedRegressor",
    "HandmadeFeatures",
    "MiniRocketFeatures",
    "PPGContrastiveEncoder",
    "PPGMaskedEncoder",
    "RawWindows",
    "RelConDistance",
    "RelConEncoder",
    "SimCLREncoder",
    "Spectra",
    "TorchEncoder",
    "from_pretrained",
]
