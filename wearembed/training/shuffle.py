"""Rows in random order, which is kept while there are some and computed where there are very many."""

import numpy as np

LARGE = 2**17  # from so many on an order is computed: a number a row would be memory that grows with the rows
FEW = 128  # up to so many are put in the order of their hashes
ROUNDS = 12
GOLDEN = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, by which SplitMix64 counts


class Shuffled:
    """0 to `n` - 1 in random order.

    Parameters
    ----------
    n : int
    rng : numpy.random.Generator
    """

    def __init__(self, n: int, rng: np.random.Generator):
        self.n, self.order, self.key = n, None, None
        if kept(n):
            self.order = rng.permutation(np.arange(n, dtype=np.int32))
        else:
            self.key = key(rng)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        return shuffled(places, self.n, self.key) if self.order is None else self.order[places].astype(np.int64)


def kept(n: int) -> bool:
    """Whether an order of so many rows is kept."""
    return n < LARGE


def key(rng: np.random.Generator) -> np.uint64:
    """Of one order among all."""
    return rng.integers(2**64, dtype=np.uint64)


def shuffled(places, n, key) -> np.ndarray:
    """What stands at some places of a random order of 0 to `n` - 1; the three are numbers, or arrays alike.

    A few are ranked by their hashes. Of more, a number is taken for two digits, each of which is turned in its turn by
    a hash of the other; what is not below `n` then goes through it again. Each step can be undone, so that no two
    places get the same (a Feistel network with cycle walking: Black and Rogaway, Ciphers with Arbitrary Finite Domains,
    2002). With few places such a network does not reach all orders.
    """
    places, n, key = np.broadcast_arrays(
        np.asarray(places, np.uint64), np.asarray(n, np.uint64), np.asarray(key, np.uint64)
    )
    x, n, key = places.ravel().copy(), n.ravel(), key.ravel()
    few = n <= FEW
    x[few] = ranked(x[few], n[few], key[few])
    walking = np.flatnonzero(~few)
    while len(walking):
        x[walking] = turned(x[walking], n[walking], key[walking])
        walking = walking[x[walking] >= n[walking]]
    return x.reshape(places.shape).astype(np.int64)


def ranked(x: np.ndarray, n: np.ndarray, key: np.ndarray) -> np.ndarray:
    """How many of the numbers below `n` have a hash below that of `x`."""
    others = np.arange(n.max(initial=0), dtype=np.uint64)
    theirs, own = mixed(mixed(key)[:, None] ^ others), mixed(mixed(key) ^ x)
    return ((theirs < own[:, None]) & (others < n[:, None])).sum(1).astype(np.uint64)


def turned(x: np.ndarray, n: np.ndarray, key: np.ndarray) -> np.ndarray:
    """One to one on the numbers below `n` or a little more: below the product of two numbers near its root."""
    high = np.ceil(np.sqrt(n.astype(np.float64))).astype(np.uint64)
    low = (n + high - np.uint64(1)) // high
    one, other = x // low, x % low
    for number in range(0, ROUNDS, 2):
        one = (one + hashed(other, key, number)) % high
        other = (other + hashed(one, key, number + 1)) % low
    return one * low + other


def hashed(x: np.ndarray, key: np.ndarray, number: int) -> np.ndarray:
    """32 bits of `x`, mixed with the key and the number of the round (the finalizer of SplitMix64, twice)."""
    return mixed(mixed(key + np.uint64((number + 1) * GOLDEN % 2**64)) ^ x) >> np.uint64(32)


def mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
