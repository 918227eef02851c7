"""Empatica E4 exports: a file a sensor; its first row is when it began, its second the rate."""

import io

import numpy as np
import pandas as pd

from .files import contents
from .recording import fields

_E4 = {  # sensor: file, what one count is, units, channels
    "accelerometer": ("ACC.csv", 1 / 64, "g", ("x", "y", "z")),
    "bvp": ("BVP.csv", 1.0, "a.u.", ("bvp",)),
    "eda": ("EDA.csv", 1.0, "uS", ("eda",)),
    "temperature": ("TEMP.csv", 1.0, "degC", ("temperature",)),
}
E4_NAMES = {file: sensor for sensor, (file, *_) in _E4.items()}


def looks_like_e4(data):
    rows = [line.split(b",") for line in data[:256].splitlines()[:2]]
    try:
        began, rate = ({float(cell) for cell in row} for row in rows)
    except ValueError:
        return False
    return len(began) == len(rate) == 1 and began.pop() > 1e9 and rate.pop() <= 1000


def read_e4(folder, sensor, name=None):
    if sensor not in _E4:
        raise ValueError(f"Expected a sensor of the Empatica E4, one of {list(_E4)}, got {sensor!r}.")
    file, unit, units, channels = _E4[E4_NAMES[name] if name and sensor == "accelerometer" else sensor]
    if name and file != name:
        raise ValueError(f"Expected {file} for sensor={sensor!r}, got {name}. Give the folder, or leave sensor out.")
    path = next((folder / f for f in (file, file + ".gz") if (folder / f).exists()), None)
    if path is None:
        there = sorted(entry.name for entry in folder.iterdir())[:8]
        raise FileNotFoundError(
            f"Expected an Empatica E4 export with {file} in {folder}, found {there}. "
            f"Give the folder that the export was unpacked to, or the file of another device itself."
        )
    data = contents(path)
    if not looks_like_e4(data):
        raise ValueError(
            f"Expected the start and then the rate in the first two rows of {path}, got {data[:60]!r}. "
            f"Give the file as Empatica exported it."
        )
    refuse_broken_rows(data, len(channels), path)
    table = pd.read_csv(io.BytesIO(data), header=None, low_memory=False).apply(pd.to_numeric, errors="coerce")
    if table.shape[1] != len(channels) or len(table) < 3:
        raise ValueError(f"Expected rows of {channels} in {path}, got a table of shape {table.shape}. Export it again.")
    sfreq = float(table.iloc[1, 0])
    values = table.iloc[2:].to_numpy(np.float32).T * np.float32(unit)
    present = np.isfinite(values).all(axis=0)
    start = pd.Timestamp(float(table.iloc[0, 0]), unit="s")
    seconds = np.flatnonzero(present) / sfreq
    return fields(values[:, present], sfreq, units, start, seconds, (~present).sum(), channels)


def refuse_broken_rows(data, n_channels, path):
    """An error where lines are not rows of so many cells: no stamps tell when the rows behind a lost one were taken."""
    lines = np.frombuffer(data.rstrip().replace(b"\r\n", b"\n") + b"\n", np.uint8)
    foreign = ~np.isin(lines, np.frombuffer(b"0123456789+-.,eEnaN \t\n", np.uint8))
    ends = np.flatnonzero(lines == ord("\n"))
    n_cells = np.diff(np.searchsorted(np.flatnonzero(lines == ord(",")), ends), prepend=0) + 1
    broken = (n_cells != n_channels) | (np.diff(ends, prepend=-1) == 1)
    broken[np.searchsorted(ends, np.flatnonzero(foreign))] = True
    if broken.any():
        n = int(np.argmax(broken))
        raise ValueError(
            f"Expected {n_channels} numbers in each row of {path}, got something else in {broken.sum()} rows, the "
            f"first of which is {n + 1}. Rows have no time stamps here, so nothing tells when those behind it were "
            f"taken. Export it again; to read what is before it, cut the file there."
        )
