"""The scores themselves, for every draw of participants at once: of classes from counts, of numbers from sums."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Answers(NamedTuple):
    """What was said of windows, beside the truth; classes are numbers from 0."""

    task: str
    classes: Any  # names in sorted order; None of a regression
    y: np.ndarray  # (n,)
    said: np.ndarray  # (n,), -1 where a class is none of `classes`
    likely: Any  # (n, n_classes), or None
    codes: np.ndarray  # (n,), of participants
    folds: np.ndarray | None = None  # (n,), whose probes have no common scale

    @property
    def rows_of_folds(self) -> list[np.ndarray]:
        if self.folds is None:
            return [np.arange(len(self.y))]
        return [np.flatnonzero(self.folds == fold) for fold in np.unique(self.folds)]


class Score(NamedTuple):
    """A number about answers, for each row of how often each participant counts, (n_bootstraps, n_participants)."""

    name: str
    better: str  # "higher" or "lower"
    of: Callable[[Answers, np.ndarray], np.ndarray]


# --------------------------------------------------------------------------------- classes


def confusion(answers: Answers, times) -> np.ndarray:
    """(n_bootstraps, n_classes, n_classes + 1): true classes by said ones, the last one being none of them."""
    n, n_classes = times.shape[1], len(answers.classes)
    said = np.where(answers.said < 0, n_classes, answers.said)
    cell = (answers.codes * n_classes + answers.y) * (n_classes + 1) + said
    each = np.bincount(cell, minlength=n * n_classes * (n_classes + 1)).reshape(n, -1)
    return (times.astype(np.float64) @ each).reshape(len(times), n_classes, n_classes + 1)


def macro_f1(answers, times):
    """Over the classes that truly occur; one that is only said costs those that it was said for."""
    table = confusion(answers, times)
    hit, true, said = _hits(table), table.sum(2), table[:, :, :-1].sum(1)
    return _mean_where(2 * hit / np.maximum(true + said, 1), true > 0)


def balanced_accuracy(answers, times):
    table = confusion(answers, times)
    true = table.sum(2)
    return _mean_where(_hits(table) / np.maximum(true, 1), true > 0)


def accuracy(answers, times):
    table = confusion(answers, times)
    return _ratio(_hits(table).sum(1), table.sum((1, 2)))


def kappa(answers, times):
    """Cohen's: agreement beyond that of answers in the same shares given blindly."""
    table = confusion(answers, times)
    total = table.sum((1, 2))
    observed = _ratio(_hits(table).sum(1), total)
    blind = _ratio((table.sum(2) * table[:, :, :-1].sum(1)).sum(1), total**2)
    return _ratio(observed - blind, 1 - blind)


def auc(answers, times):
    """Area under the ROC curve, one class against the rest, mean over the classes where it is defined."""
    if answers.likely is None:
        return np.full(len(times), np.nan)
    n_classes = answers.likely.shape[1]
    won, pairs = np.zeros((2, len(times), n_classes))
    for rows in answers.rows_of_folds:
        people, codes = np.unique(answers.codes[rows], return_inverse=True)
        weight = times[:, people].astype(np.float64)
        for c in range(n_classes):
            positive = answers.y[rows] == c
            wins = _wins(answers.likely[rows, c], positive, codes, len(people))
            own, rest = (np.bincount(codes[side], minlength=len(people)) for side in (positive, ~positive))
            won[:, c] += ((weight @ wins) * weight).sum(1)
            pairs[:, c] += (weight @ own) * (weight @ rest)
    return _mean_where(np.nan_to_num(_ratio(won, pairs)), pairs > 0)


def _wins(score, positive, codes, n):
    """(n, n): how often a positive of the one participant scores above a negative of the other, ties being half."""
    wins = np.zeros((n, n))
    own, whose = score[positive], codes[positive]
    for q in np.unique(codes[~positive]):
        other = np.sort(score[~positive & (codes == q)])
        above = (np.searchsorted(other, own) + np.searchsorted(other, own, side="right")) / 2
        wins[:, q] = np.bincount(whose, above, minlength=n)
    return wins


def _hits(table):
    return np.diagonal(table, axis1=1, axis2=2)


def _mean_where(values, there):
    return _ratio((values * there).sum(1), there.sum(1))


def _ratio(above, below):
    """Not a number where there is nothing to divide by."""
    below = np.asarray(below, dtype=np.float64)
    out = np.full(np.broadcast(above, below).shape, np.nan)
    return np.divide(above, below, out=out, where=np.abs(below) > 1e-12)


# --------------------------------------------------------------------------------- numbers


def mae(answers, times):
    return _mean_of(np.abs(answers.said - answers.y), answers, times)


def rmse(answers, times):
    return np.sqrt(_mean_of((answers.said - answers.y) ** 2, answers, times))


def r2(answers, times):
    """Share of the variance that is explained; below zero where the mean of all windows would have been better."""
    scale = answers.y.std() or 1.0
    y, error = (answers.y - answers.y.mean()) / scale, (answers.said - answers.y) / scale
    spread = _mean_of(y**2, answers, times) - _mean_of(y, answers, times) ** 2
    return 1 - _ratio(_mean_of(error**2, answers, times), spread)


def pearson(answers, times):
    """Correlation over the windows of a fold, between and within people at once."""
    sums = np.zeros((3, len(times)))
    for rows in answers.rows_of_folds:
        sums += _joint_spread(answers.y[rows], answers.said[rows], answers.codes[rows], times)
    return _ratio(sums[0], np.sqrt(sums[1] * sums[2]))


def _joint_spread(y, said, codes, times):
    """Sums of products and squares about the mean: of both, of the one, of the other."""
    y, said = _centred(y), _centred(said)
    n, ones = times.shape[1], np.ones(len(y))
    count, own, other = (times @ np.bincount(codes, column, minlength=n) for column in (ones, y, said))
    sums = []
    for product, pair in [(y * said, own * other), (y**2, own**2), (said**2, other**2)]:
        total = times @ np.bincount(codes, product, minlength=n)
        spread = total - np.divide(pair, count, out=np.zeros(len(times)), where=count > 0)
        sums.append(np.where(np.abs(spread) > 1e-12 * np.abs(total), spread, 0))  # rounding is no spread
    return sums


def _centred(values):
    """Less their mean, at most 1 in size; all zero where they are equal but for rounding."""
    centred = values - values.mean()
    size = np.abs(centred).max()
    return centred / size if size > 1e-12 * np.abs(values).max() else np.zeros(len(values))


def _mean_of(values, answers, times):
    n = times.shape[1]
    total, count = np.bincount(answers.codes, values, minlength=n), np.bincount(answers.codes, minlength=n)
    return _ratio(times @ total, times @ count)


def _named(better, *functions) -> dict[str, Score]:
    return {function.__name__: Score(function.__name__, better, function) for function in functions}


OURS: dict[str, Any] = {
    "classification": _named("higher", macro_f1, balanced_accuracy, kappa, auc, accuracy),
    "regression": _named("lower", mae, rmse) | _named("higher", pearson, r2),
}
