"""Encoders side by side: the same folds for all, and the rows that a claim needs beside it."""

import re
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import FitFailedWarning

from .embedded import Embedded, Raw, adapted, answers_itself, data_of, untrained
from .probes import PENALTIES, end_to_end, evaluate, linear, network
from .question import Question, ask
from .scores import TASKS, drawn_times, interval

BLIND = "majority or mean"
PROBES = ("linear", "mlp")


def compare(
    encoders,
    datasets,
    *,
    baselines=(),
    probe="linear",
    task="auto",
    cv=5,
    scoring=None,
    penalties=PENALTIES,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=None,
    n_jobs=None,
    error_score="raise",
):
    """Many encoders on many data sets, with the same folds of participants for all.

    Beside each encoder that can say what its net is untrained stands that net; beside all stands the answer that looks
    at nothing: the most frequent class, or the mean of the training participants.

    Parameters
    ----------
    encoders : dict of str to transformer, classifier or regressor
        Transformers are probed as by `linear_probe`; classifiers and regressors learn as by `fine_tune`, on sets of
        their task. What has parameters ``sfreq`` and ``units`` is told those of each set, in a copy. A list takes the
        names of the classes.
    datasets : dict of str to Bunch or tuple
        A Bunch has ``data``, ``target`` and ``groups``, and may have ``sfreq`` and ``units``; a tuple is ``(X, y,
        groups)``.
    baselines : sequence of str, default=()
        Names among `encoders` that are baselines, such as hand-made features. Untrained nets and the blind answer are.
    probe : {"linear", "mlp"}, default="linear"
    task : str or dict of str to str, default="auto"
        As in `linear_probe`, for all data sets or for each by name.
    cv, scoring, penalties, n_bootstraps, confidence, random_state, n_jobs
        As in `linear_probe`. Scores by name have to fit all data sets.
    error_score : "raise" or "warn", default="raise"
        What to do where an encoder refuses a data set: ``"warn"`` leaves its row without numbers.

    Returns
    -------
    DataFrame
        One row for each data set, encoder and score:

        - ``dataset``, ``encoder``, ``kind`` (``"encoder"`` or ``"baseline"``), ``score``, ``better`` (``"higher"`` or
          ``"lower"``)
        - ``mean`` and ``sd`` over folds; ``pooled``, ``low``, ``high`` as of `linear_probe`
        - ``difference`` of ``pooled`` to that of the best baseline, ``against`` which it is, and its interval
          ``difference_low`` and ``difference_high``, for which both are given the same draws of participants
        - ``seconds_per_1000`` windows, ``n_parameters`` and ``n_bytes`` of the encoder
        - ``seen``, whether the card of the encoder names the data set among those of its training
        - ``n_windows``, ``n_participants``, ``n_folds``

    Warns
    -----
    UserWarning
        An encoder was pretrained on a data set that it is evaluated on.

    See Also
    --------
    comparison_table : the same, a column for each data set.

    Notes
    -----
    The best baseline is found with the same windows that the difference is measured on, which favours it slightly.

    Examples
    --------
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from wearembed.datasets import make_motion
    >>> from wearembed.evaluation import compare
    >>> shapes = {"spread": lambda X: X.std(-1), "mean": lambda X: X.mean(-1)}
    >>> encoders = {name: FunctionTransformer(shape) for name, shape in shapes.items()}
    >>> sets = {"motion": make_motion(4, 20, activities=["rest", "running"], random_state=0)}
    >>> table = compare(encoders, sets, cv=2, scoring="macro_f1", n_bootstraps=20, random_state=0)
    >>> table["encoder"].tolist()
    ['spread', 'mean', 'majority or mean']
    """
    encoders, sets = _named_encoders(encoders), _named_sets(datasets)
    _check(encoders, baselines, probe, error_score)
    rows = []
    for name, data in sets.items():
        own = task.get(name, "auto") if isinstance(task, Mapping) else task
        question = ask(data.X, data.y, data.groups, own, cv, scoring, random_state, embedded=False)
        entries = _entries(encoders, baselines, random_state, question.X, data.about)
        times = drawn_times(question.n_participants, n_bootstraps, random_state)
        learn = linear(question, penalties, n_jobs)
        if probe == "mlp":
            learn = network(question, 512, 100, 10, random_state)
        results = {}
        for entry in entries:
            if _fits(entry.estimator, question.task):
                results[entry.name] = _result(entry, name, question, learn, times, confidence, error_score)
        rows += _rows(name, question, entries, results, confidence)
    whole = {"n_parameters": "Int64", "n_bytes": "Int64"}  # or missing
    return pd.DataFrame(rows).astype(whole)


