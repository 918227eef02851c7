"""Probes and fine-tuning: what can be read off embeddings of people who were not trained on."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from ..metrics.checks import whole_number
from .embedded import Embedded, Raw, size_of
from .folds import inner_folds
from .measures import Answers
from .networks import fit_network
from .question import Question, ask, task_of_estimator
from .result import Evaluation
from .scores import (
    TASKS,
    as_scorer,
    asked,
    drawn_times,
    fold_scores,
    pooled_scores,
    values_of,
)

PENALTIES = (1.0, 10.0, 100.0, 1000.0)


def linear_probe(
    encoder,
    X,
    y,
    groups=None,
    *,
    task="auto",
    cv=5,
    scoring=None,
    penalties=PENALTIES,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=None,
    n_jobs=None,
):
    """What a linear model reads off frozen embeddings, tested on other participants.

    Logistic regression with balanced classes, or ridge regression, on embeddings that are standardised by the training
    participants. How strongly it is penalised is chosen within the training participants, who are split among
    themselves into three folds.

    Parameters
    ----------
    encoder : transformer or None
        Any transformer of scikit-learn's kind. One that is fitted (``check_is_fitted`` says so, which is true of
        pretrained weights) is left as it is and embeds all windows once. One that is not is cloned and fitted in each
        fold on the training participants, without labels, and with ``groups`` where its ``fit`` takes them. None: `X`
        holds embeddings.
    X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
        Windows; with ``encoder=None`` embeddings of shape (n_windows, dim).
    y : array of shape (n_windows,)
        What is to be told of each window.
    groups : array of shape (n_windows,)
        The participant of each window. There is no evaluation without.
    task : {"auto", "classification", "regression"}, default="auto"
        Auto: strings, truth values and whole numbers are classes, fractions are numbers; more than 20 different whole
        numbers have to be explained.
    cv : int, "participant", splitter or folds, default=5
        How many folds of participants; shuffled where `random_state` is given. ``"participant"`` tests each alone. A
        splitter of scikit-learn's, or pairs of row numbers, must keep participants apart; of three sets of row numbers,
        the one in the middle, for validation, is left alone.
    scoring : str, callable, list or dict, default=None
        Classification: ``"macro_f1"``, ``"balanced_accuracy"``, ``"kappa"``, ``"auc"`` (one class against the rest),
        ``"accuracy"``. Regression: ``"mae"``, ``"rmse"``, ``"pearson"``, ``"r2"``. Besides, names of scikit-learn's
        scorers and callables ``(estimator, X, y)``; a dict names them anew. None: all of these but accuracy. The first
        one chooses the penalty.
    penalties : sequence of float, default=(1, 10, 100, 1000)
        To choose from: ``alpha`` of ridge regression, ``1 / C`` of logistic regression. The middle one, or the weaker
        of two, holds where nothing can be chosen, since one participant is all there is.
    n_bootstraps : int, default=1000
        Draws of participants for the interval.
    confidence : float, default=0.95
    random_state : int, RandomState instance or None, default=None
        Of folds and bootstraps.
    n_jobs : int, default=None
        Processes that search the penalty.

    Returns
    -------
    Evaluation
        ``summary``, ``scores`` of each fold, ``predictions`` of each window, time and size of the encoder.

    Raises
    ------
    ValueError
        `groups` is missing or names one participant, there are fewer participants than folds, or a fold has
        somebody on both sides.

    Warns
    -----
    UserWarning
        Windows of different participants hold the same signal, or all windows of a class are of one participant.

    See Also
    --------
    mlp_probe : what is there, though not in a straight line.
    fine_tune : the encoder learns from the labels too.
    compare : many encoders, many data sets, and the rows that a claim needs beside it.

    Notes
    -----
    ``pooled`` takes the answers of all folds together, and is what the interval is about; ``mean`` and ``sd`` are of
    the folds. The area under the curve and the correlation of ``pooled`` compare windows of one fold only, since the
    probes of two folds have no common scale: with ``cv="participant"`` these two are about the windows within a person.
    Macro F1 runs over the classes that truly occur.

    The same signal is looked for sample by sample: windows that were standardised one by one are found only where they
    are equal as a whole.

    Examples
    --------
    >>> from wearembed import RelConEncoder
    >>> from wearembed.datasets import make_motion
    >>> from wearembed.evaluation import linear_probe
    >>> motion = make_motion(6, 20, activities=["rest", "running"], random_state=0)
    >>> encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    >>> probe = linear_probe(encoder, motion.data, motion.target, motion.groups, cv=3, random_state=0)
    >>> list(probe.summary.index), list(probe.summary)
    (['macro_f1', 'balanced_accuracy', 'kappa', 'auc'], ['mean', 'sd', 'pooled', 'low', 'high'])
    """
    question = ask(X, y, groups, task, cv, scoring, random_state, embedded=encoder is None)
    learn = linear(question, penalties, n_jobs)
    times = drawn_times(question.n_participants, n_bootstraps, random_state)
    return evaluate(question, Embedded(encoder, question.X, question.groups), learn, times, confidence)[0]


def mlp_probe(
    encoder,
    X,
    y,
    groups=None,
    *,
    task="auto",
    cv=5,
    scoring=None,
    hidden=512,
    max_epochs=100,
    patience=10,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=None,
):
    """What a network of one hidden layer reads off frozen embeddings, tested on other participants.

    How long it trains is chosen within the training participants: a fifth of them are held out, and once their score
    has not risen for `patience` epochs, the network is trained anew on all of them for as many epochs as were best.
    An epoch draws as many windows as there are, and 2,000 at least; in a classification as many of each class.

    Parameters
    ----------
    encoder, X, y, groups, task, cv, scoring
        As in `linear_probe`.
    hidden : int, default=512
        Units of the hidden layer.
    max_epochs : int, default=100
    patience : int, default=10
        Also how long it trains where a single participant is all there is, so that nobody can be held out.
    n_bootstraps, confidence
        As in `linear_probe`.
    random_state : int, RandomState instance or None, default=None
        Of folds, bootstraps and networks.

    Returns
    -------
    Evaluation
        As of `linear_probe`.

    Examples
    --------
    >>> from wearembed.evaluation import mlp_probe
    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat(np.arange(10), 40)
    >>> Z = rng.normal(size=(400, 2))
    >>> y = np.where(Z.prod(1) > 0, "alike", "unlike")  # no straight line tells them apart
    >>> bool(mlp_probe(None, Z, y, groups, hidden=32, random_state=0).summary.loc["macro_f1", "pooled"] > 0.8)
    True
    """
    question = ask(X, y, groups, task, cv, scoring, random_state, embedded=encoder is None)
    learn = network(question, hidden, max_epochs, patience, random_state)
    times = drawn_times(question.n_participants, n_bootstraps, random_state)
    return evaluate(question, Embedded(encoder, question.X, question.groups), learn, times, confidence)[0]


def fine_tune(
    estimator,
    X,
    y,
    groups=None,
    *,
    task="auto",
    cv=5,
    scoring=None,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=None,
):
    """What a classifier or regressor of windows learns from end to end, tested on other participants.

    Parameters
    ----------
    estimator : classifier or regressor
        Cloned and fitted in each fold on the windows of the training participants, and with ``groups`` where its
        ``fit`` takes them: a `FineTunedClassifier`, or a pipeline of hand-made features and a forest.
    X, y, groups : arrays
        As in `linear_probe`.
    task : {"auto", "classification", "regression"}, default="auto"
        Auto: what the estimator is.
    cv, scoring, n_bootstraps, confidence, random_state
        As in `linear_probe`. The estimator has a seed of its own.

    Returns
    -------
    Evaluation
        As of `linear_probe`; the time is that of ``predict``.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from wearembed.datasets import make_motion
    >>> from wearembed.evaluation import fine_tune
    >>> motion = make_motion(4, 20, activities=["rest", "running"], random_state=0)
    >>> blind = fine_tune(DummyClassifier(), motion.data, motion.target, motion.groups, cv=2, random_state=0)
    >>> blind.summary.loc["auc", ["mean", "pooled"]].tolist()
    [0.5, 0.5]
    """
    task = task_of_estimator(estimator) if task == "auto" else task
    question = ask(X, y, groups, task, cv, scoring, random_state, embedded=False)
    times = drawn_times(question.n_participants, n_bootstraps, random_state)
    return evaluate(question, Raw(question.X), end_to_end(estimator), times, confidence)[0]


# --------------------------------------------------------------------------------- the folds


def evaluate(question: Question, windows, learn, times, confidence) -> tuple[Evaluation, dict[str, np.ndarray]]:
    """`learn` in each fold, on what `windows` gives of the training participants; and the scores of all draws."""
    rows, tables, answers = [], [], []
    for fold, (train, test) in enumerate(question.folds):
        A, B = windows.of_fold(train, test)
        start = time.perf_counter()
        model, chosen = learn(A, question.y[train], question.codes[train])
        chosen = {**chosen, "fit_seconds": time.perf_counter() - start}
        said = _timed_answers(question, windows, model, B, test)
        rows.append({"fold": fold} | _sizes(question, train, test) | chosen | fold_scores(question.scores, said))
        tables.append(_table(question, fold, test, said))
        answers.append(said)
    values = values_of(question.scores, together(answers), times)
    scores = pd.DataFrame(rows)
    summary = _summary(scores, pooled_scores(values, times.shape[1], confidence))
    predictions = pd.concat(tables, ignore_index=True)
    cost = windows.seconds_per_window, *windows.size
    return Evaluation(summary, scores, predictions, question.task, *cost), values


def _summary(scores, pooled) -> pd.DataFrame:
    own = scores[list(pooled.index)]
    return pd.concat([own.mean().rename("mean"), own.std(ddof=0).rename("sd"), pooled], axis=1).rename_axis("score")


def _timed_answers(question, windows, model, B, test) -> Answers:
    start = time.perf_counter()
    said = asked(model, B, question.y[test], question.codes[test], question.classes, question.task)
    if isinstance(windows, Raw):
        windows.seconds += time.perf_counter() - start
        windows.n_windows += len(test)
        windows.size = size_of(model)
    return said


def together(answers: list[Answers]) -> Answers:
    """Answers of several folds as one."""
    likely = None if answers[0].likely is None else np.concatenate([a.likely for a in answers])
    y, said, codes = (np.concatenate([getattr(a, name) for a in answers]) for name in ("y", "said", "codes"))
    folds = np.repeat(np.arange(len(answers)), [len(a.y) for a in answers])
    return answers[0]._replace(y=y, said=said, codes=codes, likely=likely, folds=folds)


def _sizes(question, train, test) -> dict[str, int]:
    people = {"n_train_participants": train, "n_test_participants": test}
    return {"n_train": len(train), "n_test": len(test)} | {
        name: len(np.unique(question.codes[rows])) for name, rows in people.items()
    }


def _table(question, fold, test, said: Answers) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "window": test,
            "participant": question.groups[test],
            "fold": fold,
            "y_true": question.y[test],
            "y_pred": said.said if question.classes is None else question.classes[said.said],
        }
    )
    if said.likely is None:
        return table
    columns = [f"p_{name}" for name in question.classes]
    return table.join(pd.DataFrame(said.likely, columns=columns))


# --------------------------------------------------------------------------------- what learns


def linear(question: Question, penalties, n_jobs=None) -> Callable:
    """Fits a linear model whose penalty is chosen among participants."""
    penalties = _penalties(penalties)
    score = as_scorer(question.scores[0], question.classes, question.task)

    def learn(Z, y, codes):
        if len(np.unique(y)) < 2 and question.classes is not None:
            return DummyClassifier(strategy="most_frequent").fit(Z, y), {"penalty": np.nan}
        inner = inner_folds(y, codes, question.task) if len(penalties) > 1 else []
        models = {p: linear_model(question.task, p) for p in penalties}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of weak penalties, which the search compares
            if not inner:
                penalty = penalties[(len(penalties) - 1) // 2]
                return models[penalty].fit(Z, y), {"penalty": penalty}
            choices = {"model": [model.named_steps["model"] for model in models.values()]}
            search = GridSearchCV(models[penalties[0]], choices, cv=inner, scoring=score, n_jobs=n_jobs)
            search.fit(Z, y)
        return search.best_estimator_, {"penalty": penalties[search.best_index_]}

    return learn


def linear_model(task, penalty) -> Pipeline:
    """The probe itself: a scaler and a penalised linear model."""
    if task == TASKS[0]:
        model: Any = LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=1000, tol=1e-3)
    else:
        model = Ridge(alpha=penalty)
    return Pipeline([("scale", StandardScaler()), ("model", model)])


def _penalties(penalties) -> list[float]:
    penalties = sorted(float(p) for p in np.atleast_1d(penalties))
    if not penalties or not all(np.isfinite(p) and p > 0 for p in penalties):
        raise ValueError(f"Expected penalties to be positive numbers, got {penalties}.")
    return penalties


def network(question: Question, hidden, max_epochs, patience, random_state) -> Callable:
    """Fits a network for as many epochs as held-out participants gain by."""
    for name, value in {"hidden": hidden, "max_epochs": max_epochs, "patience": patience}.items():
        whole_number(value, name, 1)
    score = as_scorer(question.scores[0], question.classes, question.task)

    def learn(Z, y, codes):
        if len(np.unique(y)) < 2 and question.classes is not None:
            return DummyClassifier(strategy="most_frequent").fit(Z, y), {"epochs": 0}
        inner = inner_folds(y, codes, question.task, at_most=5)[:1]
        return fit_network(Z, y, inner, score, question.task, (hidden, max_epochs, patience), random_state)

    return learn


def end_to_end(estimator) -> Callable:
    """Fits a clone of a classifier or regressor."""

    def learn(X, y, codes):
        model = clone(estimator)
        told = {"groups": codes} if has_fit_parameter(model, "groups") else {}
        return model.fit(X, y, **told), {}

    return learn
