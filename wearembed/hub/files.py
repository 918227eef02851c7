"""Files of a checkpoint, read within limits and written whole."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

FILES = ("model.safetensors", "reference.safetensors", "README.md", "config.json")
# The most that a file may hold, in bytes: whoever wrote it may not fill our memory. A full-size net has 16 MB.
MOST = {"config.json": 2**20, "model.safetensors": 2**32, "reference.safetensors": 2**28}
MOST_OF_HEADER = 2**21  # of a safetensors file; a full-size net has some 20 kB


def read(file: Path) -> bytes:
    """All of a checkpoint's file. A link is followed, but neither a pipe nor a device is opened."""
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing, so {file.parent} is no checkpoint of wearembed, or an incomplete one. Expected "
            f"{', '.join(FILES)}."
        )
    size = file.stat().st_size
    if size > MOST[file.name]:
        raise ValueError(
            f"{file} has {size} bytes, and a checkpoint's has at most {MOST[file.name]}. It is damaged, or no "
            f"checkpoint of wearembed."
        )
    return file.read_bytes()


def aside(folder: Path) -> Path:
    """Where a folder's earlier content waits while the new one takes its place."""
    return folder.parent / f".{folder.name}.old"


def from_bytes(data: bytes) -> dict[str, Tensor]:
    """Tensors of a safetensors file, whose header is looked at before it is parsed."""
    header = int.from_bytes(data[:8], "little")
    if len(data) < 8 or header > min(MOST_OF_HEADER, len(data) - 8):
        raise ValueError(f"{len(data)} bytes, which begin with a header of {header}")
    return parse_tensors(data)


def to_bytes(tensors: dict[str, Tensor]) -> bytes:
    return tensors_to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def shortened(said, most: int = 200) -> str:
    """What a file says, fit for an error message: one line, printable, of some length at most."""
    text = "".join(c if c.isprintable() else " " for c in str(said)[: most + 1])
    return text if len(text) <= most else text[: most - 3] + "..."


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
