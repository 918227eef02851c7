"""One part: the windows of a shard to a file of Parquet that is there whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..stores import WindowStore

ROWS = 8192  # of a row group, embeddings that are held at once
AT_ONCE = 2**24  # numbers of the windows that are embedded at once, 64 MiB where a transformer reads them all
TEXT = ("participant", "session", "recording")
MARK = b"wearembed"  # under which a part says what it is of


@dataclass(frozen=True)
class Part:
    """Windows to embed, and the file that is to hold their embeddings. It is pickled as paths.

    Parameters
    ----------
    windows : WindowStore
        Of a shard.
    file : path
        Of the part.
    columns : tuple of str
        Names of the embedding's columns.
    mark : str
        Tells windows and encoder from others; equal in the file that `embed_part` writes.
    """

    windows: WindowStore
    file: Path
    columns: tuple[str, ...]
    mark: str

    def is_whole(self) -> bool:
        """Whether the file is there, of these windows and this encoder, and all of it as it was written."""
        try:
            with pq.ParquetFile(self.file, page_checksum_verification=True) as found:
                n_rows = sum(batch.num_rows for batch in found.iter_batches(ROWS))
                return told_of(found) == self.mark and n_rows == len(self.windows)
        except (OSError, pa.ArrowInvalid):
            return False


def embed_part(part, encoder):
    """Embed the windows of one part and write them to its file; what the engines of `embed_store` call.

    The file appears under its name when all of it is on disk. One that is there is left as it is, so that a part may be
    asked for twice.

    Parameters
    ----------
    part : Part
        As `unfinished_parts` gives them.
    encoder : fitted transformer
        That the parts were made for.

    Returns
    -------
    Path
        Of the file.
    """
    if not part.file.exists():
        scratch = part.file.with_name(f".{part.file.name}.{uuid.uuid4().hex}.scratch")
        try:
            with open(scratch, "wb") as f:
                write(part, encoder, f)
                f.flush()
                os.fsync(f.fileno())
            os.replace(scratch, part.file)
        finally:
            scratch.unlink(missing_ok=True)
    return part.file


def write(part: Part, encoder, file):
    index = to_arrow(part.windows.index)
    schema = index.schema
    for name in part.columns:
        schema = schema.append(pa.field(name, pa.float32()))
    schema = schema.with_metadata({MARK: part.mark})
    with pq.ParquetWriter(file, schema, use_dictionary=index.column_names, write_page_checksum=True) as writer:
        for rows, Z in embedded(part.windows, encoder, len(part.columns)):
            table = index.slice(rows.start, len(Z))
            columns = [pa.array(column) for column in Z.T]
            writer.write_table(pa.Table.from_arrays([*table.columns, *columns], schema=schema), row_group_size=ROWS)


def embedded(windows: WindowStore, encoder, dim: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows, and their embeddings, as many as go into a row group."""
    for start in range(0, len(windows), ROWS):
        rows = slice(start, min(start + ROWS, len(windows)))
        Z = np.empty((rows.stop - start, dim), np.float32)
        n = max(1, AT_ONCE // (windows.n_channels * windows.n_times))
        for first in range(start, rows.stop, n):
            some = slice(first, min(first + n, rows.stop))
            Z[first - start : some.stop - start] = transformed(windows.rows(some), encoder, dim)
        yield rows, Z


def transformed(windows: WindowStore, encoder, dim: int) -> np.ndarray:
    Z = np.asarray(encoder.transform(windows))
    if Z.shape != (len(windows), dim):
        raise ValueError(
            f"{type(encoder).__name__} names {dim} columns in get_feature_names_out, and gives shape {Z.shape} of "
            f"{len(windows)} windows. Expected {(len(windows), dim)}."
        )
    return Z


def told_of(found: pq.ParquetFile) -> str:
    return (found.schema_arrow.metadata or {}).get(MARK, b"").decode()


def to_arrow(index: pd.DataFrame) -> pa.Table:
    """An index whose columns have the same types in every part, also where nothing in them is known."""
    table = pa.Table.from_pandas(index, preserve_index=False).replace_schema_metadata(None)
    types = {**dict.fromkeys(TEXT, pa.string()), "coverage": pa.float64()}
    types |= {name: pa.timestamp("ns") for name in ("start", "stop") if pa.types.is_null(table.schema.field(name).type)}
    fields = [field.with_type(types.get(field.name, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields))
