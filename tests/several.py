"""What each of the processes of tests/test_distributed.py does: ``python several.py FOLDER``."""

import os
import pickle
import sys
import time
import warnings
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pulled import Pulled
from sklearn.base import BaseEstimator, clone
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, LRScheduler
from test_contracts import DISTANCE, ENCODERS

from wearembed import (
    AccelContrastiveEncoder,
    AccelMaskedEncoder,
    Encoder,
    FineTunedClassifier,
    FineTunedRegressor,
    RelConEncoder,
    SimCLREncoder,
    datasets,
    distributed,
    nets,
)
from wearembed.distributed import Share
from wearembed.training import is_first_process

MOTION = datasets.make_motion(n_participants=3, n_windows=8, random_state=0)
X, y, groups = (column[:23] for column in (MOTION.data, MOTION.target, MOTION.groups))  # shares of 4 and of 3
SMALL = {"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0}


class PulledTogether(Pulled):
    """The same objective, which knows that it may see a share of a batch."""

    def forward(self, batch):
        x, share = batch["x"], Share.of(batch["x"])
        apart = self.net(share.changed(self.augment, x)) - self.net(share.changed(self.augment, x))
        return share.weighed(apart.square().mean())


NET = partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,))
SIMCLR = SimCLREncoder(4, (1,), (3,), **SMALL)
ALL = {
    **ENCODERS,
    "Encoder": Encoder(NET, PulledTogether, **SMALL),
    "RelConDistance": DISTANCE,
    "RelConEncoder, projected": RelConEncoder(4, (1,), (3,), distance=DISTANCE, mates=3, projection=8, **SMALL),
    "FineTunedClassifier": FineTunedClassifier(
        AccelMaskedEncoder((16, 1, 32), **SMALL), tune="scratch", class_weight="balanced", **SMALL
    ),
    "FineTunedRegressor": FineTunedRegressor(SIMCLR, tune="scratch", validation_fraction=0.34, **SMALL),
}
ALL = {name: clone(encoder).set_params(max_epochs=2, batch_size=8) for name, encoder in ALL.items()}
for name in ("RelConEncoder", "RelConEncoder, projected"):  # no window twice among candidates: rounding would rank it
    ALL[name].set_params(sampler="spread", batch_size=3, max_epochs=1)
RESUMED = AccelContrastiveEncoder((16, 1, 32), **SMALL).set_params(
    callbacks=[LRScheduler(torch.optim.lr_scheduler.ExponentialLR, gamma=0.7)]
)


class Exact(Callback):
    """Lets a net learn in float64, where rounding is no reason for what differs, and keeps the first gradients.

    In float32 Adam makes steps of full size out of gradients that are zero but for rounding, such as that of a bias
    before a batch norm.
    """

    kept: list = []

    def on_train_begin(self, net, **kwargs):
        net.module_.double()
        for name, buffer in list(net.module_.named_buffers(recurse=False)):
            setattr(net.module_, name, buffer.float())  # of the objective itself, which computes a loss in float32
        Exact.kept.append({})

    def on_batch_begin(self, net, batch, **kwargs):
        batch[0].update({name: t.double() for name, t in batch[0].items() if t.is_floating_point()})

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if not Exact.kept[-1]:
            named = {name: p.grad for name, p in named_parameters}
            Exact.kept[-1] |= {name: g.numpy().copy() for name, g in named.items() if g is not None}

    def on_train_end(self, net, **kwargs):
        net.module_.float()


def trained(encoder):
    """What comes of a fit: losses, gradients of the first step, what is said of windows."""
    Exact.kept = []
    encoder = clone(encoder).set_params(callbacks=[Exact()])
    for part in ("distance", "teacher"):
        if isinstance(getattr(encoder, part, None), BaseEstimator):
            encoder.set_params(**{f"{part}__callbacks": [Exact()]})
    if isinstance(encoder, (FineTunedClassifier, FineTunedRegressor)):
        labels = y if isinstance(encoder, FineTunedClassifier) else np.arange(len(X)) % 5.0
        said = encoder.fit(X, labels, groups)._answers(X)
    else:
        encoder.fit(X, groups=groups)
        said = encoder._replay(encoder._convert(X))
    losses = [[epoch[k] for k in ("train_loss", "valid_loss") if k in epoch] for epoch in encoder.history_]
    state = {name: t.numpy() for name, t in encoder.net_.state_dict().items()}
    return {"losses": losses, "gradients": Exact.kept[-1], "said": said, "state": state}


# ------------------------------------------------------------------------------------- callbacks that trouble


class Own(Callback):
    """Writes down a number that is each process's own, and falls on the second alone."""

    def on_epoch_end(self, net, **kwargs):
        n = len(net.history)
        net.history.record("own", float(-n if distributed.team.rank else 3 * n))


