"""A folder of windows that stands wherever an array of windows does."""

import hashlib
import json
from collections.abc import Iterator
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd

from .files import ABOUT, FORMAT, LOG, Folder, Shard, sync_folder, write_whole
from .lazy import LazyWindows, places

COLUMNS = ("participant", "session", "recording", "start", "stop", "coverage")
LARGEST = 2**28  # bytes of a shard
BLOCK = 2**22  # numbers that are written at once
STEPS = 32767  # of int16, either side of zero


class WindowStore(LazyWindows):
    """Windows of one kind in a folder, with an index that says whose they are.

    A folder holds shards, windows as numpy's own files (``.npy``, float32 or int16 with a scale a window) and their
    index as Parquet. Windows are read through memory maps, so that any number of them takes no memory. A store stands
    wherever `X` stands: in ``fit`` and ``transform`` of encoders, in cross-validation and in searches, which choose
    rows without reading them. It is pickled as its path and rows.

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

    def _open(self, folder: Folder, rows: np.ndarray | None):
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
        if any(path.iterdir()):
            raise FileExistsError(
                f"{path} is not empty. To go on with a store, open it: WindowStore(path).append(...)."
            )
        about = {"format": FORMAT, "version": 1, "n_channels": int(n_channels), "n_times": int(n_times)}
        about |= {"sfreq": float(sfreq), "units": str(units), "dtype": dtype}
        about["scale"] = None if scale is None else float(scale)
        (path / LOG).touch()
        write_whole(path / ABOUT, [json.dumps(about, indent=1).encode()])
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
        if self._rows is not None or self._folder.names is not None:
            raise ValueError("These are some rows of a store. Open the store to append: WindowStore(path).")
        shape = tuple(np.shape(X)) if not hasattr(X, "shape") else tuple(X.shape)
        if len(shape) != 3 or shape[1:] != (self.n_channels, self.n_times):
            raise ValueError(
                f"This store holds windows of {self.n_channels} channels x {self.n_times} samples; got shape {shape}. "
                f"Cut the recordings to these seconds at {self.sfreq:g} Hz."
            )
        if isinstance(X, LazyWindows) and (X.sfreq, X.units) != (self.sfreq, self.units):
            raise ValueError(
                f"This store holds windows at {self.sfreq:g} Hz in {self.units}; got some at {X.sfreq:g} Hz in "
                f"{X.units}."
            )
        X = X if hasattr(X, "shape") else np.asarray(X)
        given = {"participant": participant, "session": session, "recording": recording}
        index = index_of(shape[0], {**given, "start": start, "coverage": coverage}, labels, self.n_times / self.sfreq)
        n = max(1, LARGEST // (self.n_channels * self.n_times * np.dtype(self._folder.about["dtype"]).itemsize))
        with self._folder.writing() as new:
            for first in range(0, shape[0], n):
                name = f"{len(self._folder.shards) + len(new):06d}"
                new.append(self._write(name, X, first, index.iloc[first : first + n]))
        self._open(self._folder, None)

    def _write(self, name: str, X, first: int, index: pd.DataFrame) -> Shard:
        """Rows of `X` from `first` on as a shard that is not in the log yet."""
        small, n = self._folder.about["dtype"] == "int16", max(1, BLOCK // (self.n_channels * self.n_times))
        scale = np.ones(len(index), np.float32)

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, len(index), n):
                rows = slice(start, min(start + n, len(index)))
                x = finite(np.asarray(X[first + rows.start : first + rows.stop]), first + start)
                if small:
                    x, scale[rows] = in_steps(x, self._folder.about["scale"], first + start)
                yield x

        of_windows = self._folder.write_windows(name, blocks(), len(index))
        of_index = self._folder.write_index(name, index.assign(scale=scale) if small else index)
        return Shard(name, len(index), of_windows, of_index)

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
        view._open(self._folder, self._at(places(which, len(self))))
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
        number = np.searchsorted(self._folder.stops, self._rows, side="right")
        cuts = np.flatnonzero(np.diff(number)) + 1
        if (np.diff(number) < 0).any():
            most = max(1, LARGEST // (self.n_channels * self.n_times * np.dtype(self._folder.about["dtype"]).itemsize))
            cuts = np.arange(most, len(number), most)
        pieces = zip(np.split(number, cuts), np.split(self._rows, cuts))
        return [self._piece(numbers, rows) for numbers, rows in pieces if len(rows)]

    def _piece(self, numbers, rows: np.ndarray | None) -> "WindowStore":
        """A store of some shards; `rows` of the whole store, each of which is in the shard of its number."""
        numbers, place = np.unique(numbers, return_inverse=True)
        folder, view = self._folder.only(numbers), WindowStore.__new__(WindowStore)
        if rows is not None:
            rows = rows - (self._folder.stops[numbers] - folder.stops)[place]
            rows = None if np.array_equal(rows, np.arange(folder.n_windows)) else rows
        view._open(folder, rows)
        return view

    def _at(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the whole store."""
        return rows if self._rows is None else self._rows[rows]

    def _read(self, rows):
        return self._folder.read(self._at(rows))

    def _column(self, name: str) -> np.ndarray | None:
        names, codes = self._folder.column(name)
        codes = codes[: self._n] if self._rows is None else codes[self._rows]
        if not len(names) or (codes < 0).all():
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
    def index(self) -> pd.DataFrame:
        parts = [self._folder.read_index(shard) for shard in self._folder.shards]
        known = [part.dropna(axis=1, how="all") for part in parts]  # what is missing everywhere has no type to agree on
        table = pd.concat(known, ignore_index=True) if parts else pd.DataFrame()
        order = [*COLUMNS, *dict.fromkeys(c for part in parts for c in part.columns if c not in (*COLUMNS, "scale"))]
        table = table.reindex(columns=order)
        return table.iloc[: self._n] if self._rows is None else table.iloc[self._rows].reset_index(drop=True)

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
        order = np.argsort(self.groups, kind="stable")
        if len(order):
            table = self.index.iloc[order].reset_index(drop=True).drop(columns="stop")
            given: dict = {str(c): None if table[c].isna().all() else table[c] for c in table}
            new.append(self.rows(order), **given)
        return new

    def identity(self):
        digest = hashlib.sha256(json.dumps([self._folder.about, self._folder.shards, self._n]).encode())
        if self._rows is not None:
            digest.update(np.ascontiguousarray(self._rows).data)
        return digest.hexdigest()

    def __getstate__(self):
        state = {"path": str(self.path), "rows": self._rows, "n": self._n}
        return state if self._folder.names is None else {**state, "shards": sorted(self._folder.names)}

    def __setstate__(self, state):
        folder = Folder(Path(state["path"]), state.get("shards"))
        grown = state["rows"] is None and folder.n_windows != state["n"]
        self._open(folder, np.arange(state["n"]) if grown else state["rows"])

    def __repr__(self):
        n_windows, n_channels, n_times = self.shape
        return (
            f"WindowStore({str(self.path)!r}: {n_windows} windows, {n_channels} channels x {n_times} samples at "
            f"{self.sfreq:g} Hz, {self.units})"
        )


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


def finite(x: np.ndarray, first: int) -> np.ndarray:
    """Windows as float32, after a look for NaN and infinity."""
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
