"""From a wrist or a chest to a heart: windows as the papers feed them, beats, and what beats say of the heart."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import signal

from .checks import finite_array, positive, three_axes
from .units import check_units
from .waves import bandpass, both_ways, resample, standardize

SHORTEST = 2.0  # seconds in which beats can be looked for


def prepare_ppg(x, sfreq, new_sfreq=64.0, band=(0.4, 8.0)):
    """Photoplethysmogram windows as the AHMS encoders take them: band-passed, at 64 Hz, standardised.

    The rate and the scale, each channel of each window by itself, are the paper's. It band-passes too, but has not
    published how: the edges and the filter, a Butterworth of fourth order run both ways, are our default. Polarity
    stays as it is; let systole point up in all your data. A channel that is flat over its window becomes zeros.

    Parameters
    ----------
    x : array of shape (..., n_times)
    sfreq, new_sfreq : float
        Samples per second, before and after.
    band : (float, float) or None
        Edges in hertz, the higher below half of `sfreq`; None leaves the band as it is.

    Returns
    -------
    array of shape (..., round(n_times * new_sfreq / sfreq))
        Without unit, in time with `x`.

    References
    ----------
    Abbaspourazad et al. Large-scale training of foundation models for wearable biosignals. ICLR 2024. arXiv:2312.05409

    Examples
    --------
    >>> minute = np.random.default_rng(0).normal(size=(2, 4, 60 * 256))
    >>> X = prepare_ppg(minute, sfreq=256)
    >>> X.shape
    (2, 4, 3840)
    >>> bool(np.allclose(X.std(axis=-1), 1))
    True
    """
    return _prepare(x, sfreq, new_sfreq, band)


def prepare_ecg(x, sfreq, new_sfreq=128.0, band=(0.5, 40.0)):
    """Electrocardiogram windows as the AHMS encoder takes them: at 128 Hz, standardised; and band-passed.

    The rate and the scale are the paper's. It mentions no band-pass; the edges and the filter, a Butterworth of
    fourth order run both ways, are our default, against the drift and the mains hum of public recordings.

    Parameters
    ----------
    x : array of shape (..., n_times)
    sfreq, new_sfreq : float
        Samples per second, before and after.
    band : (float, float) or None
        Edges in hertz, the higher below half of `sfreq`; None leaves the band as it is.

    Returns
    -------
    array of shape (..., round(n_times * new_sfreq / sfreq))
        Without unit, in time with `x`.

    References
    ----------
    Abbaspourazad et al. Large-scale training of foundation models for wearable biosignals. ICLR 2024. arXiv:2312.05409

    Examples
    --------
    >>> prepare_ecg(np.random.default_rng(0).normal(size=(1, 30 * 512)), sfreq=512).shape
    (1, 3840)
    """
    return _prepare(x, sfreq, new_sfreq, band)


def prepare_accel(x, sfreq, new_sfreq=64.0, band=None):
    """Accelerometer windows beside a photoplethysmogram's: at 64 Hz, each axis of each window standardised.

    The mean goes, and gravity with it; what is left of a still wrist is what the pulse does to it. The rate and the
    scale are our reading of the paper, which is known to us at second hand here. No band-pass is known of it, so
    none is the default; ``band=(0.5, 20)`` is worth a comparison.

    Parameters
    ----------
    x : array of shape (..., 3, n_times)
        In any one unit.
    sfreq, new_sfreq : float
        Samples per second, before and after.
    band : (float, float) or None
        Edges in hertz, the higher below half of `sfreq`; None leaves the band as it is.

    Returns
    -------
    array of shape (..., 3, round(n_times * new_sfreq / sfreq))
        Without unit, in time with `x`.

    References
    ----------
    Wearable accelerometer foundation models for health via knowledge distillation. 2024. arXiv:2412.11276

    Examples
    --------
    >>> prepare_accel(np.random.default_rng(0).normal(size=(5, 3, 60 * 32)), sfreq=32).shape
    (5, 3, 3840)
    """
    return _prepare(three_axes(x), sfreq, new_sfreq, band)


def _prepare(x, sfreq, new_sfreq, band):
    x, sfreq = finite_array(x), positive(sfreq, "sfreq", "Hz")
    flat = x.max(axis=-1, keepdims=True) == x.min(axis=-1, keepdims=True)
    x = np.where(flat, x.dtype.type(0), x)  # a filter's rounding of a constant is not to be scaled up
    if band is not None:
        low, high = band
        if high >= sfreq / 2:
            raise ValueError(
                f"Expected a band below half of sfreq, {sfreq / 2:g} Hz, got band=({low:g}, {high:g}) and "
                f"sfreq={sfreq:g}. Lower the high edge, or leave the band as it is with band=None."
            )
        x = bandpass(x, sfreq, low, high)
    return standardize(resample(x, sfreq, new_sfreq))


def low_motion(x, sfreq, threshold=0.02):
    """Which 3-axis windows are still enough for the pulse to be felt in them.

    The vector magnitude, without what is slower than 0.5 Hz, has to deviate by less than `threshold`. The paper kept
    periods of low motion and did not say how; the rule and its 0.02 g, or 0.05 g to be lenient, are our default.

    Parameters
    ----------
    x : array of shape (..., 3, n_times)
        In g, with gravity.
    sfreq : float
        Samples per second.
    threshold : float, default=0.02
        In g.

    Returns
    -------
    array of bool of shape (...)

    Examples
    --------
    >>> rest = np.random.default_rng(0).normal([[0], [0], [1]], 0.005, size=(3, 6000))
    >>> walk = rest + 0.3 * np.sin(2 * np.pi * 2 * np.arange(6000) / 100)
    >>> low_motion(np.stack([rest, walk]), sfreq=100)
    array([ True, False])
    """
    x = three_axes(x)
    sfreq, threshold = positive(sfreq, "sfreq", "Hz"), positive(threshold, "threshold", "g")
    if sfreq <= 1:
        raise ValueError(f"Expected sfreq above 1 Hz, to tell motion from posture at 0.5 Hz, got {sfreq:g}.")
    check_units(x, "g")
    magnitude = both_ways(np.linalg.norm(x, axis=-2), sfreq, "highpass", 0.5)
    return magnitude.std(axis=-1, dtype=np.float64) < threshold


def find_beats(x, sfreq, sensor="ppg"):
    """When the heart beat: the times of systolic peaks or R peaks.

    neurokit2 finds the beats, by the method of Elgendi in a photoplethysmogram and by its own in an
    electrocardiogram. A parabola says where between two samples a beat lies, since whole samples at 64 Hz would show
    an RMSSD of 11 ms in a heart as even as a clock. A beat in the first or last 0.3 s of the window can be missing.

    Parameters
    ----------
    x : array of shape (n_times,)
        One channel, 2 s or more, as recorded or prepared; systole, or the R wave, points up.
    sfreq : float
        Samples per second, above 10 for "ppg" and above 40 for "ecg".
    sensor : {"ppg", "ecg"}

    Returns
    -------
    array of shape (n_beats,)
        Seconds from the first sample, increasing. Empty where nothing beats. In noise, beats are found that are
        none: `heart_rate_variability` leaves them out as far as they can be known.

    Raises
    ------
    ImportError
        neurokit2 is not there: it comes with "wearembed[signals]".

    References
    ----------
    Makowski et al. NeuroKit2: a Python toolbox for neurophysiological signal processing. Behavior Research Methods 53,
    2021. doi:10.3758/s13428-020-01516-y

    Examples
    --------
    >>> t = np.arange(0, 10, 1 / 64)
    >>> beats = find_beats(np.cos(2 * np.pi * 1.25 * (t - 0.5)), sfreq=64)
    >>> beats[:3].round(1)
    array([0.5, 1.3, 2.1])
    """
    x, sfreq = finite_array(x).astype(np.float64), positive(sfreq, "sfreq", "Hz")
    if sensor not in ("ppg", "ecg"):
        raise ValueError(f"Expected sensor to be 'ppg' or 'ecg', got {sensor!r}.")
    if x.ndim != 1:
        raise ValueError(
            f"Expected one channel of shape (n_times,), got shape {x.shape}. Take one, or for many windows at once "
            f"use wearembed.signals.heart_labels."
        )
    if len(x) < SHORTEST * sfreq:
        raise ValueError(f"Expected {SHORTEST:g} s or more to find beats in, got {len(x) / sfreq:g} s.")
    level = signal.detrend(x)  # a filter would make a wave of where a slope begins and ends
    if np.abs(level).max() <= 1e-9 * np.abs(x).max():  # a straight line, but for rounding
        level = np.zeros_like(x)
    return _ppg_beats(level, sfreq) if sensor == "ppg" else _ecg_beats(level, sfreq)


def _ppg_beats(x, sfreq):
    rate = 128  # the method of Elgendi counts in samples, and at 25 Hz it misses beats
    pulse = resample(bandpass(x, sfreq, 0.5, 5.0, order=2), sfreq, rate)
    return _summits(pulse, _neurokit("ppg_findpeaks", "PPG_Peaks", pulse, rate)) / rate


def _ecg_beats(x, sfreq):
    rate, reach = 256, 15  # samples to either side of a QRS complex, some 60 ms, where its R peak is
    complexes = resample(bandpass(x, sfreq, 5.0, 20.0, order=2), sfreq, rate)
    waves = bandpass(resample(x, sfreq, rate), rate, 0.5, 40.0, order=2)
    slow = 1.5  # seconds to average over: in 0.75, its default, noise between two slow beats looks like one
    found = _neurokit("ecg_findpeaks", "ECG_R_Peaks", complexes, rate, avgwindow=slow)
    around = (found[:, None] + np.arange(-reach, reach + 1)).clip(0, len(waves) - 1)
    highest = around[np.arange(len(found)), waves[around].argmax(axis=1)]
    return _summits(waves, np.unique(highest)) / rate


def _neurokit(function, key, x, rate, **how):
    """The samples of the beats in `x`, found by `function` of neurokit2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what its own dependencies will change one day
        try:
            import neurokit2
        except ImportError as error:
            raise ImportError(
                'Expected neurokit2, which finds the beats of a heart. pip install "wearembed[signals]".'
            ) from error
        try:
            found = getattr(neurokit2, function)(x, sampling_rate=rate, **how)[key]
        except IndexError:  # it looks at the first wave, also where there is none
            found = []
    return np.asarray(found, dtype=int)


