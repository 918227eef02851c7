"""Scores of answers to windows, and what they would have been with other participants."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm, t
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer

from ..metrics.checks import generator, whole_number
from .folds import codes_of
from .measures import OURS, Answers, Score

TASKS = ("classification", "regression")


def bootstrap_participants(
    y_true,
    y_pred,
    groups,
    *,
    y_score=None,
    task="auto",
    scoring=None,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=None,
):
    """Scores of given answers, with the interval that other participants would have left them in.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_windows,)
    groups : array of shape (n_windows,)
        The participant of each window. They are what is drawn anew, with all their windows: a thousand windows of ten
        people are ten observations.
    y_score : array of shape (n_windows, n_classes), default=None
        Probabilities of the classes in sorted order, for ``"auc"``.
    task : {"auto", "classification", "regression"}, default="auto"
        As in `linear_probe`.
    scoring : str, callable, list or dict, default=None
        As in `linear_probe`.
    n_bootstraps : int, default=1000
    confidence : float, default=0.95
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    DataFrame
        One row a score: ``pooled``, of all windows together, and the ends of its interval, ``low`` and ``high``.

    Notes
    -----
    Percentiles of bootstraps are too narrow for few participants: by the root of (P - 1) / P, and because their
    deviation is an estimate too. Our default widens them to what Student's t with P - 1 degrees of freedom would take
    for a mean (the expanded percentile interval). A resample in which a score is undefined is left out.

    References
    ----------
    Hesterberg. What teachers should know about the bootstrap. The American Statistician 69, 2015.

    Examples
    --------
    >>> y_true, groups = np.tile([0, 1], 20), np.repeat(np.arange(10), 4)
    >>> y_pred = np.where(groups < 5, y_true, 0)  # of half of the people every second answer is wrong
    >>> table = bootstrap_participants(y_true, y_pred, groups, scoring="balanced_accuracy", random_state=0)
    >>> table.loc["balanced_accuracy"].round(2).to_dict()
    {'pooled': 0.75, 'low': 0.55, 'high': 0.92}
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    codes = codes_of(groups, len(y_true))
    if y_true.shape != y_pred.shape or y_true.ndim != 1:
        raise ValueError(f"Expected one answer a window, got y_true of {y_true.shape} and y_pred of {y_pred.shape}.")
    task = task_of(y_true, task)
    y, classes = labels_of(y_true, task)
    answers = Answers(task, classes, y, coded(y_pred, classes), _likely(y_score, len(y), classes), codes)
    scores = scores_of(scoring, task)
    times = drawn_times(codes.max() + 1, n_bootstraps, random_state)
    return pooled_scores(values_of(scores, answers, times), times.shape[1], confidence)


# --------------------------------------------------------------------------------- asked for


def scores_of(scoring, task) -> list[Score]:
    """What `scoring` asks for: our names, scikit-learn's, or callables."""
    if scoring is None:
        return [score for name, score in OURS[task].items() if name != "accuracy"]
    if isinstance(scoring, Mapping):
        return [_score(one, task, name) for name, one in scoring.items()]
    many = scoring if isinstance(scoring, (list, tuple, set)) else [scoring]
    if not many:
        raise ValueError("Expected scoring to name at least one score, got none. None takes the usual ones.")
    return [_score(one, task) for one in many]


def _score(one, task, name=None) -> Score:
    if isinstance(one, str) and one in OURS[task]:
        return OURS[task][one]._replace(name=name or one)
    try:
        scorer = get_scorer(one)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Expected scoring of a {task} to be among {', '.join(OURS[task])}, a name of scikit-learn's scorers or "
            f"a callable (estimator, X, y), got {one!r}."
        ) from error
    name = name or (one if isinstance(one, str) else getattr(one, "__name__", "score"))
    return Score(name, "higher", lambda answers, times: replayed_scores(scorer, answers, times))


class Replayed(ClassifierMixin, BaseEstimator):
    """An estimator that repeats, of row numbers, what was said of them: for scorers of scikit-learn."""

    def __init__(self, classes, said, likely):
        self.classes, self.said, self.likely = classes, said, likely

    @property
    def classes_(self):
        return self.classes

    def predict(self, rows):
        return self.classes[self.said[rows]]

    def predict_proba(self, rows):
        if self.likely is None:
            raise AttributeError("No probabilities were given.")
        return self.likely[rows]

    def __sklearn_is_fitted__(self):
        return True


class ReplayedNumbers(RegressorMixin, BaseEstimator):
    """The same of a regression."""

    def __init__(self, said):
        self.said = said

    def predict(self, rows):
        return self.said[rows]

    def __sklearn_is_fitted__(self):
        return True


def replayed_scores(scorer, answers: Answers, times) -> np.ndarray:
    """A scorer of scikit-learn over resamples, one after the other."""
    if answers.task == "regression":
        estimator, truth = ReplayedNumbers(answers.said), answers.y
    else:
        estimator = Replayed(answers.classes, answers.said, answers.likely)
        truth = answers.classes[answers.y]
    out = np.full(len(times), np.nan)
    for b, each in enumerate(times):
        rows = np.repeat(np.arange(len(truth)), each[answers.codes])
        try:
            out[b] = scorer(estimator, rows, truth[rows])
        except ValueError:  # undefined here, such as an AUC of one class
            continue
    return out


