"""The windows and folds of two published comparisons, with participants apart."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted


class Fold(NamedTuple):
    """Which windows train, which validate and which test: three index arrays, participants apart.

    `rest` is train and validation together, for a probe that chooses for itself:
    ``linear_probe(..., cv=[(fold.rest, fold.test) for fold in folds])``.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def rest(self):
        """All windows that do not test."""
        return np.sort(np.r_[self.train, self.validation])


def yuan_folds(groups):
    """Each participant tests once; the first of the others validates, the rest trains (Yuan et al.).

    Parameters
    ----------
    groups : array of shape (n_windows,)
        Participants; at least three.

    Returns
    -------
    list of Fold
        One a participant, in sorted order; `train`, `validation` and `test` are places in `groups`.

    Raises
    ------
    ValueError
        There are fewer than three participants.

    References
    ----------
    Yuan et al. Self-supervised learning for human activity recognition using 700,000 person-days of wearable data. npj
    Digital Medicine 2024.

    Examples
    --------
    >>> for fold in yuan_folds(["a", "a", "b", "c"]):
    ...     print(*(rows.tolist() for rows in fold))
    [3] [2] [0, 1]
    [3] [0, 1] [2]
    [2] [0, 1] [3]
    """
    groups, people = _people(groups, at_least=3)
    others = [[other for other in people if other != person] for person in people]
    return [_fold(groups, rest[1:], rest[:1], [person]) for person, rest in zip(people, others)]


