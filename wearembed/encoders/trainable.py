"""Estimators whose net is trained through skorch, on arrays and on stores."""

import json
import re
import warnings
import zlib
from contextlib import nullcontext
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_random_state
from torch import nn

from .. import __version__, disk, hub
from ..distributed import all_said, first_said, is_first_process, n_processes, together
from ..runs import Rows, Runs
from ..stores import LazyWindows
from ..training import PRECISIONS, Anchors, Recipe, find_device, run_seed, seeded, train
from .contract import Contract, check_number, is_acceleration, read_windows, refuse_constant, refuse_swapped
from .inference import Inference
from .pretrained import Pretrained
from .runtimes import fingerprint
from .tasks import CallbackSupportMixin, Tasks, with_callbacks

COMPILERS = (False, True, "openvino")


class Trainable(CallbackSupportMixin, Inference):
    """A net that is trained through skorch; a subclass says what it is made of by `_make_net` and `_make_objective`."""

    history_: list[dict]
    _moves = False  # whether the input is acceleration, whatever else it says
    _standardized = False  # whether the net sees each window and channel with mean zero and deviation one
    _recipe = Recipe()
    sampler = "mates"

    def __init__(
        self,
        *,
        weights,
        revision,
        max_epochs,
        batch_size,
        lr,
        device,
        precision,
        compile,
        num_workers,
        callbacks,
        checkpoint_dir,
        validation_fraction,
        random_state,
        verbose,
        sfreq,
        units,
    ):
        self.weights = weights
        self.revision = revision
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.precision = precision
        self.compile = compile
        self.num_workers = num_workers
        self.callbacks = callbacks
        self.checkpoint_dir = checkpoint_dir
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        self.sfreq = sfreq
        self.units = units

    def fit(self, X, y=None, *, groups=None, session=None) -> Self:
        """Train on windows; labels are not looked at.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times), or WindowStore
            Windows at `sfreq` in `units`; two dimensions are windows of one channel. Those of a store are read batch by
            batch.
        y : ignored
        groups : array of shape (n_windows,), default=None
            Participant of each window. None: all windows count as one participant's.
        session : array of shape (n_windows,), default=None
            Stretch of time within a participant that mates are drawn from, such as the hour (paper). None: all of a
            participant's windows are mates. Where neither is given, a store says both.

        Returns
        -------
        self
        """
        return self._fit(X, groups, session)

    @with_callbacks
    def _fit(self, X, groups, session, **columns):
        """`columns` are arrays with a row for each window that batches bring along, see `_columns`."""
        self._check_parameters()
        self._tasks = Tasks(self, X, columns.get("y"), self._n_parts(), self.max_epochs)
        try:
            with together(find_device(self.device), wanted=bool(self.max_epochs)):
                self._fit_windows(X, groups, session, **columns)
            self._tasks.done()
        finally:
            del self._tasks
        return self

    def _fit_windows(self, X, groups, session, **columns):
        X = read_windows(self, X, reset=True)
        if isinstance(X, LazyWindows) and groups is None and session is None:
            groups, session = told_by(X, "participant"), told_by(X, "session")
        groups = self._labels(groups, len(X), "groups", "the participant")
        session = self._labels(session, len(X), "session", "the stretch of time, such as the hour,")
        if self.weights is not None:
            self._load()
            X = self._convert(X)
            if not self.max_epochs:
                return
        elif self._stays():
            self._convert(X)
            return
        else:
            X = self._new_contract(X)
        if len(X) < 2:
            raise ValueError(f"{type(self).__name__} is trained on two windows at least; got 1 sample, a single one.")
        refuse_constant(type(self).__name__, X)
        self.n_channels_in_, self.n_times_in_ = X.shape[1:]
        self._train(X, groups, session, self._columns(X, groups, session, **columns))

    def _n_parts(self) -> int:
        """Estimators that ``fit`` fits before the first epoch."""
        return 0

    def _stays(self) -> bool:
        """Whether it is complete though it has no weights to load, so that ``fit`` leaves it as it is."""
        return False

    def _columns(self, X, groups, session, **columns) -> dict[str, np.ndarray]:
        """What batches bring along besides windows and groups."""
        return columns

    def _new_contract(self, X: np.ndarray) -> np.ndarray:
        """What `X` is becomes what the net takes; acceleration is in g inside."""
        refuse_swapped(type(self).__name__, X)
        self.contract_ = self._contract_of(*X.shape[1:])
        return self._convert(X)

    def _contract_of(self, n_channels: int, n_times: int) -> Contract:
        return Contract.of(n_channels, n_times, self.sfreq, self.units, self._standardized)

    def _convert(self, X: np.ndarray) -> np.ndarray:
        return self.contract_.convert(type(self).__name__, X, self.sfreq, self.units)

    def _train(self, X, groups, session, columns):
        self.__dict__.pop("untrained_", None)
        folder = None if self.checkpoint_dir is None else Path(self.checkpoint_dir).expanduser()
        with nullcontext() if folder is None or not is_first_process() else disk.alone(folder):
            self._train_in(folder, X, groups, session, columns)

    def _train_in(self, folder: Path | None, X, groups, session, columns):
        identity = self._identity(X, groups, session, columns) if folder is not None or n_processes() > 1 else ""
        self._check_alike(identity)
        draw = partial(check_random_state(self.random_state).randint, 2**31 - 1)
        seed = first_said(lambda: run_seed(folder, identity, lambda: int(draw())))
        self.history_ = []
        try:
            with seeded(seed):
                if self.weights is None:
                    self.architecture_ = {key: getattr(self, key) for key in self._architecture}
                    self.net_ = self._make_net(X.shape[1])
                if self.max_epochs:
                    self.history_ = self._learn(X, groups, session, columns, seed, folder, identity)
        except BaseException:
            self.__dict__.pop("net_", None)  # half-trained is not fitted
            raise
        self.net_.requires_grad_(True).eval()
        self.net_.zero_grad()  # the last gradients are as large as the net
        self.training_ = self._training(X, groups, seed)

    def _learn(self, X, groups, session, columns, seed, folder, identity) -> list[dict]:
        """Split, make the objective on what is to be learnt from, and train it."""
        out, valid = self._held_out(X, groups, seed), None
        data = {"X": X, "groups": groups, "session": session, **self._fitted_columns(columns, ~out)}
        seen = {name: chosen(a, ~out) for name, a in data.items()}
        objective: Any = self._make_objective(**seen, seed=seed)
        anchors = Anchors(**seen, n_mates=objective.n_mates, sampler=self.sampler)
        self._check_anchors(anchors, groups)
        if out.values.any():
            watched = {name: chosen(a, out) for name, a in data.items()}
            valid = self._validation(Anchors(**watched, n_mates=objective.n_mates, sampler=self.sampler))
        if self.compile and self.compile != "openvino":
            self.net_.compile()
        return train(
            objective,
            anchors,
            valid=valid,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            device=find_device(self.device),
            precision=self.precision,
            num_workers=self.num_workers,
            callbacks=clone(list(self.callbacks or []), safe=False),
            checkpoint=folder and folder / "checkpoint.pt",
            identity=f"{identity} {fingerprint(objective)}",
            seed=seed,
            verbose=self.verbose,
            name=type(self).__name__,
            told=(self._tasks.begin_epoch, self._tasks.end_epoch),
            recipe=self._recipe,
        )

    def _fitted_columns(self, columns: dict, seen: Runs) -> dict[str, np.ndarray]:
        """`columns` once it is known which windows are trained on."""
        return columns

    def _fit_first(self, part: "Trainable", name: str, random_state, X, groups, session):
        """Fit a part that this one learns from, by its seed and in its folder where the part names none."""
        if part.random_state is None:
            part.set_params(random_state=random_state)
        if part.checkpoint_dir is None and self.checkpoint_dir is not None:
            part.set_params(checkpoint_dir=Path(self.checkpoint_dir) / name)
        if self.verbose and not part.verbose:
            part.set_params(verbose=self.verbose)  # it may take as long
        with self._tasks.part(part, name):
            return part.fit(X, groups=groups, session=session)

    def _held_out(self, X, groups, seed: int) -> Runs:
        """Windows whose loss is only watched: those of some participants (some windows, where there is one)."""
        if not self.validation_fraction:
            return Runs([False], [len(X)])
        names = np.arange(len(X)) if groups is None else np.unique(groups.values)
        if len(names) < 2:
            groups, names = None, np.arange(len(X))
        n_out = min(max(1, round(self.validation_fraction * len(names))), len(names) - 1)
        out = np.random.default_rng(seed).choice(names, n_out, replace=False)
        if groups is None:
            return Runs.of(np.isin(names, out))
        of_person, stops = groups.runs()
        return Runs(np.isin(of_person, out), stops)

    def _validation(self, anchors: Anchors) -> Anchors:
        if not len(anchors):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} holds out participants with a single window each, "
                f"which have no mates. Hold out more, or gather more windows of a participant."
            )
        return anchors

    def _check_anchors(self, anchors: Anchors, groups):
        name = type(self).__name__
        if anchors.n_mates and groups is None and is_first_process():
            warnings.warn(
                f"{name} learns from what windows of one participant share, and was not told whose they are: all "
                f"{len(anchors.X)} count as one person's. Pass groups=, the participant of each window, which may be "
                f"one (y is not looked at); inside a Pipeline or a search with set_fit_request(groups=True).",
                stacklevel=9,
            )
        if not len(anchors):
            raise ValueError(
                f"{name} learns from windows of one participant against each other, and no participant has two: got "
                f"{len(anchors.X)} windows (n_samples = {len(anchors.X)}), each with a group of its own. groups names "
                f"the participant, the same for all windows of a person; leave it out where it is unknown."
            )
        if anchors.n_left_out and is_first_process():
            warnings.warn(
                f"{name}: {anchors.n_left_out} of {len(anchors.X)} windows are the only ones of their participant. "
                f"They have no mates, so they are left out of training.",
                stacklevel=9,
            )

    def _training(self, X, groups, seed) -> dict:
        """What the card tells of training."""
        began = {}
        if self.weights is not None:  # the data since may be anybody's, so nothing else of the old card holds
            began = {"began_from": str(self.weights), **hub.inherited(self.training_)}
        return {
            **began,
            "n_windows": len(X),
            "n_participants": None if groups is None else len(np.unique(groups.values)),
            "epochs": len(self.history_),
            "final_loss": round(self.history_[-1]["train_loss"], 4) if self.history_ else None,
            "batch_size": int(self.batch_size),
            "lr": float(self.lr),
            **({"random_state": int(self.random_state)} if isinstance(self.random_state, Integral) else {}),
            "seed": seed,
            **({"processes": n_processes()} if n_processes() > 1 else {}),
        }

    def _check_alike(self, identity: str):
        """An error where processes that train together were given different things to do."""
        if len(set(all_said(identity))) > 1:
            raise ValueError(
                f"{type(self).__name__} trains in {n_processes()} processes, which were given different windows, "
                f"groups or parameters. Each has to be given all of them, the same: where they are drawn, from a fixed "
                f"random_state."
            )

    def _identity(self, X, groups, session, columns) -> str:
        """Tells one run of training from another: its data and the parameters that change its result."""
        free = {"max_epochs", "verbose", "device", "num_workers", "callbacks", "checkpoint_dir"}
        params = {k: v for k, v in self.get_params(deep=False).items() if k not in free}
        params["callbacks"] = [(type(c).__name__, c.get_params()) for c in self.callbacks or []]
        told = re.sub(r" at 0x[0-9a-f]+", "", repr(sorted(params.items())))
        data: list = [checksum(X)]
        data += [
            zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)
            for labels in (groups, session)
            if labels is not None
            for array in labels.runs()
        ]
        data += [checksum(column) for column in columns.values()]
        return json.dumps([type(self).__name__, __version__, told, X.shape, data])

    # --------------------------------------------------------------------------------- checks

    def _check_parameters(self):
        self._check_number("batch_size", Integral, 1)
        self._check_number("max_epochs", Integral, 0)
        self._check_number("num_workers", Integral, 0)
        for name in ("lr", "sfreq"):
            self._check_number(name, Real, 0, above=True)
        self._check_number("validation_fraction", Real, 0)
        if self.validation_fraction >= 1:
            raise ValueError(
                f"validation_fraction is a share of the participants below 1; got {self.validation_fraction}."
            )
        self._check_choice("precision", PRECISIONS)
        self._check_choice("compile", COMPILERS)
        if self._moves and not is_acceleration(self.units):
            raise ValueError(f"units of {type(self).__name__} is one of g, m/s^2, mg; got {self.units!r}.")
        watched = [str(getattr(callback, "monitor", "")) for callback in self.callbacks or []]
        if not self.validation_fraction and any("valid_loss" in name for name in watched):
            raise ValueError(
                "A callback monitors valid_loss, and nothing is held out. Set validation_fraction, or let it monitor "
                "train_loss."
            )
        if self.weights is None and not self.max_epochs and not self._stays():
            warnings.warn(
                f"{type(self).__name__} has max_epochs=0 and no weights: the net stays untrained.", stacklevel=3
            )
        find_device(self.device)

    def _check_number(self, name: str, kind: type, low, above: bool = False):
        check_number(self, name, getattr(self, name), kind, low, above)

    def _check_choice(self, name: str, choices: tuple):
        value = getattr(self, name)
        if value not in choices:
            told = ", ".join(map(str, choices))
            raise ValueError(f"{name} of {type(self).__name__} is one of {told}; got {value!r}.")

    def _check_stages(self, name: str):
        """An error unless a parameter has a whole number for each stage of a net."""
        value = getattr(self, name)
        if not isinstance(value, (tuple, list)) or not all(isinstance(n, Integral) and int(n) > 0 for n in value):
            raise ValueError(
                f"{name} of {type(self).__name__} has a whole number above 0 for each stage; got {value!r}."
            )

    @staticmethod
    def _labels(labels, n_windows: int, name: str, what: str) -> Runs | None:
        """`groups` or `session`, a label for each window; what a store tells has been looked at."""
        if labels is None or isinstance(labels, Runs):
            return labels
        labels = np.asarray(labels)
        if labels.shape != (n_windows,):
            raise ValueError(
                f"{name} names {what} of each window: expected {n_windows} labels, got shape {labels.shape}."
            )
        if pd.isna(labels).any():
            raise ValueError(f"{name} has {int(pd.isna(labels).sum())} missing labels. Name {what} of each window.")
        return Runs.of(labels.astype(str) if labels.dtype == object else labels)

    # --------------------------------------------------------------------------------- for subclasses

    def _make_net(self, n_channels: int) -> nn.Module:
        raise NotImplementedError

    def _make_objective(self, X: np.ndarray, groups, session, seed: int, **columns) -> nn.Module:
        raise NotImplementedError

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        return tags


def told_by(windows: LazyWindows, name: str) -> Runs | np.ndarray | None:
    """A store's participants or sessions as numbers; words where some are missing."""
    codes = windows.runs(name)
    if codes is None or codes.values.min() >= 0:
        return codes
    words = np.asarray(codes).astype(object)
    words[np.asarray(codes) < 0] = None
    return words


def is_to_be_fitted(part) -> bool:
    """Whether a part that an encoder learns from has yet to learn: one that nobody gave, or one without weights."""
    return part is None or (isinstance(part, Pretrained) and not part.__sklearn_is_fitted__())


def chosen(column, mask: Runs):
    """Rows of a column; none of a store's is read."""
    if column is None or mask.values.all():
        return column
    if isinstance(column, Runs):
        return column.through(Rows.where(mask))
    return column.rows(Rows.where(mask)) if isinstance(column, LazyWindows) else column[np.asarray(mask)]


def checksum(column) -> int | str:
    """Tells one column from another."""
    if isinstance(column, LazyWindows):
        return column.identity()
    return zlib.crc32(np.ascontiguousarray(column).data)
