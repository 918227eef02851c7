"""What an embedding is like before any label: directions in use, shortcuts, drift."""

import numpy as np
import pandas as pd
from scipy.special import hyp0f1
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedGroupKFold

from ..metrics import dispersion_ratio, effective_rank
from ..metrics.checks import embeddings_of, generator
from .embedded import Embedded, is_fitted
from .folds import codes_of
from .probes import PENALTIES, evaluate, linear
from .question import Question
from .scores import drawn_times, interval, scores_of

DEAD = 0.01  # of the mean deviation: a dimension that moves less does not move
MANY = 5000  # windows whose pairs are all looked at


def embedding_report(
    encoder,
    X,
    groups,
    *,
    session=None,
    placement=None,
    device=None,
    native_sfreq=None,
    reference=None,
    n_bootstraps=1000,
    confidence=0.95,
    random_state=0,
):
    """What an embedding is like before any label is asked for: directions in use, shortcuts, drift.

    Parameters
    ----------
    encoder : fitted transformer or None
        None: `X` holds embeddings.
    X : array of shape (n_windows, ...)
        Windows, or embeddings of shape (n_windows, dim).
    groups : array of shape (n_windows,)
        The participant of each window.
    session : array of shape (n_windows,), default=None
        The unbroken stretch of each window. Participants are then looked for in other sessions than those they were
        learnt from; else in the other half of their windows, where posture and place on the wrist may be the same, and
        the number is an upper bound.
    placement, device : array of shape (n_windows,), default=None
        Where the sensor was worn, and which one it was.
    native_sfreq : array of shape (n_windows,), default=None
        Rate at which the device sampled, before it was brought to that of the encoder.
    reference : array of shape (n_reference, dim), or dict with ``mean`` and ``deviation``, default=None
        Embeddings of the windows that the encoder was trained on, or their mean and deviation for each dimension:
        ``encoder.drift_reference()``, where its weights tell.
    n_bootstraps, confidence
        Of the intervals, over participants.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    DataFrame
        One row a measure: ``value``; ``neutral``, what an embedding gives that is free of what is measured; ``low`` and
        ``high`` where there is an interval; ``meaning``.

        - ``effective_rank``; ``dead_dimensions``, whose deviation is below 1 % of the mean one
        - ``mean_cosine`` of two windows, and ``uniformity``, the logarithm of the mean of ``exp(-2 distance ** 2)``
          over two windows brought to length one
        - ``dispersion_ratio``
        - ``participant``, ``placement``, ``device``, ``native_sfreq``: balanced accuracy of telling them apart from the
          embedding. All but the first are tested on other participants, so that knowing a person does not help; a
          kind that fewer than two participants have is left out
        - ``drift_mean`` and ``drift_sd``: how far mean and deviation of a dimension are from those of the reference, in
          deviations of the reference, root mean square over dimensions. ``neutral`` of the former is the standard
          error of the mean over participants

    References
    ----------
    Wang, Isola. Understanding contrastive representation learning through alignment and uniformity on the hypersphere.
    ICML 2020. arXiv:2005.10242

    Examples
    --------
    >>> from wearembed.evaluation import embedding_report
    >>> rng = np.random.default_rng(0)
    >>> Z, groups = rng.normal(size=(400, 8)), np.repeat(np.arange(8), 50)
    >>> Z[:, 7] = 0.0
    >>> embedding_report(None, Z, groups)["value"].loc[["effective_rank", "dead_dimensions"]].round(0).tolist()
    [7.0, 1.0]
    """
    codes = codes_of(groups, len(X))
    Z = embeddings_of(_embedded(encoder, X, groups), "the embeddings")
    times = drawn_times(codes.max() + 1, n_bootstraps, random_state)
    rows = _shape(Z, codes, random_state)
    rows["participant"] = _participant(Z, codes, session, times, confidence)
    shortcuts = {"placement": placement, "device": device, "native_sfreq": native_sfreq}
    for name, labels in shortcuts.items():
        if labels is not None:
            rows[name] = _shortcut(Z, codes, labels, name, times, confidence, random_state)
    if reference is not None:
        rows |= _drift(Z, codes, reference)
    columns = ["value", "neutral", "low", "high", "meaning"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("measure")


def _embedded(encoder, X, groups):
    if encoder is None:
        return X
    if not is_fitted(encoder):
        raise ValueError(f"Expected a fitted encoder, got {type(encoder).__name__} that is not. Fit it first.")
    return Embedded(encoder, X, groups).fixed


# --------------------------------------------------------------------------------- directions


def _shape(Z, codes, random_state) -> dict[str, tuple]:
    dim, deviation = Z.shape[1], Z.std(0)
    alive = deviation > DEAD * deviation.mean()
    rows = {"dead_dimensions": (float((~alive).sum()), 0.0, np.nan, np.nan, f"of {dim}; they hardly move")}
    if not alive.any():
        return rows  # all windows alike: nothing else can be said
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    directions = (Z / np.where(length > 0, length, 1))[(length > 0)[:, 0]]
    even = float(np.log(hyp0f1(dim / 2, 4.0)) - 4)
    return {
        "effective_rank": (effective_rank(Z), float(dim), np.nan, np.nan, f"directions in use, of {dim}"),
        **rows,
        "mean_cosine": (_mean_cosine(directions), 0.0, np.nan, np.nan, "1: all windows point the same way"),
        "uniformity": (_uniformity(directions, random_state), even, np.nan, np.nan, "0: all alike; lower is more even"),
        "dispersion_ratio": (
            dispersion_ratio(Z, codes) if np.bincount(codes).max() > 1 else np.nan,
            1.0,
            np.nan,
            np.nan,
            "near 0: it tells who somebody is",
        ),
    }


def _mean_cosine(directions) -> float:
    """Of all pairs of different windows."""
    n = len(directions)
    return float((np.square(directions.sum(0)).sum() - n) / (n * (n - 1)))


def _uniformity(directions, random_state) -> float:
    some = directions
    if len(some) > MANY:
        some = some[generator(random_state).choice(len(some), MANY, replace=False)]
    likeness = np.exp(4 * (some @ some.T) - 4)  # exp(-2 |u - v|^2), for length one
    n = len(some)
    return float(np.log((likeness.sum() - np.trace(likeness)) / (n * (n - 1))))


# --------------------------------------------------------------------------------- shortcuts


def _participant(Z, codes, session, times, confidence) -> tuple:
    """How often a window of another session, or of the other half, is given to its participant."""
    side = _sides(codes, session)
    known = side >= 0
    people = np.unique(codes[known])
    told = "in windows of other sessions" if session is not None else "in the other half of their windows"
    if len(people) < 2:
        return np.nan, np.nan, np.nan, np.nan, f"fewer than 2 participants can be looked for {told}"
    found = np.zeros((2, len(people)))
    for half in (0, 1):
        train, test = known & (side == half), known & (side == 1 - half)
        said = _discriminant(len(people)).fit(Z[train], codes[train]).predict(Z[test])
        hit = said == codes[test]
        found[half] = [hit[codes[test] == one].mean() for one in people]
    recall = found.mean(0)
    drawn = times[1:, people]
    low, high = interval((drawn @ recall) / np.maximum(drawn.sum(1), 1), len(people), confidence)
    return recall.mean(), 1 / len(people), low, high, f"{len(people)} participants told apart {told}"


def _discriminant(n_people):
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(n_people, 1 / n_people))


