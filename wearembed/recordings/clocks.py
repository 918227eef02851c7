"""The clock behind time stamps that are rounded, jitter, drift or pause."""

import numpy as np

from .mapped import Growing, let_go, pieces, roomy
from .ranks import median, quantile, totals


def even_clock(stamps):
    """The clock behind rounded or jittered time stamps: seconds of every sample, and samples per second.

    Where several samples share a stamp it was rounded down, and only the first of them is known to a period. The
    others are laid evenly between. A stretch whose stamps stray from a line by more than 1.5 periods keeps them.
    """
    moved = _moved(stamps)
    period = _period_between(stamps, moved)
    begin = _beginnings(stamps, moved, period)
    shared = len(moved) < 0.9 * len(stamps)
    known = _others(moved, begin) if shared else moved  # a stretch may begin in the middle of a stamp

    def look(some):
        places = known[some].copy()
        told = places, stamps[places], np.searchsorted(begin, places, side="right")
        let_go(known)
        let_go(stamps)
        return told

    period = slope_through(len(known), look, len(begin) + 1, period)
    times = roomy((len(stamps),), np.float64)
    for first, end in zip(begin, np.r_[begin[1:], len(stamps)]):
        low, high = np.searchsorted(known, [first, end])
        knots = known[low:high] if high > low else np.array([first])
        _lay_evenly(times, int(first), int(end), knots, stamps, period)
    shift = stamps[0] - times[0]
    if abs(shift) >= period / 2:  # else the first stamp is as good as the line, and is what the file says
        shift = 0.0
    return (times if _shifted_and_rising(times, shift) else stamps), 1 / period


def _moved(stamps):
    """Places of the stamps that are later than the one before, the first of all included."""
    moved = Growing(np.int64)
    for some in pieces(len(stamps)):
        before = stamps[some.start - 1] if some.start else -np.inf
        moved.append(np.flatnonzero(np.diff(stamps[some], prepend=before) > 0) + some.start)
        let_go(stamps)
    return moved.whole()


def _others(places, begin):
    """Places that are no beginning of a stretch."""
    others = Growing(np.int64)
    for some in pieces(len(places)):
        others.append(np.setdiff1d(places[some], begin, assume_unique=True))
        let_go(places)
    return others.whole()


def _beginnings(stamps, moved, period):
    """Places at which stretches without a gap begin."""
    steps = _steps(stamps, moved)
    grain = next((g for g in (1.0, 0.1, 0.01, 0.001) if _rounded(stamps, g)), 0.0)
    longest = _longest(len(moved) - 1, steps, period, grain)
    after = [moved[1:][some][steps(some) > longest] for some in pieces(len(moved) - 1)]
    return np.concatenate([np.zeros(1, np.int64), *after])


def _steps(values, places=None):
    """Gives the steps from each value, or each at a place, to the next."""

    def look(some):
        some = slice(some.start, some.stop + 1)
        steps = np.diff(values[some] if places is None else values[places[some]])
        let_go(values)
        let_go(places)
        return steps

    return look


def _rounded(stamps, grain):
    """Whether stamps are rounded to so many seconds."""
    for some in pieces(len(stamps)):
        ticks = stamps[some] / grain
        if not np.abs(ticks - np.round(ticks)).max() < 1e-3:
            return False
        let_go(stamps)
    return True


def _lay_evenly(times, first, end, knots, stamps, period):
    """Fill in the times of one stretch, of which `knots` are the places whose stamps are known."""

    def away(some):
        far = stamps[knots[some]] - period * knots[some]
        let_go(knots)
        let_go(stamps)
        return far

    n = len(knots)
    middle = median(n, away)
    even = quantile(n, lambda some: np.abs(away(some) - middle), 0.99) <= 1.5 * period
    for some in pieces(end - first):
        index = np.arange(first + some.start, first + some.stop)
        low, high = np.searchsorted(knots, index[[0, -1]], side="right") + [-1, 1]
        times[index[0] : index[-1] + 1] = (
            middle + period * index if even else _bridged(index, knots, slice(low, high), stamps, period, first, end)
        )
        let_go(times)
        let_go(stamps)
        let_go(knots)


