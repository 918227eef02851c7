"""Medians, quantiles and sums of what is looked at piece by piece: numpy's, to the bit, of more than memory holds.

`look` gives the values of a slice of places: ``look(slice(0, n))`` would be all of them.
"""

import numpy as np

from . import mapped
from .mapped import pieces

_STRETCHES, _IN_STRETCH = 256, 256  # of the sample that tells about where a rank is


def median(n, look):
    """What ``np.median(look(slice(0, n)))`` is."""
    if n <= mapped.AT_ONCE:
        return np.median(look(slice(0, n)))
    return np.mean(_ranked(n, look, (n - 1) // 2, n // 2))


def quantile(n, look, q):
    """What ``np.quantile(look(slice(0, n)), q)`` is."""
    if n <= mapped.AT_ONCE:
        return np.quantile(look(slice(0, n)), q)
    place = (n - 1) * q
    low, high = _ranked(n, look, int(place), min(int(place) + 1, n - 1))
    over, step = place - int(place), high - low
    return high - step * (1 - over) if over >= 0.5 else low + step * over


def totals(n, look):
    """Sums of the arrays that `look` gives, added in pairs of halves as numpy adds an array."""

    def between(first, end):
        half = (end - first) // 2
        half -= half % 8
        if end - first <= max(mapped.AT_ONCE, 128):
            return np.array([part.sum() for part in look(slice(first, end))])
        return between(first, first + half) + between(first + half, end)

    return between(0, n)


def _ranked(n, look, lowest, highest):
    """The values of two ranks that are neighbours or the same, counted from 0."""
    starts = np.linspace(0, max(0, n - _IN_STRETCH), _STRETCHES).astype(np.int64)
    sample = np.concatenate([look(slice(first, min(first + _IN_STRETCH, n))) for first in starts.tolist()])
    for margin in (0.02, 0.1, 1.0):  # a sample may mislead
        share = np.array([lowest / n - margin, highest / n + margin])
        low, high = np.quantile(sample, share.clip(0, 1), method="nearest")
        low, high = (-np.inf if share[0] < 0 else low), (np.inf if share[1] > 1 else high)
        n_below, values, ends = _counted(n, look, low, high)
        if n_below <= lowest and highest < n_below + (ends[-1] if len(ends) else 0):
            break
    else:
        return np.array([np.nan, np.nan])  # as numpy says where some are no numbers
    return values[np.searchsorted(ends, np.array([lowest, highest]) - n_below, side="right")]


def _counted(n, look, low, high):
    """How many values are below `low`, the different ones from there to `high`, and how many are up to each of them."""
    n_below, found = 0, []
    for some in pieces(n):
        x = look(some)
        n_below += int((x < low).sum())
        found.append(np.unique(x[(x >= low) & (x <= high)], return_counts=True))
    values, counts = (np.concatenate(part) for part in zip(*found))
    values, place = np.unique(values, return_inverse=True)
    return n_below, values, np.cumsum(np.bincount(place, counts, minlength=len(values)).astype(np.int64))
