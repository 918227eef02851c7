"""All of a store through an encoder, and the table that comes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ..disk import lock
from .engines import carried, done
from .manifest import all_parts, folder_of, read_about, unfinished
from .parts import Part, told_of


def embed_store(store, encoder, out, *, engine="joblib", n_jobs=None, verbose=1):
    """Embed all windows of a store into a folder of Parquet, one part a shard.

    The same call again goes on where it stopped: parts that are whole stay, and those that are missing, damaged or of
    shards that were appended since are made. A part appears under its name when all of it is on disk, so that it is
    there once or not at all, whatever is killed and when. Memory stays bounded, by a block of windows and a block of
    embeddings in each worker.

    Parameters
    ----------
    store : WindowStore or path
        Or some of its rows.
    encoder : fitted transformer
        Any that takes windows and names its columns by ``get_feature_names_out``. It travels by pickle.
    out : path
        Of a folder that is empty, not there yet, or the `out` of an earlier call. Workers on other machines have to see
        it, and the store, under the same path.
    engine : {"joblib", "dask"}, str or distributed.Client, default="joblib"
        ``"joblib"``: processes of this machine, or what ``joblib.parallel_config`` says. A Dask cluster: its client,
        the address of its scheduler such as ``"tcp://10.0.0.1:8786"``, or ``"dask"`` for the client that was made last
        (extra ``distributed``).
    n_jobs : int, default=None
        Processes; -1 is one a core. None is one, this one, unless ``joblib.parallel_config`` says otherwise. Several
        share the cores between them. A Dask cluster has workers of its own.
    verbose : int, default=1
        0: no progress bar.

    Returns
    -------
    Path
        `out`, for `read_embeddings`.

    Raises
    ------
    ValueError
        `out` holds embeddings by another encoder, or of other windows.
    RuntimeError
        Some parts failed. All others are done; the message says which and why, and the same call again does these.

    Notes
    -----
    Columns are those of the store's index, participant, session, recording, start, stop, coverage and labels, and the
    embedding in float32. They are to the bit those of ``encoder.transform(store)`` with as many threads, if the encoder
    embeds each window alone, as those of this package do. ``out`` also has ``_embeddings.json``, which says encoder,
    fingerprint of its weights and parameters, store and parts.

    Examples
    --------
    >>> import tempfile
    >>> from wearembed import RelConEncoder, WindowStore, embed_store, read_embeddings
    >>> from wearembed.datasets import make_motion
    >>> motion = make_motion(n_participants=3, n_windows=4, random_state=0)
    >>> store = WindowStore.create(tempfile.mkdtemp(), n_channels=3, n_times=256, sfreq=100, units="g")
    >>> store.append(motion.data, participant=motion.groups)
    >>> encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    >>> table = read_embeddings(embed_store(store, encoder, tempfile.mkdtemp(), verbose=0))
    >>> table.shape, table.columns[0], table.columns[-1]
    ((12, 1030), 'participant', 'relconencoder1023')
    """
    out = folder_of(out)
    with alone(out):
        parts = all_parts(store, encoder, out)
        left = unfinished(parts)
        failed = run(parts, left, encoder, engine, n_jobs, verbose)
    if failed:
        refuse_failed(out, failed, len(parts))
    return out


def run(parts: list[Part], left: list[Part], encoder, engine, n_jobs, verbose) -> dict[str, str]:
    """Why parts failed, by their files."""
    n_left, failed = sum(len(part.windows) for part in left), {}
    n_windows = sum(len(part.windows) for part in parts)
    bar = tqdm(total=n_windows, initial=n_windows - n_left, unit="window", unit_scale=True, disable=not verbose)
    with bar, carried(encoder, parts[0].file.parent) as sent:
        for number, error in done(left, sent, engine, n_jobs):
            if error is None:
                bar.update(len(left[number].windows))
            else:
                failed[left[number].file.name] = error
                bar.set_postfix_str(f"{len(failed)} parts failed")
    return failed


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep a second call out of a folder, and leave nothing half-written in it."""
    otherwise = f"Another process embeds into {out}. Wait for it, or name another folder."
    with open(out / ".lock", "wb") as file:
        lock(file, otherwise)
        sweep(out)
        try:
            yield
        finally:
            sweep(out)


def sweep(out: Path):
    """Delete what killed workers left behind."""
    for pattern in (".part-*.scratch", ".encoder-sent", "..encoder-sent.scratch"):
        for file in out.glob(pattern):
            file.unlink(missing_ok=True)


def refuse_failed(out: Path, failed: dict[str, str], n_parts: int):
    by_error: dict[str, list[str]] = {}
    for name, error in sorted(failed.items()):
        by_error.setdefault(error, []).append(name)
    told = [
        f"{', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}: {error}"
        for error, names in by_error.items()
    ]
    raise RuntimeError(
        f"{len(failed)} of {n_parts} parts of {out} failed, the others are done. Mend what follows, and call "
        f"embed_store again, which does these alone.\n" + "\n".join(told[:10])
    )


def read_embeddings(out):
    """Read a folder that `embed_store` wrote, in the order of the store's windows.

    Parameters
    ----------
    out : path

    Returns
    -------
    pandas.DataFrame
        A row a window: the columns of the store's index, then the embedding in float32.

    Raises
    ------
    ValueError
        Parts are missing or damaged.

    Notes
    -----
    ``pandas.read_parquet(out, columns=...)`` reads the folder too, or some of its columns, as do polars, DuckDB and
    Spark; it does not look whether parts are missing, and wants labels that are the same in all shards.
    """
    out = Path(out).expanduser().resolve()
    about = read_about(out)
    missing = [part["file"] for part in about["parts"] if not (out / part["file"]).is_file()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(about['parts'])} parts of {out} are not there yet, the first is {missing[0]}. "
            f"Call embed_store again, which does these alone."
        )
    tables = [read_part(out / part["file"], part["mark"]) for part in about["parts"]]
    known = [table.dropna(axis=1, how="all") for table in tables]  # what is missing everywhere has no type to agree on
    index = dict.fromkeys(name for table in tables for name in table.columns[: -len(about["columns"])])
    return pd.concat(known, ignore_index=True).reindex(columns=[*index, *about["columns"]])


def read_part(file: Path, mark: str) -> pd.DataFrame:
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as found:
            if told_of(found) == mark:
                return found.read().to_pandas()
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"{file} is damaged. Call embed_store again, which makes it anew.") from error
    raise ValueError(f"{file} is of other windows or another encoder. Call embed_store again, which makes it anew.")
