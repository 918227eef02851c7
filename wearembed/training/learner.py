"""skorch around an objective, in one process or in several."""

from collections.abc import Callable

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Checkpoint, TrainEndCheckpoint
from torch import nn
from torch.utils.data import DataLoader

from .. import distributed
from ..distributed import is_first_process
from .anchors import Anchors
from .devices import autocast, seeded


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
