"""The files of a store: what it is, a log of whole shards, and of each shard its windows and their index.

A shard counts from the moment that its line is in the log, and the line is written last. What a killed process left
before that is no part of the store, and goes when the next one writes.
"""

import copy
import hashlib
import io
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ABOUT, LOG, FORMAT = "store.json", "shards.jsonl", "wearembed-store"
NAME = re.compile(r"\d{6,}")
OPEN = 256  # memory maps of a process; each keeps a file open


class Shard(NamedTuple):
    """A whole shard, as the log tells of it."""

    name: str
    n_windows: int
    windows_sha256: str
    index_sha256: str


class Folder:
    """A store's folder; views of one store share it. `names`: of shards, where it is of these alone."""

    def __init__(self, path: Path, names: Collection[str] | None = None):
        self.path, self.names = path, names
        self.about = read_about(path)
        self.shards: list[Shard] = []
        self.stops = np.zeros(0, np.intp)  # row after the last of each shard
        self.maps: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        self.columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.refresh()

    @property
    def n_windows(self) -> int:
        return int(self.stops[-1]) if len(self.stops) else 0

    @property
    def window_shape(self) -> tuple[int, int]:
        return self.about["n_channels"], self.about["n_times"]

    def refresh(self):
        """Read the log again: shards are only ever added."""
        found = read_log(self.path / LOG)[0]
        if self.names is not None:
            found = [shard for shard in found if shard.name in self.names]
        if len(found) != len(self.shards):
            self.take(found)

    def take(self, shards: list[Shard]):
        self.shards, self.columns, self.maps = shards, {}, {}
        self.stops = np.cumsum([shard.n_windows for shard in shards], dtype=np.intp)

    def only(self, numbers: Iterable[int]) -> "Folder":
        """The same folder as if these shards were all of it, whatever is appended."""
        some = copy.copy(self)
        some.take([self.shards[number] for number in numbers])
        some.names = {shard.name for shard in some.shards}
        return some

    # ------------------------------------------------------------------------------- reading

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Windows of rows of the store, float32 in its units."""
        out = np.empty((len(rows), *self.window_shape), np.float32)
        shard = np.searchsorted(self.stops, rows, side="right")
        if len(rows) and shard.min() == shard.max():
            self.read_shard(int(shard[0]), rows, out)
            return out
        order = np.argsort(shard, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1):
            if len(some):
                part = np.empty((len(some), *self.window_shape), np.float32)
                self.read_shard(int(shard[some[0]]), rows[some], part)
                out[some] = part
        return out

    def read_shard(self, number: int, rows: np.ndarray, out: np.ndarray):
        windows, scale = self.map(number)
        rows = rows - (self.stops[number] - self.shards[number].n_windows)
        if scale is None:
            np.take(windows, rows, axis=0, out=out, mode="clip")  # "raise" would go through a copy
        else:
            np.multiply(windows[rows], scale[rows, None, None], out=out)

    def map(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A shard's windows as they are on disk, and the scale of each; the oldest of many maps is let go."""
        found = self.maps.get(number)
        if found is None:
            found = self.open(self.shards[number])
            while len(self.maps) >= OPEN:
                self.maps.pop(next(iter(self.maps)), None)
            self.maps[number] = found
        return found

    def open(self, shard: Shard) -> tuple[np.ndarray, np.ndarray | None]:
        file = self.path / f"{shard.name}.npy"
        try:
            windows = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"{file} is missing or damaged. Take it from a copy of the store.") from error
        shape, dtype = (shard.n_windows, *self.window_shape), np.dtype(self.about["dtype"])
        if windows.shape != shape or windows.dtype != dtype:
            raise ValueError(
                f"{file} holds {windows.dtype} of shape {windows.shape}, and the store says {dtype} of {shape}. Take "
                f"it from a copy of the store."
            )
        plain = windows.view(np.ndarray)  # the same memory; a memmap's own indexing is slower
        if dtype != np.int16:
            return plain, None
        return plain, self.read_index(shard, ["scale"])["scale"].to_numpy(np.float32)

    def read_index(self, shard: Shard, columns: list[str] | None = None) -> pd.DataFrame:
        file = self.path / f"{shard.name}.parquet"
        try:
            return pd.read_parquet(file, columns=columns)
        except OSError as error:
            raise ValueError(f"{file} is missing or damaged. Take it from a copy of the store.") from error

    def column(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """What a column of text says, in order, and which of it each window of the store has; -1 is nothing."""
        if name not in self.columns:
            told = [pd.Categorical(self.read_index(shard, [name])[name]) for shard in self.shards]
            names = np.array(sorted({word for part in told for word in part.categories}), dtype=object).astype(str)
            codes = [np.zeros(0, np.int32)]
            for part in told:
                to = np.append(np.searchsorted(names, np.asarray(part.categories, dtype=names.dtype)), -1)
                codes.append(to[part.codes].astype(np.int32))
            self.columns[name] = names, np.concatenate(codes)
        return self.columns[name]

    def damaged(self) -> Iterator[str]:
        """Files that are not what was written."""
        for shard in self.shards:
            for ending, digest in (("npy", shard.windows_sha256), ("parquet", shard.index_sha256)):
                file = self.path / f"{shard.name}.{ending}"
                if not file.is_file() or sha256_of(file) != digest:
                    yield file.name

    # ------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self) -> Iterator[list[Shard]]:
        """Shards that are put into the list inside become part of the store at the end, all or none."""
        with open(self.path / LOG, "ab") as log:
            lock(
                log,
                f"Another process is writing to {self.path}. Wait for it, or write a store of your own and append that "
                f"later.",
            )
            self.refresh()
            log.truncate(read_log(self.path / LOG)[1])  # a line that a killed process began
            self.sweep()
            new: list[Shard] = []
            yield new
            if new:
                log.write(json.dumps({"shards": new}).encode() + b"\n")
                log.flush()
                os.fsync(log.fileno())
        sync_folder(self.path)
        self.refresh()

    def sweep(self):
        """Delete what a killed process left behind."""
        whole = {shard.name for shard in self.shards}
        for file in self.path.iterdir():
            name = file.name.removeprefix(".").split(".")[0]
            if NAME.fullmatch(name) and file.suffix in (".npy", ".parquet", ".scratch") and name not in whole:
                file.unlink()

    def write_windows(self, name: str, blocks: Iterable[np.ndarray], n_windows: int) -> str:
        """Write a shard's windows beside the store, of which they are no part before the log says so; their SHA-256."""
        shape, dtype = (n_windows, *self.window_shape), np.dtype(self.about["dtype"])
        return write_whole(self.path / f"{name}.npy", npy_bytes(blocks, shape, dtype))

    def write_index(self, name: str, index: pd.DataFrame) -> str:
        table = io.BytesIO()
        index.to_parquet(table, index=False)
        return write_whole(self.path / f"{name}.parquet", [table.getvalue()])


def npy_bytes(blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> Iterator[Any]:
    """A file of numpy, piece by piece."""
    head = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, told)
    yield head.getvalue()
    for block in blocks:
        yield np.ascontiguousarray(block, dtype).data.cast("B")


def write_whole(file: Path, pieces: Iterable[Any]) -> str:
    """Write a file under another name, then give it its own; its SHA-256."""
    scratch, digest = file.with_name(f".{file.name}.scratch"), hashlib.sha256()
    try:
        with open(scratch, "wb") as f:
            for piece in pieces:
                digest.update(piece)
                f.write(piece)
            f.flush()
            os.fsync(f.fileno())
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)
    return digest.hexdigest()


