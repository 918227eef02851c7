"""Whether an embedding finds its partner, among all windows and among those of one person."""

import numbers

import numpy as np
import pandas as pd

from .checks import embeddings_of, generator, participants_of, whole_number, windows_of_each

_BLOCK = 2**22  # similarities or distances held at once: 32 MB each of float64


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
    codes = None if groups is None else participants_of(groups, len(queries), "leave groups out to resample windows")
    ks, n_bootstraps = _ks(k), whole_number(n_bootstraps, "n_bootstraps", 2)
    size = min(len(queries), whole_number(gallery_size, "gallery_size", 2))
    rng = generator(random_state)
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
    codes = participants_of(groups, len(queries), "call retrieval without groups")
    ks, n_bootstraps = _ks(k), whole_number(n_bootstraps, "n_bootstraps", 2)
    rng = generator(random_state)
    each, chance = [], []
    for rows in windows_of_each(codes):
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


def _directions(queries, gallery):
    """Both sets of rows at length one."""
    both = {"queries": embeddings_of(queries, "queries"), "gallery": embeddings_of(gallery, "gallery")}
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


def _ks(k):
    return tuple(whole_number(one, "k", 1) for one in ((k,) if isinstance(k, numbers.Integral) else k))
