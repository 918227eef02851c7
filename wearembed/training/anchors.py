"""Windows as anchors, and the mates that each is learnt with."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Dataset

from ..runs import Rows, Runs, row_type
from .shuffle import Shuffled, kept, key, shuffled

SAMPLERS = ("mates", "participants", "spread")


class Anchors(Dataset):
    """Windows as anchors, each with mates: other windows of the same session of the same participant.

    Memory does not grow with the windows where those of a session lie together.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times)
        Read row by row as batches want them.
    groups : array of shape (n_windows,), Runs or None
        Participant of each window. None: all windows are mates of one another.
    session : array of shape (n_windows,), Runs or None
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
        self.groups = codes(Runs([0], [len(X)]) if groups is None else Runs.of(groups))
        self.pools = Pools(self.groups)
        self.sessions = self.pools if session is None else Pools(codes(both(self.groups, codes(Runs.of(session)))))
        pool, stops = self.groups.runs()
        self.rows = Rows.where(Runs(self.pools.sizes[pool] > (1 if n_mates else 0), stops))
        self.n_left_out = len(X) - len(self.rows)
        self.blocks = self._joined() if n_mates and sampler == "participants" else self.sessions

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
        order = self._spread(rng) if self.sampler == "spread" else Through(self.rows, Shuffled(len(self), rng))
        for places in split(len(self), -(-len(self) // batch_size)):  # as even as can be: no batch of a few
            anchors = order[places]
            yield anchors, self._mates(anchors, rng) if self.n_mates else None

    def _spread(self, rng: np.random.Generator):
        """Rows in rounds, in each of which a participant has one turn at most."""
        if not kept(len(self)):
            return Rounds(self.pools, 1 if self.n_mates else 0, rng)
        rows = self.rows[Shuffled(len(self), rng)[np.arange(len(self))]]
        turn = np.empty(len(rows), dtype=np.intp)
        by = np.argsort(self.groups[rows], kind="stable")
        codes = self.groups[rows[by]]
        turn[by] = np.arange(len(rows)) - np.searchsorted(codes, codes)
        return rows[np.argsort(turn, kind="stable")]

    def _mates(self, anchors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rows of the pool of each anchor but itself, without repetition as long as there are so many."""
        drawn, mates = np.empty((len(anchors), self.n_mates), np.int64), np.empty((len(anchors), self.n_mates), np.intp)
        own = self.sessions.size(anchors) > 1
        n_others = np.where(own, self.sessions.size(anchors), self.pools.size(anchors)) - 1
        for n, some in enumerate(n_others.tolist()):
            if some >= self.n_mates:
                drawn[n] = rng.choice(some, self.n_mates, replace=False)
            else:
                drawn[n] = np.resize(rng.permutation(some), self.n_mates)
        for pools, which in ((self.sessions, own), (self.pools, ~own)):
            if which.any():
                start, place = pools.start(anchors[which])[:, None], pools.place[anchors[which]][:, None]
                place = place - start
                mates[which] = pools.order[start + drawn[which] + (drawn[which] >= place)]
        return mates

    def _blocks(self, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Batches of windows that are mates of one another."""
        size = min(self.n_mates + 1, max(2, batch_size // 2))
        pools = self.blocks
        n_blocks = np.maximum(1, np.minimum(-(-pools.sizes // size), pools.sizes // 2))  # none with a single window
        n_blocks[len(n_blocks) - bool(self.n_left_out) :] = 0  # those that are no anchors come last
        until, order = np.cumsum(n_blocks), Within(pools, len(self), rng)
        per_batch = max(2, batch_size // size)
        blocks = Shuffled(int(until[-1]), rng)
        for some in split(len(blocks), -(-len(blocks) // per_batch)):
            batch = []
            for block in blocks[some]:
                pool = int(np.searchsorted(until, block, side="right"))
                first, stop = part(pools.sizes[pool], n_blocks[pool], block - until[pool] + n_blocks[pool])
                batch.append(order.rows(pool, np.arange(first, stop)))
            yield np.concatenate(batch)

    def _joined(self) -> "Pools":
        """Sessions; windows alone in theirs together, or a single one with others of its participant."""
        number, stops = self.sessions.code.runs()
        who = self.groups[stops - 1]
        anchor, alone = self.pools.sizes[who] > 1, self.sessions.sizes[number] == 1
        if not alone.any():
            return self.sessions
        n_alone = np.bincount(who[alone], minlength=len(self.pools.sizes))
        first = np.full(len(self.pools.sizes), len(self.sessions.sizes))
        np.minimum.at(first, who[~alone], number[~alone])
        last = len(self.sessions.sizes)
        number = np.where(alone, np.where(n_alone[who] > 1, last, first[who]), number)
        code = codes(Runs(np.where(anchor, who.astype(np.int64) * (last + 1) + number, 2**62), stops))
        return Pools(code, Runs(alone, stops))


class Pools:
    """Rows by the number that they share, 0, 1, ...; those of `last` come last in their pool."""

    def __init__(self, code: Runs, last: Runs | None = None):
        values, stops = code.runs()
        self.code, (self.order, self.place) = code, (code if last is None else both(code, last)).order()
        self.sizes = np.bincount(values, np.diff(stops, prepend=0)).astype(np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def size(self, rows):
        """How many rows there are in the pool of each of `rows`."""
        return self.sizes[self.code[rows]]

    def start(self, rows):
        """The place in `order` where the pool of each of `rows` begins."""
        return self.starts[self.code[rows]]


class Through:
    """Rows in an order that is read in pieces."""

    def __init__(self, rows: Rows, order: Shuffled):
        self.rows, self.order = rows, order

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        return self.rows[self.order[places]]


class Rounds:
    """Rows in rounds, in each of which a pool of more than `alone` rows has one turn at most; computed."""

    def __init__(self, pools: Pools, alone: int, rng: np.random.Generator):
        self.pools, self.of_round, self.of_pool = pools, key(rng), key(rng)
        self.by = np.argsort(-pools.sizes, kind="stable")  # the largest have turns in all rounds
        lengths = np.unique(pools.sizes[pools.sizes > alone])
        self.n_turns = np.searchsorted(-pools.sizes[self.by], -lengths, side="right")
        self.begun = np.append(0, lengths[:-1])  # rounds, before as many pools have a turn as from then on
        self.until = np.cumsum(self.n_turns * (lengths - self.begun))

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        stretch = np.searchsorted(self.until, places, side="right")
        n_turns = self.n_turns[stretch]
        past = places - np.append(0, self.until)[stretch]
        turn = self.begun[stretch] + past // n_turns
        pool = self.by[shuffled(past % n_turns, n_turns, self.of_round + turn.astype(np.uint64))]
        nth = shuffled(turn, self.pools.sizes[pool], self.of_pool + pool.astype(np.uint64))
        return self.pools.order[self.pools.starts[pool] + nth]


class Within:
    """Rows of each pool in an order of its own, at random, of the pools that hold the first `n` rows of all pools."""

    def __init__(self, pools: Pools, n: int, rng: np.random.Generator):
        self.pools, self.orders, self.key = pools, [], 0
        if kept(n):
            self.orders = [rng.permutation(size) for size in pools.sizes[np.cumsum(pools.sizes) <= n]]
        else:
            self.key = int(key(rng))

    def rows(self, pool: int, places: np.ndarray) -> np.ndarray:
        if self.orders:
            nth = self.orders[pool][places]
        else:
            nth = shuffled(places, self.pools.sizes[pool], (self.key + pool) % 2**64)
        return self.pools.order[self.pools.starts[pool] + nth]


def codes(labels: Runs) -> Runs:
    """0, 1, ... for each label, in their order."""
    values, kind = labels.values, row_type(len(labels))
    if values.dtype.kind in "iu" and len(values) and values.min() >= 0 and values.max() < 2 * len(values):
        to = np.cumsum(np.bincount(values) > 0) - 1  # small numbers need no sorting, which takes memory
        found = to.astype(kind)[values]
    else:
        found = np.unique(values, return_inverse=True)[1].reshape(-1).astype(kind)
    return Runs.kept(found) if labels.stops is None else Runs(found, labels.stops)


def both(one: Runs, other: Runs) -> Runs:
    """A number for each pair of numbers."""
    if one.stops is None or other.stops is None:
        first, second = np.asarray(one, np.int64), np.asarray(other)
        return Runs.of(first * (second.max(initial=0) + 1) + second)
    stops = np.union1d(one.stops, other.stops)
    first, second = one[stops - 1].astype(np.int64), other[stops - 1]
    return Runs(first * (second.max(initial=0) + 1) + second, stops)


def split(n: int, n_parts: int) -> Iterator[np.ndarray]:
    """0 to `n` - 1 in parts that are as even as can be."""
    for number in range(n_parts):
        yield np.arange(*part(n, n_parts, number))


def part(n: int, n_parts: int, number: int) -> tuple[int, int]:
    """Where one of the parts of `n` begins and ends."""
    first = number * (n // n_parts) + min(number, n % n_parts)
    return first, first + n // n_parts + (number < n % n_parts)
