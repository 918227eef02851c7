"""Anchors and their mates, the skorch learner, and training that can be killed and taken up again."""

import io
import json
import math
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint, GradientNormClipping, LRScheduler, TrainEndCheckpoint
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader, Dataset

from . import disk, distributed
from .distributed import first_said, is_first_process
from .memory import kept_memory
from .nets.synced import whole_batch_norms
from .progress import Progress

PRECISIONS = ("float32", "bfloat16", "auto")
SAMPLERS = ("mates", "participants", "spread")
OTHER_RUN = (
    "{} belongs to training with other data or parameters, so it cannot be taken up here. Name another checkpoint_dir, "
    "or delete that one to begin anew."
)


class Anchors(Dataset):
    """Windows as anchors, each with mates: other windows of the same session of the same participant.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, n_times)
        Read row by row as batches want them.
    groups : array of shape (n_windows,) or None
        Participant of each window. None: all windows are mates of one another.
    session : array of shape (n_windows,) or None
        Stretch of time within a participant (the paper's hour) that mates have to share. None: all of the participant.
    n_mates : int, default=0
        Mates drawn for each anchor, anew in each epoch.
    sampler : {"mates", "participants", "spread"}, default="mates"
        ``"mates"``: anchors are shuffled, and `n_mates` drawn for each. ``"participants"``: a batch is made of blocks
        of up to ``n_mates + 1`` windows that are mates of one another, so that each window is anchor and candidate at
        once, and no mates are read besides. ``"spread"``: like ``"mates"``, but each participant gives an anchor before
        any gives a second, so that few meet themselves in a batch.
    **columns : arrays with a row for each window
        What a batch brings along under the same names, such as ``paired``.

    Notes
    -----
    Too few mates: an anchor whose session has fewer than `n_mates` other windows gets each of them, some repeatedly.
    One that is alone in its session draws from its participant. One that is alone in its participant is no anchor;
    `n_left_out` counts those.
    """

    def __init__(self, X, groups=None, session=None, n_mates: int = 0, sampler: str = "mates", **columns):
        self.X, self.n_mates, self.sampler, self.columns = X, n_mates, sampler, columns
        self.groups = codes(np.zeros(len(X)) if groups is None else groups)
        self.pools = Pools(self.groups)
        self.sessions = self.pools
        if session is not None:
            stretch = codes(session)
            self.sessions = Pools(codes(self.groups.astype(np.int64) * (stretch.max(initial=0) + 1) + stretch))
        rows: np.ndarray = np.arange(len(X), dtype=row_type(len(X)))
        self.rows = rows[self.pools.size(rows) > 1] if n_mates else rows
        self.n_left_out = len(X) - len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: tuple[np.ndarray, np.ndarray | None]):
        anchors, mates = rows
        batch = {"x": self.X[anchors], "group": self.groups[anchors]}
        batch |= {name: column[anchors] for name, column in self.columns.items()}
        if mates is not None:
            batch["mates"] = self.X[mates.ravel()].reshape(*mates.shape, *self.X.shape[1:])
        return batch, 0  # skorch wants a target; an objective needs none

    def batches(self, batch_size: int, seed: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Rows of anchors and of their mates, batch by batch: one epoch, fixed by `seed`."""
        rng = np.random.default_rng(seed)
        if self.n_mates and self.sampler == "participants":
            for anchors in self._blocks(batch_size, rng):
                yield anchors, None
            return
        order = rng.permutation(self.rows)
        if self.sampler == "spread":
            order = self._spread(order)
        for anchors in np.array_split(order, -(-len(order) // batch_size)):  # as even as can be: no batch of a few
            yield anchors, self._mates(anchors, rng) if self.n_mates else None

    def _spread(self, rows: np.ndarray) -> np.ndarray:
        """`rows` in rounds, in each of which a participant has one turn at most."""
        turn = np.empty(len(self.X), dtype=np.intp)
        for own in self.pools.members(rows):
            turn[own] = np.arange(len(own))
        return rows[np.argsort(turn[rows], kind="stable")]

    def _mates(self, anchors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mates = np.empty((len(anchors), self.n_mates), dtype=np.intp)
        for n, anchor in enumerate(anchors):
            pools = self.sessions if self.sessions.size(anchor) > 1 else self.pools
            mates[n] = pools.others(anchor, self.n_mates, rng)
        return mates

    def _blocks(self, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        size = min(self.n_mates + 1, max(2, batch_size // 2))
        blocks = []
        for rows in self.pools.members(self.rows):  # of one participant
            alone = self.sessions.size(rows) < 2
            pools = [*self.sessions.members(rows[~alone])]
            if alone.sum() > 1 or not pools:
                pools.append(rows[alone])
            elif alone.any():  # a single window joins others of its participant
                pools[0] = np.concatenate([pools[0], rows[alone]])
            for mates in pools:
                if len(mates):
                    n_blocks = max(1, min(-(-len(mates) // size), len(mates) // 2))  # none with a single window
                    blocks += np.array_split(rng.permutation(mates), n_blocks)
        per_batch = max(2, batch_size // size)
        order = rng.permutation(len(blocks))
        for some in np.array_split(order, -(-len(order) // per_batch)):
            yield np.concatenate([blocks[b] for b in some])


class Pools:
    """Rows by the code that they share: two numbers a row, whatever the rows are of."""

    def __init__(self, code: np.ndarray):
        self.code = code
        self.order: np.ndarray = np.argsort(code, kind="stable").astype(
            row_type(len(code))
        )  # of a pool, rows in their order
        self.stop = np.cumsum(np.bincount(code))
        self.start = np.concatenate([[0], self.stop[:-1]])

    def size(self, rows):
        """How many rows there are in the pool of each of `rows`."""
        return (self.stop - self.start)[self.code[rows]]

    def others(self, row: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """`n` other rows of the pool of `row`, without repetition as long as there are so many."""
        code = self.code[row]
        start, stop = self.start[code], self.stop[code]
        n_others = stop - start - 1
        if n_others >= n:
            drawn = rng.choice(n_others, n, replace=False)
        else:
            drawn = np.resize(rng.permutation(n_others), n)
        place = np.searchsorted(self.order[start:stop], row)
        return self.order[start + drawn + (drawn >= place)]

    def members(self, rows: np.ndarray) -> list[np.ndarray]:
        """`rows` split by their pools."""
        rows = rows[np.argsort(self.code[rows], kind="stable")]
        return np.split(rows, np.flatnonzero(np.diff(self.code[rows])) + 1) if len(rows) else []


def codes(labels) -> np.ndarray:
    """0, 1, ... for each label."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "iu" and len(labels) and labels.min() >= 0 and labels.max() < 2 * len(labels):
        to = np.cumsum(np.bincount(labels) > 0) - 1  # small numbers need no sorting, which takes memory
        return to.astype(row_type(len(labels)))[labels]
    return np.unique(labels, return_inverse=True)[1].reshape(-1).astype(row_type(len(labels)))


def row_type(n: int) -> type:
    """What numbers `n` rows, in as few bytes as do."""
    return np.int32 if n < 2**31 else np.int64


@dataclass(frozen=True)
class Recipe:
    """How weights follow gradients.

    Parameters
    ----------
    optimizer : type, default=torch.optim.Adam
        RelCon's official code, and the released code of Apple's PPG model.
    betas : (float, float), default=(0.9, 0.999)
    weight_decay : float, default=0
    warmup : float, default=0
        Share of the steps over which the rate rises from nothing.
    cosine : bool, default=False
        Let the rate fall to a hundredth of itself, along half a cosine, until the last step.
    clip : float, default=None
        Largest norm of a gradient.
    """

    optimizer: type = torch.optim.Adam
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup: float = 0.0
    cosine: bool = False
    clip: float | None = None

    def callbacks(self, n_steps: int) -> list[Callback]:
        """The schedule over `n_steps`, and the clipping."""
        own: list[Callback] = []
        if self.warmup or self.cosine:
            rate = partial(self.rate, n_steps=n_steps)
            own.append(LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=rate, step_every="batch"))
        if self.clip is not None:
            own.append(GradientNormClipping(self.clip))
        return own

    def rate(self, step: int, n_steps: int) -> float:
        """Of the full learning rate at a step."""
        rising = (step + 1) / max(1.0, self.warmup * n_steps)
        falling = 0.505 + 0.495 * math.cos(math.pi * min(1.0, step / n_steps)) if self.cosine else 1.0
        return min(1.0, rising) * falling


