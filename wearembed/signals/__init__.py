"""Signals as arrays of shape (..., n_times): rate, units, scale, band, stillness, and the beats of a heart."""

from .checks import check_share as check_share
from .checks import positive as positive
from .heart import (
    find_beats,
    heart_labels,
    heart_rate_variability,
    low_motion,
    prepare_accel,
    prepare_ecg,
    prepare_ppg,
)
from .units import STANDARD_GRAVITY as STANDARD_GRAVITY
from .units import canonical_units as canonical_units
from .units import check_units, convert_units, to_g
from .waves import bandpass, resample, standardize, stillness
from .waves import sample_at as sample_at

__all__ = [
    "resample",
    "convert_units",
    "to_g",
    "check_units",
    "standardize",
    "bandpass",
    "stillness",
    "low_motion",
    "prepare_ppg",
    "prepare_ecg",
    "prepare_accel",
    "find_beats",
    "heart_rate_variability",
    "heart_labels",
]
