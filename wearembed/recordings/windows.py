"""Windows of equal length and rate, cut from recordings."""

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

from ..signals import check_share, positive, sample_at
from .clocks import longest_step
from .recording import Recording

_BATCH = 2**18  # target samples that are cut at once


def cut(recordings, seconds, sfreq, step=None, min_coverage=0.8):
    """Windows of equal length and rate from recordings of any length and rate.

    Windows begin at the first sample of each recording and then every `step` seconds. Where the rate goes down, each
    stretch without gap is filtered against aliasing (see `signals.sample_at`); then it is read at the exact times of
    the window, so that neither an odd rate nor a drifting clock adds up. At the same rate and without drift the
    samples come back as they are. Values are in the units of the recordings.

    Parameters
    ----------
    recordings : Recording or iterable of Recording
        All in the same units, with the same number of channels. An iterable is read one by one.
    seconds : float
        Length of a window.
    sfreq : float
        Samples per second of the windows.
    step : float, optional
        Seconds from one window to the next, by default `seconds`: windows that overlap say the same thing twice.
    min_coverage : float, default=0.8
        Windows with a smaller share of real samples are left out. In those that stay, what is missing is bridged by
        straight lines: at 0.8 that is a fifth of a window at most, which leaves its rhythm to be seen.

    Returns
    -------
    X : array of shape (n_windows, n_channels, round(seconds * sfreq)), float32
    index : pandas.DataFrame
        One row a window: participant, recording, start (time stamp) and coverage (0 to 1).
        `index.attrs` holds n_left_out, the number of windows below `min_coverage`, and units, sfreq, channel_names.

    Examples
    --------
    >>> recording = Recording(np.arange(1000.0), sfreq=100, participant="P01", units="a.u.")
    >>> X, index = cut(recording, seconds=4, sfreq=50)
    >>> X.shape, list(index["coverage"])
    ((2, 1, 200), [1.0, 1.0])
    """
    seconds, sfreq = positive(seconds, "seconds", "s"), positive(sfreq, "sfreq", "Hz")
    step = seconds if step is None else positive(step, "step", "s")
    n_times = round(seconds * sfreq)
    if n_times == 0:
        raise ValueError(f"Expected windows of at least one sample, got {seconds:g} s at {sfreq:g} Hz. Lengthen them.")
    min_coverage = check_share(min_coverage, "min_coverage")
    first, parts, rows, n_left_out = None, [], [], 0
    for recording in [recordings] if isinstance(recordings, Recording) else recordings:
        first = _check_alike(recording, first)
        windows, starts, coverage, n_windows = _cut_one(recording, seconds, sfreq, n_times, step, min_coverage)
        parts.append(windows)
        rows.append(_rows(recording, starts, coverage))
        n_left_out += n_windows - len(windows)
    if first is None:
        raise ValueError("Expected at least one recording, got none. Look whether the files were found.")
    index = _concat(rows)
    index.attrs = {
        "n_left_out": n_left_out,
        "units": first.units,
        "sfreq": sfreq,
        "channel_names": list(first.channel_names),
    }
    return parts[0] if len(parts) == 1 else np.concatenate(parts), index


def _check_alike(recording, first):
    """The first recording, after a look whether this one has its units and channels."""
    if not isinstance(recording, Recording):
        raise TypeError(
            f"Expected recordings, got {type(recording).__name__}. "
            f"Read a file with wearembed.read_recording(path), or make a wearembed.Recording of an array."
        )
    first = recording if first is None else first
    if recording.units != first.units or len(recording.channel_names) != len(first.channel_names):
        raise ValueError(
            f"Expected recordings of one kind, got {first.name!r} with {len(first.channel_names)} channels in "
            f"{first.units!r} and {recording.name!r} with {len(recording.channel_names)} in {recording.units!r}. "
            f"Convert units with wearembed.signals.convert_units, and cut each sensor by itself."
        )
    return first


def _rows(recording, starts, coverage):
    return pd.DataFrame(
        {
            "participant": pd.Series([recording.participant] * len(starts), dtype=object),
            "recording": pd.Series([recording.name] * len(starts), dtype=object),
            "start": recording.start + pd.to_timedelta(starts, unit="s"),
            "coverage": coverage,
        }
    )


def _concat(rows):
    """One table; an empty one has the columns and types of a full one."""
    return pd.concat([r for r in rows if len(r)] or rows[:1], ignore_index=True)


