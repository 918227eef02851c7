"""A whole run of training: the learner, what watches it, and how weights follow gradients."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from skorch.helper import predefined_split
from torch import nn

from .. import distributed
from ..distributed import is_first_process
from ..memory import kept_memory
from ..nets.synced import whole_batch_norms
from ..progress import Progress
from .anchors import Anchors
from .learner import Learner, Stopped
from .resume import Resume, plain


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
