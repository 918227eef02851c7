"""Windows of one recording at even steps, some at a time, from no more samples than they need."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .mapped import let_go
from .recording import Recording
from .windows import _stretches, count, reach, windows_at

AT_ONCE = 2**18  # samples of a block of windows: 100 MB while they are cut, and enough to keep a net busy


class Block(NamedTuple):
    """Windows that follow one another."""

    starts: np.ndarray  # (n,), seconds from the start of the recording
    coverage: np.ndarray  # (n,), share of each that is there
    keep: np.ndarray  # (n,) of bool, which are covered well enough
    windows: np.ndarray  # those, (n_kept, n_channels, n_times)


def blocks(recording: Recording, seconds, sfreq, step, min_coverage, worn=None) -> Iterator[Block]:
    """All windows of a recording, as `cut` makes them, block by block.

    `worn` are the stretches in which the device was worn, ``(n, 2)`` seconds from the start; None is always.
    """
    n_windows, n_times = count(recording, seconds, step), round(seconds * sfreq)
    n = max(1, int(AT_ONCE / (max(step, seconds) * recording.sfreq)))
    for first in range(0, n_windows, n):
        starts = np.arange(first, min(first + n, n_windows)) * step
        yield block_at(recording, starts, seconds, sfreq, n_times, min_coverage, worn)
        let_go(recording.signal)
        let_go(recording.times)


def block_at(recording, starts, seconds, sfreq, n_times, min_coverage, worn=None) -> Block:
    t, x = samples(recording, starts[0], starts[-1] + seconds, reach(sfreq / recording.sfreq))
    if not len(t):
        nothing = np.zeros(len(starts))
        return Block(starts, nothing, nothing > 0, np.empty((0, len(x), n_times), np.float32))
    stretches = _stretches(t, 1 / recording.sfreq)
    windows, coverage, keep = windows_at(t, x, stretches, starts, sfreq, n_times, recording.sfreq, min_coverage)
    if worn is not None:
        coverage = coverage * share(worn, starts, starts + seconds)
        still = keep & (coverage >= min_coverage) & (coverage > 0)
        windows, keep = windows[still[keep]], still
    return Block(starts, coverage, keep, windows)


def samples(recording: Recording, first, last, margin) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the samples from `first` to `last` seconds that are there, and of `margin` around them.

    Where the margins are missing they reach to the next sample that is there, to which a gap is bridged.
    """
    n_samples, rate, times = recording.signal.shape[1], recording.sfreq, recording.times
    if times is None:
        low, high = int(np.floor(first * rate)), int(np.ceil(last * rate)) + 1
    else:
        low, high = (int(n) for n in np.searchsorted(times, [first, last]))
    begin, end = max(0, low - margin), min(n_samples, high + margin)
    present = ~np.isnan(recording.signal[:, begin:end]).any(axis=0)
    rows = np.flatnonzero(present) + begin
    if not len(rows):
        return np.zeros(0), np.zeros((len(recording.signal), 0), np.float32)
    rows = np.concatenate([beyond(recording.signal, begin, -1), rows, beyond(recording.signal, end - 1, 1)])
    if rows[0] >= begin and rows[-1] < end and len(rows) == end - begin:
        rows = slice(begin, end)  # no copy
        t = np.arange(begin, end) / rate if times is None else times[rows]
    else:
        t = rows / rate if times is None else times[rows]
    return t, recording.signal[:, rows]


def beyond(signal: np.ndarray, row: int, way: int) -> np.ndarray:
    """The next sample after `row`, or before it, that is there, as an array of one row or of none."""
    n_samples, n = signal.shape[1], 2**16
    while 0 <= row + way < n_samples:
        if way > 0:
            rows = np.arange(row + 1, min(n_samples, row + 1 + n))
        else:
            rows = np.arange(row - 1, max(-1, row - 1 - n), -1)
        there = np.flatnonzero(~np.isnan(signal[:, rows]).any(axis=0))
        if len(there):
            return rows[there[:1]]
        row = int(rows[-1])
    return np.zeros(0, np.intp)


def share(stretches: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """How much of the time from `first` to `last` lies in any of the stretches, which do not overlap."""
    if not len(stretches):
        return np.zeros(len(first))
    edges = np.asarray(stretches, np.float64).ravel()  # begin, end, begin, end, ...
    inside = np.append(0, np.cumsum(np.diff(edges) * (np.arange(len(edges) - 1) % 2 == 0)))
    within = np.interp(last, edges, inside) - np.interp(first, edges, inside)
    return np.clip(within / (last - first), 0, 1)
