"""Numbers about embeddings: directions in use, people apart, matches found, and a classifier where alarms are few."""

import numbers

import numpy as np
import pandas as pd
from scipy.linalg import orthogonal_procrustes, svdvals
from scipy.special import entr
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_random_state

_BLOCK = 2**22  # similarities or distances held at once: 32 MB each of float64


def effective_rank(Z, center=False):
    """How many directions the embeddings use, counted smoothly.

    The exponential of the entropy of the singular values, taken as shares of their sum: 1 when all embeddings lie on
    one line through the origin, `dim` when they spread alike in every direction.

    Parameters
    ----------
    Z : array of shape (n_windows, dim)
    center : bool, default=False
        Take the mean embedding off first. The papers do not say; our default keeps it.

    Returns
    -------
    float
        From 1 to min(n_windows, dim); at most one less than n_windows if centred.

    Notes
    -----
    Roy and Vetterli define it so. RankMe adds 1e-7 to each share, which is not done here and changes the value by
    less than one in a thousand at 256 dimensions.

    References
    ----------
    Roy, Vetterli. The effective rank: a measure of effective dimensionality. EUSIPCO 2007.
    Garrido, Balestriero, Najman, LeCun. RankMe. ICML 2023. arXiv:2210.02885

    Examples
    --------
    >>> round(effective_rank(np.eye(4)), 6)
    4.0
    >>> round(effective_rank([[1.0, 2.0], [2.0, 4.0], [-3.0, -6.0]]), 6)
    1.0
    """
    Z = _embeddings(Z, "Z")
    if not (np.ptp(Z, axis=0) if center else Z).any():
        raise ValueError(
            f"Expected embeddings that are not all {'equal' if center else 'zero'}, got {len(Z)} that are: "
            f"they use no direction at all. Look for an encoder that has collapsed."
        )
    if center:
        Z = Z - Z.mean(axis=0)
    singular = svdvals(Z, check_finite=False)
    return float(np.exp(entr(singular / singular.sum()).sum()))


def dispersion_ratio(Z, groups, *, max_windows=20_000, random_state=0):
    """How far apart one participant's windows are, against those of different participants.

    The mean over participants of the mean distance between two windows of theirs, divided by the mean distance
    between two windows of different participants. Near 0, embeddings tell who somebody is; near 1, nothing of that.

    Parameters
    ----------
    Z : array of shape (n_windows, dim)
    groups : array of shape (n_windows,)
        The participant of each window. Whoever has a single window counts between participants only.
    max_windows : int, default=20000
        Every pair is measured up to here. Of more windows, so many are drawn for the distances between participants,
        and from any participant who has more.
    random_state : int, RandomState instance or None, default=0
        Which ones are drawn.

    Returns
    -------
    float
        0 or more.

    Notes
    -----
    The paper shows the ratio without a formula that we could find: L2 distances and these two means are our default.

    References
    ----------
    Abbaspourazad et al. Large-scale Training of Foundation Models for Wearable Biosignals. ICLR 2024. arXiv:2312.05409

    Examples
    --------
    >>> dispersion_ratio([[0.0], [1.0], [10.0], [11.0]], groups=["ann", "ann", "bob", "bob"])
    0.1
    """
    Z = _embeddings(Z, "Z")
    codes = _participants(groups, len(Z))
    most = _count(max_windows, "max_windows", 2)
    rng = _generator(random_state)
    everyone = _windows_of_each(codes)
    own = [_mean_distance(Z[_at_most(rows, most, rng)]) for rows in everyone if len(rows) > 1]
    if not own:
        raise ValueError(
            f"Expected a participant with at least 2 windows, got {len(Z)} windows of as many participants. "
            f"groups names the person, not the window."
        )
    rows = _at_most(np.arange(len(Z)), most, rng)
    apart = _mean_distance(Z[rows], codes[rows])
    if not apart > 0:
        raise ValueError(
            "Expected embeddings that differ between participants, got a mean distance of 0. "
            "Look for an encoder that has collapsed."
        )
    return float(np.mean(own) / apart)


