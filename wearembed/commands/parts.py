"""Rows of recordings on disk: a Parquet file each, whole or not there, which may be joined to one table."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .. import disk
from .sources import Source, part_of

RUN, FAILURES, SCRATCH, KEY = "_run.json", "_failures.csv", ".scratch", b"wearembed"
TABLES = (".parquet", ".csv")


class CannotWrite(OSError):
    """The disk is full, or the folder may not be written to: nothing that comes after can go well."""


class Parts:
    """A folder with a part for each recording.

    Parameters
    ----------
    folder : Path
    settings : dict
        What changes the rows; parts that were made with others are not mixed with these.
    one_table : bool, default=False
        The parts will be joined, so their columns have to agree.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], one_table: bool = False):
        self.folder, self.settings, self.one_table = folder, settings, one_table
        self.zoned: bool | None = None  # whether time stamps name a time zone, where one table is to hold them

    @contextmanager
    def open(self) -> Iterator["Parts"]:
        """Keep other processes out, look whether the settings are those of before, and sweep up after a crash."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            run = open(self.folder / RUN, "a+b")  # noqa: SIM115, it is closed below
        with run:
            disk.lock(run, disk.busy(self.folder))
            run.seek(0)
            before = run.read()
            self.agree(before)
            with writing(self.folder):
                for scratch in self.folder.rglob(f".*.parquet{SCRATCH}"):
                    scratch.unlink()
                if before != self.told():
                    run.truncate(0)
                    run.write(self.told())
                    run.flush()
            yield self

    def told(self) -> bytes:
        return json.dumps(self.settings, indent=1).encode()

    def agree(self, before: bytes):
        """An error unless the folder is empty, or holds parts that were made as these will be."""
        try:
            then = json.loads(before)
        except ValueError:
            then = {}  # a crash while it was written, before there was any part
        changed = [key for key in self.settings if then.get(key) != self.settings[key]]
        if changed and any(self.folder.rglob("*.parquet")):
            told = "; ".join(
                f"{option(key)}: {shown(then[key])}, now {shown(self.settings[key])}" for key in changed if key in then
            )
            what = f"parts of another run ({told})" if told else "Parquet files of something else"
            raise ValueError(f"{self.folder} holds {what}. Name another folder.")

    def file(self, source: Source) -> Path:
        return self.folder / part_of(source.name)

    def finished(self, source: Source) -> dict[str, Any] | None:
        """What is known of a recording whose part is there already; None where it is to be made."""
        file = self.file(source)
        if not file.exists():
            return None
        about = read_about(file)
        then, now = about.get("source", {}), identity(source)
        if then == now:
            return about
        same = (then.get("bytes"), then.get("changed")) == (now["bytes"], now["changed"])
        if then.get("path") == now["path"] or not then:
            return None  # the recording was changed since, or the part is damaged: it is made anew
        if same and then.get("participant") == now["participant"]:
            return about  # the recordings were moved
        raise ValueError(f"{file} is the part of another recording, {then.get('path')}. Name another folder.")

    def write(self, source: Source, frames: Iterator[pd.DataFrame], about: dict[str, Any]) -> Path:
        """Write a recording's rows as they come, and `about`, its ``source`` among that, when all of them have."""
        file = self.file(source)
        scratch = file.with_name(f".{file.name}{SCRATCH}")
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        writer = None
        try:
            for frame in frames:
                rows = pa.Table.from_pandas(frame, preserve_index=False)
                zoned = rows.schema.field("start").type.tz is not None
                self.fits(zoned)
                with writing(file):
                    writer = writer or pq.ParquetWriter(scratch, rows.schema, write_page_checksum=True)
                    writer.write_table(rows)
            if writer is None:
                raise ValueError("it has no rows.")
            with writing(file):
                writer.add_key_value_metadata({KEY: json.dumps(about)})
                writer.close()
                with open(scratch, "rb") as f:
                    os.fsync(f.fileno())
                os.replace(scratch, file)
            self.zoned = zoned
        finally:
            with writing(file):
                if writer is not None and writer.is_open:
                    writer.close()
                scratch.unlink(missing_ok=True)
        return file

    def fits(self, zoned: bool):
        if self.one_table and self.zoned not in (None, zoned):
            raise ValueError(
                f"its time stamps name {'a' if zoned else 'no'} time zone, unlike those of recordings before it, and a "
                f"table holds one kind. Write a part for each: -o FOLDER."
            )

    def failures(self, failed: dict[str, str]):
        """Write down what failed; where nothing did, no such file is left."""
        file = self.folder / FAILURES
        if failed:
            table = pd.DataFrame({"recording": list(failed), "error": list(failed.values())})
            disk.write(file, table.to_csv(index=False).encode())
        else:
            file.unlink(missing_ok=True)


