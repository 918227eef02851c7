"""Windows as anchors, and the mates that each is learnt with."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Dataset

SAMPLERS = ("mates", "participants", "spread")


class Anchors(Dataset):
    """Windows as anchors, each with mates: other windows of the same session of the same participant.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times)
        Read row by row as batches want them.
    groups : array of shape (n_windows,) or None
        Participant of each window. None: all windows are mates of one another.
    session : array of shape (n_windows,) or None
        Stretch of time within a participant (the paper's hour) that mates have to share. None: all of the participant.
    n_mates : int, default=0
        Mates drawn for each anchor, anew in each epoch.
    sampler : {"mates", "participants", "spread"}, default="mates"
        ``"mates"``: anchors are shuffled, and `n_mates` drawn for each. ``"participants"``: a batch is made of blocks
        of up to ``n_mates + 1`` windows that are mates of one another, so that each window is anchor and candidate at
        once, and no mates are read besides. ``"spread"``: like ``"mates"``, but each participant gives an anchor before
        any gives a second, so that few meet themselves in a batch.
    **columns : arrays with a row for each window
        What a batch brings along under the same names, such as ``paired``.

    Notes
    -----
    Too few mates: an anchor whose session has fewer than `n_mates` other windows gets each of them, some repeatedly.
    One that is alone in its session draws from its participant. One that is alone in its participant is no anchor;
    `n_left_out` counts those.
    """

    def __init__(self, X, groups=None, session=None, n_mates: int = 0, sampler: str = "mates", **columns):
        self.X, self.n_mates, self.sampler, self.columns = X, n_mates, sampler, columns
        self.groups = codes(np.zeros(len(X)) if groups is None else groups)
        self.pools = Pools(self.groups)
        self.sessions = self.pools
        if session is not None:
            stretch = codes(session)
            self.sessions = Pools(codes(self.groups.astype(np.int64) * (stretch.max(initial=0) + 1) + stretch))
        rows: np.ndarray = np.arange(len(X), dtype=row_type(len(X)))
        self.rows = rows[self.pools.size(rows) > 1] if n_mates else rows
        self.n_left_out = len(X) - len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: tuple[np.ndarray, np.ndarray | None]):
        anchors, mates = rows
        batch = {"x": self.X[anchors], "group": self.groups[anchors]}
        batch |= {name: column[anchors] for name, column in self.columns.items()}
        if mates is not None:
            batch["mates"] = self.X[mates.ravel()].reshape(*mates.shape, *self.X.shape[1:])
        return batch, 0  # skorch wants a target; an objective needs none

    def batches(self, batch_size: int, seed: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Rows of anchors and of their mates, batch by batch: one epoch, fixed by `seed`."""
        rng = np.random.default_rng(seed)
        if self.n_mates and self.sampler == "participants":
            for anchors in self._blocks(batch_size, rng):
                yield anchors, None
            return
        order = rng.permutation(self.rows)
        if self.sampler == "spread":
            order = self._spread(order)
        for anchors in np.array_split(order, -(-len(order) // batch_size)):  # as even as can be: no batch of a few
            yield anchors, self._mates(anchors, rng) if self.n_mates else None

    def _spread(self, rows: np.ndarray) -> np.ndarray:
        """`rows` in rounds, in each of which a participant has one turn at most."""
        turn = np.empty(len(self.X), dtype=np.intp)
        for own in self.pools.members(rows):
            turn[own] = np.arange(len(own))
        return rows[np.argsort(turn[rows], kind="stable")]

    def _mates(self, anchors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mates = np.empty((len(anchors), self.n_mates), dtype=np.intp)
        for n, anchor in enumerate(anchors):
            pools = self.sessions if self.sessions.size(anchor) > 1 else self.pools
            mates[n] = pools.others(anchor, self.n_mates, rng)
        return mates

    def _blocks(self, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        size = min(self.n_mates + 1, max(2, batch_size // 2))
        blocks = []
        for rows in self.pools.members(self.rows):  # of one participant
            alone = self.sessions.size(rows) < 2
            pools = [*self.sessions.members(rows[~alone])]
            if alone.sum() > 1 or not pools:
                pools.append(rows[alone])
            elif alone.any():  # a single window joins others of its participant
                pools[0] = np.concatenate([pools[0], rows[alone]])
            for mates in pools:
                if len(mates):
                    n_blocks = max(1, min(-(-len(mates) // size), len(mates) // 2))  # none with a single window
                    blocks += np.array_split(rng.permutation(mates), n_blocks)
        per_batch = max(2, batch_size // size)
        order = rng.permutation(len(blocks))
        for some in np.array_split(order, -(-len(order) // per_batch)):
            yield np.concatenate([blocks[b] for b in some])


class Pools:
    """Rows by the code that they share: two numbers a row, whatever the rows are of."""

    def __init__(self, code: np.ndarray):
        self.code = code
        self.order: np.ndarray = np.argsort(code, kind="stable").astype(
            row_type(len(code))
        )  # of a pool, rows in their order
        self.stop = np.cumsum(np.bincount(code))
        self.start = np.concatenate([[0], self.stop[:-1]])

    def size(self, rows):
        """How many rows there are in the pool of each of `rows`."""
        return (self.stop - self.start)[self.code[rows]]

    def others(self, row: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """`n` other rows of the pool of `row`, without repetition as long as there are so many."""
        code = self.code[row]
        start, stop = self.start[code], self.stop[code]
        n_others = stop - start - 1
        if n_others >= n:
            drawn = rng.choice(n_others, n, replace=False)
        else:
            drawn = np.resize(rng.permutation(n_others), n)
        place = np.searchsorted(self.order[start:stop], row)
        return self.order[start + drawn + (drawn >= place)]

    def members(self, rows: np.ndarray) -> list[np.ndarray]:
        """`rows` split by their pools."""
        rows = rows[np.argsort(self.code[rows], kind="stable")]
        return np.split(rows, np.flatnonzero(np.diff(self.code[rows])) + 1) if len(rows) else []


def codes(labels) -> np.ndarray:
    """0, 1, ... for each label."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "iu" and len(labels) and labels.min() >= 0 and labels.max() < 2 * len(labels):
        to = np.cumsum(np.bincount(labels) > 0) - 1  # small numbers need no sorting, which takes memory
        return to.astype(row_type(len(labels)))[labels]
    return np.unique(labels, return_inverse=True)[1].reshape(-1).astype(row_type(len(labels)))


def row_type(n: int) -> type:
    """What numbers `n` rows, in as few bytes as do."""
    return np.int32 if n < 2**31 else np.int64