def retrieval(queries, gallery, *, groups=None, k=(1, 5, 10), n_bootstraps=100, gallery_size=20_000, random_state=None):
    """How well a window's embedding finds its other half among the windows of everybody.

    Row i of `queries` (an accelerometer window, say) looks for row i of `gallery` (the PPG of the same minute) by
    cosine similarity. Swap the two arguments for the other direction: with the same seed it meets the same galleries.

    Parameters
    ----------
    queries, gallery : array of shape (n_windows, dim)
        Equal rows belong together. Use participants whom the encoders have not seen.
    groups : array of shape (n_windows,), default=None
        The participant of each window. With it, participants are resampled and not windows, so that the deviations
        say what other people would have given: windows of one person are no independent evidence.
    k : int or sequence of int, default=(1, 5, 10)
    n_bootstraps : int, default=100
    gallery_size : int, default=20000
        Windows in each gallery; all of them where there are fewer.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    dict of str to float
        For each k, ``top_k``, the share of queries whose match is among the k most similar; ``mean_rank`` and
        ``median_rank``, 1 at best. Each is the mean over bootstraps, with its deviation over bootstraps as
        ``top_k_sd`` and so on, and with what blind guessing gives as ``chance_top_k`` and so on. Also
        ``gallery_size``, G: chance is k / G and (G + 1) / 2.

    See Also
    --------
    retrieval_within : the same among one's own windows, where knowing who somebody is does not help.
    procrustes_align : for two encoders that were never trained to share a space.

    Notes
    -----
    Each bootstrap has a gallery of exactly G different windows, since ranks grow with its size, and queries that all
    stand in it. Without `groups`, G queries are drawn with replacement, and other windows fill the gallery up. With
    `groups`, the gallery is drawn first, then as many participants as it shows, with replacement, and all windows that
    it shows of them ask. What is drawn twice asks twice, but stands in the gallery once, or a match would have itself
    for a rival. Where all windows fit into the gallery, only the queries vary.

    Windows that are equally similar are put in random order, and the expectation is taken: embeddings that are all
    the same score chance, neither 0 nor 1.

    Paper: cosine, top-k and mean rank over 100 bootstrap galleries. Our default: all the rest. Every similarity is
    computed once, in blocks, for all bootstraps together; time grows as the square of n_windows, memory does not.

    References
    ----------
    Abbaspourazad et al. Wearable Accelerometer Foundation Models for Health via Knowledge Distillation. 2024.
    arXiv:2412.11276

    Examples
    --------
    >>> scores = retrieval(np.eye(20), np.eye(20), k=5, random_state=0)
    >>> scores["top_5"], scores["mean_rank"], scores["chance_top_5"], scores["chance_mean_rank"]
    (1.0, 1.0, 0.25, 10.5)
    """
    queries, gallery = _directions(queries, gallery)
    codes = None if groups is None else _participants(groups, len(queries), "leave groups out to resample windows")
    ks, n_bootstraps = _ks(k), _count(n_bootstraps, "n_bootstraps", 2)
    size = min(len(queries), _count(gallery_size, "gallery_size", 2))
    rng = _generator(random_state)
    asked = np.zeros((len(queries), n_bootstraps), dtype=np.int32)  # how often each window asks
    shown = np.zeros((len(queries), n_bootstraps), dtype=np.float32)  # 1 in the gallery, 0 elsewhere
    for b in range(n_bootstraps):
        rows, times = _bootstrap(len(queries), size, codes, rng)
        asked[rows, b], shown[rows, b] = times, 1
    above, tied = _rivals(queries, gallery, shown)
    scores = [_scores(above[:, b], tied[:, b], asked[:, b], ks) for b in range(n_bootstraps)]
    table, chance = pd.DataFrame(scores), _chance(size, ks)
    return _with_chance(table.mean(), table.std(), chance) | {"gallery_size": size}