def option(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def shown(value: Any) -> str:
    """What an option was given, as a person would say it."""
    words = {None: "not said", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Tell errors of the disk from those of a recording."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(f"cannot write {file}: {error.strerror or error}. Nothing of it is left there.") from error


def identity(source: Source) -> dict[str, Any]:
    """Tells whether a recording is still the one that a part was made of."""
    files = [source.path] if source.path.is_file() else sorted(f for f in source.path.iterdir() if f.is_file())
    stats = [file.stat() for file in files]
    return {
        "path": str(source.path.resolve()),
        "bytes": sum(stat.st_size for stat in stats),
        "changed": max((stat.st_mtime_ns for stat in stats), default=0),
        "participant": source.participant,
    }


def read_about(file: Path) -> dict[str, Any]:
    """What a part says of its recording; nothing where it is damaged."""
    try:
        return json.loads((pq.read_metadata(file).metadata or {}).get(KEY, b"{}"))
    except (OSError, ValueError, pa.ArrowException):
        return {}


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """Where the parts of a table wait until all are there; it goes when the table is written, or cannot be."""
    folder = out.with_name(f".{out.name}.parts")
    with ExitStack() as held:
        with writing(out):
            held.enter_context(disk.fleeting(folder, disk.busy(out)))
        yield folder


def join(files: list[Path], out: Path):
    """Parts as one table, a few rows in memory at a time; what was there before stays until it is whole."""
    scratch = out.with_name(f".{out.name}{SCRATCH}")
    with writing(out):
        try:
            (to_parquet if out.suffix == ".parquet" else to_csv)(files, scratch)
            with open(scratch, "rb") as f:
                os.fsync(f.fileno())
            os.replace(scratch, out)
        finally:
            scratch.unlink(missing_ok=True)


def means(files: list[Path], out: Path):
    """The mean over each participant's windows as one table; those without numbers count for coverage alone."""
    sums: dict[str, list] = {}
    for rows in groups(files):
        for person, own in rows.to_pandas().groupby("participant", sort=False):
            Z = own.filter(regex=r"^e\d+$").dropna()
            total = sums.setdefault(str(person), [0.0, 0, 0.0, 0])
            total[0] = total[0] + Z.to_numpy(np.float64).sum(0)
            total[1] += len(Z)
            total[2] += float(own["coverage"].sum())
            total[3] += len(own)
    head = {"participant": list(sums), "coverage": [total[2] / total[3] for total in sums.values()]}
    Z = np.stack([total[0] / total[1] for total in sums.values()]).astype(np.float32)
    table = pd.concat([pd.DataFrame(head), pd.DataFrame(Z).add_prefix("e")], axis=1)
    data = table.to_parquet(index=False) if out.suffix == ".parquet" else table.to_csv(index=False).encode()
    with writing(out):
        disk.write(out, data)


def n_rows(files: list[Path]) -> int:
    """Rows of files of one kind."""
    if files[0].suffix == ".parquet":
        return sum(pq.read_metadata(file).num_rows for file in files)
    return sum(len(part) for file in files for part in pd.read_csv(file, usecols=[0], chunksize=100_000))


def to_parquet(files: list[Path], out: Path):
    schema = pq.read_schema(files[0])
    told = {key: value for key, value in (schema.metadata or {}).items() if key != KEY}
    with pq.ParquetWriter(out, schema.with_metadata(told), write_page_checksum=True) as writer:
        for rows in groups(files):
            writer.write_table(rows.cast(schema).replace_schema_metadata(told))


def to_csv(files: list[Path], out: Path):
    with open(out, "w", newline="", encoding="utf-8") as f:
        for n, rows in enumerate(groups(files)):
            rows.to_pandas().to_csv(f, index=False, header=n == 0, date_format="%Y-%m-%d %H:%M:%S.%f%z")


def groups(files: list[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Rows of many parts, some at a time."""
    for file in files:
        with pq.ParquetFile(file) as part:
            for n in range(part.num_row_groups):
                yield part.read_row_group(n, columns=columns)
