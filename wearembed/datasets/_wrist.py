"""What the two sets with an Empatica E4 have in common: light and motion of a wrist, in step."""

import numpy as np
import pandas as pd

from ..recordings import Recording, cut
from ._arrays import read_arrays
from ._windows import is_asked_for

PPG, ACCEL = 64, 32  # samples per second of the E4


def read_subjects(folder, participants):
    """Each subject's pickle, one at a time: name and content."""
    for path in sorted(folder.glob("S*/S*.pkl"), key=lambda path: int(path.stem[1:])):
        if path.stem == path.parent.name and is_asked_for(path.stem, participants):
            yield path, read_arrays(path, without=("chest",))


def wrist_windows(path, wrist, seconds, sfreq, step):
    """Windows of light (n, 1, n_times) and of motion in g (n, 3, n_times), and where they begin in seconds."""
    ppg = _recording(path, wrist["BVP"], PPG, "a.u.", ("ppg",))
    accel = _recording(path, in_g(np.asarray(wrist["ACC"], np.float64), path), ACCEL, "g", ("x", "y", "z"))
    light, index = cut(ppg, seconds, sfreq, step)
    motion, beside = cut(accel, seconds, sfreq, step)
    n_windows = min(len(index), len(beside))  # one may end a few samples before the other
    index = index[:n_windows]
    begin = ((index["start"] - ppg.start) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    return light[:n_windows], motion[:n_windows], index, begin


def _recording(path, values, sfreq, units, names):
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"Expected samples of {names} in {path}, got an array of shape {values.shape}.")
    return Recording(values.T, sfreq, path.stem, units, channel_names=names)


def in_g(accel, path):
    """Acceleration (n, 3) in g, whether it was counted in g or, as the device does, in 64ths of it."""
    magnitude = np.median(np.linalg.norm(accel, axis=1))
    for unit in (1.0, 64.0):
        if 0.5 < magnitude / unit < 2:
            return accel / unit
    raise ValueError(f"Expected gravity near 1 or 64 in the wrist acceleration of {path}, got {magnitude:.3g}.")
