"""Numbers about embeddings alone: directions in use, people apart, one set turned to fit another."""

import numpy as np
from scipy.linalg import orthogonal_procrustes, svdvals
from scipy.special import entr

from .checks import embeddings_of, generator, participants_of, whole_number, windows_of_each

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
    Z = embeddings_of(Z, "Z")
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
    Z = embeddings_of(Z, "Z")
    codes = participants_of(groups, len(Z))
    most = whole_number(max_windows, "max_windows", 2)
    rng = generator(random_state)
    everyone = windows_of_each(codes)
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
    A, B = embeddings_of(A_train, "A_train"), embeddings_of(B_train, "B_train")
    test = embeddings_of(A_test, "A_test", at_least=1)
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


def _widened(Z, dim):
    return np.pad(Z, ((0, 0), (0, dim - Z.shape[1])))
