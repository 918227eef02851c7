"""The files of a store: what it is, a log of whole shards, and of each shard its windows, their scales and their index.

A shard counts from the moment that its line is in the log, and the line is written last. What a killed process left
before that is no part of the store, and goes when the next one writes. A seal, written after the line, says how long
the log is at least and what stands in it: a log that was cut is damage, and not a store as it was before.
"""

import copy
import errno
import hashlib
import io
import json
import os
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..disk import busy, lock, sha256_of, sync_folder, write_pieces
from ..runs import Runs

ABOUT, LOG, SEAL, FORMAT = "store.json", "shards.jsonl", "shards.seal", "wearembed-store"
TOLD = ("format", "version", "n_channels", "n_times", "sfreq", "units", "dtype", "scale")  # of a store
NAME = re.compile(r"\d{6,}")


class Shard(NamedTuple):
    """A whole shard, as the log tells of it."""

    name: str
    n_windows: int
    windows_sha256: str
    index_sha256: str
    scale_sha256: str | None = None  # of int16 with a scale a window; older stores have these in the index

    @property
    def told(self) -> list:
        """What the log says of it, which for shards without such a file is what it said before there were any."""
        return list(self) if self.scale_sha256 is not None else list(self[:4])

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of each of its files."""
        digests = {"npy": self.windows_sha256, "parquet": self.index_sha256, "scale": self.scale_sha256}
        return {f"{self.name}.{ending}": digest for ending, digest in digests.items() if digest is not None}


class Folder:
    """A store's folder; views of one store share it. `names`: of shards, where it is of these alone."""

    def __init__(self, path: Path, names: Collection[str] | None = None):
        self.path, self.names = path, names
        self.about = read_about(path)
        self.shards: list[Shard] = []
        self.notes: list[dict] = []
        self.read_to, self.swept = 0, False  # bytes of the log that are known; whether leftovers are gone
        self.digest, self.n_logged = hashlib.sha256(), 0  # of those bytes; shards that they tell of
        self.stops = np.zeros(0, np.intp)  # row after the last of each shard
        self.maps = Maps(path)
        self.scales: dict[str, np.ndarray] = {}
        self.columns: dict[str, tuple[np.ndarray, Runs]] = {}
        self.refresh()

    @property
    def n_windows(self) -> int:
        return int(self.stops[-1]) if len(self.stops) else 0

    @property
    def window_shape(self) -> tuple[int, int]:
        return self.about["n_channels"], self.about["n_times"]

    def refresh(self):
        """Read the log again: shards are only ever added."""
        shards, notes, self.read_to = read_log(self.path, self.read_to, self.digest)
        if [int(shard.name) for shard in shards] != list(range(self.n_logged, self.n_logged + len(shards))):
            raise ValueError(
                f"{self.path / LOG} is damaged: shards twice or missing. Take it from a copy of the store."
            )
        self.n_logged += len(shards)
        self.notes += notes
        new = [shard for shard in shards if self.names is None or shard.name in self.names]
        if new:
            last = np.cumsum([shard.n_windows for shard in new], dtype=np.intp) + self.n_windows
            self.shards += new
            self.stops, self.columns = np.concatenate([self.stops, last]), {}

    def only(self, numbers: Iterable[int]) -> "Folder":
        """The same folder as if these shards were all of it, whatever is appended."""
        some = copy.copy(self)
        some.shards, some.columns = [self.shards[number] for number in numbers], {}
        some.stops = np.cumsum([shard.n_windows for shard in some.shards], dtype=np.intp)
        some.names, some.notes = {shard.name for shard in some.shards}, list(self.notes)
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
        windows, scale = self.open(self.shards[number])
        rows = rows - (self.stops[number] - self.shards[number].n_windows)
        if scale is None:
            np.take(windows, rows, axis=0, out=out, mode="clip")  # "raise" would go through a copy
        else:
            np.multiply(windows[rows], scale[rows, None, None], out=out)

    def open(self, shard: Shard) -> tuple[np.ndarray, np.ndarray | None]:
        """A shard's windows as they are on disk, and the scale of each."""
        dtype = np.dtype(self.about["dtype"])
        windows = self.maps.map(f"{shard.name}.npy", dtype, (shard.n_windows, *self.window_shape))
        return windows, self.scale_of(shard) if dtype == np.int16 else None

    def scale_of(self, shard: Shard) -> np.ndarray:
        """Units a step of each window."""
        if self.about["scale"] is not None:
            return np.broadcast_to(np.float32(self.about["scale"]), (shard.n_windows,))
        if shard.scale_sha256 is not None:
            return self.maps.map(f"{shard.name}.scale", np.dtype(np.float32), (shard.n_windows,))
        if shard.name not in self.scales:  # kept when the map is let go, as it takes longer to read than the map
            self.scales[shard.name] = self.read_index(shard, ["scale"])["scale"].to_numpy(np.float32)
        return self.scales[shard.name]

    def read_index(self, shard: Shard, columns: list[str] | None = None) -> pd.DataFrame:
        file = self.path / f"{shard.name}.parquet"
        try:
            return pd.read_parquet(file, columns=columns)
        except Exception as error:  # Arrow's own, or of what it made of damaged bytes
            raise lost(file, error) from error

    def column(self, name: str) -> tuple[np.ndarray, Runs]:
        """What a column of text says, in order, and which of it each window of the store has; -1 is nothing."""
        if name not in self.columns:
            parts: list[Runs] = []
            words: list[str] = []
            for shard in self.shards:
                own, codes = self.read_words(shard, name)
                parts.append(Runs.of(np.where(codes < 0, -1, codes + np.int32(len(words)))))
                words += own
            names, to = np.unique(np.array(words, dtype=str), return_inverse=True)
            codes, stops = Runs.joined(parts).runs()
            self.columns[name] = names, Runs(np.append(to, -1).astype(np.int32)[codes], stops)
        return self.columns[name]

    def read_words(self, shard: Shard, name: str) -> tuple[list[str], np.ndarray]:
        """The words of a column of a shard's index, and which of them each window has; -1 is nothing."""
        file = self.path / f"{shard.name}.parquet"
        try:  # pandas takes six times as long, which tells where there are many shards
            with pq.ParquetFile(file, read_dictionary=[name]) as table:
                column = table.read(columns=[name], use_threads=False)[name]
            column = column.dictionary_encode().combine_chunks()
            words = [word for word in column.dictionary.to_pylist() if word is not None]  # of nothing but missing cells
            return words, column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        except Exception as error:  # Arrow's own, or of what it made of damaged bytes
            raise lost(file, error) from error

    def damaged(self) -> Iterator[str]:
        """Files that are not what was written."""
        for shard in self.shards:
            for name, digest in shard.files.items():
                if not (self.path / name).is_file() or sha256_of(self.path / name) != digest:
                    yield name

    # ------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self, note: dict | None = None) -> Iterator[list[Shard]]:
        """Shards that are put into the list inside become part of the store at the end, with the note, all or none."""
        with open(self.path / LOG, "ab") as log:
            lock(log, busy(self.path))
            self.refresh()
            log.truncate(self.read_to)  # a line that a killed process began
            if not self.swept:
                self.sweep()
            new: list[Shard] = []
            self.swept = False  # until all went well
            yield new
            if new or note is not None:
                sync_folder(self.path)  # the names of the shards, before the log tells of them
                told: dict = {"shards": [shard.told for shard in new]}
                told |= {} if note is None else {"note": note}
                log.write(json.dumps(told).encode() + b"\n")
                log.flush()
                os.fsync(log.fileno())
                self.refresh()
                self.seal()
        self.refresh()
        self.swept = True

    def seal(self):
        """Say how much of the log there is now."""
        told = {"bytes": self.read_to, "sha256": self.digest.hexdigest()}
        write_pieces(self.path / SEAL, [json.dumps(told).encode()])

    def sweep(self):
        """Delete what a killed process left behind."""
        whole = {shard.name for shard in self.shards}
        for file in self.path.iterdir():
            name = file.name.removeprefix(".").split(".")[0]
            if NAME.fullmatch(name) and file.suffix in (".npy", ".parquet", ".scale", ".scratch") and name not in whole:
                file.unlink()
        (self.path / f".{SEAL}.scratch").unlink(missing_ok=True)

    def write_windows(self, name: str, blocks: Iterable[np.ndarray]) -> tuple[str, int]:
        """Write a shard's windows beside the store, of which they are no part before the log says so.

        Their SHA-256, and how many there were.
        """
        dtype, n = np.dtype(self.about["dtype"]), [0]

        def head() -> bytes:
            return npy_head((n[0], *self.window_shape), dtype)

        def pieces() -> Iterator[Any]:
            yield head()  # as long as the one that is written over it when the number is known
            for block in blocks:
                n[0] += len(block)
                yield np.ascontiguousarray(block, dtype).data.cast("B")

        return write_pieces(self.path / f"{name}.npy", pieces(), head), n[0]

    def write_scale(self, name: str, scale: np.ndarray) -> str:
        head = npy_head(scale.shape, scale.dtype)
        return write_pieces(self.path / f"{name}.scale", [head, np.ascontiguousarray(scale).data.cast("B")])

    def write_index(self, name: str, index: pd.DataFrame) -> str:
        table = io.BytesIO()
        index.to_parquet(table, index=False)
        return write_pieces(self.path / f"{name}.parquet", [table.getvalue()])


