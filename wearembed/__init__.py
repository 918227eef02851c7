"""Foundation-model encoders for wearable signals that behave like scikit-learn transformers."""

__version__ = "0.1.0"

from . import augment, converters, datasets, embedding, evaluation, metrics, nets, objectives, plots, signals, stores
from .embedding import embed_store, read_embeddings
from .encoders import (
    AccelContrastiveEncoder,
    AccelMaskedEncoder,
    DistilledAccelEncoder,
    ECGContrastiveEncoder,
    Encoder,
    FineTunedClassifier,
    FineTunedRegressor,
    HandmadeFeatures,
    MiniRocketFeatures,
    PPGContrastiveEncoder,
    PPGMaskedEncoder,
    RawWindows,
    RelConDistance,
    RelConEncoder,
    SimCLREncoder,
    Spectra,
    TorchEncoder,
    from_pretrained,
)
from .recordings import Recording, RecordingEncoder, StreamEmbedder, cut, cut_into, read_recording
from .stores import WindowStore

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
    "Recording",
    "RecordingEncoder",
    "RelConDistance",
    "RelConEncoder",
    "SimCLREncoder",
    "Spectra",
    "StreamEmbedder",
    "TorchEncoder",
    "WindowStore",
    "augment",
    "converters",
    "cut",
    "cut_into",
    "datasets",
    "embed_store",
    "embedding",
    "evaluation",
    "from_pretrained",
    "metrics",
    "nets",
    "objectives",
    "plots",
    "read_embeddings",
    "read_recording",
    "signals",
    "stores",
]