def _sides(codes, session):
    """0 or 1 for each window, by session in turn or by half; -1 for whoever would be on one side only."""
    side = np.full(len(codes), -1)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        order = np.arange(len(rows)) * 2 // len(rows) if session is None else pd.factorize(np.asarray(session)[rows])[0]
        if order.max() > 0:
            side[rows] = order % 2
    return side


def _shortcut(Z, codes, labels, name, times, confidence, random_state) -> tuple:
    """Balanced accuracy of a label of the recording, on participants who were not trained on."""
    labels = np.asarray(labels)
    if labels.shape != (len(Z),) or pd.isna(labels).any():
        raise ValueError(f"Expected {name} to name one for each of {len(Z)} windows, got shape {labels.shape}.")
    labels = labels.astype(str)
    people = {label: len(np.unique(codes[labels == label])) for label in np.unique(labels)}
    kept = np.isin(labels, [label for label, n in people.items() if n > 1])
    classes = np.unique(labels[kept])
    if len(classes) < 2:
        return np.nan, np.nan, np.nan, np.nan, "fewer than 2 kinds that 2 participants or more have"
    folds = min(5, *(people[label] for label in classes))
    split = StratifiedGroupKFold(folds, shuffle=random_state is not None, random_state=random_state)
    Z, labels, codes = Z[kept], labels[kept], codes[kept]
    scores = scores_of("balanced_accuracy", "classification")
    pairs = list(split.split(Z, labels, codes))
    question = Question(Z, labels, codes, codes, "classification", classes, pairs, scores)
    result, _ = evaluate(question, Embedded(None, Z, codes), linear(question, PENALTIES), times, confidence)
    value, low, high = result.summary.loc["balanced_accuracy", ["pooled", "low", "high"]]
    return value, 1 / len(classes), low, high, f"{len(classes)} kinds told apart, on other participants"


# --------------------------------------------------------------------------------- drift


def _drift(Z, codes, reference) -> dict[str, tuple]:
    mean, deviation = _moments(reference, Z.shape[1])
    alive = deviation > DEAD * deviation.mean()
    own = (Z.mean(0) - mean)[alive] / deviation[alive]
    wider = Z.std(0)[alive] / deviation[alive] - 1
    counts = np.bincount(codes)
    each = np.stack([np.bincount(codes, column) for column in Z[:, alive].T], 1) / counts[:, None]
    error = each.std(0, ddof=1) / np.sqrt(len(counts)) / deviation[alive]
    unit = "deviations of the reference, root mean square over dimensions"
    return {
        "drift_mean": (_rms(own), _rms(error), np.nan, np.nan, f"how far the mean has moved, in {unit}"),
        "drift_sd": (_rms(wider), 0.0, np.nan, np.nan, f"how far the deviation has moved, in {unit}"),
    }


def _moments(reference, dim):
    if isinstance(reference, dict):
        mean, deviation = (np.asarray(reference[key], dtype=np.float64) for key in ("mean", "deviation"))
    else:
        reference = embeddings_of(reference, "reference")
        mean, deviation = reference.mean(0), reference.std(0)
    if mean.shape != (dim,) or deviation.shape != (dim,) or not (deviation > 0).any():
        raise ValueError(f"Expected a reference of {dim} dimensions that vary, got {mean.shape} and {deviation.shape}.")
    return mean, deviation


def _rms(values) -> float:
    return float(np.sqrt(np.square(values).mean()))
