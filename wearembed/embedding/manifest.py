"""What a folder of embeddings is of: the encoder, and the store, part by part."""

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import joblib

from .. import __version__
from ..disk import write_pieces
from ..stores import WindowStore
from .parts import Part

ABOUT, FORMAT = "_embeddings.json", "wearembed-embeddings"  # readers of folders of Parquet pass over names with _
OF_THE_RUN = {"device", "n_jobs", "num_workers", "verbose", "callbacks", "checkpoint_dir", "memory", "revision"}


def unfinished_parts(store, encoder, out):
    """Say what is left to embed of a store, for engines that `embed_store` does not know.

    The folder is made, or found to be of this encoder and this store, and every part in it is read and compared with
    its checksums; damaged ones are deleted. `embed_part` of each part that is returned, in any order and anywhere that
    sees both folders, completes it.

    Parameters
    ----------
    store : WindowStore or path
        Or some of its rows.
    encoder : fitted transformer
    out : path
        Of a folder that is empty, not there yet, or the `out` of an earlier call.

    Returns
    -------
    list of Part

    Raises
    ------
    ValueError
        The folder holds embeddings by another encoder, or of another store.
    """
    return unfinished(all_parts(store, encoder, out))


def all_parts(store, encoder, out) -> list[Part]:
    """Every part of a store, and in the folder what they are of."""
    store = store if isinstance(store, WindowStore) else opened(store)
    if not len(store):
        raise ValueError(f"There is nothing to embed: the store at {store.path} has no windows.")
    out, columns = folder_of(out), columns_of(encoder)
    about = {"format": FORMAT, "version": 1, "wearembed_version": __version__, "encoder": type(encoder).__name__}
    about |= {"encoder_repr": repr(encoder), "encoder_fingerprint": fingerprint(encoder), "columns": list(columns)}
    about |= {"store": str(store.path), "n_windows": len(store)}
    parts = []
    for number, windows in enumerate(store.shards()):
        mark = hashlib.sha256(f"{about['encoder_fingerprint']} {windows.identity()}".encode()).hexdigest()
        parts.append(Part(windows, out / f"part-{number:06d}.parquet", columns, mark))
    about["parts"] = [{"file": p.file.name, "n_windows": len(p.windows), "mark": p.mark} for p in parts]
    clash = sorted(set(columns) & set(parts[0].windows.index))
    if clash:
        raise ValueError(f"The store has labels that are called as columns of the embedding are: {', '.join(clash)}.")
    begin(out, about)
    return parts


def unfinished(parts: list[Part]) -> list[Part]:
    left = [part for part in parts if not part.is_whole()]
    for part in left:
        part.file.unlink(missing_ok=True)
    return left


def opened(store) -> WindowStore:
    if not isinstance(store, (str, os.PathLike)):
        raise TypeError(f"store is a WindowStore, some rows of one, or its path; got {type(store).__name__}.")
    return WindowStore(store)


def columns_of(encoder) -> tuple[str, ...]:
    """Names of the embedding's columns; an encoder that is named by its weights has them loaded after this."""
    if not all(hasattr(encoder, name) for name in ("transform", "get_feature_names_out")):
        raise TypeError(
            f"encoder is a fitted transformer that names its columns (get_feature_names_out); got {encoder!r}. "
            f"Weights are loaded by wearembed.from_pretrained(source)."
        )
    return tuple(str(name) for name in encoder.get_feature_names_out())


def fingerprint(encoder) -> str:
    """Equal where encoders embed alike: their class, arrays and parameters, but not where and how they run."""
    try:
        twin = pickle.loads(cloudpickle.dumps(encoder))
        if hasattr(twin, "get_params"):
            params = twin.get_params()
            free = {name: None for name, value in params.items() if of_the_run(name.rpartition("__")[2], value)}
            twin.set_params(**free)
        return joblib.hash(twin, hash_name="sha1")
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"encoder is sent to other processes, so it has to be one that can be pickled; {type(encoder).__name__} "
            f"cannot: {error}. Give it functions of a module instead of lambdas."
        ) from error


def of_the_run(name: str, value) -> bool:
    return name in OF_THE_RUN or (name == "weights" and isinstance(value, (str, os.PathLike)))


def folder_of(out) -> Path:
    """The folder, made where it is missing; an error where something else is in it."""
    out = Path(out).expanduser().resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not (out / ABOUT).exists() and any(not file.name.startswith((".lock", f".{ABOUT}")) for file in out.iterdir()):
        raise FileExistsError(f"{out} is not empty, and holds no embeddings. Name a folder of its own.")
    return out


def begin(out: Path, about: dict[str, Any]):
    """Write what the folder is of; an error where it is of something else already."""
    if any(out.glob("part-*.parquet")):
        refuse_other(out, read_about(out), about)
    write_pieces(out / ABOUT, [json.dumps(about, indent=1).encode()])


def refuse_other(out: Path, old: dict[str, Any], new: dict[str, Any]):
    """An error unless the folder is of the same encoder, and of the same store or what it has grown from."""
    if old["encoder_fingerprint"] != new["encoder_fingerprint"] or old["columns"] != new["columns"]:
        raise ValueError(
            f"{out} holds embeddings by another encoder: begun with {old['encoder_repr']}, and this is "
            f"{new['encoder_repr']} (fingerprints {old['encoder_fingerprint'][:8]} and "
            f"{new['encoder_fingerprint'][:8]}). Go on with the former, or name another folder."
        )
    if old["parts"] != new["parts"][: len(old["parts"])]:
        raise ValueError(
            f"{out} holds embeddings of other windows: begun with {old['n_windows']} of the store at {old['store']}, "
            f"and the {new['n_windows']} of {new['store']} do not begin with these. Name another folder."
        )


def read_about(out: Path) -> dict[str, Any]:
    file = out / ABOUT
    if not file.is_file():
        raise FileNotFoundError(
            f"No embeddings of a store at {out}: {ABOUT} is missing. embed_store(store, encoder, out) makes it; what "
            f"`wearembed embed` wrote is read by pandas.read_parquet(out)."
        )
    try:
        about = json.loads(file.read_text())
        sound = about["format"] == FORMAT and about["version"] == 1
        sound = sound and all({"file", "n_windows", "mark"} <= set(part) for part in about["parts"])
        sound = sound and {"encoder_fingerprint", "encoder_repr", "columns", "store", "n_windows"} <= set(about)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged. Delete the folder and embed the store anew.") from error
    if not sound:
        raise ValueError(f"{file} is of no embeddings that this version of wearembed reads.")
    return about
