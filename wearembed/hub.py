"""A checkpoint folder: ``config.json``, ``model.safetensors``, ``reference.safetensors``, ``README.md``."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

FORMAT = 1
BUNDLED = Path(__file__).parent / "weights"  # checkpoints that come with the package, by the name after "wearembed/"
FILES = ("model.safetensors", "reference.safetensors", "README.md", "config.json")


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
        Windows and what the trained estimator made of them.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    reference: dict[str, Tensor]


def save(folder, config: dict[str, Any], tensors: dict[str, Tensor], reference: dict[str, Tensor]) -> Path:
    """Write a checkpoint folder: the old one stays whole until the new one is.

    Parameters
    ----------
    folder : path
        Made where it is missing. One that holds anything but a checkpoint is refused.
    config : dict
        Gets ``format``, ``library_name`` and the hashes of the tensor files; the card is made from it.
    tensors, reference : dict of str to Tensor
    """
    folder = Path(folder).expanduser().resolve()
    if folder.exists():
        foreign = sorted(set(os.listdir(folder)) - set(FILES)) if folder.is_dir() else [folder.name]
        if foreign:
            raise ValueError(
                f"{folder} holds {', '.join(foreign[:3])}{' and more' if len(foreign) > 3 else ''}, which a checkpoint "
                f"does not. Name a new folder, an empty one, or one with an older checkpoint."
            )
    content = {"model.safetensors": to_bytes(tensors), "reference.safetensors": to_bytes(reference)}
    hashes = {f"{Path(name).stem}_sha256": sha256(data) for name, data in content.items()}
    config = {"library_name": "wearembed", "format": FORMAT, **config, **hashes}
    content["config.json"] = (json.dumps(config, indent=1, default=lambda value: value.item()) + "\n").encode()
    content["README.md"] = card(config).encode()
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        for name, data in content.items():
            write(scratch / name, data)
        if folder.exists():
            shutil.rmtree(aside(folder), ignore_errors=True)
            os.rename(folder, aside(folder))
        os.rename(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(aside(folder), ignore_errors=True)
    return folder


def load(source, *, revision=None, token=None, cache_dir=None, local_files_only=False) -> Checkpoint:
    """Read a checkpoint and check all of it.

    Parameters
    ----------
    source : str or path
        A folder; a name that comes with the package (``wearembed/relcon-synthetic``); or a repository of the Hugging
        Face hub, ``user/name``. Nothing is fetched for the first two.
    revision, token, cache_dir, local_files_only
        As in huggingface_hub.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    ValueError
        Something is there that is no checkpoint of this package, or is damaged.
    """
    folder = find(source, revision=revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only)
    config = read_config(folder)
    return Checkpoint(folder, config, *(read_tensors(folder, config, name) for name in ("model", "reference")))


def find(source, *, revision=None, token=None, cache_dir=None, local_files_only=False) -> Path:
    """The folder that holds a checkpoint; fetched into the cache of the hub where it is not on this machine."""
    name, folder = str(source), Path(source).expanduser()
    if folder.exists() or aside(folder).exists():
        return folder if folder.exists() else aside(folder)  # a save was killed between its two last steps
    if name in bundled():
        return BUNDLED / name.removeprefix("wearembed/")
    if isinstance(source, Path) or not is_hub_name(name):
        raise FileNotFoundError(
            f"No checkpoint at {name!r}. Expected a folder that save_pretrained wrote, a bundled name "
            f"({', '.join(bundled()) or 'none in this build'}), or a hub repository like 'user/name'."
        )
    return fetch(name, revision=revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only)


def fetch(name: str, *, local_files_only: bool = False, **where) -> Path:
    """A repository of the hub in its cache; it calls out only if it is not there yet."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        cached = Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=True, **where))
        if all((cached / file).exists() for file in FILES):
            return cached
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass  # not cached: ask, unless that is forbidden
    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=local_files_only, **where))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
        raise FileNotFoundError(
            f"{name!r} is not a folder here, not bundled ({', '.join(bundled()) or 'none'}), and could not be had from "
            f"the hub: {type(error).__name__}. Check the name and the connection (token= for a private repository), "
            f"load a folder that save_pretrained wrote, or use a bundled name."
        ) from error