def comparison_table(comparison, score=None, *, digits=3):
    """What `compare` gives, as a table to read: a row for each encoder, a column for each data set.

    Parameters
    ----------
    comparison : DataFrame
        Of `compare`.
    score : str, default=None
        None: the first one of each data set, whose name then stands in the heading.
    digits : int, default=3

    Returns
    -------
    DataFrame of str
        Pooled scores with their interval, then the time of the slowest data set and the size of each encoder.

    Examples
    --------
    >>> from wearembed.evaluation import comparison_table, to_markdown
    >>> row = {"dataset": "walks", "encoder": "mine", "score": "macro_f1", "pooled": 0.8, "low": 0.7, "high": 0.9}
    >>> table = comparison_table(pd.DataFrame([row | {"seconds_per_1000": 1.5, "n_parameters": 12_000}]), digits=2)
    >>> print(to_markdown(table))
    | encoder | walks, macro_f1 | s per 1,000 windows | parameters |
    |---|---|---|---|
    | mine | 0.80 (0.70 to 0.90) | 1.5 | 12,000 |
    """
    columns = {}
    for name, part in comparison.groupby("dataset", sort=False):
        own = part["score"].iloc[0] if score is None else score
        part = part[part["score"] == own].set_index("encoder")
        if not len(part):
            continue
        columns[f"{name}, {own}"] = part[["pooled", "low", "high"]].apply(_cell, axis=1, digits=digits)
    if not columns:
        raise ValueError(f"Expected score to be among {comparison['score'].unique().tolist()}, got {score!r}.")
    cost = comparison.groupby("encoder", sort=False)[["seconds_per_1000", "n_parameters"]].max()
    columns["s per 1,000 windows"] = cost["seconds_per_1000"].map("{:.3g}".format)
    columns["parameters"] = cost["n_parameters"].map(lambda n: "" if pd.isna(n) else f"{int(n):,}")
    table = pd.DataFrame(columns).reindex(comparison["encoder"].unique()).fillna("")
    return table.rename_axis("encoder").replace("nan", "")


def to_markdown(table, *, index=True):
    """A table as Markdown, without asking for another library.

    Parameters
    ----------
    table : DataFrame
    index : bool, default=True
        Begin each row with its name.

    Returns
    -------
    str

    Examples
    --------
    >>> from wearembed.evaluation import to_markdown
    >>> print(to_markdown(pd.DataFrame({"a": [1, 2]}), index=False))
    | a |
    |---|
    | 1 |
    | 2 |
    """
    head = [*([table.index.name or ""] if index else []), *table.columns]
    body = [[*([name] if index else []), *row] for name, row in zip(table.index, table.to_numpy(dtype=object))]
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in [head, *body]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _cell(row, digits):
    if pd.isna(row["pooled"]):
        return ""
    return f"{row['pooled']:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"


# --------------------------------------------------------------------------------- what is compared


class Entry(NamedTuple):
    """A row of the table; the blind one has no estimator, since that depends on the task."""

    name: str
    kind: str
    estimator: Any


class Set(NamedTuple):
    """A data set, and what there is to say of it."""

    X: Any
    y: Any
    groups: Any
    about: dict


def _named_encoders(encoders) -> dict:
    if isinstance(encoders, Mapping):
        return dict(encoders)
    many = encoders if isinstance(encoders, (list, tuple)) else [encoders]
    names = [type(encoder).__name__ for encoder in many]
    numbered = [f"{n}-{names[: i + 1].count(n)}" if names.count(n) > 1 else n for i, n in enumerate(names)]
    return dict(zip(numbered, many))


def _named_sets(datasets) -> dict[str, Set]:
    if isinstance(datasets, tuple) or (isinstance(datasets, Mapping) and "data" in datasets):
        datasets = {"data": datasets}  # a single one
    if not isinstance(datasets, Mapping) or not datasets:
        raise TypeError(f"Expected datasets to be a dict of name to Bunch or (X, y, groups), got {datasets!r:.80}.")
    return {str(name): _set(name, data) for name, data in datasets.items()}


def _set(name, data) -> Set:
    if isinstance(data, Mapping):
        missing = [key for key in ("data", "target", "groups") if key not in data]
        if missing:
            raise ValueError(f"The data set {name!r} has no {', '.join(missing)}. Pass (X, y, groups) instead.")
        units = data.get("units")
        about = {"sfreq": data.get("sfreq"), "units": units if isinstance(units, str) else None}
        return Set(data["data"], data["target"], data["groups"], about)
    if not isinstance(data, (tuple, list)) or len(data) != 3:
        raise TypeError(f"Expected the data set {name!r} to be a Bunch or (X, y, groups), got {type(data).__name__}.")
    X, y, groups = data
    return Set(X, y, groups, {})


def _check(encoders, baselines, probe, error_score):
    if not encoders:
        raise ValueError("Expected at least one encoder, got none.")
    unknown = sorted(set([baselines] if isinstance(baselines, str) else baselines) - set(encoders))
    if unknown:
        raise ValueError(f"baselines names {', '.join(unknown)}, which is not among {', '.join(encoders)}.")
    for name, value, choices in [("probe", probe, PROBES), ("error_score", error_score, ("raise", "warn"))]:
        if value not in choices:
            raise ValueError(f"Expected {name} to be {' or '.join(choices)}, got {value!r}.")
    for name, encoder in encoders.items():
        if not any(hasattr(encoder, verb) for verb in ("transform", "predict")):
            hint = " Load weights by wearembed.from_pretrained(name)." if isinstance(encoder, str) else ""
            raise TypeError(f"Expected {name!r} to have transform or predict, got {type(encoder).__name__}.{hint}")