def haresamudram_folds(groups, n_folds=5, random_state=42):
    """Five folds of participants, a fifth of the others of each for validation (Haresamudram et al.).

    The first fold tests a fifth of the participants, drawn at random; each further one as many of those who have not
    been tested yet, and the last whoever is left.

    Parameters
    ----------
    groups : array of shape (n_windows,)
        Participants; so many that none of the folds stays empty.
    n_folds : int, default=5
    random_state : int or RandomState, default=42
        The protocol's own seed. In the published code the order of people could depend on the run of Python; here
        they are sorted first, so folds are the same everywhere, but not to the person those of the paper.

    Returns
    -------
    list of Fold
        `train`, `validation` and `test` are places in `groups`.

    Raises
    ------
    ValueError
        There are too few participants for so many folds.

    References
    ----------
    Haresamudram, Essa, Ploetz. Assessing the state of self-supervised human activity recognition using wearables. IMWUT
    2022.

    Examples
    --------
    >>> [len(fold.test) for fold in haresamudram_folds(range(9))]
    [2, 2, 2, 2, 1]
    """
    groups, people = _people(groups, at_least=n_folds + 1)
    size = -(-len(people) // n_folds)
    if size * (n_folds - 1) >= len(people):
        raise ValueError(
            f"Expected participants for {n_folds} folds, got {len(people)}: with {size} in each, the last would be "
            f"empty. Ask for fewer folds."
        )
    rng = check_random_state(random_state)
    seed = random_state if isinstance(random_state, int) else rng.randint(2**31 - 1)
    _, first = train_test_split(people, test_size=1 / n_folds, random_state=seed)
    tests, waiting = [first], [person for person in people if person not in set(first)]
    while len(tests) < n_folds:
        rng.shuffle(waiting)
        size = len(waiting) if len(tests) == n_folds - 1 else -(-len(people) // n_folds)
        tests.append(waiting[:size])
        waiting = waiting[size:]
    return [_with_validation(groups, people, test, n_folds, seed) for test in tests]


def _with_validation(groups, people, test, n_folds, seed):
    rest = [person for person in people if person not in set(test)]
    train, validation = train_test_split(rest, test_size=1 / n_folds, random_state=seed)
    return _fold(groups, train, validation, test)


def _people(groups, at_least):
    groups = np.asarray(groups)
    people = np.unique(groups).tolist()
    if groups.ndim != 1 or len(people) < at_least:
        raise ValueError(
            f"Expected the participant of each window, and at least {at_least} of them, got an array of shape "
            f"{groups.shape} with {len(people)}. Give groups of more people."
        )
    return groups, people


def _fold(groups, train, validation, test):
    parts = [set(train), set(validation), set(test)]
    if len(set.union(*parts)) != sum(map(len, parts)):  # never, and it would make every number worthless
        raise RuntimeError(f"A participant is in two parts of a fold: {train}, {validation}, {test}.")
    return Fold(*(np.flatnonzero(np.isin(groups, list(part))) for part in parts))


def yuan_windows(recordings, labels=None, *, seconds=10.0, sfreq=30.0, clip=3.0):
    """Windows of 10 s with half of each shared, cut file by file, as Yuan et al. cut them.

    Rows that were lost are dropped before cutting, so a window may span a gap. Windows lie end to end from the first
    row, and again from half a window later. A window has the label that most of its rows carry, and is left out where
    more than half of them, or as many as carry any one label, have none.

    Parameters
    ----------
    recordings : iterable of (Recording, pandas.Categorical)
        One a file, with a label for each sample, as `datasets.read_pamap2` and its like give them.
    labels : sequence of str, optional
        The labels of the comparison; windows of others are left out. By default all.
    seconds : float, default=10.0
    sfreq : float, default=30.0
        Samples per second of the windows, read between the samples along straight lines, as published. There is no
        filter against aliasing in that; for windows at another rate with one, use `cut`.
    clip : float, default=3.0
        Values beyond this many g are cut off, as published.

    Returns
    -------
    Bunch
        `data`, float32 of shape (n, n_channels, n_times); `target`, `groups` and `session` of length n; `sfreq` and
        `units`.

    Examples
    --------
    >>> import pandas as pd
    >>> from wearembed import Recording
    >>> sitting = pd.Categorical(["sit"] * 3000)
    >>> recording = Recording(np.ones((3, 3000)), sfreq=100, participant="P01", units="g")
    >>> windows = yuan_windows([(recording, sitting)])
    >>> windows.data.shape, set(windows.target.tolist())
    ((5, 3, 300), {'sit'})
    """
    parts = []
    for recording, said in recordings:
        present = ~np.isnan(recording.signal).any(axis=0)
        signal, codes = recording.signal[:, present], said.codes[present]
        n_rows = round(seconds * recording.sfreq)
        starts = [*range(0, signal.shape[1] - n_rows + 1, n_rows)]
        starts += range(n_rows // 2, signal.shape[1] - n_rows + 1, n_rows)
        X = _stacked(signal, starts, n_rows)
        code = _labels(codes, starts, n_rows)
        names = said.categories.to_numpy(str)
        known = np.isin(names, names if labels is None else list(labels))
        keep = np.isin(code, np.flatnonzero(known))
        X = np.clip(_straight(X[keep], recording.sfreq, sfreq, round(seconds * sfreq)), -clip, clip)
        parts.append((X, names[code[keep]], recording))
    return _joined(parts, sfreq)


def haresamudram_windows(recordings, labels=None, *, seconds=2.0, sfreq=100.0):
    """Windows of 2 s end to end, cut person by person, as Haresamudram et al. cut them.

    All rows of a person that have a label follow one another, whatever lay between, so a window may hold two
    activities. Lost samples are bridged by straight lines within a recording. The window has its commonest label; the
    last window is left out even where it is whole, as published. Standardise with `ChannelScaler` inside the fold.

    Parameters
    ----------
    recordings : iterable of (Recording, pandas.Categorical)
        With a label for each sample, as `datasets.read_hhar` and its like give them.
    labels : sequence of str, optional
        The labels of the comparison; rows of others are left out. By default all.
    seconds : float, default=2.0
    sfreq : float, default=100.0
        Samples per second of the windows. Recordings at other rates are read along straight lines at this rate: the
        published code takes every second row of 200 Hz, and the middle between rows of 50 Hz, which comes to nearly the
        same where rates are nominal.

    Returns
    -------
    Bunch
        `data`, float32 of shape (n, n_channels, n_times); `target` and `groups` of length n; `session`, equal to
        `groups`; `sfreq` and `units`.
    """
    people: dict[str, tuple] = {}
    for recording, said in recordings:
        signal, codes = _at_rate(recording, said.codes, sfreq)
        names = said.categories.to_numpy(str)
        wanted = codes >= 0 if labels is None else np.isin(codes, np.flatnonzero(np.isin(names, list(labels))))
        kept = people.setdefault(recording.participant, (recording, [], []))
        kept[1].append(signal[:, wanted])
        kept[2].append(names[codes[wanted]])
    parts, n_rows = [], round(seconds * sfreq)
    for recording, signals, said in people.values():
        signal, said = np.concatenate(signals, axis=1), np.concatenate(said)
        starts = [*range(0, len(said) - n_rows, n_rows)]  # published so: the last one is lost even if whole
        names, codes = np.unique(said, return_inverse=True)
        target = names[_labels(codes, starts, n_rows)] if starts else said[:0]
        parts.append((_stacked(signal, starts, n_rows), target, recording))
    found = _joined(parts, sfreq)
    found.session = found.groups
    return found


class ChannelScaler(TransformerMixin, BaseEstimator):
    """Each channel with mean zero and deviation one over all samples of the training windows.

    The protocol of Haresamudram et al. standardises so, with the training participants of the fold. Windows are then no
    longer in g: for an encoder that wants g, leave it out and say so.

    Attributes
    ----------
    mean_, scale_ : array of shape (n_channels, 1)

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(5, 2, size=(50, 3, 200))
    >>> scaled = ChannelScaler().fit_transform(X)
    >>> bool(abs(scaled.mean()) < 1e-6), bool(abs(scaled.std() - 1) < 1e-6)
    (True, True)
    """

    def fit(self, X, y=None):
        X = np.asarray(X)
        if X.ndim != 3:
            raise ValueError(f"Expected windows of shape (n_windows, n_channels, n_times), got {X.shape}.")
        self.mean_ = X.mean(axis=(0, 2), dtype=np.float64)[:, None]
        scale = X.std(axis=(0, 2), dtype=np.float64)[:, None]
        self.scale_ = np.where(scale > 0, scale, 1.0)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return (np.asarray(X) - self.mean_) / self.scale_


def _stacked(signal, starts, n_rows):
    at = np.asarray(starts, dtype=int)[:, None] + np.arange(n_rows)
    return signal[:, at].swapaxes(0, 1)  # (n_windows, n_channels, n_rows)


def _labels(codes, starts, n_rows):
    """The commonest code of each window; -1 where that is none, or where more than half of the rows have none."""
    windows = np.asarray(codes)[np.asarray(starts, dtype=int)[:, None] + np.arange(n_rows)]
    counts = np.stack([(windows == code).sum(axis=1) for code in range(-1, max(codes, default=-1) + 1)], axis=1)
    best = counts.argmax(axis=1) - 1
    return np.where(counts[:, 0] > n_rows / 2, -1, best)


def _straight(X, sfreq, new_sfreq, n_times):
    """Windows at another rate, along straight lines; the last sample is held to the end."""
    if n_times == X.shape[-1] and abs(new_sfreq / sfreq - 1) < 0.01:
        return X
    at = np.minimum(np.arange(n_times) * (sfreq / new_sfreq), X.shape[-1] - 1)
    before = np.minimum(at.astype(int), X.shape[-1] - 2)
    part = (at - before).astype(np.float32)
    return X[..., before] * (1 - part) + X[..., before + 1] * part


def _at_rate(recording, codes, sfreq):
    """Signal without holes and codes at another rate, row after row."""
    signal = recording.signal.copy()
    rows = np.arange(signal.shape[1])
    present = ~np.isnan(signal).any(axis=0)
    if not present.all():
        for channel in signal:
            channel[~present] = np.interp(rows[~present], rows[present], channel[present])
    if abs(sfreq / recording.sfreq - 1) < 0.01:
        return signal, codes
    n_times = int(signal.shape[1] * sfreq / recording.sfreq)
    nearest = np.minimum(np.round(np.arange(n_times) * recording.sfreq / sfreq).astype(int), len(rows) - 1)
    return _straight(signal[None], recording.sfreq, sfreq, n_times)[0], codes[nearest]


def _joined(parts, sfreq):
    if not parts:
        raise ValueError("Expected recordings with labels, got none. Look whether the files were found.")
    return Bunch(
        data=np.concatenate([X for X, _, _ in parts]).astype(np.float32),
        target=np.concatenate([target for _, target, _ in parts]),
        groups=np.concatenate([[recording.participant] * len(X) for X, _, recording in parts]).astype(str),
        session=np.concatenate([[recording.name] * len(X) for X, _, recording in parts]).astype(str),
        sfreq=float(sfreq),
        units=parts[0][2].units,
    )