def is_hub_name(name: str) -> bool:
    """Whether it reads as ``user/name``: then it may be asked for, else it is a path that is not there."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, flags=re.ASCII) is not None


def bundled() -> list[str]:
    """Names of the checkpoints that come with the package."""
    return sorted(f"wearembed/{folder.name}" for folder in BUNDLED.glob("*") if folder.is_dir())


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a checkpoint, known to be of this package and of a format that it reads."""
    try:
        config = json.loads(read(folder / "config.json"))
    except ValueError as error:
        raise ValueError(
            f"{folder / 'config.json'} is damaged: not JSON ({error}). Get the checkpoint anew."
        ) from error
    if not isinstance(config, dict) or config.get("library_name") != "wearembed":
        raise ValueError(f"{folder} is no checkpoint of wearembed: config.json names another library, or none.")
    if config.get("format") != FORMAT:
        raise ValueError(
            f"{folder} has checkpoint format {config.get('format')}; this version of wearembed reads {FORMAT}. "
            f"A newer one needs pip install -U wearembed."
        )
    return config


def read_tensors(folder: Path, config: dict[str, Any], name: str) -> dict[str, Tensor]:
    data = read(folder / f"{name}.safetensors")
    if sha256(data) != config.get(f"{name}_sha256"):
        raise ValueError(
            f"{folder / name}.safetensors is not what was saved: its SHA-256 differs from the one in config.json. Get "
            f"the checkpoint anew."
        )
    try:
        return {key: t.float() if t.is_floating_point() else t for key, t in parse_tensors(data).items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{folder / name}.safetensors is damaged: {error}.") from error


def card(config: dict[str, Any]) -> str:
    """The model card: what was trained on what, what goes in, what comes out, and what it is not for."""
    training, contract = config["training"], config["contract"]
    synthetic = training.get("synthetic")
    header = {
        "library_name": "wearembed",
        "license": training.get("license") or "unknown",
        "tags": ["wearembed", "feature-extraction", "time-series", *(["synthetic-data"] if synthetic else [])],
        "datasets": training.get("data") or [],
    }
    first = (
        "**Pretrained on synthetic data only:** no recording of a person was seen."
        if synthetic
        else "Pretrained weights."
    )
    rows = "\n".join(f"| {key} | {value} |" for key, value in training.items() if value not in (None, "", []))
    params = "\n".join(f"| {key} | {value} |" for key, value in told_params(config).items())
    return f"""---
{chr(10).join(f"{key}: {json.dumps(value)}" for key, value in header.items())}
---

{first}

# {config["estimator_class"]}

What goes in: windows of {contract["n_channels"]} channels × {contract["n_times"]} samples at {contract["sfreq"]:g} Hz,
in {contract["units"]}; other rates and units are converted when `sfreq` and `units` say what they are. What comes out:
{config["output"]}.

Load it with `wearembed.from_pretrained(SOURCE)`, where SOURCE is this folder or its name; `verify()` replays the stored
reference.

## Training

| | |
|---|---|
{rows}

## Parameters

| | |
|---|---|
{params}

## Intended use and limits

Research on wearable recordings: features for probes, retrieval and exploration. Not a medical device, and not evaluated
for any decision about a person. Measure it on held-out participants of your own data, beside hand-made features and an
untrained net.
"""


def told_params(config: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the estimator and, by ``distance__``, of the distance that it was trained with."""
    of_distance = (config.get("distance") or {}).get("params", {})
    return {**config["params"], **{f"distance__{key}": value for key, value in of_distance.items()}}


def read_official(path) -> dict[str, Tensor]:
    """The net's state in a checkpoint of RelCon's official trainer, through torch's weights-only reader."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"No file at {path}. Expected checkpoint_best.pkl or the like of the official trainer.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is damaged, or holds more than tensors and plain values: torch's weights-only reader refuses it "
            f"({type(error).__name__})."
        ) from error
    net = state.get("net") if isinstance(state, dict) else None
    if not isinstance(net, dict) or not all(isinstance(value, Tensor) for value in net.values()):
        raise ValueError(
            f"{path} has no state dict under 'net'. The official trainer saves net, optimizer, epoch and test_loss."
        )
    return {key.removeprefix("module."): value for key, value in net.items()}


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise FileNotFoundError(
            f"{file} is missing, so {file.parent} is no checkpoint of wearembed, or an incomplete one. Expected "
            f"{', '.join(FILES)}."
        ) from error


def write(file: Path, data: bytes):
    """Write a file so that a reader sees the old one or the new one, whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(scratch, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


def aside(folder: Path) -> Path:
    """Where a folder's earlier content waits while the new one takes its place."""
    return folder.with_name(f".{folder.name}.old")


def to_bytes(tensors: dict[str, Tensor]) -> bytes:
    return tensors_to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
