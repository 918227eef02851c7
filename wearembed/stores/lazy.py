"""Windows that are somewhere else until they are wanted, with the face of an array."""

from collections.abc import Callable, Iterator
from numbers import Integral

import numpy as np

from ..runs import Rows, Runs

AT_ONCE = 2**22  # numbers of a block, 16 MiB as float32


class LazyWindows:
    """Windows ``(n_windows, n_channels, n_times)`` that are read when they are wanted.

    ``windows[a:b]``, ``windows[rows]`` and ``windows[mask]`` read, at once, and give float32 arrays. What scikit-learn
    does to choose rows, ``windows[rows, ...]``, reads nothing and gives a view, as `rows` does.

    Attributes
    ----------
    shape, dtype, ndim
        Those of an array.
    sfreq : float
        Hertz.
    units : str
    groups, session : array of shape (n_windows,) or None
        Participant, and stretch of time within the participant, of each window; None where it is not known.
    """

    ndim = 3
    dtype = np.dtype(np.float32)
    n_channels: int
    n_times: int
    sfreq: float
    units: str

    def __len__(self) -> int:
        raise NotImplementedError

    def rows(self, which) -> "LazyWindows":
        """Some of the windows, none of which is read.

        Parameters
        ----------
        which : slice, or array of int or bool
        """
        raise NotImplementedError

    def identity(self) -> str:
        """Equal where the windows are, as far as checksums tell."""
        raise NotImplementedError

    @property
    def groups(self) -> np.ndarray | None:
        raise NotImplementedError

    @property
    def session(self) -> np.ndarray | None:
        raise NotImplementedError

    def runs(self, name: str) -> Runs | None:
        """What `codes` says, in memory that does not grow with the windows where those of equal words lie together.

        Parameters
        ----------
        name : {"participant", "session"}
        """
        codes = self.codes(name)
        return None if codes is None else Runs.of(codes)

    def codes(self, name: str) -> np.ndarray | None:
        """Number each window's participant or session.

        Parameters
        ----------
        name : {"participant", "session"}

        Returns
        -------
        array of shape (n_windows,), int32, or None
            Equal where the words are, and in their order; -1 is nothing. None where no window has a word.
        """
        raise NotImplementedError

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Windows of rows from 0 on, float32."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self), self.n_channels, self.n_times

    def __getitem__(self, key):
        if not isinstance(key, tuple):
            return self._get(key)
        if not key or key[0] is Ellipsis:
            return np.asarray(self)[key]
        first, rest = key[0], key[1:]
        if isinstance(first, Integral):
            return self._get(first)[rest]
        if len(rest) == 1 and rest[0] is Ellipsis:
            return self.rows(first)
        return self._get(first)[(slice(None), *rest)]

    def _get(self, key) -> np.ndarray:
        if isinstance(key, Integral):
            return self._read(places(np.array([key]), len(self)))[0]
        return self._read(places(key, len(self)))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(np.float32 if dtype is None else dtype, copy=False)

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[np.ndarray]:
        """All windows, some at a time, so that memory stays bounded."""
        n = max(1, AT_ONCE // (self.n_channels * self.n_times))
        for start in range(0, len(self), n):
            yield self[start : start + n]

    def map(self, change: Callable[[np.ndarray], np.ndarray], n_times: int, sfreq: float, units: str) -> "LazyWindows":
        """These windows, each changed by itself when it is read.

        Parameters
        ----------
        change : callable
            ``(n, n_channels, n_times)`` to as many windows of the same channels; of a module, if it is to be pickled.
        n_times, sfreq, units
            Of the changed windows.
        """
        return Changed(self, change, n_times, sfreq, units)


class Changed(LazyWindows):
    """Windows of others, changed as they are read."""

    def __init__(self, windows: LazyWindows, change: Callable, n_times: int, sfreq: float, units: str):
        self.windows, self.change = windows, change
        self.n_channels, self.n_times, self.sfreq, self.units = windows.n_channels, n_times, sfreq, units

    def __len__(self) -> int:
        return len(self.windows)

    def rows(self, which) -> "Changed":
        return Changed(self.windows.rows(which), self.change, self.n_times, self.sfreq, self.units)

    def identity(self) -> str:
        return self.windows.identity()

    def runs(self, name):
        return self.windows.runs(name)

    def codes(self, name):
        return self.windows.codes(name)

    @property
    def groups(self):
        return self.windows.groups

    @property
    def session(self):
        return self.windows.session

    def _read(self, rows):
        found = self.windows._read(rows)
        return self.change(found) if len(found) else np.empty((0, self.n_channels, self.n_times), np.float32)


def rows_of(key, n: int) -> Rows:
    """What `places` names, in little memory where it is stretches."""
    if isinstance(key, Rows):
        return key
    if isinstance(key, slice) and key.indices(n)[2] == 1:
        first, stop, _ = key.indices(n)
        return Rows.between(first, stop)
    mask = np.asarray(key) if not isinstance(key, slice) else np.zeros(0)
    if mask.dtype.kind == "b" and mask.shape == (n,):
        return Rows.where(Runs.of(mask))
    return Rows.of(places(key, n))


def places(key, n: int) -> np.ndarray:
    """The rows from 0 to `n` that a slice, a mask or an array of numbers names."""
    if isinstance(key, slice):
        return np.arange(*key.indices(n))
    rows = np.asarray(key)
    if rows.ndim != 1 or rows.size and rows.dtype.kind not in "biu":
        raise IndexError(f"Windows are chosen by a slice, or by rows or a mask of one dimension; got {key!r}.")
    if rows.dtype.kind == "b":
        if len(rows) != n:
            raise IndexError(f"A mask has a truth for each of {n} windows; got {len(rows)}.")
        return np.flatnonzero(rows)
    rows = rows.astype(np.intp, copy=False)
    if rows.size and not (-n <= rows.min() and rows.max() < n):
        raise IndexError(f"Rows of {n} windows go from 0 to {n - 1}; got {rows.min()} to {rows.max()}.")
    return np.where(rows < 0, rows + n, rows) if rows.min(initial=0) < 0 else rows