class Learner(NeuralNet):
    """skorch around an objective: the batch goes in, and what comes out is already the loss."""

    def __init__(self, module, *, seed=0, precision="float32", num_workers=0, **kwargs):
        self.seed = seed
        self.precision = precision
        self.num_workers = num_workers
        super().__init__(module, criterion=nn.Identity, **kwargs)

    def get_iterator(self, dataset, training=False):
        return DataLoader(
            dataset,
            batch_size=None,  # the sampler names whole batches
            sampler=Epochs(dataset, self.batch_size, self.seed, (lambda: len(self.history)) if training else lambda: 0),
            num_workers=self.num_workers,
            pin_memory=str(self.device).startswith("cuda"),
        )

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        try:
            if training:
                return super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            with seeded(self.seed):  # the same draws each time, so that epochs can be compared
                return super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        except KeyboardInterrupt as stop:  # skorch would end quietly and leave a half-trained net that looks trained
            raise Stopped from stop

    def infer(self, x, **fit_params):
        with autocast(self.device, self.precision):
            return self.module_(x)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        if not torch.isfinite(y_pred):
            raise ValueError(
                f"The loss became {y_pred.item()} in epoch {len(self.history)}. Lower lr (now {self.lr}), or look for "
                f"windows of extreme values."
            )
        return y_pred

    # --------------------------------------------------------------------------------- of several processes

    def initialize_callbacks(self):
        super().initialize_callbacks()
        if distributed.team is not None and not is_first_process():
            for _, callback in self.callbacks_:
                silence(callback)
        return self

    def on_grad_computed(self, net, named_parameters, **kwargs):
        distributed.average_gradients(parameter for _, parameter in named_parameters)

    def on_batch_end(self, net, batch=None, training=False, loss=None, **kwargs):
        """What is written down of a batch is of all of it."""
        if distributed.team is None or batch is None or loss is None:
            return
        kind = "train" if training else "valid"
        mean, n = distributed.total(torch.tensor([loss.item() / distributed.team.size, len(batch[0]["x"])]).double())
        self.history.record_batch(f"{kind}_loss", float(mean))
        self.history.record_batch(f"{kind}_batch_size", int(n))

    def notify(self, method_name, **kwargs):
        if method_name != "on_epoch_end" or distributed.team is None:
            return super().notify(method_name, **kwargs)
        for callback in [self, *(callback for _, callback in self.callbacks_)]:
            self.end_epoch_of(callback, **kwargs)

    def end_epoch_of(self, callback, **kwargs):
        """Let a callback end its epoch on all processes; what it wrote, and whether it stops training, is then one."""
        before, stops = dict(self.history[-1]), None
        try:
            callback.on_epoch_end(self, **kwargs)
        except KeyboardInterrupt as stop:
            stops = stop
        written = {k: v for k, v in self.history[-1].items() if k != "batches" and (k, v) not in before.items()}
        said = distributed.all_said((written, stops is not None))
        for key in said[0][0]:
            self.history.record(key, agreed([theirs.get(key) for theirs, _ in said]))
        if any(stop for _, stop in said):
            raise stops or KeyboardInterrupt


