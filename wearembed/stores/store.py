"""A folder of windows that stands wherever an array of windows does."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd

from ..disk import busy, lock, sync_folder, write_pieces
from ..runs import Rows
from .files import ABOUT, FORMAT, LOG, Folder, Shard, begun, digest_of
from .lazy import LazyWindows, rows_of

COLUMNS = ("participant", "session", "recording", "start", "stop", "coverage")
LARGEST = 2**28  # bytes of a shard
BLOCK = 2**22  # numbers that are written at once
STEPS = 32767  # of int16, either side of zero


class WindowStore(LazyWindows):
    """Windows of one kind in a folder, with an index that says whose they are.

    A folder holds shards, windows as numpy's own files (``.npy``, float32 or int16; of the latter with a ``.scale``
    beside them, for each window) and their index as Parquet. Windows are read through memory maps, so that any number
    of them takes no memory. A store stands wherever `X` stands: in ``fit`` and ``transform`` of encoders, in
    cross-validation and in searches, which choose rows without reading them. It is pickled as its path and rows.

    Parameters
    ----------
    path : path
        Of a store that `create` made.

    Attributes
    ----------
    shape, dtype, ndim
        Those of an array; what is read is float32.
    sfreq : float
        Hertz.
    units : str
    groups : array of shape (n_windows,)
        Participant of each window.
    session : array of shape (n_windows,) or None
        Stretch of time within the participant; None where no window has one.
    index : pandas.DataFrame
        A row a window: participant, session, recording, start, stop, coverage (0 to 1), and any labels.

    Notes
    -----
    What is appended becomes part of the store at once and whole, or not at all: a process may be killed at any time.
    One process writes at a time, any number may read. Those that have the store open go on to see the windows that it
    had then.

    Examples
    --------
    >>> import tempfile
    >>> from wearembed import WindowStore
    >>> from wearembed.datasets import make_motion
    >>> motion = make_motion(n_participants=3, n_windows=4, random_state=0)
    >>> store = WindowStore.create(tempfile.mkdtemp(), n_channels=3, n_times=256, sfreq=100, units="g")
    >>> store.append(motion.data, participant=motion.groups, activity=motion.target)
    >>> store.shape, store[2:4].shape, store.groups[:2].tolist()
    ((12, 3, 256), (2, 3, 256), ['P0000', 'P0000'])
    """

    def __init__(self, path):
        self._open(Folder(Path(path).expanduser().resolve()), None)

    def _open(self, folder: Folder, rows: Rows | None):
        """`rows` None is all that there are now."""
        self._folder, self._rows = folder, rows
        self._n = folder.n_windows if rows is None else len(rows)
        self.n_channels, self.n_times = folder.window_shape
        self.sfreq, self.units = folder.about["sfreq"], folder.about["units"]

    @classmethod
    def create(cls, path, *, n_channels, n_times, sfreq, units, dtype="float32", scale=None):
        """Make an empty store.

        Parameters
        ----------
        path : path
            Of a folder that is empty or not there yet.
        n_channels, n_times : int
            Of a window.
        sfreq : float
            Hertz.
        units : str
        dtype : {"float32", "int16"}, default="float32"
            How windows are kept. ``"int16"`` takes half the room; each window is then rounded to 65,535 steps between
            plus and minus its largest value.
        scale : float, default=None
            Of ``"int16"``: units a step, the same for all windows, such as a device's resolution. None: each window's
            own.

        Returns
        -------
        WindowStore
        """
        for name, value in {"n_channels": n_channels, "n_times": n_times}.items():
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} is a whole number above 0; got {value!r}.")
        for name, value in {"sfreq": sfreq, "scale": 1.0 if scale is None else scale}.items():
            if not isinstance(value, Real) or not 0 < float(value) < np.inf:
                raise ValueError(f"{name} is a finite number above 0; got {value!r}.")
        if dtype not in ("float32", "int16") or (scale is not None and dtype != "int16"):
            raise ValueError(f'dtype is "float32" or "int16", and scale is for int16; got {dtype!r} and {scale!r}.')
        path = Path(path).expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not begun(path):
            raise FileExistsError(
                f"{path} is not empty. To go on with a store, open it: WindowStore(path).append(...)."
            )
        about = {"format": FORMAT, "version": 1, "n_channels": int(n_channels), "n_times": int(n_times)}
        about |= {"sfreq": float(sfreq), "units": str(units), "dtype": dtype}
        about["scale"] = None if scale is None else float(scale)
        with open(path / LOG, "ab") as log:
            lock(log, busy(path))
            if (path / ABOUT).exists():
                raise FileExistsError(f"Another process made a store at {path} just now. Open it: WindowStore(path).")
            write_pieces(path / ABOUT, [json.dumps({**about, "sha256": digest_of(about)}, indent=1).encode()])
        sync_folder(path)
        return cls(path)

    def append(self, X, *, participant, session=None, recording=None, start=None, coverage=None, **labels):
        """Add windows at the end; they are on disk, all of them, when this returns.

        Memory stays bounded: `X` may be a memory map, or another store. Each call makes a shard at least, so let a call
        have a recording or more. Windows of a participant are read fastest where they lie together.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times)
            At the rate and in the units of the store, finite.
        participant : str, or array of shape (n_windows,)
            Whose the windows are.
        session : str, or array of shape (n_windows,), default=None
            Stretch of time within the participant, such as the hour.
        recording : str, or array of shape (n_windows,), default=None
        start : array of time stamps, default=None
        coverage : array of shape (n_windows,), default=None
            Share of each window that was recorded.
        **labels : arrays of shape (n_windows,), or single values
            Further columns of the index.
        """
        self._refuse_a_view()
        shape = tuple(np.shape(X)) if not hasattr(X, "shape") else tuple(X.shape)
        self._check_shape(shape)
        if isinstance(X, LazyWindows) and (X.sfreq, X.units) != (self.sfreq, self.units):
            raise ValueError(
                f"This store holds windows at {self.sfreq:g} Hz in {self.units}; got some at {X.sfreq:g} Hz in "
                f"{X.units}."
            )
        X = X if hasattr(X, "shape") else np.asarray(X)
        given = {"participant": participant, "session": session, "recording": recording}
        index = index_of(shape[0], {**given, "start": start, "coverage": coverage}, labels, self.n_times / self.sfreq)
        n = max(1, BLOCK // (self.n_channels * self.n_times))
        self._append((X[i : i + n], index.iloc[i : i + n]) for i in range(0, shape[0], n))

    def extend(self, blocks, note=None):
        """Add windows that come block by block; all are on disk when this returns, and if anything fails, none is.

        Parameters
        ----------
        blocks : iterable of (array of shape (n, n_channels, n_times), dict)
            Windows, and by their names what `append` takes besides: participant, session, labels, all of one value or
            of `n`.
        note : dict, default=None
            Values for JSON that are kept with these windows, to be found in `notes`.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from wearembed import WindowStore
        >>> store = WindowStore.create(tempfile.mkdtemp(), n_channels=1, n_times=8, sfreq=4, units="a.u.")
        >>> store.extend(((np.ones((5, 1, 8)), {"participant": name}) for name in "AB"), note={"from": "a trial"})
        >>> store.shape, store.notes
        ((10, 1, 8), [{'from': 'a trial'}])
        """
        self._refuse_a_view()
        self._append((self._described(X, columns) for X, columns in blocks), note)

    def _refuse_a_view(self):
        if self._rows is not None or self._folder.names is not None:
            raise ValueError("These are some rows of a store. Open the store to append: WindowStore(path).")

    def _described(self, X, columns: dict) -> tuple[np.ndarray, pd.DataFrame]:
        X, columns = X if hasattr(X, "shape") else np.asarray(X), dict(columns)
        self._check_shape(X.shape)
        own = {name: columns.pop(name, None) for name in COLUMNS if name != "stop"}
        return X, index_of(len(X), own, columns, self.n_times / self.sfreq)

    def _check_shape(self, shape: tuple[int, ...]):
        if len(shape) != 3 or shape[1:] != (self.n_channels, self.n_times):
            raise ValueError(
                f"This store holds windows of {self.n_channels} channels x {self.n_times} samples; got shape {shape}. "
                f"Cut the recordings to these seconds at {self.sfreq:g} Hz."
            )

    def _append(self, blocks: Iterable[tuple[np.ndarray, pd.DataFrame]], note: dict | None = None):
        """Windows and their index, in shards that are filled one after the other."""
        most = max(1, LARGEST // (self.n_channels * self.n_times * np.dtype(self._folder.about["dtype"]).itemsize))
        blocks = parted(blocks, most)
        with self._folder.writing(note) as new:
            for first in blocks:
                name = f"{len(self._folder.shards) + len(new):06d}"
                new.append(self._write(name, until(chain([first], blocks), most), most * len(new)))
        self._open(self._folder, None)

    def _write(self, name: str, blocks: Iterable[tuple[np.ndarray, pd.DataFrame]], before: int) -> Shard:
        """A shard that is not in the log yet; `before` it, so many windows were appended."""
        small, parts, scales = self._folder.about["dtype"] == "int16", [], []

        def windows() -> Iterator[np.ndarray]:
            first = before
            for X, index in blocks:
                x = finite(X, first)
                if small:
                    x, scale = in_steps(x, self._folder.about["scale"], first)
                    scales.append(scale)
                parts.append(index)
                first += len(x)
                yield x

        of_windows, n_windows = self._folder.write_windows(name, windows())
        of_index = self._folder.write_index(name, joined(parts))
        own = small and self._folder.about["scale"] is None
        of_scale = self._folder.write_scale(name, np.concatenate(scales)) if own else None
        return Shard(name, n_windows, of_windows, of_index, of_scale)

    # ------------------------------------------------------------------------------- reading

    @property
    def path(self) -> Path:
        return self._folder.path

    def __len__(self):
        return self._n

    def rows(self, which):
        """Some of the windows as a store of its own, none of which is read or copied.

        Parameters
        ----------
        which : slice, or array of int or bool

        Returns
        -------
        WindowStore
        """
        view = WindowStore.__new__(WindowStore)
        rows = rows_of(which, len(self))
        view._open(self._folder, rows if self._rows is None else self._rows.through(rows))
        return view

    def shards(self):
        """Give the windows shard by shard, in stores of their own that stay the same when this one grows.

        Nothing is read. Rows that were chosen in an order that goes to and fro between shards are cut into stretches
        instead, none larger than a shard may be.

        Returns
        -------
        list of WindowStore
            Which have all the windows together, in the order that they have here.
        """
        if self._rows is None:
            whole = np.flatnonzero(self._folder.stops <= self._n)
            return [self._piece([number], None) for number in whole.tolist()]
        at = np.asarray(self._rows)
        number = np.searchsorted(self._folder.stops, at, side="right")
        cuts = np.flatnonzero(np.diff(number)) + 1
        if (np.diff(number) < 0).any():
            most = max(1, LARGEST // (self.n_channels * self.n_times * np.dtype(self._folder.about["dtype"]).itemsize))
            cuts = np.arange(most, len(number), most)
        pieces = zip(np.split(number, cuts), np.split(at, cuts))
        return [self._piece(numbers, rows) for numbers, rows in pieces if len(rows)]

    def _piece(self, numbers, rows: np.ndarray | None) -> "WindowStore":
        """A store of some shards; `rows` of the whole store, each of which is in the shard of its number."""
        numbers, place = np.unique(numbers, return_inverse=True)
        folder, view = self._folder.only(numbers), WindowStore.__new__(WindowStore)
        if rows is not None:
            rows = rows - (self._folder.stops[numbers] - folder.stops)[place]
            rows = None if np.array_equal(rows, np.arange(folder.n_windows)) else rows
        view._open(folder, None if rows is None else Rows.of(rows))
        return view

    def _at(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the whole store."""
        return rows if self._rows is None else self._rows[rows]

    def _read(self, rows):
        return self._folder.read(self._at(rows))

    def runs(self, name):
        """What `codes` says, in memory that does not grow with the windows where those of equal words lie together.

        Parameters
        ----------
        name : {"participant", "session", "recording"}
        """
        codes = self._folder.column(name)[1]
        if self._rows is not None or len(codes) != self._n:
            codes = codes.through(Rows.between(0, self._n) if self._rows is None else self._rows)
        return codes if codes.values.max(initial=-1) >= 0 else None

    def codes(self, name):
        """Number each window's word in a column of the index.

        Parameters
        ----------
        name : str
            Of a column of text: participant, session, recording.

        Returns
        -------
        array of shape (n_windows,), int32, or None
            Equal where the words are, and in their order; -1 is nothing. None where no window has a word.
        """
        runs = self.runs(name)
        return None if runs is None else np.asarray(runs)

    def _column(self, name: str) -> np.ndarray | None:
        names, codes = self._folder.column(name)[0], self.codes(name)
        if codes is None:
            return None
        words = names[codes]
        if (codes < 0).any():
            words = words.astype(object)
            words[codes < 0] = None
        return words

    @property
    def groups(self):
        return np.zeros(0, str) if not len(self) else self._column("participant")

    @property
    def session(self):
        return None if not len(self) else self._column("session")

    @property
    def notes(self) -> list[dict]:
        """What was noted with windows, see `extend`."""
        return [dict(note) for note in self._folder.notes]

    @property
    def index(self) -> pd.DataFrame:
        rows = np.arange(self._n) if self._rows is None else np.asarray(self._rows)
        shard = np.searchsorted(self._folder.stops, rows, side="right")
        order, parts = np.argsort(shard, kind="stable"), []
        for some in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1) if len(rows) else []:
            number = int(shard[some[0]])  # others are not read
            own = rows[some] - (self._folder.stops[number] - self._folder.shards[number].n_windows)
            parts.append(self._folder.read_index(self._folder.shards[number]).iloc[own])
        table = joined(parts or [pd.DataFrame()])
        given = [name for name in table.columns if name not in (*COLUMNS, "scale")]
        table = table.reindex(columns=[*COLUMNS, *given])
        back = np.empty(len(rows), np.intp)
        back[order] = np.arange(len(rows))
        return table.iloc[back].reset_index(drop=True)

    def verify(self):
        """Read every file of the store and compare it with its checksum.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Names the files that are not what was written.
        """
        damaged = list(self._folder.damaged())
        if damaged:
            told = ", ".join(damaged[:5]) + (f" and {len(damaged) - 5} more" if len(damaged) > 5 else "")
            raise ValueError(f"{self.path}: not what was written: {told}. Take them from a copy of the store.")
        return self

    def gather(self, path):
        """Write a store with the same windows, those of a participant together, in the order that they have here.

        Parameters
        ----------
        path : path
            Of a folder that is empty or not there yet.

        Returns
        -------
        WindowStore
        """
        kind = ("n_channels", "n_times", "sfreq", "units", "dtype", "scale")
        new = WindowStore.create(path, **{name: self._folder.about[name] for name in kind})
        codes = self.runs("participant")
        if codes is not None:
            new.extend(self._gathered(codes.order()[0]))
        return new

    def _gathered(self, order: Rows) -> Iterator[tuple[np.ndarray, dict]]:
        for rows in order.pieces(max(1, BLOCK // (self.n_channels * self.n_times))):
            some = self.rows(rows)
            table = some.index.drop(columns="stop")
            yield some[:], {str(c): None if table[c].isna().all() else table[c] for c in table}

    def identity(self):
        digest = hashlib.sha256(
            json.dumps([self._folder.about, [shard.told for shard in self._folder.shards], self._n]).encode()
        )
        if self._rows is not None:
            for some in self._rows.pieces():
                digest.update(some.data)
        return digest.hexdigest()

    def __getstate__(self):
        state = {"path": str(self.path), "rows": self._rows, "n": self._n}
        return state if self._folder.names is None else {**state, "shards": sorted(self._folder.names)}

    def __setstate__(self, state):
        folder = Folder(Path(state["path"]), state.get("shards"))
        grown = state["rows"] is None and folder.n_windows != state["n"]
        rows = Rows.between(0, state["n"]) if grown else state["rows"]
        self._open(folder, None if rows is None else Rows.of(rows))

    def __repr__(self):
        n_windows, n_channels, n_times = self.shape
        return (
            f"WindowStore({str(self.path)!r}: {n_windows} windows, {n_channels} channels x {n_times} samples at "
            f"{self.sfreq:g} Hz, {self.units})"
        )


def parted(blocks: Iterable[tuple], n: int) -> Iterator[tuple]:
    """The same windows in blocks none of which crosses from one shard of `n` to the next."""
    room = n
    for X, index in blocks:
        for part in np.split(np.arange(len(X)), range(room, len(X), n)):
            if len(part):
                rows = slice(int(part[0]), int(part[-1]) + 1)
                yield X[rows], index.iloc[rows]
        room = (room - len(X)) % n or n


def until(blocks: Iterable[tuple], n: int) -> Iterator[tuple]:
    """The blocks up to the `n`th window, and none more is asked for."""
    for X, index in blocks:
        yield X, index
        n -= len(X)
        if n <= 0:
            return


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; what is missing in all of a part has no type to agree on."""
    if len(parts) == 1:
        return parts[0]
    columns = list(dict.fromkeys(name for part in parts for name in part.columns))
    known = [part.dropna(axis=1, how="all") for part in parts]
    return pd.concat(known, ignore_index=True).reindex(columns=columns)


def index_of(n: int, columns: dict, labels: dict, seconds: float) -> pd.DataFrame:
    """The index of `n` windows, from what was given for all or for each."""
    taken = set(labels) & {*COLUMNS, "scale"}
    if taken:
        raise ValueError(f"The index has columns of its own called {', '.join(sorted(taken))}. Rename the labels.")
    if columns["participant"] is None:
        raise ValueError("participant names whose windows these are; got None.")
    table = {}
    for name, given in {**columns, **labels}.items():
        values = pd.Series(given if np.ndim(given) else [given] * n)
        if len(values) != n or np.ndim(given) > 1:
            raise ValueError(f"{name} has one value, or one for each of {n} windows; got shape {np.shape(given)}.")
        table[name] = values.reset_index(drop=True)
    if table["participant"].isna().any():
        raise ValueError(
            f"participant is missing for {int(table['participant'].isna().sum())} of {n} windows. Name it for each."
        )
    for name in ("participant", "session", "recording"):
        table[name] = table[name].astype(object).map(str, na_action="ignore")
    if columns["start"] is not None:
        table["start"] = pd.to_datetime(table["start"])
        table["stop"] = table["start"] + pd.Timedelta(seconds=seconds)
    order = [name for name in (*COLUMNS, *labels) if name in table]
    return pd.DataFrame(table)[order]


def finite(x, first: int) -> np.ndarray:
    """Windows as float32, after a look for NaN and infinity, and for what is no real number."""
    masked, x = np.ma.is_masked(x), np.asarray(x)
    if masked or x.dtype.kind not in "biufO":
        raise TypeError(
            f"A store holds windows of real numbers; got {'masked ones' if masked else f'dtype {x.dtype}'}. Convert "
            f"them first; nothing was appended."
        )
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    good = np.isfinite(x).all((1, 2))
    if not good.all():
        raise ValueError(
            f"A store holds finite windows; got NaN or infinity in {int((~good).sum())} of them, the first at window "
            f"{first + int(np.argmin(good))}. Leave such windows out; nothing was appended."
        )
    return x


def in_steps(x: np.ndarray, scale: float | None, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows in whole steps, and units a step of each window."""
    most = np.abs(x).max((1, 2))
    if scale is None:
        own = np.where(most > 0, np.maximum(most / STEPS, np.finfo(np.float32).tiny), 1).astype(np.float32)
    else:
        own = np.full(len(x), scale, np.float32)
        if (most > own * (STEPS + 0.5)).any():
            raise ValueError(
                f"int16 with scale={scale:g} reaches to {scale * STEPS:g}; window {first + int(most.argmax())} holds "
                f"{most.max():g}. Enlarge the scale, or leave it out; nothing was appended."
            )
    steps = np.rint(x / own[:, None, None]).clip(-STEPS, STEPS)
    return steps.astype(np.int16), own