def _cut_one(recording, seconds, sfreq, n_times, step, min_coverage):
    """Windows of one recording, their starts in seconds, their coverage, and how many there were before choosing."""
    t, x = _present(recording)
    n_windows = count(recording, seconds, step) if len(t) else 0
    all_starts = np.arange(n_windows) * step
    parts, kept = [np.empty((0, len(x), n_times), np.float32)], [np.empty((0, 2))]
    stretches = _stretches(t, 1 / recording.sfreq)
    for begin in range(0, n_windows, max(1, _BATCH // n_times)):
        starts = all_starts[begin : begin + max(1, _BATCH // n_times)]
        windows, coverage, keep = windows_at(t, x, stretches, starts, sfreq, n_times, recording.sfreq, min_coverage)
        parts.append(windows)
        kept.append(np.column_stack([starts[keep], coverage[keep]]))
    starts, coverage = np.concatenate(kept).T
    return np.concatenate(parts), starts, coverage, n_windows


def count(recording, seconds, step):
    """Windows that a recording has room for, whether covered or not."""
    # Half a sample of grace: a rate measured as 100.002 Hz shall not cost the last window.
    slack = recording.duration + 0.5 / recording.sfreq - seconds
    return int(slack / step) + 1 if slack >= 0 else 0


def windows_at(t, x, stretches, starts, sfreq, n_times, rate, min_coverage):
    """Windows that begin at `starts` and are covered well enough, the coverage of all, and which are.

    `t` and `x` are samples that are there, taken at `rate`; all in seconds of one clock.
    """
    at = starts[:, None] + np.arange(n_times) / sfreq  # (windows, n_times)
    owner, real = _covered(t, stretches, at, 1 / rate)
    coverage = real.mean(axis=1)
    keep = (coverage >= min_coverage) & (coverage > 0)
    return _values(t, x, stretches, at[keep], owner[keep], real[keep], 1 / rate, sfreq * (1 / rate)), coverage, keep


def _present(recording):
    """Times and values of the samples that are there."""
    t, x = recording.times, recording.signal
    if t is None:
        t = np.arange(x.shape[1]) / recording.sfreq
    present = ~np.isnan(x).any(axis=0)
    return (t, x) if present.all() else (t[present], x[:, present])


def _stretches(t, period):
    """Where stretches without gap begin, and where the last ends: indices (n_stretches + 1,)."""
    steps = np.diff(t)
    return np.r_[0, np.flatnonzero(steps > longest_step(steps, period)) + 1, len(t)]


def _covered(t, stretches, at, period):
    """For each target time the stretch that it may belong to, and whether it does."""
    hair = 0.05 * period  # clocks are known no better
    first, end = t[stretches[:-1]] - hair, t[stretches[1:] - 1] + period - hair  # a sample stands for its period
    owner = np.maximum(np.searchsorted(first, at, side="right") - 1, 0)
    return owner, (at >= first[owner]) & (at < end[owner])


def _values(t, x, stretches, at, owner, real, period, band):
    """Values at the target times `at` (windows, n_times), as windows (windows, n_channels, n_times)."""
    out = np.empty((len(x), *at.shape), dtype=np.float32)
    if at.size == 0:
        return out.swapaxes(0, 1)
    if not real.all():
        near = slice(*_around(t, at.min(), at.max(), 2))
        for channel in range(len(x)):
            out[channel] = np.interp(at, t[near], x[channel, near])
    margin = reach(band)
    for stretch in np.unique(owner[real]):
        mine = real & (owner == stretch)
        low, high = _around(t, at[mine].min(), at[mine].max(), margin)
        part = slice(max(low, stretches[stretch]), min(high, stretches[stretch + 1]))
        out[:, mine] = _along(t[part], x[:, part], at[mine], period, min(band, 1))
    return out.swapaxes(0, 1)


def reach(band):
    """Samples to either side that a filter to this share of the band looks at, and some more."""
    return 64 + int(64 / min(band, 1))


def _around(t, low, high, margin):
    return max(0, np.searchsorted(t, low) - margin), np.searchsorted(t, high) + margin


def _along(t, x, at, period, band):
    """Values of one stretch without gap."""
    steps = np.diff(t)
    if len(t) > 3 and np.abs(steps / period - 1).max() > 0.1:  # taken unevenly: first onto an even grid
        grid = np.arange(t[0], t[-1] + period / 2, period)
        t, x = grid, CubicSpline(t, x, axis=1)(np.minimum(grid, t[-1])).astype(np.float32)
    beyond = 2 * period
    knots = np.r_[t[0] - beyond, t, t[-1] + beyond]
    positions = np.interp(at, knots, np.r_[-2, np.arange(len(t)), len(t) + 1])
    return sample_at(x, positions, band)
