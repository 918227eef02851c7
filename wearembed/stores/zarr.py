"""Windows in a zarr array, here or in the cloud."""

import hashlib
import json
import os
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..runs import Rows, Runs
from .lazy import LazyWindows, rows_of
from .store import finite

CACHE = 2**28  # bytes of chunks that are kept decoded


class ZarrWindows(LazyWindows):
    """Windows of a zarr array of version 3, read by tensorstore (extra ``zarr``), that stand wherever `X` stands.

    Reads by chunks, so it is slower than a `WindowStore` where windows lie scattered; ``WindowStore.append(windows,
    participant=windows.groups)`` makes one of it, a block at a time.

    Parameters
    ----------
    source : path, URL or dict
        Of an array of shape ``(n_windows, n_channels, n_times)``: a folder; a URL of a store that tensorstore knows,
        ``"gs://bucket/windows"``, ``"s3://..."``, ``"https://..."``; or its specification of a key-value store.
    sfreq : float
        Hertz.
    units : str
    index : mapping, pandas.DataFrame or path of a Parquet file, default=None
        Columns with a value for each window, of which ``participant`` and ``session`` are used.
    scale : float, default=1
        Units of one step of the array; for integers.

    Attributes
    ----------
    shape, dtype, ndim
        Those of an array; what is read is float32.
    groups, session : array of shape (n_windows,) or None

    Notes
    -----
    It is pickled as its source, rows and index. Processes that are forked cannot read (``num_workers`` of 0 is right:
    tensorstore reads with threads of its own). An array has no checksums: training that is taken up again trusts that
    it is what it was, if its shape and metadata are.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, tensorstore
    >>> from wearembed.stores import ZarrWindows
    >>> folder = tempfile.mkdtemp()
    >>> spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": folder}}
    >>> array = tensorstore.open(spec, create=True, dtype="int16", shape=[50, 3, 256]).result()
    >>> array[...] = np.ones((50, 3, 256), np.int16)
    >>> windows = ZarrWindows(folder, sfreq=100, units="g", index={"participant": ["P1", "P2"] * 25}, scale=1 / 256)
    >>> windows.shape, float(windows[7:9].max()), windows.groups[:2].tolist()
    ((50, 3, 256), 0.00390625, ['P1', 'P2'])
    """

    def __init__(self, source, *, sfreq, units, index=None, scale=1.0):
        for name, value in {"sfreq": sfreq, "scale": scale}.items():
            if not isinstance(value, Real) or not 0 < float(value) < np.inf:
                raise ValueError(f"{name} is a finite number above 0; got {value!r}.")
        self.kvstore = kvstore_of(source)
        self.sfreq, self.units, self.scale = float(sfreq), str(units), float(scale)
        self._rows: Rows | None = None
        self._open()
        shape = tuple(self._array.shape)
        if len(shape) != 3 or np.dtype(self._array.dtype.numpy_dtype).kind not in "iuf":
            raise ValueError(
                f"Expected a zarr array of numbers of shape (n_windows, n_channels, n_times), got "
                f"{self._array.dtype.name} of shape {shape} at {source}."
            )
        self._n, self.n_channels, self.n_times = shape
        self.columns = {name: coded(index, name, self._n) for name in ("participant", "session")}

    def _open(self):
        try:
            import tensorstore
        except ImportError as error:
            raise ImportError('ZarrWindows reads by tensorstore. pip install "wearembed[zarr]".') from error
        spec = {"driver": "zarr3", "kvstore": self.kvstore, "recheck_cached_data": "open"}
        context = tensorstore.Context({"cache_pool": {"total_bytes_limit": CACHE}})
        try:
            self._array = tensorstore.open(spec, read=True, open=True, context=context).result()
        except (ValueError, OSError) as error:
            raise ValueError(f"Expected a zarr array of version 3 at {self.kvstore}: {error}") from error
        self._process = os.getpid()

    def __len__(self):
        return self._n if self._rows is None else len(self._rows)

    def rows(self, which):
        """Some of the windows, none of which is read.

        Parameters
        ----------
        which : slice, or array of int or bool

        Returns
        -------
        ZarrWindows
        """
        view = ZarrWindows.__new__(ZarrWindows)
        view.__dict__.update(self.__dict__)
        rows = rows_of(which, len(self))
        view._rows = rows if self._rows is None else self._rows.through(rows)
        return view

    def _at(self, rows: np.ndarray) -> np.ndarray:
        return rows if self._rows is None else self._rows[rows]

    def _read(self, rows):
        if os.getpid() != self._process:
            raise RuntimeError("tensorstore cannot read in a process that was forked. Set num_workers=0.")
        at = self._at(rows)
        if not len(at):
            return np.empty((0, self.n_channels, self.n_times), np.float32)
        even = len(at) == 1 or bool((np.diff(at) == 1).all())
        found = self._array[int(at[0]) : int(at[-1]) + 1] if even else self._array.oindex[at]
        windows = finite(np.asarray(found.read().result()), int(rows[0]))
        return windows if self.scale == 1 else windows * np.float32(self.scale)

    def runs(self, name):
        codes = self.columns[name][1]
        return codes if codes is None or self._rows is None else codes.through(self._rows)

    def codes(self, name):
        runs = self.runs(name)
        return None if runs is None else np.asarray(runs)

    def _words(self, name: str) -> np.ndarray | None:
        codes = self.codes(name)
        return None if codes is None else self.columns[name][0][codes]

    @property
    def groups(self):
        return self._words("participant")

    @property
    def session(self):
        return self._words("session")

    def identity(self):
        told = [self._array.spec().to_json(), self.sfreq, self.units, self.scale, self._n]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for some in [] if self._rows is None else self._rows.pieces():
            digest.update(some.data)
        for _, codes in self.columns.values():
            for array in [] if codes is None else codes.runs():
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in ("_array", "_process")}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._open()

    def __repr__(self):
        n_windows, n_channels, n_times = self.shape
        return (
            f"ZarrWindows({self.kvstore!r}: {n_windows} windows, {n_channels} channels x {n_times} samples at "
            f"{self.sfreq:g} Hz, {self.units})"
        )


def kvstore_of(source) -> Any:
    """A path or URL as tensorstore takes it."""
    if isinstance(source, Mapping):
        return dict(source)
    if isinstance(source, str) and "://" in source:
        return source
    return {"driver": "file", "path": str(Path(source).expanduser().resolve()) + "/"}


def coded(index, name: str, n: int) -> tuple[np.ndarray, Runs | None]:
    """What a column of an index says, in order, and which of it each of `n` windows has."""
    if isinstance(index, (str, Path)):
        import pyarrow.parquet

        file = Path(index).expanduser()
        index = pd.read_parquet(file, columns=[name]) if name in pyarrow.parquet.read_schema(file).names else {}
    if index is None or name not in index:
        return np.zeros(0, str), None
    values = pd.Series(index[name]).reset_index(drop=True)
    if len(values) != n or values.isna().any():
        raise ValueError(
            f"{name} is named for each of {n} windows; got {len(values)} values, {int(values.isna().sum())} missing."
        )
    names, codes = np.unique(values.to_numpy().astype(str), return_inverse=True)
    return names, Runs.of(codes.astype(np.int32))