def sha256_of(file: Path) -> str:
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def read_about(path: Path) -> dict[str, Any]:
    file = path / ABOUT
    if not file.is_file():
        raise FileNotFoundError(f"No store at {path}: {ABOUT} is missing. Make one with WindowStore.create(path, ...).")
    try:
        about = json.loads(file.read_text())
        sound = about["format"] == FORMAT and about["version"] == 1 and about["dtype"] in ("float32", "int16")
        sound = sound and min(int(about["n_channels"]), int(about["n_times"])) > 0 and float(about["sfreq"]) > 0
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged. Take it from a copy of the store.") from error
    if not sound:
        raise ValueError(f"{file} is of no store that this version of wearembed reads.")
    return about


def read_log(file: Path) -> tuple[list[Shard], int]:
    """Whole shards, and how many bytes of the log tell of them; a line without an end is none."""
    data = file.read_bytes()
    whole = data.rfind(b"\n") + 1
    try:
        shards = [Shard(*told) for line in data[:whole].splitlines() for told in json.loads(line)["shards"]]
        sound = all(NAME.fullmatch(shard.name) and shard.n_windows > 0 for shard in shards)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged. Take it from a copy of the store.") from error
    if not sound:
        raise ValueError(f"{file} is damaged. Take it from a copy of the store.")
    return shards, whole


def lock(file, otherwise: str):
    """Keep others out for as long as the file is open: they get an error that says `otherwise`."""
    try:
        import fcntl
    except ImportError:  # Windows: two writers are the user's to avoid
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise RuntimeError(otherwise) from error


def sync_folder(path: Path):
    """Have names of new files survive a power cut, where folders can be opened."""
    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
