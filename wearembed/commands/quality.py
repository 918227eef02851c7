"""What there is to say of a recording before anybody trusts its embeddings: gaps, time not worn, clipping."""

from typing import Any

import numpy as np

from ..recordings.clocks import longest_step
from ..recordings.nonwear import worn_stretches
from ..recordings.recording import EPOCH, Recording
from ..signals import canonical_units

BINS = 240  # of the timeline, whatever the length
AT_ONCE = 2**20  # samples that are looked at at once
IN_G = {"g": 1.0, "mg": 1e-3, "m/s^2": 1 / 9.80665}
SMALLEST_RANGE = 1.9  # g; no accelerometer ends before 2 g


def facts(recording: Recording, told: list[str], nonwear: bool = False) -> dict[str, Any]:
    """Length, rate, gaps, clipping and the timeline of a recording, in plain values.

    Parameters
    ----------
    recording : Recording
    told : list of str
        Warnings of whoever read it.
    nonwear : bool, default=False
        Look for time in which it was not worn.
    """
    recorded, n_present, n_gaps = when_recorded(recording)
    worn = when_worn(recording) if nonwear else None
    return {
        "participant": recording.participant,
        "recording": recording.name,
        "start": str(recording.start),
        "dated": recording.start.tz_localize(None) >= EPOCH.replace(year=1971),
        "seconds": recording.duration,
        "sfreq": recording.sfreq,
        "units": recording.units,
        "channels": list(recording.channel_names),
        "n_samples": int(recording.signal.shape[1]),
        "n_lost": recording.n_lost,
        "recorded": min(1.0, n_present / max(1e-9, recording.duration * recording.sfreq)),
        "n_gaps": n_gaps,
        "worn": None if worn is None else float(worn.mean()),
        "clipped": clipped(recording),
        "warnings": told,
        "timeline": {
            "recorded": recorded.round(3).tolist(),
            "worn": None if worn is None else worn.round(3).tolist(),
        },
    }


def when_recorded(recording: Recording) -> tuple[np.ndarray, int, int]:
    """The share of each bin of the timeline that samples cover, how many there are, and how many gaps."""
    n, rate, length = recording.signal.shape[1], recording.sfreq, recording.duration
    taken, n_gaps, last = np.zeros(BINS), 0, 0.0
    step = gap_step(recording)
    for first in range(0, n, AT_ONCE):
        rows = np.flatnonzero(~np.isnan(recording.signal[:, first : first + AT_ONCE]).any(axis=0)) + first
        t = rows / rate if recording.times is None else recording.times[rows]
        taken += np.histogram(t, BINS, (0, length))[0]
        if len(t):
            n_gaps += int((np.diff(t, prepend=last) > step).sum())
            last = float(t[-1])
    n_gaps += length - last > step + 1 / rate
    wanted = max(length * rate / BINS, 1e-9)
    # A bin has a sample more or less than its share, which shows where it has few.
    return np.where(taken > 0, np.minimum(1, (taken + 1) / wanted), 0), int(taken.sum()), int(n_gaps)


def gap_step(recording: Recording) -> float:
    """Seconds between neighbours from which on there is a gap."""
    times = recording.times
    if times is None or len(times) < 2:
        return 1.5 / recording.sfreq
    return longest_step(np.diff(times[:AT_ONCE]), 1 / recording.sfreq)


def when_worn(recording: Recording) -> np.ndarray:
    """The share of each bin of the timeline in which the device was worn."""
    edges = np.linspace(0, recording.duration, BINS + 1)
    worn = np.zeros(BINS)
    for begin, end in worn_stretches(recording):
        worn += np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None)
    return np.minimum(1, worn / np.diff(edges))


def clipped(recording: Recording) -> float | None:
    """The share of samples that lie at the outermost value of an axis, beyond 1.9 g; None of what is no acceleration.

    A value that an axis takes once is its peak, and no sign of clipping.
    """
    unit = IN_G.get(canonical_units(recording.units))
    if unit is None:
        return None
    pieces = range(0, recording.signal.shape[1], AT_ONCE)
    most = np.zeros(len(recording.signal))
    for first in pieces:
        most = np.fmax(most, np.nan_to_num(np.abs(recording.signal[:, first : first + AT_ONCE])).max(axis=1))
    at_end = np.zeros(len(most))
    for first in pieces:
        at_end += (np.abs(recording.signal[:, first : first + AT_ONCE]) == most[:, None]).sum(axis=1)
    at_end[(most * unit < SMALLEST_RANGE) | (at_end < 3)] = 0
    return float(at_end.max(initial=0) / max(1, recording.signal.shape[1]))
