"""A checkpoint folder: made of parts, written whole, read with suspicion."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from ..disk import one_at_a_time, scratch, write
from .card import card
from .files import FILES, aside, from_bytes, read, sha256, shortened, to_bytes
from .storage import SCALE, unpack

FORMATS = (1, 2)  # that are read; 2 is 1 with int8 rows. A checkpoint is written in the oldest that holds it.


@dataclass
class Checkpoint:
    """What a checkpoint folder holds, read and verified.

    Attributes
    ----------
    folder : Path
    config : dict
    tensors : dict of str to Tensor
        Weights, in float32 whatever they are stored in.
    reference : dict of str to Tensor
        Windows and what the trained estimator made of them; where they are known, mean and deviation of the embeddings
        of windows of training.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    reference: dict[str, Tensor]


def contents(config: dict[str, Any], tensors: dict[str, Tensor], reference: dict[str, Tensor], name="") -> dict:
    """The bytes of each file of a checkpoint.

    Parameters
    ----------
    config : dict
        Gets ``format``, ``library_name`` and the hashes of the tensor files; the card is made from it.
    tensors : dict of str to Tensor
        As `pack` gives them.
    reference : dict of str to Tensor
    name : str, default=""
        Of the repository, for the card.
    """
    files = {"model.safetensors": to_bytes(tensors), "reference.safetensors": to_bytes(reference)}
    hashes = {f"{Path(file).stem}_sha256": sha256(data) for file, data in files.items()}
    oldest = 2 if any(key.startswith(SCALE) for key in tensors) else 1
    config = {"library_name": "wearembed", "format": oldest, **config, **hashes}
    files["config.json"] = (json.dumps(config, indent=1, default=lambda value: value.item()) + "\n").encode()
    files["README.md"] = card(config, name).encode()
    return files


def save(folder, files: dict[str, bytes]) -> Path:
    """Write a checkpoint folder: the old one stays whole until the new one is.

    Parameters
    ----------
    folder : path
        Made where it is missing. One that holds anything but a checkpoint is refused.
    files : dict of str to bytes
        As `contents` gives them.
    """
    folder = Path(folder).expanduser().resolve()
    refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch(folder, Path.mkdir) as own:
        for name, data in files.items():
            write(own / name, data)
        with one_at_a_time(folder.parent):
            exchange(folder, own)
    return folder


def exchange(folder: Path, new: Path):
    """Put a folder in the place of another, which is only deleted after that."""
    if folder.exists():
        shutil.rmtree(aside(folder), ignore_errors=True)
        os.rename(folder, aside(folder))
    try:
        os.rename(new, folder)
    except OSError:
        if aside(folder).exists():
            os.rename(aside(folder), folder)
        raise
    shutil.rmtree(aside(folder), ignore_errors=True)


def refuse_foreign(folder: Path):
    """An error if the folder holds anything that a checkpoint does not."""
    if not folder.exists():
        return
    foreign = sorted(set(os.listdir(folder)) - set(FILES)) if folder.is_dir() else [folder.name]
    if foreign:
        raise ValueError(
            f"{folder} holds {', '.join(foreign[:3])}{' and more' if len(foreign) > 3 else ''}, which a checkpoint "
            f"does not. Name a new folder, an empty one, or one with an older checkpoint."
        )


def read_folder(folder: Path) -> Checkpoint:
    """Read a checkpoint folder and check all of it."""
    config = read_config(folder)
    return Checkpoint(folder, config, *(read_tensors(folder, config, name) for name in ("model", "reference")))


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a checkpoint, known to be of this package and of a format that it reads."""
    try:
        config = json.loads(read(folder / "config.json"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{folder / 'config.json'} is damaged: not JSON ({shortened(error)}). Get the checkpoint anew."
        ) from error
    if not isinstance(config, dict) or config.get("library_name") != "wearembed":
        raise ValueError(f"{folder} is no checkpoint of wearembed: config.json names another library, or none.")
    if type(config.get("format")) is not int or config["format"] not in FORMATS:
        raise ValueError(
            f"{folder} has checkpoint format {shortened(config.get('format'))}; this version of wearembed reads "
            f"{' and '.join(map(str, FORMATS))}. A newer one needs pip install -U wearembed."
        )
    return config


def read_tensors(folder: Path, config: dict[str, Any], name: str) -> dict[str, Tensor]:
    """Tensors of a file whose hash is the one in the configuration."""
    file = folder / f"{name}.safetensors"
    data = read(file)
    if sha256(data) != config.get(f"{name}_sha256"):
        raise ValueError(
            f"{file} is not what was saved: its SHA-256 differs from the one in config.json. Get the checkpoint anew."
        )
    try:
        return unpack(from_bytes(data))
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RuntimeError) as error:
        raise ValueError(f"{file} is damaged: {shortened(error)}. Get the checkpoint anew.") from error
