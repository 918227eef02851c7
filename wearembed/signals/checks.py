"""What may be asked of an argument: one positive number, an array of real numbers, a signal without gaps."""

import numbers

import numpy as np


def positive(value, name, unit):
    """`value` as a float, if it is one positive finite number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"Expected {name} to be one number in {unit}, got {value!r} of type {type(value).__name__}.")
    value = float(value)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"Expected {name} to be positive and finite, in {unit}, got {value:g}.")
    return value


def check_share(value, name):
    """`value` as a float, if it is one number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"Expected {name} to be one number from 0 to 1, got {value!r} of type {type(value).__name__}.")
    value = float(value)
    if not 0 <= value <= 1:
        raise ValueError(f"Expected {name} between 0 and 1, got {value:g}. It is a share, not per cent.")
    return value


def real_array(x):
    """An array of float32 or float64."""
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"Expected an array of real numbers, got dtype {x.dtype}. Convert it with astype(float) first.")
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def finite_array(x):
    """An array of finite float32 or float64 with samples along its last axis."""
    x = real_array(x)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"Expected a signal of shape (..., n_times) with samples in it, got shape {x.shape}.")
    if not np.isfinite(x).all():
        n_bad = int((~np.isfinite(x)).sum())
        raise ValueError(
            f"Expected finite samples, got {n_bad} NaN or infinite of {x.size}. "
            f"Leave those windows out, or bridge the gaps with np.interp first."
        )
    return x


def three_axes(x):
    """A `finite_array` of shape (..., 3, n_times)."""
    x = finite_array(x)
    if x.ndim < 2 or x.shape[-2] != 3:
        raise ValueError(
            f"Expected windows of three axes, shape (..., 3, n_times), got shape {x.shape}. "
            f"Move the axes to the last place but one with np.moveaxis."
        )
    return x
