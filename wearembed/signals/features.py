"""What people measure in a window by hand: moments, quantiles, power by band, rhythm, and the beats of a heart.

Each function takes windows of shape (n_windows, n_channels, n_times) and gives a dictionary from the name of a feature
to its value in each window. Names and their order depend on the number of channels alone, all values are finite, and a
window's are the same to the bit whatever other windows came along.
"""

from itertools import pairwise

import numpy as np

from .heart import SHORTEST, heart_labels
from .waves import bandpass

PERCENTILES = (5, 25, 50, 75, 95)
MOTION = (0.3, 1.2, 2.2, 3.5, 6.0, 10.0, 20.0)  # Hz between bands: posture, steps and their harmonics, shaking
PULSE = (0.4, 0.8, 1.2, 1.7, 2.4, 3.4, 4.8, 6.5, 9.0)  # Hz: heart rates, and the harmonics that shape a wave
SHAKING = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 11.0, 15.0, 20.0)  # Hz: what a beat does to a resting wrist
NOTHING = 1e-8  # of power in g²: a tenth of a milli-g, below the noise of any sensor that is worn
STILL = 1e-9  # a deviation below it is rounding


def motion_features(X, sfreq):
    """Of acceleration in g; what each is, docs/baselines tells."""
    X = np.asarray(X, np.float64)
    axes = axis_names(X.shape[1])
    size = np.sqrt((X**2).sum(1, keepdims=True))
    names, both = [*axes, "magnitude"], np.concatenate([X, size], axis=1)
    jerk = np.diff(both) * sfreq
    likely = np.percentile(both, PERCENTILES, axis=-1)
    columns = each(names, "mean", both.mean(-1)) | each(names, "deviation", both.std(-1))
    for percent, values in zip(PERCENTILES, likely):
        columns |= each(names, f"{percent} %", values)
    columns |= shape_of(["magnitude"], size) | correlations(axes, X)
    columns |= each(names, "jerk deviation", np.log(jerk.std(-1) + 1e-6))
    columns |= each(names, "jerk 95 %", np.log(np.percentile(np.abs(jerk), 95, axis=-1) + 1e-6))
    return columns | spectrum(names, both, sfreq, MOTION, NOTHING) | rhythm(["magnitude"], size, sfreq, 0.25, 1.5)


def wave_features(X, sfreq, sensor):
    """Of a standardised photoplethysmogram or electrocardiogram; beats are those of the first channel."""
    X = np.asarray(X, np.float64)
    names = [f"channel {n}" for n in range(X.shape[1])] if X.shape[1] > 1 else ["wave"]
    edges = np.array(PULSE) * (1 if sensor == "ppg" else 4)
    steep = np.log(np.diff(X).std(-1) * sfreq + 1e-6)
    columns = shape_of(names, X) | each(names, "steepness", steep) | spectrum(names, X, sfreq, edges, NOTHING)
    columns |= rhythm(names, X, sfreq, 0.3, 2.0)
    return columns | heart_features(X[:, 0], columns[f"{names[0]} rhythm period"], sfreq, sensor)


def heart_features(x, period, sfreq, sensor):
    """Heart rate, SDNN and RMSSD of one channel; where no three intervals are valid, the rhythm's rate, 0 and 0."""
    rate = 60 / np.where(period > 0, period, np.inf)
    if x.shape[-1] < SHORTEST * sfreq:
        return {"heart rate": rate, **{name: np.zeros(len(x)) for name in ("SDNN", "RMSSD", "intervals")}}
    found = heart_labels(x, sfreq, sensor, min_intervals=3)
    known = found["heart_rate"].notna().to_numpy()
    columns = {"heart rate": np.where(known, found["heart_rate"], rate)}
    columns |= {name: np.nan_to_num(found[name.lower()].to_numpy()) for name in ("SDNN", "RMSSD")}
    return columns | {"intervals": found["n_intervals"].to_numpy(np.float64)}


def shaking_features(X, sfreq):
    """Of a resting wrist's acceleration: the rhythm of its shaking between 4 and 11 Hz, and power by band."""
    X = np.asarray(X, np.float64)
    axes = axis_names(X.shape[1])
    lags = np.arange(0.375, 2.0, 1 / 16)  # seconds; 160 to 30 beats a minute
    alike = autocorrelation(envelope(X, sfreq))
    at = np.minimum(np.round(lags * sfreq).astype(int), alike.shape[-1] - 1)
    columns = {f"shaking after {lag:.3f} s": alike[:, n] for lag, n in zip(lags, at)}
    low, high = (min(round(edge * sfreq), alike.shape[-1] - 1) for edge in (0.375, 2.0))
    best = low + alike[:, low : high + (high == low)].argmax(-1)
    columns["shaking rate"] = 60 * sfreq / np.maximum(best, 1)
    f, power = powers(X, sfreq)
    return columns | bands(axes, f, power, SHAKING, floor=1e-12)