def retrieval_within(queries, gallery, groups, *, k=(1, 5, 10), n_bootstraps=100, random_state=None):
    """How well a window's embedding finds its other half among the windows of the same participant.

    An encoder that knows only whose window it sees is as good as blind here. Otherwise as `retrieval`: swap the first
    two arguments for the other direction.

    Parameters
    ----------
    queries, gallery : array of shape (n_windows, dim)
        Equal rows belong together.
    groups : array of shape (n_windows,)
        The participant of each window. Whoever has a single window is left out.
    k : int or sequence of int, default=(1, 5, 10)
    n_bootstraps : int, default=100
        Draws of participants with replacement, for the deviations.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    dict of str to float
        The names of `retrieval`. Each value is computed for every participant among all windows of theirs, and is
        the mean over participants; so is chance, and ``gallery_size``. Deviations are those of the mean over
        bootstraps.

    Notes
    -----
    Our default throughout. A mean rank over participants of unlike numbers of windows is to be read beside its chance.

    Examples
    --------
    >>> ppg = [[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]]
    >>> who_only = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> groups = ["ann", "ann", "bob", "bob"]
    >>> retrieval_within(ppg, ppg, groups, k=1)["top_1"], retrieval_within(who_only, ppg, groups, k=1)["top_1"]
    (1.0, 0.5)
    """
    queries, gallery = _directions(queries, gallery)
    codes = _participants(groups, len(queries), "call retrieval without groups")
    ks, n_bootstraps = _ks(k), _count(n_bootstraps, "n_bootstraps", 2)
    rng = _generator(random_state)
    each, chance = [], []
    for rows in _windows_of_each(codes):
        if len(rows) > 1:
            once = np.ones(len(rows), dtype=int)
            above, tied = _rivals(queries[rows], gallery[rows], np.ones((len(rows), 1), dtype=np.float32))
            each.append(_scores(above[:, 0], tied[:, 0], once, ks))
            chance.append(_chance(len(rows), ks) | {"gallery_size": len(rows)})
    if len(each) < 2:
        raise ValueError(
            f"Expected at least 2 participants with 2 windows or more, got {len(each)} of {codes.max() + 1}. "
            f"groups names the person, not the window."
        )
    table, blind = pd.DataFrame(each), pd.DataFrame(chance).mean().to_dict()
    drawn = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=n_bootstraps)
    deviation = pd.DataFrame(drawn @ table.to_numpy() / len(table), columns=table.columns).std()
    size = blind.pop("gallery_size")
    return _with_chance(table.mean(), deviation, blind) | {"gallery_size": float(size)}


def procrustes_align(A_train, B_train, A_test):
    """Embeddings of one encoder, turned as a rigid body into the space of another.

    Fitted on pairs: both clouds are centred and brought to the same size, and the rotation (or reflection) that takes
    the one nearest to the other is found. The rows that come back lie in the space of `B`, with its mean and size, so
    that embeddings of `B` are compared with them as they are. This is what two encoders that were trained apart have
    in common already: a baseline for `retrieval`.

    Parameters
    ----------
    A_train : array of shape (n_train, dim_a)
    B_train : array of shape (n_train, dim_b)
        Equal rows belong together. The shorter embeddings are filled up with zeros.
    A_test : array of shape (n_test, dim_a)
        Of participants who are not among the pairs.

    Returns
    -------
    array of shape (n_test, dim_b)
        float64. What points out of the space of `B` is dropped; it is alike to every embedding there.

    References
    ----------
    Schönemann. A generalized solution of the orthogonal Procrustes problem. Psychometrika 31, 1966.

    Examples
    --------
    >>> A = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]
    >>> B = [[5.0, 5.0], [5.0, 7.0], [1.0, 5.0]]  # a quarter turn, twice the size, moved by (5, 5)
    >>> procrustes_align(A, B, [[1.0, 1.0]]).round(6)
    array([[3., 7.]])
    """
    A, B = _embeddings(A_train, "A_train"), _embeddings(B_train, "B_train")
    test = _embeddings(A_test, "A_test", at_least=1)
    if len(A) != len(B) or test.shape[1] != A.shape[1]:
        raise ValueError(
            f"Expected A_train and B_train with as many rows, and A_test with as many columns as A_train, got shapes "
            f"{A.shape}, {B.shape} and {test.shape}. Row i of both training sets is the same window."
        )
    for name, Z in {"A_train": A, "B_train": B}.items():
        if not np.ptp(Z, axis=0).any():
            raise ValueError(f"Expected rows that differ in {name}, got {len(Z)} times the same: nothing to align by.")
    centre, target = A.mean(axis=0), B.mean(axis=0)
    size, wanted = np.linalg.norm(A - centre), np.linalg.norm(B - target)
    dim = max(A.shape[1], B.shape[1])
    turn, _ = orthogonal_procrustes(_widened((A - centre) / size, dim), _widened((B - target) / wanted, dim))
    return (_widened((test - centre) / size, dim) @ turn)[:, : B.shape[1]] * wanted + target


