"""When a device was worn, as scikit-digital-health tells by stillness."""

import numpy as np

from ..signals import canonical_units, to_g
from .recording import Recording

RATE = 10.0  # Hz, at least; stillness over an hour shows in a tenth of the samples
HOUR, QUARTER = 3600.0, 900.0


def worn_stretches(recording: Recording) -> np.ndarray:
    """Begin and end, in seconds from the start, of the stretches in which an accelerometer was worn, ``(n, 2)``.

    Every so many samples are looked at, 10 a second or more; a gap counts as stillness. What is shorter than the hour
    that the method looks at counts as worn. It looks at an hour every quarter of one, and calls its first quarter alone
    not worn; here all of a still hour is, so that a stretch that is worn begins where the last still hour ends.
    """
    try:
        from skdh.preprocessing import AccelThresholdWearDetection
    except ImportError as error:
        raise ImportError('nonwear=True needs scikit-digital-health. pip install "wearembed[devices]".') from error
    if canonical_units(recording.units) not in ("g", "mg", "m/s^2") or len(recording.signal) != 3:
        raise ValueError(
            f"nonwear=True looks at three axes of acceleration; {recording.name!r} has {len(recording.signal)} in "
            f"{recording.units!r}. Leave it out."
        )
    if recording.duration < HOUR + 1:
        return np.array([[0.0, recording.duration]])
    accel, rate = thinned(recording)
    told = AccelThresholdWearDetection().predict(time=np.arange(len(accel)) / rate, accel=accel, fs=rate)
    worn = np.asarray(told["wear"], np.float64).reshape(-1, 2) / rate
    worn[worn >= (len(accel) - 1) / rate] = recording.duration
    worn[worn[:, 0] > 0, 0] += HOUR - QUARTER
    return worn[worn[:, 0] < worn[:, 1]]


def thinned(recording: Recording) -> tuple[np.ndarray, float]:
    """Every so many samples in g on an even clock, ``(n, 3)``, each gap filled with what was before it; their rate."""
    every = max(1, int(recording.sfreq / RATE))
    rate = recording.sfreq / every
    if recording.times is None:
        x = np.array(recording.signal[:, ::every], np.float64).T
    else:
        when = np.arange(0, recording.duration, 1 / rate)
        rows = np.searchsorted(recording.times, when + 0.5 / rate).clip(1) - 1
        x = np.array(recording.signal[:, rows], np.float64).T
    there = ~np.isnan(x).any(axis=1)
    if not there.any():
        return np.zeros_like(x), rate
    last = np.maximum.accumulate(np.where(there, np.arange(len(x)), np.argmax(there)))
    return np.ascontiguousarray(to_g(x[last], recording.units)), rate
