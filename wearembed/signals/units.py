"""Units of acceleration: told apart by gravity, one turned into another."""

import numpy as np

from .checks import real_array

STANDARD_GRAVITY = 9.80665
_G = {"g": 1.0, "mg": 1e-3, "m/s^2": 1 / STANDARD_GRAVITY}  # what one of each is in g
_SPELLINGS = {"G": "g", "m/s²": "m/s^2", "m/s2": "m/s^2", "m/s**2": "m/s^2", "m s^-2": "m/s^2", "ms-2": "m/s^2"}


def canonical_units(units):
    """One spelling for each unit: "m/s²" and "m/s2" are "m/s^2"; a unit that is not known stays as it is.

    Examples
    --------
    >>> canonical_units("m/s²"), canonical_units("a.u.")
    ('m/s^2', 'a.u.')
    """
    if not isinstance(units, str):
        raise TypeError(f"Expected units as a string such as 'g' or 'm/s^2', got {units!r}.")
    return _SPELLINGS.get(units.strip(), units.strip())


def convert_units(x, units, new_units):
    """Acceleration in other units.

    Parameters
    ----------
    x : array of any shape
    units, new_units : {"g", "mg", "m/s^2"}
        "m/s²" and "m/s2" are understood too. One g is 9.80665 m/s^2.

    Returns
    -------
    array of the shape of `x`
        float32 stays float32, all else becomes float64.

    Examples
    --------
    >>> convert_units([0.5, 1.0], "g", "m/s^2")
    array([4.903325, 9.80665 ])
    """
    x = real_array(x)
    return x * x.dtype.type(_in_g(units) / _in_g(new_units))


def to_g(x, units):
    """Acceleration in g, from `units` of "g", "mg" or "m/s^2" (see `convert_units`).

    Examples
    --------
    >>> to_g([9.80665, -4.903325], "m/s²")
    array([ 1. , -0.5])
    """
    return convert_units(x, units, "g")


def _in_g(units):
    name = canonical_units(units)
    if name not in _G:
        raise ValueError(
            f"Expected units of acceleration, one of {', '.join(map(repr, _G))}, got {units!r}. "
            f"Name the one that the signal is in, or scale the signal to one of them first."
        )
    return _G[name]


def check_units(x, units):
    """Raise if gravity shows that 3-axis windows are not in the units that they are declared in.

    A worn accelerometer feels one g most of the time. The median vector magnitude is therefore near 1, 9.8 or 1000,
    and tells g, m/s^2 and mg apart. Windows without gravity pass, whatever their size: their mean vector over time is
    small (below 0.3 of the magnitude). So do windows that have not three channels, and units other than these three.

    Parameters
    ----------
    x : array of shape (..., 3, n_times)
    units : str
        What `x` is declared to be in.

    Raises
    ------
    ValueError
        The magnitude is 0.7 to 1.3 times the gravity of another unit; the message names it.

    Examples
    --------
    >>> check_units(np.full((10, 3, 100), 5.7), units="m/s^2")
    >>> check_units(np.full((10, 3, 100), 5.7), units="g")
    Traceback (most recent call last):
    ...
    ValueError: The windows are declared in 'g', where gravity is 1, but their median vector magnitude is 9.873: ...
    """
    declared = canonical_units(units)
    x = np.asarray(x)
    if declared not in _G or x.ndim < 2 or x.shape[-2] != 3 or x.size == 0:
        return
    x = x.reshape(-1, 3, x.shape[-1])
    x = x[:: max(1, x.size // (2**22))]  # a few thousand windows tell as much as a million
    with np.errstate(over="ignore"):  # what is infinite then is gravity in no unit
        magnitude = float(np.median(np.linalg.norm(x, axis=1)))
    steady = float(np.median(np.linalg.norm(x.mean(axis=-1, dtype=np.float64), axis=1)))
    found = [name for name, in_g in _G.items() if 0.7 <= magnitude * in_g <= 1.3]
    if found and found[0] != declared and steady > 0.3 * magnitude:
        raise ValueError(
            f"The windows are declared in {declared!r}, where gravity is {1 / _G[declared]:.4g}, but their median "
            f"vector magnitude is {magnitude:.4g}: that is gravity in {found[0]!r}. Declare units={found[0]!r}, or "
            f"convert them with wearembed.signals.convert_units(X, {found[0]!r}, {declared!r})."
        )