def agreed(values: list):
    """The mean of numbers of all processes; of anything else what the first says."""
    if all(isinstance(value, (float, np.floating)) for value in values):
        return float(np.mean(values))
    return values[0]


def silence(callback):
    """Let a callback of another than the first process write no files and say nothing."""
    if isinstance(callback, Checkpoint):
        callback.load_best = False  # all are given what the first has loaded
        callback.save_model = nothing
    if isinstance(callback, TrainEndCheckpoint):
        callback.on_train_end = nothing
    if callable(getattr(callback, "sink", None)):
        callback.sink = nothing


def nothing(*args, **kwargs):
    """Do it."""


class Stopped(Exception):
    """A person's Ctrl-C in the middle of an epoch, unlike an early stop at its end."""


class Epochs(torch.utils.data.Sampler):
    """The batches of an epoch, drawn anew from the seed and the number of the epoch."""

    def __init__(self, anchors: Anchors, batch_size: int, seed: int, epoch: Callable[[], int]):
        self.anchors, self.batch_size, self.seed, self.epoch = anchors, batch_size, seed, epoch

    def __iter__(self):
        """Of several processes each takes its share of the same batches."""
        for rows in self.anchors.batches(self.batch_size, (self.seed, self.epoch())):
            yield own_rows(rows)


def own_rows(rows: tuple[np.ndarray, np.ndarray | None]) -> tuple[np.ndarray, np.ndarray | None]:
    """Of the rows of anchors and of their mates those of this process."""
    anchors, mates = rows
    if distributed.team is None:
        return rows
    own = np.array_split(np.arange(len(anchors)), distributed.team.size)[distributed.team.rank]
    return anchors[own], None if mates is None else mates[own]


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


