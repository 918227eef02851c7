"""Objectives: each owns a net and maps a batch to a scalar loss."""

from .motif import MotifReconstruction
from .relative import RelativeContrast, relative_contrast

__all__ = ["MotifReconstruction", "RelativeContrast", "relative_contrast"]
