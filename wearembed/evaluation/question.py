"""What is asked of whom: everything that can be wrong is found before anything is computed."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier, is_regressor

from .embedded import table_of
from .folds import codes_of, folds_of, warn_of_shared_windows
from .measures import Score
from .scores import TASKS, labels_of, scores_of, task_of


class Question(NamedTuple):
    """Windows, what is to be told of them, whose they are, and who trains and tests when."""

    X: Any
    y: np.ndarray  # classes by name, or float64
    groups: np.ndarray
    codes: np.ndarray  # participants as numbers from 0
    task: str
    classes: Any  # names in sorted order; None of a regression
    folds: list[tuple[np.ndarray, np.ndarray]]
    scores: list[Score]

    @property
    def n_participants(self) -> int:
        return int(self.codes.max()) + 1


def ask(X, y, groups, task, cv, scoring, random_state, embedded) -> Question:
    """Everything that can be wrong is found here, before anything is computed."""
    X = X if hasattr(X, "shape") and not hasattr(X, "iloc") else np.asarray(X)
    X = table_of(X, len(X), "X") if embedded else X
    y = np.asarray(y)
    if len(y) != len(X):
        raise ValueError(f"Expected a label for each of {len(X)} windows, got {len(y)}.")
    codes = codes_of(groups, len(X))
    groups = np.asarray(groups)
    task = task_of(y, task)
    numbers, classes = labels_of(y, task)
    y = numbers if classes is None else classes[numbers]
    folds = folds_of(cv, X, y, groups, codes, random_state)
    warn_of_shared_windows(X, groups, codes, embedded)
    if classes is not None:
        _look_for_lone_classes(y, classes, codes)
    _warn_of_one_label_a_person(y, codes)
    return Question(X, y, groups, codes, task, classes, folds, scores_of(scoring, task))


def _warn_of_one_label_a_person(y, codes):
    """A diagnosis or an age: as many observations as people, however many windows there are."""
    order = np.argsort(codes, kind="stable")
    within = np.diff(codes[order]) == 0
    if within.any() and len(np.unique(y)) > 1 and not (y[order][1:] != y[order][:-1])[within].any():
        n = int(codes.max()) + 1
        warnings.warn(
            f"Each participant has one label, so that these are {n} observations, and not {len(y)}: areas under the "
            f"curve and correlations of folds of few people say little. Pool the windows of a participant first, by "
            f"RecordingEncoder(pool='participant').",
            stacklevel=4,
        )


def _look_for_lone_classes(y, classes, codes):
    """A warning of classes that only one participant has; an error where there are no others."""
    lone = [str(c) for c in classes if len(np.unique(codes[y == c])) == 1]
    if len(lone) == len(classes):
        raise ValueError(
            f"All windows of each of the {len(classes)} classes are of one participant, so that no class can be learnt "
            f"from others and told of them. Is y the participant itself? How well embeddings know people again is told "
            f'by evaluation.embedding_report. Are these numbers, such as an age? Pass task="regression".'
        )
    if lone:
        warnings.warn(
            f"All windows of {', '.join(lone[:5])}{', ...' * (len(lone) > 5)} are of one participant: no probe has "
            f"seen the class when that participant is tested. Leave such classes out.",
            stacklevel=4,
        )


def task_of_estimator(estimator) -> str:
    if is_classifier(estimator):
        return TASKS[0]
    if is_regressor(estimator):
        return TASKS[1]
    raise TypeError(
        f"Expected a classifier or a regressor of windows, got {type(estimator).__name__}. For a transformer there is "
        f"linear_probe."
    )