def as_scorer(score: Score, classes, task):
    """A callable (estimator, Z, y), the higher the better, that `GridSearchCV` takes."""

    def scored(estimator, Z, y):
        answers = asked(estimator, Z, y, np.zeros(len(y), dtype=int), classes, task)
        value = float(score.of(answers, np.ones((1, 1), dtype=int))[0])
        return value if score.better == "higher" else -value

    return scored


def asked(estimator, Z, y, codes, classes, task) -> Answers:
    """What a fitted classifier or regressor says of windows."""
    likely = None if classes is None else likely_of(estimator, Z, classes)
    said = estimator.predict(Z)
    said = np.asarray(said).reshape(len(Z), -1)[:, 0] if classes is None else said
    return Answers(task, classes, coded(y, classes), coded(said, classes), likely, codes)


def likely_of(estimator, Z, classes) -> np.ndarray | None:
    """How likely each class is, or something that grows with it; none where an estimator does not say."""
    if hasattr(estimator, "predict_proba"):
        likely = estimator.predict_proba(Z)
    elif hasattr(estimator, "decision_function"):
        likely = estimator.decision_function(Z)
        likely = np.stack([-likely, likely], 1) if likely.ndim == 1 else likely
    else:
        return None
    out = np.full((len(likely), len(classes)), likely.min(initial=0.0))
    out[:, coded(estimator.classes_, classes)] = likely
    return out


# --------------------------------------------------------------------------------- labels


def task_of(y, task) -> str:
    """``"classification"`` or ``"regression"``, found from `y` where nothing else is said."""
    if task in TASKS:
        return task
    if task != "auto":
        raise ValueError(f"Expected task to be auto, {' or '.join(TASKS)}, got {task!r}.")
    y = np.asarray(y)
    if y.dtype.kind == "f" and not np.isnan(y).any() and (y % 1 != 0).any():
        return TASKS[1]
    n_values = len(pd.unique(y.ravel()))
    if y.dtype.kind in "iuf" and n_values > 20:
        raise ValueError(
            f'y holds {n_values} different whole numbers, which may be classes or counts. Say task="classification" '
            f'or task="regression".'
        )
    return TASKS[0]


def labels_of(y, task):
    """``y`` as numbers of classes and the classes, or as float64 and None."""
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"Expected y of shape (n_windows,), got {y.shape}. Evaluate one target at a time.")
    if pd.isna(y).any():
        raise ValueError(f"y has {int(pd.isna(y).sum())} missing labels. Leave such windows out.")
    if task == TASKS[1]:
        if y.dtype.kind not in "biuf":
            raise ValueError(f"Expected numbers in y for a regression, got dtype {y.dtype}.")
        return y.astype(np.float64), None
    y = y.astype(str) if y.dtype.kind == "O" else y
    classes, y = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y names one class only, {str(classes[0])!r}; there is nothing to tell it from.")
    return y, classes


def coded(said, classes):
    """Answers as numbers of classes, -1 for any other; numbers as they are."""
    if classes is None:
        return np.asarray(said, dtype=np.float64)
    said = np.asarray(said)
    return pd.Index(classes).get_indexer(said.astype(str) if said.dtype.kind == "O" else said)


def _likely(y_score, n_windows, classes):
    if y_score is None:
        return None
    y_score = np.asarray(y_score, dtype=np.float64)
    y_score = np.stack([1 - y_score, y_score], 1) if y_score.ndim == 1 else y_score
    if classes is None or y_score.shape != (n_windows, len(classes)):
        shape = "none for a regression" if classes is None else f"({n_windows}, {len(classes)})"
        raise ValueError(f"Expected y_score of shape {shape}, got {y_score.shape}. Its columns are the sorted classes.")
    return y_score


# --------------------------------------------------------------------------------- over participants


def drawn_times(n_participants, n_bootstraps, random_state) -> np.ndarray:
    """How often each participant counts: first once each, then in `n_bootstraps` draws with replacement."""
    n_bootstraps = whole_number(n_bootstraps, "n_bootstraps", 2)
    rng = generator(random_state)
    drawn = rng.multinomial(n_participants, np.full(n_participants, 1 / n_participants), size=n_bootstraps)
    return np.concatenate([np.ones((1, n_participants), dtype=drawn.dtype), drawn])


def values_of(scores: list[Score], answers: Answers, times) -> dict[str, np.ndarray]:
    """Each score of all windows, then of each draw of participants."""
    return {score.name: score.of(answers, times) for score in scores}


def pooled_scores(values: dict[str, np.ndarray], n_participants, confidence) -> pd.DataFrame:
    """Each score of all windows, and its interval."""
    rows = {}
    for name, value in values.items():
        low, high = interval(value[1:], n_participants, confidence)
        rows[name] = {"pooled": value[0], "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")


def interval(values, n_participants, confidence) -> tuple[float, float]:
    """Ends of the expanded percentile interval over bootstraps."""
    if isinstance(confidence, bool) or not isinstance(confidence, (float, int)) or not 0 < confidence < 1:
        raise ValueError(f"Expected confidence between 0 and 1, such as 0.95, got {confidence!r}.")
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan
    wide = t.ppf((1 + confidence) / 2, n_participants - 1) * np.sqrt(n_participants / (n_participants - 1))
    low, high = np.quantile(values, [norm.cdf(-wide), norm.cdf(wide)])
    return float(low), float(high)


def fold_scores(scores: list[Score], answers: Answers) -> dict[str, float]:
    """Each score of all windows at hand, every participant once."""
    once = np.ones((1, int(answers.codes.max()) + 1), dtype=int)
    return {score.name: float(score.of(answers, once)[0]) for score in scores}
