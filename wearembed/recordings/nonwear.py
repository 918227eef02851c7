"""When a device was worn, as scikit-digital-health tells by stillness."""

import numpy as np

from ..signals import canonical_units, to_g
from .mapped import let_go, pieces
from .recording import Recording

RATE = 10.0  # Hz, at least; stillness over an hour shows in a tenth of the samples
HOUR, QUARTER = 3600.0, 900.0


def worn_stretches(recording: Recording) -> np.ndarray:
    """Begin and end, in seconds from the start, of the stretches in which an accelerometer was worn, ``(n, 2)``.

    Every so many samples are looked at, 10 a second or more; a gap counts as stillness. What is shorter than the hour
    that the method looks at counts as worn. It looks at an hour every quarter of one, and calls its first quarter alone
    not worn; here all of a still hour is, so that a stretch that is worn begins where the last still hour ends.
    """
    detection = wear_detection()
    if canonical_units(recording.units) not in ("g", "mg", "m/s^2") or len(recording.signal) != 3:
        raise ValueError(
            f"nonwear=True looks at three axes of acceleration; {recording.name!r} has {len(recording.signal)} in "
            f"{recording.units!r}. Leave it out."
        )
    if recording.duration < HOUR + 1:
        return np.array([[0.0, recording.duration]])
    accel, rate = thinned(recording)
    with np.errstate(divide="ignore", invalid="ignore"):  # where all of it is of one kind
        told = detection.predict(time=np.arange(len(accel)) / rate, accel=accel, fs=rate)
    worn = np.asarray(told["wear"], np.float64).reshape(-1, 2) / rate
    worn[worn >= (len(accel) - 1) / rate] = recording.duration
    worn[worn[:, 0] > 0, 0] += HOUR - QUARTER
    return worn[worn[:, 0] < worn[:, 1]]


def wear_detection():
    """The method of scikit-digital-health; an error that says how to get it where it is not there."""
    try:
        from skdh.preprocessing import AccelThresholdWearDetection
    except ImportError as error:
        raise ImportError('nonwear=True needs scikit-digital-health. pip install "wearembed[devices]".') from error
    return AccelThresholdWearDetection()


def thinned(recording: Recording) -> tuple[np.ndarray, float]:
    """Every so many samples in g on an even clock, ``(n, 3)``, each gap filled with what was before it; their rate."""
    every = max(1, int(recording.sfreq / RATE + 0.05))
    rate = recording.sfreq / every
    n = -(-recording.signal.shape[1] // every)
    when = np.arange(n) if recording.times is None else np.arange(0, recording.duration, 1 / rate)
    x = np.empty((len(when), 3))
    for some in pieces(len(when), 2**16):  # of a mapped file no more than that is held
        rows = when[some] * every
        if recording.times is not None:
            rows = np.searchsorted(recording.times, when[some] + 0.5 / rate).clip(1) - 1
        x[some] = to_g(recording.signal[:, rows].T, recording.units)
        let_go(recording.signal)
        let_go(recording.times)
    there = ~np.isnan(x).any(axis=1)
    if not there.any():
        return np.zeros_like(x), rate
    gone = np.flatnonzero(~there)
    before = np.searchsorted(np.flatnonzero(there), gone).clip(1) - 1
    x[gone] = x[np.flatnonzero(there)[before]]
    return x, rate
