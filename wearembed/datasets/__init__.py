"""Signals to learn from: simulated, with the truth beside them."""

from .simulate import make_motion

__all__ = ["make_motion"]
