"""The clock behind time stamps that are rounded, jitter, drift or pause."""

import numpy as np

from .mapped import let_go, pieces, roomy


def even_clock(stamps):
    """The clock behind rounded or jittered time stamps: seconds of every sample, and samples per second.

    Where several samples share a stamp it was rounded down, and only the first of them is known to a period. The
    others are laid evenly between. A stretch whose stamps stray from a line by more than 1.5 periods keeps them.
    """
    moved = np.flatnonzero(np.diff(stamps, prepend=-np.inf) > 0)
    steps = np.diff(stamps[moved])
    period = rough_period(stamps)
    grain = next((g for g in (1.0, 0.1, 0.01, 0.001) if np.abs(stamps / g - np.round(stamps / g)).max() < 1e-3), 0.0)
    begin = np.r_[0, moved[1:][steps > longest_step(steps, period, grain)]]
    shared = len(moved) < 0.9 * len(stamps)
    known = np.setdiff1d(moved, begin) if shared else moved  # a stretch may begin in the middle of a stamp
    period = slope_through(known, stamps[known], np.searchsorted(begin, known, side="right"), period)
    times = np.empty(len(stamps))
    for first, end in zip(begin, np.r_[begin[1:], len(stamps)]):
        knots = known[slice(*np.searchsorted(known, [first, end]))]
        times[first:end] = _evenly(np.arange(first, end), knots if len(knots) else np.array([first]), stamps, period)
    if abs(times[0] - stamps[0]) < period / 2:  # the first stamp is as good as the line, and is what the file says
        times += stamps[0] - times[0]
    return (times if (np.diff(times) > 0).all() else stamps), 1 / period


def _evenly(index, knots, stamps, period):
    away = stamps[knots] - period * knots
    if np.quantile(np.abs(away - np.median(away)), 0.99) <= 1.5 * period:
        return np.median(away) + period * index
    ends = stamps[knots[[0, -1]]] + period * (index[[0, -1]] - knots[[0, -1]])
    return np.interp(
        index, np.r_[index[0] - 1, knots, index[-1] + 1], np.r_[ends[0] - period, stamps[knots], ends[1] + period]
    )


def rough_period(stamps):
    """Seconds per sample, to some per cent; gaps and rounding do no harm."""
    moved = np.flatnonzero(np.diff(stamps, prepend=-np.inf) > 0)
    return np.median(np.diff(stamps[moved])) / np.median(np.diff(moved)) if len(moved) > 1 else 0.0


def longest_step(steps, period, grain=0.0):
    """The longest step between neighbours: half a period late, plus rounding and the usual jitter."""
    jitter = np.median(np.abs(steps - np.median(steps))) if len(steps) else 0.0
    return 1.5 * period + grain + 4 * jitter


def block_clock(began, count, sfreq, slack):
    """Seconds of every sample, and the true samples per second, from when each block of samples began.

    A block that begins more than `slack` samples after the end of the one before comes after a gap. Within a stretch
    without gap, samples lie evenly between the beginnings of their blocks.
    """
    index = np.cumsum(count) - count
    gap = (np.diff(began) - count[:-1] / sfreq) * sfreq > slack
    period = slope_through(index, began, np.r_[0, np.cumsum(gap)], 1 / sfreq)
    last = np.flatnonzero(np.r_[gap, True] & (count > 1))  # a stretch ends with its block
    knots = np.r_[index, index[last] + count[last] - 1]
    stamps = np.r_[began, began[last] + period * (count[last] - 1)]
    order = np.argsort(knots)
    seconds = roomy((int(count.sum()),), np.float64)
    for some in pieces(len(seconds)):
        seconds[some] = np.interp(np.arange(some.start, some.stop), knots[order], stamps[order])
        let_go(seconds)
    return seconds, 1 / period


def slope_through(index, stamps, stretch, otherwise):
    """Seconds per sample: one slope through all stretches, each with its own offset, outliers left out."""
    keep = np.ones(len(index), dtype=bool)
    for _ in range(3):
        n = np.maximum(np.bincount(stretch, keep), 1)
        i = index - (np.bincount(stretch, keep * index) / n)[stretch]
        t = stamps - (np.bincount(stretch, keep * stamps) / n)[stretch]
        spread = (keep * i * i).sum()
        if spread == 0:
            return otherwise
        slope = (keep * i * t).sum() / spread
        off = np.abs(t - slope * i)
        keep = off <= 6 * np.median(off) + 1e-9
    return slope
