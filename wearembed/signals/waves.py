"""Signals as arrays of shape (..., n_times): rate, scale, band and stillness."""

import numpy as np
from scipy import signal
from scipy.interpolate import CubicSpline

from .checks import finite_array, positive, three_axes

_REACH = 32  # samples beyond which neither the spline nor the half-sample filter looks
_BLOCK = 2**20  # samples worked on at once, which keeps temporary memory near 100 MB


def resample(x, sfreq, new_sfreq):
    """The same signal at another rate, in time with the old one.

    The first sample stays where it was. What the new rate cannot hold is filtered away first, with zero phase; what
    it can hold, up to 0.85 of half the lower rate, keeps amplitude and phase. Beyond its ends the signal is continued
    by reflection through the end point, so that an offset such as gravity does not droop towards zero there.

    Parameters
    ----------
    x : array of shape (..., n_times)
    sfreq, new_sfreq : float
        Samples per second, any two positive numbers.

    Returns
    -------
    array of shape (..., max(1, round(n_times * new_sfreq / sfreq)))
        In the units of `x`; float32 stays float32, all else becomes float64.

    Examples
    --------
    >>> resample(np.full((1, 3, 250), 9.81), sfreq=125, new_sfreq=100).shape
    (1, 3, 200)
    >>> t = np.arange(0, 10, 1 / 103.7)
    >>> slower = resample(np.sin(2 * np.pi * 3 * t), sfreq=103.7, new_sfreq=50)
    >>> wanted = np.sin(2 * np.pi * 3 * np.arange(len(slower)) / 50)
    >>> bool(abs(slower - wanted)[10:-10].max() < 1e-3)
    True
    """
    x = finite_array(x)
    sfreq, new_sfreq = positive(sfreq, "sfreq", "Hz"), positive(new_sfreq, "new_sfreq", "Hz")
    n_times = max(1, round(x.shape[-1] * new_sfreq / sfreq))
    return sample_at(x, np.arange(n_times) * (sfreq / new_sfreq), band=min(1.0, new_sfreq / sfreq))


