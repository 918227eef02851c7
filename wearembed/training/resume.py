"""The state of training, in one file that a killed run goes on from."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from .. import disk
from ..distributed import first_said, is_first_process
from .learner import Stopped

OTHER_RUN = (
    "{} belongs to training with other data or parameters, so it cannot be taken up here. Name another checkpoint_dir, "
    "or delete that one to begin anew."
)


class Resume(Callback):
    """Keeps the whole state of training in one file after each epoch, and begins from it where there is one."""

    def __init__(self, file: Path, identity: str):
        self.file, self.identity = file, identity

    def on_train_begin(self, net, **kwargs):
        state = first_said(lambda: read_state(self.file, self.identity))
        if state is None:
            return
        net.module_.load_state_dict(state["module"])
        net.history.extend(json.loads(state["history"]))
        for name, callback in net.callbacks_:
            restore(callback, state["callbacks"].get(name, {}))
        net.optimizer_.load_state_dict(state["optimizer"])  # last: a schedule changes rates when it is made
        torch.set_rng_state(state["rng"])
        if net.device.startswith("cuda") and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], net.device)
        net.max_epochs = max(0, net.max_epochs - len(net.history))

    def on_epoch_end(self, net, **kwargs):
        if not is_first_process():
            return
        state = {
            "identity": self.identity,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "history": json.dumps(net.history.to_list(), default=float),
            "callbacks": {name: remember(callback) for name, callback in net.callbacks_ if callback is not self},
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(net.device) if net.device.startswith("cuda") else None,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        try:
            disk.write(self.file, buffer.getvalue())
        except KeyboardInterrupt as stop:  # a person's, and not an early stop
            raise Stopped from stop


def remember(callback) -> dict:
    """What a callback has learnt so far: plain values, weights kept aside, the state of a schedule."""
    state = {}
    for name, value in vars(callback).items():
        if hasattr(value, "state_dict") and not isinstance(value, type):
            state[name] = value.state_dict()
        elif name.endswith("_") and (value is None or isinstance(value, (bool, int, float, str, dict))):
            state[name] = plain(value)  # those of numpy are not read back
    return state


def restore(callback, state: dict):
    for name, value in state.items():
        now: Any = getattr(callback, name, None)
        if hasattr(now, "load_state_dict"):
            now.load_state_dict(value)
        else:
            setattr(callback, name, value)


def read_state(file: Path, identity: str) -> dict | None:
    """The state in a checkpoint of training; None where there is none yet."""
    if not file.exists():
        return None
    try:
        with zipfile.ZipFile(file) as parts:  # torch writes sums of all parts, and does not look at them
            if parts.testzip() is not None:
                raise ValueError("it is not what was written")
        state = torch.load(file, map_location="cpu", weights_only=True)
        same = state["identity"] == identity
    except Exception as error:
        raise ValueError(f"{file} is damaged or no checkpoint of training. Delete it to begin anew.") from error
    if not same:
        raise ValueError(OTHER_RUN.format(file))
    return state


def run_seed(folder: Path | None, identity: str, draw: Callable[[], int]) -> int:
    """The seed of the run that `folder` keeps; drawn, and kept there, where it has none yet."""
    if folder is None:
        return draw()
    file = folder / "run.json"
    for name in ("run.json", "checkpoint.pt"):
        disk.sweep(folder / name)  # a run was killed while it wrote
    if file.exists():
        try:
            run = json.loads(file.read_text())
            seed, same = int(run["seed"]), run["identity"] == identity
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is damaged. Delete {folder} to begin anew.") from error
        if not same:
            raise ValueError(OTHER_RUN.format(folder))
        return seed
    seed = draw()
    disk.write(file, json.dumps({"identity": identity, "seed": seed}).encode())
    return seed


def plain(value):
    """Numpy's numbers as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