class Stops(Callback):
    """Fails in one place, in the second process."""

    def __init__(self, where):
        self.where = where

    def fail(self, where):
        if where == self.where and distributed.team.rank == 1:
            raise ValueError(f"a disc was full in {where}")

    def on_train_begin(self, net, **kwargs):
        self.fail("on_train_begin")

    def on_batch_begin(self, net, **kwargs):
        self.fail("on_batch_begin")

    def on_grad_computed(self, net, **kwargs):
        self.fail("on_grad_computed")

    def on_epoch_end(self, net, **kwargs):
        self.fail("on_epoch_end")

    def on_train_end(self, net, **kwargs):
        self.fail("on_train_end")


class Breaks(PulledTogether):
    """Fails in the middle of a step, when the processes have begun to talk."""

    def forward(self, batch):
        loss = super().forward(batch)
        if distributed.team is not None and distributed.team.rank == 1:
            raise ValueError("a disc was full in forward")
        return loss


class Waits(Callback):
    """The second process comes back only when the first has lost patience."""

    def __init__(self, sign):
        self.sign = sign

    def on_batch_begin(self, net, **kwargs):
        while distributed.team.rank == 1 and not self.sign.exists():
            time.sleep(0.05)


class Dies(Callback):
    """Ends the second process without a word."""

    def on_batch_begin(self, net, **kwargs):
        if distributed.team.rank == 1:
            os._exit(9)


def told(fit):
    """What a fit says when it fails, by whom, and whether anything was left behind."""
    try:
        fit()
    except Exception as error:
        return f"{type(error).__name__}: {error}", torch.distributed.is_initialized(), distributed.team
    return None


# ------------------------------------------------------------------------------------- what is done


def everything(folder, rank):
    own_folder = folder / f"rank {rank}"
    own_folder.mkdir()
    os.chdir(own_folder)
    out = {"all": {name: trained(encoder) for name, encoder in ALL.items()}}
    out["generator"] = torch.get_rng_state().numpy()

    goes_on = clone(RESUMED).set_params(max_epochs=4, checkpoint_dir=folder / "resumed")
    out["resumed"] = goes_on.fit(X, groups=groups).history_

    stopping = EarlyStopping(monitor="own", patience=2, load_best=True, sink=lambda text: None)
    best = Checkpoint(monitor="train_loss_best", dirname="best", sink=print)
    unlike = clone(SIMCLR).set_params(max_epochs=6, callbacks=[Own(), stopping], random_state=None)
    unlike.fit(X, groups=groups)
    out["unlike"] = unlike.history_, unlike.transform(X), unlike.training_["seed"]
    slower = LRScheduler(torch.optim.lr_scheduler.ReduceLROnPlateau, monitor="own", patience=0)
    slowed = clone(SIMCLR).set_params(max_epochs=3, callbacks=[Own(), best, slower], verbose=1)
    out["slowed"] = slowed.fit(X, groups=groups).transform(X)

    out["pickled"] = pickle.loads(pickle.dumps(slowed)).transform(X)
    out["left"] = torch.distributed.is_initialized(), distributed.team
    slowed.save_pretrained(folder / "saved", data=["simulated"])
    out["saved"] = SimCLREncoder.from_pretrained(folder / "saved").transform(X)
    if is_first_process():
        slowed.save_pretrained(folder / "by the first alone")
    out["refused"] = told(lambda: slowed.save_pretrained(folder / "no checkpoint"))

    fit = {"X": X, "groups": groups}
    for where in ("on_train_begin", "on_batch_begin", "on_grad_computed", "on_epoch_end", "on_train_end"):
        out[where] = told(partial(clone(SIMCLR).set_params(callbacks=[Stops(where)]).fit, **fit))
    out["forward"] = told(partial(Encoder(NET, Breaks, **SMALL).fit, **fit))
    out["other windows"] = told(partial(clone(SIMCLR).fit, X + np.float32(rank)))
    out["few"] = trained(clone(SIMCLR).set_params(batch_size=1))
    distributed.PATIENCE = timedelta(seconds=3)
    out["late"] = told(partial(clone(SIMCLR).set_params(callbacks=[Waits(folder / "sign")]).fit, **fit))
    (folder / "sign").touch()
    distributed.PATIENCE = timedelta(minutes=30)
    (folder / f"out{rank}.pickle").write_bytes(pickle.dumps(out))

    died = told(partial(clone(SIMCLR).set_params(callbacks=[Dies()]).fit, **fit))
    (folder / "died.pickle").write_bytes(pickle.dumps(died))


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    everything(Path(sys.argv[1]), int(os.environ["RANK"]))