def _entries(encoders, baselines, random_state, X, about) -> list[Entry]:
    """What was given, each followed by its untrained twin, and the blind answer at the end."""
    baselines = {baselines} if isinstance(baselines, str) else set(baselines)
    entries = []
    for name, encoder in encoders.items():
        encoder = adapted(encoder, **about)
        entries.append(Entry(name, "baseline" if name in baselines else "encoder", encoder))
        twin = None if answers_itself(encoder) else untrained(encoder, random_state, X)
        if twin is not None:
            entries.append(Entry(f"{name}, untrained", "baseline", adapted(twin, **about)))
    return [*entries, Entry(BLIND, "baseline", None)]


def _fits(estimator, task) -> bool:
    """Whether a classifier stands before classes; all else goes with either."""
    return estimator is None or not answers_itself(estimator) or is_classifier(estimator) == (task == TASKS[0])


# --------------------------------------------------------------------------------- the numbers


def _result(entry, name, question: Question, learn, times, confidence, error_score):
    """The evaluation, the scores of all draws, and whether the data set was seen; or None where it was refused."""
    if entry.estimator is None:
        blind = DummyClassifier(strategy="most_frequent") if question.task == TASKS[0] else DummyRegressor()
        return *evaluate(question, Raw(_empty(question)), end_to_end(blind), times, confidence), False
    estimator = entry.estimator
    try:
        windows: Raw | Embedded = Raw(question.X)
        if answers_itself(estimator):
            learn = end_to_end(estimator)
        else:
            windows = Embedded(estimator, question.X, question.groups)
        evaluation, values = evaluate(question, windows, learn, times, confidence)
    except ValueError as error:
        if error_score == "raise":
            raise ValueError(f"{entry.name} on {name}: {error}") from error
        warnings.warn(f"{entry.name} refused {name}: {error}", FitFailedWarning, stacklevel=3)
        return None
    return evaluation, values, _seen(entry, estimator, name)


def _empty(question):
    return np.zeros((len(question.y), 1), dtype=np.float32)


def _seen(entry, estimator, name) -> bool:
    """Whether a set is among those of pretraining, which makes its scores those of an exam with known questions."""
    seen = entry.kind == "encoder" and _plain(name) in {_plain(one) for one in data_of(estimator)}
    if seen:
        warnings.warn(
            f"{entry.name} WAS PRETRAINED ON {name}: its card names it among the data of its training. Its scores "
            f"there say nothing about people that it has not seen. Leave the set out of one of the two.",
            stacklevel=4,
        )
    return seen


def _plain(name) -> str:
    """A name without case and signs, without the verb that fetched it and the module of the verb."""
    last = re.sub(r"^[\w.]+\.(?=fetch_|make_)", "", str(name).lower())
    return re.sub(r"^(fetch|make)|[^a-z0-9]", "", last)


def _rows(name, question: Question, entries, results, confidence) -> list[dict]:
    rows = []
    for entry in (entry for entry in entries if entry.name in results):
        for score in question.scores:
            told = {"dataset": name, "encoder": entry.name, "kind": entry.kind}
            told |= {"score": score.name, "better": score.better}
            rows.append(told | _numbers(entry, score, question, entries, results, confidence))
    return rows


def _numbers(entry, score, question: Question, entries, results, confidence) -> dict:
    columns = ("mean", "sd", "pooled", "low", "high")
    asked = {"n_windows": len(question.y), "n_participants": question.n_participants, "n_folds": len(question.folds)}
    blank = dict.fromkeys(("difference", "difference_low", "difference_high", "seconds_per_1000"), np.nan)
    if results[entry.name] is None:
        nothing = {"against": None, "n_parameters": None, "n_bytes": None, "seen": False}
        return dict.fromkeys(columns, np.nan) | blank | nothing | asked
    evaluation, values, seen = results[entry.name]
    against = None
    if entry.kind == "encoder":
        against = _best(score, [e.name for e in entries if e.kind == "baseline" and results.get(e.name)], results)
        apart = values[score.name] - results[against][1][score.name]
        blank["difference"] = apart[0]
        blank["difference_low"], blank["difference_high"] = interval(apart[1:], question.n_participants, confidence)
    cost = {"n_parameters": evaluation.n_parameters, "n_bytes": evaluation.n_bytes, "seen": seen}
    blank["seconds_per_1000"] = 1000 * evaluation.seconds_per_window
    return evaluation.summary.loc[score.name, list(columns)].to_dict() | blank | {"against": against} | cost | asked


def _best(score, names, results) -> str:
    sign = 1 if score.better == "higher" else -1
    return max(names, key=lambda name: np.nan_to_num(sign * results[name][1][score.name][0], nan=-np.inf))
