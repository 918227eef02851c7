"""Signals to learn from: simulated, with the truth beside them."""

from .ecg import make_ecg
from .ppg_accel import make_ppg_accel
from .simulate import make_motion

__all__ = ["make_motion", "make_ppg_accel", "make_ecg"]