class Maps(dict[str, np.ndarray]):
    """Memory maps of files of a store, by their names. Each keeps its file open, of which a process may have so many.

    So the oldest is let go where there are too many, over all stores of the process.
    """

    order: deque[tuple[ref, str]] = deque()  # of all stores

    def __init__(self, path: Path):
        self.path = path

    def map(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """A file of numpy's, of which nothing is read yet."""
        found = self.get(name)
        if found is None:
            if len(self.order) >= most_open():
                self.let_go()
            found = self[name] = mapped(self.path / name, dtype, shape)
            self.order.append((ref(self), name))
        return found

    def let_go(self):
        """Of the oldest map, and of those whose stores are gone."""
        there = [(maps, of, name) for of, name in list(self.order) if (maps := of()) is not None]
        n_old = max(0, len(there) + 1 - most_open())
        for maps, _, name in there[:n_old]:
            maps.pop(name, None)
        self.order.clear()
        self.order.extend((of, name) for _, of, name in there[n_old:])


@cache
def most_open() -> int:
    """Files that stores may have open: half of what the process may have."""
    try:
        import resource
    except ImportError:  # Windows
        return 256
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1024 if most < 0 else max(8, min(most // 2, 1024))


def lost(file: Path, error: Exception) -> Exception:
    """What to say of a file that could not be read: what the system says, or that it is damaged."""
    if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):  # too many open files, no permission
        return error
    return ValueError(f"{file} is missing or damaged. Take it from a copy of the store.")


def mapped(file: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """A file of numpy's, of which nothing is read yet."""
    try:
        found = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # whatever numpy makes of a damaged header
        raise lost(file, error) from error
    if found.shape != shape or found.dtype != dtype:
        raise ValueError(
            f"{file} holds {found.dtype} of shape {found.shape}, and the store says {dtype} of {shape}. Take it from a "
            f"copy of the store."
        )
    return found.view(np.ndarray)  # the same memory; a memmap's own indexing is slower


def npy_head(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """The beginning of a file of numpy; it leaves room for a number of windows of any length."""
    head = io.BytesIO()
    told = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, told)
    return head.getvalue()


def read_about(path: Path) -> dict[str, Any]:
    file = path / ABOUT
    if not file.is_file():
        raise FileNotFoundError(
            f"No store at {path}: {ABOUT} is missing. Make one of recordings with `wearembed store "
            f"RECORDING... -o STORE`, or in Python with WindowStore.create and cut_into."
        )
    try:
        about = json.loads(file.read_bytes())
        sound = about["format"] == FORMAT and about["version"] == 1
        sealed = about.pop("sha256", None)  # stores of before there were seals have none
        if sound and (set(about) != set(TOLD) or sealed not in (None, digest_of(about))):
            raise ValueError("it is not what was written")
        sound = sound and about["dtype"] in ("float32", "int16")
        sound = sound and min(int(about["n_channels"]), int(about["n_times"])) > 0 and float(about["sfreq"]) > 0
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged. Take it from a copy of the store.") from error
    if not sound:
        raise ValueError(f"{file} is of no store that this version of wearembed reads.")
    return about


def begun(path: Path) -> bool:
    """Whether a killed process began to make a store there and did nothing else."""
    left = {file.name for file in path.iterdir()}
    return LOG in left and left <= {LOG, f".{ABOUT}.scratch"} and not (path / LOG).stat().st_size


def digest_of(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def read_log(path: Path, start: int, digest) -> tuple[list[Shard], list[dict], int]:
    """Whole shards and notes from a byte of the log on, and the byte after them; a line without an end is none.

    `digest` is of what is before `start`, and becomes that of what is before the end.
    """
    file, sealed = path / LOG, path / SEAL
    seal = sealed.read_bytes() if sealed.exists() else b'{"bytes": 0, "sha256": ""}'  # before the log, which grows
    with open(file, "rb") as log:
        log.seek(start)
        data = log.read()
    whole = data.rfind(b"\n") + 1
    try:
        told = json.loads(seal)
        upto = digest.copy()
        upto.update(data[: max(0, told["bytes"] - start)])
        if told["bytes"] and told["bytes"] >= start and upto.hexdigest() != told["sha256"]:
            raise ValueError("it is not what was sealed")
        lines = [json.loads(line) for line in data[:whole].splitlines()]
        shards = [Shard(*told) for line in lines for told in line["shards"]]
        notes = [dict(line["note"]) for line in lines if "note" in line]
        sound = all(NAME.fullmatch(shard.name) and shard.n_windows > 0 for shard in shards)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} or {SEAL} is damaged. Take both from a copy of the store.") from error
    if not sound:
        raise ValueError(f"{file} is damaged. Take it from a copy of the store.")
    digest.update(data[:whole])
    return shards, notes, start + whole
