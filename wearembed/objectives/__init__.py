"""Objectives: each owns a net and maps a batch to a scalar loss."""

from .contrastive import ParticipantContrast, info_nce, koleo
from .distillation import CrossModalDistillation, cross_modal
from .masked import MaskedReconstruction
from .motif import MotifReconstruction
from .relative import RelativeContrast, relative_contrast
from .simclr import SimCLR
from .supervised import Supervised

__all__ = [
    "CrossModalDistillation",
    "MaskedReconstruction",
    "MotifReconstruction",
    "ParticipantContrast",
    "RelativeContrast",
    "SimCLR",
    "Supervised",
    "cross_modal",
    "info_nce",
    "koleo",
    "relative_contrast",
]