def sample_at(x, positions, band=1.0):
    """What a signal is between its samples.

    At whole positions, and with the whole band, the samples themselves come back, equal to the bit.

    Parameters
    ----------
    x : array of shape (..., n_times)
    positions : array of shape (n_positions,)
        Counted in samples of `x` from its first, fractions allowed, at most a few samples outside.
    band : float, default=1
        The share of the band of `x` to keep, above 0; less than 1 is the filter against aliasing: everything beyond
        is weaker than -70 dB, everything below 0.85 of it is untouched. Above 0.995 nothing is filtered.

    Returns
    -------
    array of shape (..., n_positions)

    Examples
    --------
    >>> sample_at([0.0, 1.0, 2.0, 3.0], [0, 1.5, 3])
    array([0. , 1.5, 3. ])
    """
    x = finite_array(x)
    positions = np.asarray(positions, dtype=np.float64)
    whole = np.round(positions)
    positions = np.where(np.abs(positions - whole) < 1e-6, whole, positions)
    inside = len(positions) > 0 and positions.min() >= 0 and positions.max() <= x.shape[-1] - 1
    if band > 0.995 and inside and np.array_equal(positions, whole):
        return x[..., whole.astype(int)]
    rows = x.reshape(-1, x.shape[-1])
    out = np.empty((len(rows), len(positions)), dtype=x.dtype)
    step = max(1, _BLOCK // x.shape[-1])
    for first in range(0, len(rows), step):
        out[first : first + step] = _between(rows[first : first + step], positions, band)
    return out.reshape(*x.shape[:-1], len(positions))


def _between(rows, positions, band):
    """`sample_at` of a few rows: low-pass, twice as many samples, a cubic spline through them."""
    kernel = _lowpass(band) if band <= 0.995 else np.ones(1)
    margin = _REACH + len(kernel) // 2
    x = np.pad(rows.astype(np.float64), ((0, 0), (margin, margin)), mode="reflect", reflect_type="odd")
    if len(kernel) > 1:
        x = signal.oaconvolve(x, kernel[None], mode="valid", axes=-1)
    if band <= 0.5:  # smooth enough for a spline as it is
        return CubicSpline(np.arange(x.shape[-1]) - _REACH, x, axis=-1)(positions)
    half = len(_HALFWAY) // 2
    middles = signal.oaconvolve(x, _HALFWAY[None], mode="valid", axes=-1)
    doubled = np.empty((len(x), 2 * middles.shape[-1] + 1))
    doubled[:, ::2] = x[:, half - 1 : x.shape[-1] - half + 1]
    doubled[:, 1::2] = middles
    grid = np.arange(doubled.shape[-1]) / 2 - _REACH + half - 1
    return CubicSpline(grid, doubled, axis=-1)(positions)


def _lowpass(band):
    """A symmetric filter: untouched below 0.85 `band`, -70 dB from `band` on (1 is half the rate)."""
    n_taps = 2 * int(np.ceil(29 / band)) + 1
    return signal.firwin(n_taps, 0.925 * band, window=("kaiser", signal.kaiser_beta(70)))


def _halfway():
    """Taps that give the value midway between samples: a windowed sinc that keeps a constant."""
    at = np.arange(-16, 16) + 0.5
    taps = np.sinc(at) * np.kaiser(32, 6.8)
    return taps / taps.sum()


_HALFWAY = _halfway()


def standardize(x):
    """Each window and channel with mean zero and deviation one.

    Parameters
    ----------
    x : array of shape (..., n_times)

    Returns
    -------
    array of the shape of `x`
        Without unit. A channel that is constant over its window carries nothing to scale, and becomes zeros.

    Examples
    --------
    >>> standardize([[1.0, 3.0], [9.81, 9.81]])
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    x = finite_array(x)
    # A float32 mean of a constant may miss it by a bit, so constants are known by their range.
    high, low = x.max(axis=-1, keepdims=True), x.min(axis=-1, keepdims=True)
    constant = high == low
    x = near_one(x, np.maximum(np.abs(high), np.abs(low)))
    centred = x - x.mean(axis=-1, keepdims=True, dtype=np.float64).astype(x.dtype)
    centred -= centred.mean(axis=-1, keepdims=True, dtype=np.float64).astype(x.dtype)
    deviation = centred.std(axis=-1, keepdims=True, dtype=np.float64)
    constant |= deviation == 0
    return np.where(constant, x.dtype.type(0), centred / np.where(constant, 1, deviation).astype(x.dtype))


def near_one(x, most):
    """Channels too large or small for their deviation, by a power of two near one; `most` is their largest size."""
    far = (most > 1e30) | ((most < 1e-30) & (most > 0))
    return np.ldexp(x, -np.where(far, np.frexp(most)[1], 0)) if far.any() else x


def bandpass(x, sfreq, low, high, order=4):
    """Keep `low` to `high` hertz, without moving anything in time.

    A Butterworth filter runs forwards and backwards, so that beats stay where they are.

    Parameters
    ----------
    x : array of shape (..., n_times)
    sfreq : float
        Samples per second.
    low, high : float
        Edges in hertz, 0 < low < high < sfreq / 2.
    order : int, default=4
        Of one pass; steep enough to take breathing (0.3 Hz) from a pulse (1 Hz), gentle enough not to ring.

    Returns
    -------
    array of shape (..., n_times)
        In the units of `x`; float32 stays float32.

    Examples
    --------
    >>> t = np.arange(0, 10, 1 / 64)
    >>> drift = np.sin(2 * np.pi * 0.05 * t)
    >>> pulse = np.sin(2 * np.pi * 1.2 * t)
    >>> clean = bandpass(drift + pulse, sfreq=64, low=0.4, high=8)
    >>> bool(np.corrcoef(clean, pulse)[0, 1] > 0.99)
    True
    """
    sfreq, low, high = positive(sfreq, "sfreq", "Hz"), positive(low, "low", "Hz"), positive(high, "high", "Hz")
    if not low < high < sfreq / 2:
        raise ValueError(
            f"Expected 0 < low < high < sfreq / 2 = {sfreq / 2:g} Hz, got low={low:g} and high={high:g}. "
            f"Choose edges inside the band that {sfreq:g} samples per second can hold."
        )
    return both_ways(x, sfreq, "bandpass", [low, high], order)


def both_ways(x, sfreq, kind, edges, order=4):
    """Run a Butterworth filter forwards and backwards; `kind` and `edges` are those of `scipy.signal.butter`."""
    x = finite_array(x)
    sos = signal.butter(order, edges, btype=kind, fs=sfreq, output="sos")
    shortest = 3 * (2 * len(sos) + 1) + 1  # what the reflection at both ends needs
    if x.shape[-1] < shortest:
        raise ValueError(
            f"Expected windows of at least {shortest} samples for a {kind} filter of order {order}, got {x.shape[-1]}. "
            f"Filter longer windows, filter before cutting, or lower the order."
        )
    return signal.sosfiltfilt(sos, x.astype(np.float64), axis=-1, padlen=shortest - 1).astype(x.dtype)


def stillness(x, sfreq, seconds=10.0):
    """The share of each 3-axis window in which the sensor lay still.

    A window is divided into equal stretches of about `seconds`; one is still when each of the three axes deviates
    by less than 0.013 g. That is the noise of the usual sensors with room to spare, and less than a sleeping wrist
    shows over a minute, so that 1 over many windows in a row means not worn, and 1 in one window means at rest. A
    share is given and not a verdict, since how long one must lie still to count as not worn depends on the study.

    Parameters
    ----------
    x : array of shape (..., 3, n_times)
        In g.
    sfreq : float
        Samples per second.
    seconds : float, default=10
        Length of a stretch, as in the reference. A shorter window is one stretch, so its value is 0 or 1.

    Returns
    -------
    array of shape (...)
        From 0, always moving, to 1, still throughout; float64.

    References
    ----------
    van Hees et al. Autocalibration of accelerometer data for free-living physical activity assessment using local
    gravity and temperature. Journal of Applied Physiology 117, 2014. doi:10.1152/japplphysiol.00421.2014

    Examples
    --------
    >>> window = np.zeros((1, 3, 6000))
    >>> window[0, 2] = 1.0
    >>> window[0, 0, :1500] = np.sin(np.arange(1500))
    >>> stillness(window, sfreq=100)
    array([0.66666667])
    """
    x = three_axes(x)
    length = positive(seconds, "seconds", "s") * positive(sfreq, "sfreq", "Hz")
    n_stretches = max(1, round(x.shape[-1] / max(length, 2)))
    length = x.shape[-1] // n_stretches
    stretches = x[..., : n_stretches * length].reshape(*x.shape[:-1], n_stretches, length)
    still = (stretches.std(axis=-1, dtype=np.float64) < 0.013).all(axis=-2)
    return still.mean(axis=-1)
