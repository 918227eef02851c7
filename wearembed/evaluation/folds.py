"""Who trains and who tests: folds of participants, and a refusal where somebody would do both."""

import numbers
import warnings

import numpy as np
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut

from ..metrics.checks import participants_of

STRETCH = 32  # samples that two windows must have alike, one after the other, to count as one recording
LONG = 64  # stretches in a window from which on one in SOME of them, chosen by what it holds, is enough
SOME = 8
AT_ONCE = 2**22  # samples hashed together


def codes_of(groups, n_windows):
    """Whole numbers from 0, one a participant; an error that says why there is no way without."""
    if groups is None:
        raise ValueError(
            "groups is missing: it names the participant of each window. Windows of one person resemble one another, "
            "so that a score with somebody in training and test says nothing about anybody else."
        )
    instead = "a score of one person, by their own windows, says nothing about anybody else"
    return participants_of(groups, n_windows, instead)


def folds_of(cv, X, y, groups, codes, random_state):
    """``[(rows to train on, rows to test), ...]``, no participant in both."""
    n_participants = codes.max() + 1
    if isinstance(cv, str):
        if cv != "participant":
            raise ValueError(f'Expected cv to be a number of folds, "participant", a splitter or folds, got {cv!r}.')
        cv = LeaveOneGroupOut()
    elif isinstance(cv, numbers.Integral) and not isinstance(cv, bool):
        if not 2 <= int(cv) <= n_participants:
            raise ValueError(
                f"Expected cv from 2 to the number of participants, which is {n_participants}, got {cv}: each fold "
                f'tests somebody. cv="participant" tests each participant alone.'
            )
        cv = GroupKFold(int(cv), shuffle=random_state is not None, random_state=random_state)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The groups parameter is ignored")  # what that leads to is refused below
        folds = list(cv.split(X, y, codes)) if hasattr(cv, "split") else list(cv)
    folds = [[_rows(side, len(codes)) for side in fold] for fold in folds]
    for n, (train, *between, test) in enumerate(folds):
        _refuse_leak(n, train, test, groups, codes)
        for validation in between:
            _refuse_leak(n, validation, test, groups, codes)
    if not folds:
        raise ValueError("Expected at least one fold, got none.")
    return [(fold[0], fold[-1]) for fold in folds]


def _rows(rows, n_windows):
    """Row numbers, from numbers or from a mask."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_windows,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min(initial=0) < 0 or rows.max(initial=0) >= n_windows:
        raise ValueError(f"Expected folds of row numbers below {n_windows}, or of masks, got {rows!r}.")
    return rows


def _refuse_leak(n, train, test, groups, codes):
    if not len(train) or not len(test):
        raise ValueError(f"Fold {n} has {len(train)} windows to train on and {len(test)} to test; it takes both.")
    both = np.intersect1d(codes[train], codes[test])
    if len(both):
        names = [str(groups[np.flatnonzero(codes == code)[0]]) for code in both]
        told = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise ValueError(
            f"Fold {n} has {len(names)} participant{'s' * (len(names) > 1)} on both sides: {told}. A probe that knows "
            f"a person from training scores by knowing them. Split by participant: cv=5, or "
            f"GroupKFold(5).split(X, y, groups)."
        )


def warn_of_shared_windows(X, groups, codes, embedded):
    """Warn where two participants have the same signal: one person under two names, or a window given twice."""
    hashes, rows = _stretches(X, embedded)
    order = np.lexsort((codes[rows], hashes))
    hashes, rows = hashes[order], rows[order]
    alike = (hashes[1:] == hashes[:-1]) & (codes[rows[1:]] != codes[rows[:-1]])
    if not alike.any():
        return
    first, second = rows[:-1][alike], rows[1:][alike]
    pairs = sorted({tuple(sorted((str(groups[a]), str(groups[b])))) for a, b in zip(first, second)})
    told = "; ".join(" and ".join(pair) for pair in pairs[:5]) + ("; ..." if len(pairs) > 5 else "")
    warnings.warn(
        f"{len(np.union1d(first, second))} windows of different participants hold the same signal, in whole or in part "
        f"({told}). If these are one person, or a recording is in twice, training and test share windows, and every "
        f"score is too high. Give one name to one person, and each recording once.",
        stacklevel=4,
    )


def _stretches(X, embedded):
    """A number for what each stretch of each window holds, and the row of its window; none for what hardly moves."""
    n_windows, n_times = len(X), X.shape[-1]
    length = n_times if embedded else min(STRETCH, n_times)
    step = max(1, AT_ONCE // max(1, int(np.prod(X.shape[1:]))))
    hashes, rows = [], []
    for start in range(0, n_windows, step):
        some = np.asarray(X[start : start + step], dtype=np.float32)
        told, moving = _hashed(some.reshape(len(some), -1, n_times), length)
        if told.shape[1] >= LONG:
            moving &= told % SOME == 0
        row, at = np.nonzero(moving)
        hashes.append(told[row, at])
        rows.append(row + start)
    return np.concatenate(hashes), np.concatenate(rows)


def _hashed(x, length):
    """Rolling hashes (n, n_times - length + 1) of all channels together, and where the signal keeps changing."""
    n_channels, n_times = x.shape[1:]
    factors = np.random.default_rng(0).integers(2**62, size=n_channels, dtype=np.uint64) * 2 + 1
    bits = (x + 0.0).view(np.uint32).astype(np.uint64)  # minus zero is zero
    bits = (bits * factors[:, None]).sum(1, dtype=np.uint64)
    power = np.full(n_times, 0x9E3779B97F4A7C15, dtype=np.uint64).cumprod(dtype=np.uint64)
    inverse = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
    total = np.pad((bits * power).cumsum(1, dtype=np.uint64), ((0, 0), (1, 0)))
    back = np.full(n_times, inverse, dtype=np.uint64).cumprod(dtype=np.uint64)[: n_times - length + 1]
    told = (total[:, length:] - total[:, :-length]) * back
    told ^= told >> np.uint64(32)
    told *= np.uint64(0xD6E8FEB86659FD93)
    told ^= told >> np.uint64(32)
    changes = np.pad((np.diff(x, axis=-1) != 0).any(1).cumsum(1), ((0, 0), (1, 0)))
    return told, changes[:, length - 1 :] - changes[:, : n_times - length + 1] >= max(1, length // 2)


def inner_folds(y, codes, task, at_most=3):
    """Folds of the training participants, in which each training side has something to tell apart; or none."""
    n_participants = len(np.unique(codes))
    if n_participants < 2:
        return []
    folds = GroupKFold(min(at_most, n_participants)).split(codes, groups=codes)
    return [(a, b) for a, b in folds if task == "regression" or len(np.unique(y[a])) > 1]