def envelope(X, sfreq):
    """How strongly all axes together shake at the rates that a beat sets off; nothing in windows below 2 s."""
    if X.shape[-1] < SHORTEST * sfreq:
        return np.zeros((len(X), X.shape[-1]))
    shaking = bandpass(X, sfreq, 4.0, min(11.0, 0.45 * sfreq))
    return np.sqrt((shaking**2).sum(1))


# --- parts


def axis_names(n_channels):
    """Three are the axes of one sensor, any other number just channels."""
    return ["x", "y", "z"] if n_channels == 3 else [f"channel {n}" for n in range(n_channels)]


def each(names, what, values):
    """Columns of `values` (n_windows, n_names), by name."""
    return {f"{name} {what}": values[:, n] for n, name in enumerate(names)}


def shape_of(names, x):
    """Skewness and excess kurtosis; 0 of what stands still."""
    z = x - x.mean(-1, keepdims=True)
    deviation = z.std(-1, keepdims=True)
    moves = deviation > STILL
    z = np.where(moves, z / np.where(moves, deviation, 1), 0)
    tails = np.where(moves[..., 0], (z**4).mean(-1) - 3, 0)
    return each(names, "skewness", (z**3).mean(-1)) | each(names, "kurtosis", tails)


def correlations(names, x):
    """Of each pair of channels; 0 where one stands still."""
    x = x - x.mean(-1, keepdims=True)
    x = x / (np.sqrt((x**2).sum(-1, keepdims=True)) + 1e-6)
    pairs = [(a, b) for b in range(len(names)) for a in range(b)]
    return {f"{names[a]} with {names[b]}": (x[:, a] * x[:, b]).sum(-1) for a, b in pairs}


def powers(x, sfreq):
    """Frequencies in hertz, and mean square that falls on each, under a Hann window."""
    n_times = x.shape[-1]
    window = np.sin(np.pi * (np.arange(n_times) + 0.5) / n_times) ** 2
    spectra = np.fft.rfft((x - x.mean(-1, keepdims=True)) * window)
    return np.fft.rfftfreq(n_times, 1 / sfreq), 2 * np.abs(spectra) ** 2 / (n_times * (window**2).sum())


def bands(names, f, power, edges, floor):
    """Logarithm of the mean square between one edge and the next; `floor` is added, so that nothing is finite."""
    columns: dict[str, np.ndarray] = {}
    for low, high in pairwise(edges):
        inside = power[..., (f >= low) & (f < high)].sum(-1)
        columns |= each(names, f"{low:g}-{high:g} Hz", np.log(inside + floor))
    return columns


def spectrum(names, x, sfreq, edges, floor):
    """Power by band; of what lies between the outer edges the strongest frequency, its share, and the entropy."""
    f, power = powers(x, sfreq)
    columns = bands(names, f, power, edges, floor)
    inside = (f >= edges[0]) & (f < edges[-1])
    if not inside.any():
        f, power, inside = np.zeros(1), np.zeros(x.shape[:2] + (1,)), np.ones(1, bool)
    share = power[..., inside] + 1e-12
    share = share / share.sum(-1, keepdims=True)
    columns |= each(names, "strongest Hz", f[inside][share.argmax(-1)])
    columns |= each(names, "strongest share", share.max(-1))
    return columns | each(names, "entropy", -(share * np.log(share)).sum(-1))


def rhythm(names, x, sfreq, shortest, longest):
    """Height and seconds of the highest autocorrelation from `shortest` to `longest` seconds; 0 where none is."""
    first, stop = (min(int(seconds * sfreq), x.shape[-1]) for seconds in (shortest, longest))
    if stop <= first:
        return each(names, "rhythm", np.zeros(x.shape[:2])) | each(names, "rhythm period", np.zeros(x.shape[:2]))
    later = autocorrelation(x)[..., first:stop]
    period = np.where(later.max(-1) > 0, (later.argmax(-1) + first) / sfreq, 0)
    return each(names, "rhythm", later.max(-1)) | each(names, "rhythm period", period)


def autocorrelation(x):
    """How a signal resembles itself some samples later, 1 after none, 0 throughout where it stands still."""
    x = x - x.mean(-1, keepdims=True)
    n_times = x.shape[-1]
    products = np.fft.irfft(np.abs(np.fft.rfft(x, 2 * n_times)) ** 2, 2 * n_times)[..., :n_times]
    moves = products[..., :1] > n_times * STILL**2
    return np.where(moves, products / np.where(moves, products[..., :1], 1), 0)