def _bridged(index, knots, near, stamps, period, first, end):
    """Times between the knots `near` some places, or beyond the first and last of all, where a line goes on."""
    places = knots[max(0, near.start) : near.stop]
    at, when = places, stamps[places]
    if near.start < 0:
        at = np.r_[first - 1, at]
        when = np.r_[stamps[knots[0]] + period * (first - knots[0]) - period, when]
    if near.stop > len(knots):
        at = np.r_[at, end]
        when = np.r_[when, stamps[knots[-1]] + period * (end - 1 - knots[-1]) + period]
    return np.interp(index, at, when)


def _shifted_and_rising(times, shift):
    """Move all times, and whether each is later than the one before."""
    before, rising = -np.inf, True
    for some in pieces(len(times)):
        if shift:
            times[some] += shift
        rising = rising and bool((np.diff(times[some], prepend=before) > 0).all())
        before = times[some.stop - 1]
        let_go(times)
    return rising


def rough_period(stamps):
    """Seconds per sample, to some per cent; gaps and rounding do no harm."""
    return _period_between(stamps, _moved(stamps))


def _period_between(stamps, moved):
    if len(moved) < 2:
        return 0.0
    n = len(moved) - 1
    return median(n, _steps(stamps, moved)) / median(n, _steps(moved))


def longest_step(steps, period, grain=0.0):
    """The longest step between neighbours: half a period late, plus rounding and the usual jitter."""
    return _longest(len(steps), steps.__getitem__, period, grain)


def _longest(n, steps, period, grain):
    jitter = 0.0
    if n:
        usual = median(n, steps)
        jitter = median(n, lambda some: np.abs(steps(some) - usual))
    return 1.5 * period + grain + 4 * jitter


def block_clock(began, count, sfreq, slack):
    """Seconds of every sample, and the true samples per second, from when each block of samples began.

    A block that begins more than `slack` samples after the end of the one before comes after a gap. Within a stretch
    without gap, samples lie evenly between the beginnings of their blocks.
    """
    index = np.cumsum(count) - count
    gap = (np.diff(began) - count[:-1] / sfreq) * sfreq > slack
    stretch = np.r_[0, np.cumsum(gap)]
    period = slope_through(
        len(index), lambda some: (index[some], began[some], stretch[some]), stretch[-1] + 1, 1 / sfreq
    )
    last = np.flatnonzero(np.r_[gap, True] & (count > 1))  # a stretch ends with its block
    knots = np.r_[index, index[last] + count[last] - 1]
    stamps = np.r_[began, began[last] + period * (count[last] - 1)]
    order = np.argsort(knots)
    seconds = roomy((int(count.sum()),), np.float64)
    for some in pieces(len(seconds)):
        seconds[some] = np.interp(np.arange(some.start, some.stop), knots[order], stamps[order])
        let_go(seconds)
    return seconds, 1 / period


def slope_through(n, look, n_stretches, otherwise):
    """Seconds per sample: one slope through all stretches, each with its own offset, outliers left out.

    ``look(some)`` gives the index, the stamp and the stretch of some of `n` samples.
    """
    keep = roomy((n,), bool)
    keep[:] = True
    for turn in range(3):
        index_mean, stamp_mean = _stretch_means(n, look, keep, n_stretches)

        def centred(some, means=(index_mean, stamp_mean)):
            index, stamps, stretch = look(some)
            return index - means[0][stretch], stamps - means[1][stretch]

        def moments(some, centred=centred, keep=keep):
            i, t = centred(some)
            return keep[some] * i * i, keep[some] * i * t

        spread, along = totals(n, moments)
        if spread == 0:
            return otherwise
        slope = along / spread
        if turn < 2:
            keep = _near_line(n, centred, slope)
    return slope


def _stretch_means(n, look, keep, n_stretches):
    """The mean index and the mean stamp of what is kept of each stretch."""
    sums = np.zeros((3, n_stretches))
    stretches = np.arange(n_stretches)
    for some in pieces(n):
        index, stamps, stretch = look(some)
        owner = np.r_[stretches, stretch]  # sums so far come first: numbers are added in the order of their places
        for total, what in zip(sums, (np.ones(len(index)), index, stamps)):
            total[:] = np.bincount(owner, np.r_[total, keep[some] * what], minlength=n_stretches)
    return sums[1:] / np.maximum(sums[0], 1)


def _near_line(n, centred, slope):
    """Which samples are not much farther from the line than most."""

    def off(some):
        i, t = centred(some)
        return np.abs(t - slope * i)

    allowed = 6 * median(n, off) + 1e-9
    keep = roomy((n,), bool)
    for some in pieces(n):
        keep[some] = off(some) <= allowed
    return keep
