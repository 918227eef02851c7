"""How many labels an embedding needs: of how many participants, and of how many of their windows."""

from collections import defaultdict

import numpy as np
import pandas as pd

from ..metrics.checks import generator, whole_number
from .embedded import Embedded, Raw, answers_itself
from .probes import PENALTIES, end_to_end, linear, together
from .question import ask, task_of_estimator
from .scores import asked, drawn_times, interval, values_of


def label_efficiency(
    encoder,
    X,
    y,
    groups=None,
    *,
    participants=(1, 2, 5, 10, 20, 50),
    windows=(0.01, 0.1, 1.0),
    repeats=5,
    task="auto",
    cv=5,
    scoring=None,
    penalties=PENALTIES,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=None,
    n_jobs=None,
):
    """What a linear probe reaches with the labels of few participants, and with few labels of all.

    In each fold of participants the test side stays as it is for every size. Of the training side, some participants
    with all their windows are drawn, or some windows of all participants; a larger draw holds the smaller ones.

    Parameters
    ----------
    encoder : transformer, None, classifier or regressor
        As in `linear_probe`. An encoder that is not fitted sees all training windows in each fold, since it asks for
        no labels. A classifier or regressor, such as a `FineTunedClassifier`, learns from the drawn windows alone.
    X, y, groups : arrays
        As in `linear_probe`.
    participants : sequence of int, default=(1, 2, 5, 10, 20, 50)
        How many. Those that some training side cannot fill are left out.
    windows : sequence of float, default=(0.01, 0.1, 1.0)
        Shares of the training windows, above 0 and at most 1; at least one window is drawn.
    repeats : int, default=5
        Draws of each size.
    task, cv, scoring, penalties, n_bootstraps, confidence, random_state, n_jobs
        As in `linear_probe`.

    Returns
    -------
    DataFrame
        One row for each size and score: ``by`` (``"participants"`` or ``"windows"``), ``size``, ``n_participants`` and
        ``n_windows`` that were labelled (mean over folds), ``score``, ``mean`` and ``sd`` over the draws of the pooled
        score, and ``low`` and ``high``, the interval of the mean over test participants.

    Notes
    -----
    A draw that holds one class only answers with that class. Where one participant is labelled, the middle one of
    `penalties` holds.

    Examples
    --------
    >>> from wearembed.evaluation import label_efficiency
    >>> rng = np.random.default_rng(0)
    >>> groups, y = np.repeat(np.arange(12), 20), rng.integers(2, size=240)
    >>> Z = rng.normal(size=(240, 8)) + y[:, None] * 0.7
    >>> table = label_efficiency(None, Z, y, groups, participants=(1, 4), windows=(0.1,), repeats=2, cv=3)
    >>> table[table["score"] == "macro_f1"][["by", "size", "n_windows"]].values.tolist()
    [['participants', 1.0, 20.0], ['participants', 4.0, 80.0], ['windows', 0.1, 16.0]]
    """
    whole = answers_itself(encoder)
    task = task_of_estimator(encoder) if whole and task == "auto" else task
    question = ask(X, y, groups, task, cv, scoring, random_state, embedded=encoder is None)
    sizes = _sizes(question, participants, windows)
    given = Raw(question.X) if whole else Embedded(encoder, question.X, question.groups)
    learn = end_to_end(encoder) if whole else linear(question, penalties, n_jobs)
    answers, labelled = _answers(question, given, learn, sizes, whole_number(repeats, "repeats", 1), random_state)
    times = drawn_times(question.n_participants, n_bootstraps, random_state)
    rows = []
    for by, size in sizes:
        values = [values_of(question.scores, together(each), times) for each in answers[by, size]]
        told = {"by": by, "size": float(size)} | dict(zip(("n_participants", "n_windows"), labelled[by, size]))
        rows += [told | _row(score.name, values, times.shape[1], confidence) for score in question.scores]
    return pd.DataFrame(rows)


def _sizes(question, participants, windows) -> list[tuple]:
    """``("participants", n)`` and ``("windows", share)``, small ones first."""
    fewest = min(len(np.unique(question.codes[train])) for train, _ in question.folds)
    counts = sorted({whole_number(n, "a number of participants", 1) for n in np.atleast_1d(participants)})
    shares = sorted(set(np.atleast_1d(windows).tolist()))
    wrong = [s for s in shares if isinstance(s, bool) or not isinstance(s, (float, int)) or not 0 < s <= 1]
    if wrong:
        raise ValueError(f"Expected windows to be shares above 0 and at most 1, got {wrong[0]!r}.")
    sizes = [("participants", n) for n in counts if n <= fewest] + [("windows", s) for s in shares]
    if not sizes:
        raise ValueError(f"Expected a size to draw, got participants={counts}; a training side has {fewest}.")
    return sizes


def _answers(question, given, learn, sizes, repeats, random_state):
    """Answers by size, repeat and fold, and labelled participants and windows by size."""
    rng = generator(random_state)
    answers: dict = {size: [[] for _ in range(repeats)] for size in sizes}
    labelled = defaultdict(list)
    for train, test in question.folds:
        A, B = given.of_fold(train, test)
        codes, complete = question.codes[train], None
        for repeat in range(repeats):
            people, order = rng.permutation(np.unique(codes)), rng.permutation(len(train))
            for by, size in sizes:
                rows = _drawn(by, size, codes, people, order)
                said = complete if len(rows) == len(train) else None  # all of them are the same each time
                if said is None:
                    model, _ = learn(A[rows], question.y[train][rows], codes[rows])
                    said = asked(model, B, question.y[test], question.codes[test], question.classes, question.task)
                if len(rows) == len(train):
                    complete = said
                answers[by, size][repeat].append(said)
                labelled[by, size].append((len(np.unique(codes[rows])), len(rows)))
    return answers, {size: np.mean(each, axis=0).tolist() for size, each in labelled.items()}


def _drawn(by, size, codes, people, order):
    """Rows of the training side."""
    if by == "participants":
        return np.flatnonzero(np.isin(codes, people[:size]))
    return np.sort(order[: max(1, round(size * len(order)))])


def _row(name, values, n_participants, confidence) -> dict:
    every = np.stack([value[name] for value in values])  # (repeats, 1 + n_bootstraps)
    there = ~np.isnan(every)
    none = np.full(every.shape[1], np.nan)
    mean = np.divide(np.nansum(every, axis=0), there.sum(0), out=none, where=there.any(0))
    low, high = interval(mean[1:], n_participants, confidence)
    return {"score": name, "mean": mean[0], "sd": every[:, 0].std(), "low": low, "high": high}