def partial_auc(y_true, y_score, max_fpr=0.1):
    """The mean sensitivity of a score while it raises few false alarms.

    The area under the ROC curve from no false positives up to `max_fpr`, divided by `max_fpr`. It is 1 at best and
    ``max_fpr / 2`` by chance; with ``max_fpr=1`` it is the usual area.

    Parameters
    ----------
    y_true : array of shape (n,)
        Two classes; the one that sorts last is the positive one.
    y_score : array of shape (n,)
        Higher for the positive class.
    max_fpr : float, default=0.1
        Above 0, at most 1.

    Returns
    -------
    float
        From 0 to 1.

    Notes
    -----
    Paper: up to 10 % false positives. Our default: this scale, on which the number is a sensitivity. The other scale
    in use puts chance at 0.5 (McClish): ``sklearn.metrics.roc_auc_score(y_true, y_score, max_fpr=max_fpr)``, from which
    this one is computed.

    References
    ----------
    McClish. Analyzing a portion of the ROC curve. Medical Decision Making 9, 1989.

    Examples
    --------
    >>> round(partial_auc([0, 0, 1, 1], [0.1, 0.3, 0.2, 0.9]), 6)  # one of two found before the first false alarm
    0.5
    """
    y_true = np.asarray(y_true)
    classes = np.unique(y_true)
    if len(classes) != 2:
        raise ValueError(
            f"Expected labels of two classes, got {len(classes)}: {classes[:5].tolist()}. "
            f"Score one class against the rest, on samples that hold both."
        )
    standardized = roc_auc_score(y_true == classes[1], y_score, max_fpr=max_fpr)
    return float(max_fpr / 2 + (standardized - 0.5) * (2 - max_fpr))


# --- distances


def _mean_distance(Z, codes=None):
    """Mean L2 distance of two rows; with `codes`, of two rows whose codes differ."""
    if codes is None:
        codes = np.arange(len(Z))
    order = np.argsort(codes, kind="stable")
    Z, codes = Z[order] - Z.mean(axis=0), codes[order]  # near the origin fewer digits are lost
    squares = np.einsum("nd,nd->n", Z, Z)
    ends = np.searchsorted(codes, codes, side="right")  # each row is paired with the rows from its end on
    total, n_pairs = 0.0, int((len(Z) - ends).sum())
    if n_pairs == 0:
        raise ValueError("Expected windows of at least 2 participants, drew those of one. Raise max_windows.")
    step = max(1, _BLOCK // len(Z))
    for a in range(0, len(Z), step):
        b, first = min(a + step, len(Z)), ends[a]
        if first == len(Z):
            break
        far = Z[a:b] @ Z[first:].T
        far *= -2
        far += squares[a:b, None]
        far += squares[first:]
        np.sqrt(far.clip(0, out=far), out=far)
        early = far[:, : ends[b - 1] - first]
        early[np.arange(first, ends[b - 1]) < ends[a:b, None]] = 0
        total += far.sum()
    return total / n_pairs


def _at_most(rows, most, rng):
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))


# --- ranks


def _bootstrap(n_windows, size, codes, rng):
    """One gallery, `size` different rows, and how often each of them asks."""
    if codes is None:
        times = rng.multinomial(size, np.full(n_windows, 1 / n_windows))
        rows = np.lexsort((rng.random(n_windows), times == 0))[:size]  # who asks comes first, then anybody
        return rows, times[rows]
    rows = rng.permutation(n_windows)[:size]
    present = np.unique(codes[rows])
    times = np.bincount(rng.choice(present, len(present)), minlength=codes.max() + 1)
    return rows, times[codes[rows]]