def _summits(x, peaks):
    """Where the parabola through each peak and its two neighbours is highest, in samples."""
    peaks = peaks[(peaks > 0) & (peaks < len(x) - 1)]
    before, at, after = x[peaks - 1], x[peaks], x[peaks + 1]
    bend = before - 2 * at + after
    shift = 0.5 * (before - after) / np.where(bend < 0, bend, np.inf)
    return peaks + shift.clip(-0.5, 0.5)


class HeartRateVariability(NamedTuple):
    """What the intervals between beats say: `heart_rate` in bpm, `sdnn` and `rmssd` in ms, and from how many."""

    heart_rate: float
    sdnn: float
    rmssd: float
    n_intervals: int


def heart_rate_variability(beats, *, shortest=300.0, longest=2000.0, tolerance=0.2, neighbours=5, min_intervals=30):
    """Heart rate, SDNN and RMSSD of a series of beats, without the intervals that cannot be true.

    An interval is valid if its length is possible and near the median of its neighbourhood: a beat too few doubles
    one, a beat too many halves two, an ectopic beat shortens one and lengthens the next. Heart rate is that of the
    mean valid interval, SDNN the deviation of the valid intervals, RMSSD the root mean square of the differences
    between valid intervals that follow each other. Which algorithm the paper labelled its minutes by is not known:
    these are the usual definitions, and the rules are our default.

    Parameters
    ----------
    beats : array of shape (n_beats,)
        Seconds, increasing.
    shortest, longest : float, default=300, 2000
        What an interval can be, in ms.
    tolerance : float, default=0.2
        How far from the local median an interval may be, as a share of it. A sinus arrhythmia beyond it, in deep
        slow breathing, loses true intervals; 0.3 keeps them.
    neighbours : int, default=5
        Intervals to either side that the local median is taken over, as far as their own length is possible.
    min_intervals : int, default=30
        With fewer valid intervals all three are NaN. Windows of 30 s rarely have 30; ask less of them, and expect
        less of their SDNN.

    Returns
    -------
    HeartRateVariability
        Named tuple of `heart_rate` (bpm), `sdnn` and `rmssd` (ms), and `n_intervals`, the number of valid ones.

    References
    ----------
    Task Force of the European Society of Cardiology and the North American Society of Pacing and Electrophysiology.
    Heart rate variability: standards of measurement. Circulation 93, 1996. doi:10.1161/01.CIR.93.5.1043

    Examples
    --------
    >>> intervals = np.tile([0.78, 0.82], 20)
    >>> hrv = heart_rate_variability(np.cumsum(intervals))
    >>> round(hrv.heart_rate, 1), round(hrv.sdnn, 1), round(hrv.rmssd, 1), hrv.n_intervals
    (75.0, 20.3, 40.0, 39)
    """
    beats = finite_array(beats) if np.size(beats) else np.empty(0)
    if beats.ndim != 1:
        raise ValueError(f"Expected beats of one series, shape (n_beats,), got shape {beats.shape}.")
    intervals = np.diff(beats.astype(np.float64))
    if (intervals < 0).any():
        raise ValueError(
            "Expected the times of beats in increasing order. Sort them with np.sort, one series at a time."
        )
    if len(intervals) >= 30 and np.median(intervals) > 20:
        raise ValueError(
            f"Expected beats in seconds, got a median interval of {np.median(intervals):g} s. "
            f"Divide milliseconds by 1000, or the numbers of samples by the rate."
        )
    return _variability(1000 * intervals, shortest, longest, tolerance, neighbours, min_intervals)


