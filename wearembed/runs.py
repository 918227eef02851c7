"""What is known of each of very many rows, in memory that grows with what differs and not with the rows."""

from collections.abc import Iterable, Iterator

import numpy as np

AT_ONCE = 2**18  # rows that are looked at together


class Runs:
    """Values of rows, most of which equal the one before: each run's value, and where the run ends.

    The windows of a participant lie together, so that millions of rows are some hundred runs. Where runs are so short
    that they would take more memory than the values, the values are kept.

    Parameters
    ----------
    values : array of shape (n_runs,)
    stops : array of shape (n_runs,)
        The row after the last of each run, rising.
    """

    values: np.ndarray
    stops: np.ndarray | None  # None: a value a row

    def __init__(self, values, stops):
        values, stops = np.asarray(values), np.asarray(stops, np.int64)
        last = np.append(values[1:] != values[:-1], True)[: len(values)]
        values, stops = values[last], stops[last]
        long = len(stops) * (8 + values.itemsize) <= (stops[-1] if len(stops) else 0) * values.itemsize
        self.values = values if long else np.repeat(values, np.diff(stops, prepend=0))
        self.stops = stops if long else None

    @classmethod
    def kept(cls, values: np.ndarray) -> "Runs":
        """Values as they are, a run a row."""
        runs = cls(values[:0], [])
        runs.values, runs.stops = values, None
        return runs

    @classmethod
    def of(cls, values) -> "Runs":
        """The runs of an array."""
        if isinstance(values, cls):
            return values
        values = np.asarray(values)
        last = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: len(values)])
        return cls(values[last], last + 1)

    @classmethod
    def joined(cls, parts: Iterable["Runs"]) -> "Runs":
        """The rows of all parts, one part after the other."""
        values: list[np.ndarray] = []
        stops: list[np.ndarray] = []
        n, parts = 0, list(parts)
        if parts and all(part.stops is None for part in parts):
            return cls.kept(np.concatenate([part.values for part in parts]))
        for part in parts:
            of_part, until = part.runs()
            values.append(of_part)
            stops.append(until + n)
            n += len(part)
        return cls(np.concatenate(values), np.concatenate(stops)) if values else cls(np.zeros(0, np.int32), [])

    def runs(self) -> tuple[np.ndarray, np.ndarray]:
        """The value of each run, and the row after its last."""
        return self.values, np.arange(1, len(self.values) + 1) if self.stops is None else self.stops

    def __invert__(self) -> "Runs":
        values, stops = self.runs()
        return Runs(~values, stops)

    def through(self, rows: "Rows") -> "Runs":
        """The values of some rows."""
        return Runs.joined(Runs.of(self[some]) for some in rows.pieces())

    def order(self) -> tuple["Rows", "Rows"]:
        """The rows by their values, as they come where these are equal; and the place that each row has then."""
        values, stops = self.runs()
        by = np.argsort(values, kind="stable")
        if self.stops is None:
            ahead: np.ndarray = (by - np.arange(len(by))).astype(row_type(len(by)))
            back = np.empty_like(ahead)
            back[by] = -ahead
            return Rows(Runs.kept(ahead)), Rows(Runs.kept(back))
        lengths = np.diff(stops, prepend=0)
        until = np.cumsum(lengths[by])
        begins = np.empty_like(until)
        begins[by] = until - lengths[by]
        ahead = (stops - lengths - begins).astype(row_type(len(self)))
        return Rows(Runs(ahead[by], until)), Rows(Runs(-ahead, stops))

    def __len__(self) -> int:
        if self.stops is None:
            return len(self.values)
        return int(self.stops[-1]) if len(self.stops) else 0

    def __getitem__(self, rows) -> np.ndarray:
        """Values of rows from 0 on."""
        return self.values[rows if self.stops is None else np.searchsorted(self.stops, rows, side="right")]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        values, stops = self.runs()
        return np.repeat(values, np.diff(stops, prepend=0)).astype(values.dtype if dtype is None else dtype, copy=False)


class Rows:
    """Row numbers, most of which are one more than the one before: how far each is from its own place, in runs.

    Parameters
    ----------
    shift : Runs
        Row number less place, for each place.
    """

    def __init__(self, shift: Runs):
        self.shift = shift

    @classmethod
    def of(cls, rows) -> "Rows":
        """Those of an array."""
        if isinstance(rows, cls):
            return rows
        rows = np.asarray(rows)
        firsts = range(0, len(rows), AT_ONCE)
        pieces = (rows[first : first + AT_ONCE] for first in firsts)
        return cls.from_pieces(pieces, max(len(rows), int(rows.max(initial=0)) + 1))

    @classmethod
    def from_pieces(cls, pieces: Iterable[np.ndarray], most: int) -> "Rows":
        """Those of arrays, one after the other; `most` is above each of them and no less than how many there are."""
        kind, n, parts = row_type(most), 0, []
        for rows in pieces:
            parts.append(Runs.of((rows - np.arange(n, n + len(rows))).astype(kind)))
            n += len(rows)
        return cls(Runs.joined(parts))

    @classmethod
    def where(cls, mask: Runs) -> "Rows":
        """The rows of a mask that are true."""
        true, stops = mask.runs()
        lengths = np.diff(stops, prepend=0)[true]
        until = np.cumsum(lengths)
        return cls(Runs((stops[true] - until).astype(row_type(len(mask))), until))

    @classmethod
    def between(cls, first: int, stop: int) -> "Rows":
        return cls(Runs([first], [stop - first])) if stop > first else cls.of(np.zeros(0, np.int64))

    def through(self, rows: "Rows") -> "Rows":
        """The numbers at some places."""
        values, stops = self.shift.runs()
        most = max(len(rows), int((values + stops).max(initial=0)))
        return Rows.from_pieces((self[some] for some in rows.pieces()), most)

    def pieces(self, n: int | None = None) -> Iterator[np.ndarray]:
        """All numbers, `n` at a time."""
        n = n or AT_ONCE
        for first in range(0, len(self), n):
            yield self[np.arange(first, min(first + n, len(self)))]

    def __len__(self) -> int:
        return len(self.shift)

    def __getitem__(self, places) -> np.ndarray:
        """Row numbers of places from 0 on."""
        return places + self.shift[places]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.arange(len(self), dtype=dtype) + np.asarray(self.shift, dtype)


def row_type(n: int) -> type:
    """What numbers `n` rows, in as few bytes as do."""
    return np.int32 if n < 2**31 else np.int64