def _rivals(queries, gallery, shown):
    """For each query and each gallery (a column of `shown`): rows more similar than the match, and as similar.

    The match itself counts among those that are as similar. Queries whose match is not shown get numbers without
    meaning.
    """
    n_windows, dim = queries.shape
    above, tied = np.empty_like(shown), np.ones_like(shown)
    rounding = 2 * (dim + 8) * np.finfo(np.float64).eps  # two sums of `dim` products that ought to be equal
    step = max(1, _BLOCK // n_windows)
    for a in range(0, n_windows, step):
        b = min(a + step, n_windows)
        similar = queries[a:b] @ gallery.T
        similar -= similar[np.arange(b - a), np.arange(a, b)][:, None].copy()
        above[a:b] = (similar > rounding).astype(np.float32) @ shown  # whole numbers are exact up to 2**24
        level = np.abs(similar, out=similar) <= rounding
        if np.count_nonzero(level) > b - a:
            tied[a:b] = level.astype(np.float32) @ shown
    return above, tied


def _scores(above, tied, asked, ks):
    """Expected top-k and ranks, with ties in random order; each query counts as often as it asks."""
    above, tied = np.repeat(above, asked).astype(np.float64), np.repeat(tied, asked).astype(np.float64)
    rank = above + (tied + 1) / 2
    top = {f"top_{k}": ((k - above) / tied).clip(0, 1).mean() for k in ks}
    return top | {"mean_rank": rank.mean(), "median_rank": np.median(rank)}


def _chance(size, ks):
    return {f"top_{k}": min(1.0, k / size) for k in ks} | dict.fromkeys(("mean_rank", "median_rank"), (size + 1) / 2)


def _with_chance(mean, deviation, chance):
    """One flat dictionary: a value, its deviation, its chance; then the next."""
    out: dict[str, float] = {}
    for name in chance:
        out[name] = float(mean[name])
        out[f"{name}_sd"] = float(deviation[name])
        out[f"chance_{name}"] = float(chance[name])
    return out


# --- what comes in


def _embeddings(Z, name, at_least=2):
    """A float64 array of finite rows."""
    Z = np.asarray(Z)
    if Z.dtype.kind not in "biuf":
        raise TypeError(f"Expected {name} to hold real numbers, got dtype {Z.dtype}. Convert it with astype(float).")
    if Z.ndim != 2 or len(Z) < at_least or Z.shape[1] == 0:
        raise ValueError(
            f"Expected {name} of shape (n_windows, dim) with at least {at_least} window{'s' * (at_least > 1)}, "
            f"got shape {Z.shape}. One row is one window's embedding."
        )
    bad = int((~np.isfinite(Z)).any(axis=1).sum())
    if bad:
        raise ValueError(f"Expected finite embeddings, got {bad} of {len(Z)} rows of {name} with NaN or infinity.")
    return Z.astype(np.float64)


def _directions(queries, gallery):
    """Both sets of rows at length one."""
    both = {"queries": _embeddings(queries, "queries"), "gallery": _embeddings(gallery, "gallery")}
    if both["queries"].shape != both["gallery"].shape:
        raise ValueError(
            f"Expected queries and gallery of one shape, got {both['queries'].shape} and {both['gallery'].shape}. "
            f"Row i of both is the same window; for unlike dimensions, see wearembed.metrics.procrustes_align."
        )
    for name, Z in both.items():
        Z /= np.maximum(np.abs(Z).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        length = np.linalg.norm(Z, axis=1, keepdims=True)
        if (length == 0).any():
            raise ValueError(
                f"Expected embeddings with a direction, got {int((length == 0).sum())} of {len(Z)} rows of {name} "
                f"that are all zero. Leave those windows out, or look for an encoder that has collapsed."
            )
        Z /= length
    return both["queries"], both["gallery"]


def _participants(groups, n_windows, instead="evaluate more people"):
    """Whole numbers from 0, one a participant."""
    groups = np.asarray(groups)
    if groups.shape != (n_windows,):
        raise ValueError(
            f"Expected groups to name the participant of each of {n_windows} windows, got shape {groups.shape}."
        )
    codes, names = pd.factorize(groups)
    if (codes < 0).any():
        raise ValueError(f"Expected a participant for every window, got {int((codes < 0).sum())} without. Name them.")
    if len(names) < 2:
        raise ValueError(f"Expected windows of at least 2 participants, got those of {names[0]} alone: {instead}.")
    return codes


def _windows_of_each(codes):
    """The rows of each participant."""
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])


def _ks(k):
    return tuple(_count(one, "k", 1) for one in ((k,) if isinstance(k, numbers.Integral) else k))


def _count(value, name, least):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"Expected {name} to be a whole number of at least {least}, got {value!r}.")
    return int(value)


def _generator(random_state):
    """A generator of its own; without a seed, numpy's global one stays where it is."""
    return np.random.default_rng(None if random_state is None else check_random_state(random_state).randint(2**31 - 1))


def _widened(Z, dim):
    return np.pad(Z, ((0, 0), (0, dim - Z.shape[1])))