def _variability(intervals, shortest=300.0, longest=2000.0, tolerance=0.2, neighbours=5, min_intervals=30):
    """`heart_rate_variability` of `intervals` in ms."""
    valid = (intervals >= shortest) & (intervals <= longest)
    possible = pd.Series(intervals).where(valid)
    median = possible.rolling(2 * neighbours + 1, center=True, min_periods=1).median().to_numpy()
    valid &= np.abs(intervals - median) <= tolerance * median
    kept = intervals[valid]
    if len(kept) < max(min_intervals, 2):
        return HeartRateVariability(np.nan, np.nan, np.nan, len(kept))
    differences = np.diff(intervals)[valid[1:] & valid[:-1]]
    rmssd = float(np.sqrt(np.mean(differences**2))) if len(differences) else np.nan
    return HeartRateVariability(float(60000 / kept.mean()), float(kept.std(ddof=1)), rmssd, len(kept))


def heart_labels(X, sfreq, sensor="ppg", *, channel=0, min_intervals=30):
    """Heart rate, SDNN and RMSSD of many windows, to teach or to test an encoder with.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
        2 s or more, as recorded or prepared.
    sfreq : float
        Samples per second.
    sensor : {"ppg", "ecg"}
    channel : int, default=0
        The one of several that the beats are found in; take the cleanest.
    min_intervals : int, default=30
        Windows with fewer valid intervals have NaN (see `heart_rate_variability`).

    Returns
    -------
    DataFrame of n_windows rows
        With columns heart_rate (bpm), sdnn and rmssd (ms), and n_intervals.

    Examples
    --------
    >>> t = np.arange(0, 60, 1 / 64)
    >>> labels = heart_labels(np.stack([np.sin(2 * np.pi * 1.25 * t), 0 * t]), sfreq=64)
    >>> labels.round(1)[["heart_rate", "n_intervals"]]
       heart_rate  n_intervals
    0        75.0           73
    1         NaN            0
    """
    X = finite_array(X)
    if X.ndim not in (2, 3):
        raise ValueError(
            f"Expected windows of shape (n_windows, n_channels, n_times) or (n_windows, n_times), got shape {X.shape}."
        )
    one = X if X.ndim == 2 else X[:, channel]
    found = [_variability(1000 * np.diff(find_beats(x, sfreq, sensor)), min_intervals=min_intervals) for x in one]
    kinds = {"heart_rate": float, "sdnn": float, "rmssd": float, "n_intervals": int}
    return pd.DataFrame(found, columns=list(kinds)).astype(kinds)