class Shown(Callback):
    """How far training is, and a line an epoch."""

    def __init__(self, progress: Progress, max_epochs: int):
        self.progress, self.max_epochs = progress, max_epochs
        self.per_epoch = progress.total // max_epochs

    def on_batch_end(self, net, training=False, **kwargs):
        if training and self.progress.done < len(net.history) * self.per_epoch:
            self.progress.reach(max(self.progress.done, (len(net.history) - 1) * self.per_epoch) + 1)

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        losses = [f"{name} {epoch[name]:.4g}" for name in ("train_loss", "valid_loss") if name in epoch]
        self.progress.reach(len(net.history) * self.per_epoch)
        told = ", ".join([*losses, f"{epoch['dur']:.3g} s"])
        self.progress.say(f"epoch {len(net.history)} of {self.max_epochs}, {told}")


class Epochwise(Callback):
    """Tells somebody when an epoch begins and when it ends, who may then stop training."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], bool]):
        self.begin, self.end = begin, end

    def on_epoch_begin(self, net, **kwargs):
        self.begin()

    def on_epoch_end(self, net, **kwargs):
        if self.end():
            raise KeyboardInterrupt  # by which skorch knows an early stop


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


def train(
    objective: nn.Module,
    anchors: Anchors,
    *,
    valid: Anchors | None = None,
    max_epochs: int,
    batch_size: int,
    lr: float,
    device: str = "cpu",
    precision: str = "float32",
    num_workers: int = 0,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    identity: str = "",
    seed: int = 0,
    verbose: int = 0,
    name: str = "training",
    told: tuple[Callable[[], None], Callable[[], bool]] | None = None,
    recipe: Recipe = Recipe(),
) -> list[dict]:
    """Train an objective, in place; a schedule among the callbacks takes the place of the recipe's.

    `name` is what is trained, for who watches; `told` is called when an epoch begins and when it ends, and stops
    training by a true answer to the latter.

    Returns
    -------
    list of dict
        One entry an epoch: ``epoch``, ``train_loss``, ``valid_loss`` where there is a validation set, ``dur`` in
        seconds.
    """
    n_steps = max_epochs * -(-len(anchors) // batch_size)
    scheduled = any(isinstance(callback, LRScheduler) for callback in callbacks)
    own = [c for c in recipe.callbacks(n_steps) if not (scheduled and isinstance(c, LRScheduler))]
    progress = Progress(name, n_steps, "step", shown=bool(verbose) and is_first_process())
    callbacks = [*callbacks, *own, Shown(progress, max_epochs)]
    if told is not None:
        callbacks.append(Epochwise(*told))
    if checkpoint is not None:
        callbacks.append(Resume(checkpoint, identity))
    learner = Learner(
        objective,
        optimizer=recipe.optimizer,
        optimizer__betas=recipe.betas,
        optimizer__weight_decay=recipe.weight_decay,
        max_epochs=max_epochs,
        batch_size=batch_size,
        lr=lr,
        device=device,
        precision=precision,
        num_workers=num_workers,
        callbacks=callbacks,
        callbacks__print_log=None,  # a line of ours takes its place
        train_split=predefined_split(valid) if valid is not None else None,
        seed=seed,
        verbose=verbose if is_first_process() else 0,
    )
    try:
        with kept_memory(device), whole_batch_norms(objective), progress:
            distributed.make_alike(objective)
            learner.fit(anchors)
            distributed.make_alike(objective)  # whatever a callback of one process has brought back
    except Stopped as stop:
        raise KeyboardInterrupt from stop
    return [{k: plain(v) for k, v in epoch.items() if k != "batches"} for epoch in learner.history]


def plain(value):
    """Numpy's numbers as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


one_at_a_time = threading.RLock()  # torch's generator is one for all threads


@contextmanager
def seeded(seed: int):
    """Draws of torch inside follow from `seed`; outside they go on as if nothing had been drawn."""
    with one_at_a_time, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def find_device(device: str) -> str:
    """``"auto"`` is the first GPU where there is one, else the CPU; each process of torchrun has a GPU of its own."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and distributed.n_processes() > 1:
        device = f"cuda:{distributed.own_gpu()}"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f'device={device!r} is not to be had on this machine. Use "auto", "cpu"'
            + (', "cuda" or "cuda:N".' if torch.cuda.is_available() else "; no GPU is visible to torch.")
        ) from error
    return str(device)


def autocast(device: str, precision: str):
    """Half precision where it is asked for: matrix products and convolutions in bfloat16."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=is_half(device, precision))


def is_half(device: str, precision: str) -> bool:
    """Whether products are in bfloat16."""
    return precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.device(device).type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
