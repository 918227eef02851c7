"""An encoder and a head on it, trained by labels from end to end."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from .. import hub
from ..augment import Augment, rotate
from ..nets import Frozen
from ..objectives import Supervised
from ..training import Recipe
from .base import Encoder
from .contract import read_windows
from .heart import HeartEncoder
from .pretrained import OF_THE_RUN, from_pretrained, frozen, named, numbers
from .relcon import RelConEncoder
from .runtimes import through_openvino
from .trainable import Trainable

HEADS = ("linear", "mlp")
ENOUGH = 1024  # windows that tell how embeddings scatter
TUNES = ("full", "head", "scratch")


class FineTuned(Trainable):
    """What the two have in common; each says what it answers."""

    architecture_: dict[str, Any]
    _handed_on = ("encoder",)
    _names_classes: bool  # whether an answer is a class, or numbers
    _recipe = Recipe(torch.optim.AdamW, weight_decay=0.01, warmup=0.05, cosine=True)

    def __init__(self, encoder, head, *, tune, hidden, augment, **shared):
        super().__init__(**shared)
        self.encoder = encoder
        self.head = head
        self.tune = tune
        self.hidden = hidden
        self.augment = augment

    def fit(self, X, y=None, groups=None, session=None) -> Self:
        """Train encoder and head, or the head alone, on labelled windows.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
            Windows at `sfreq` in `units`; two dimensions are windows of one channel.
        y : array of shape (n_windows,)
            What is to be said of each window; for a regressor also of shape (n_windows, n_targets).
        groups : array of shape (n_windows,), default=None
            Participant of each window: `validation_fraction` holds out participants. None: it holds out windows.
        session : ignored
            Here so that the call is an encoder's.

        Returns
        -------
        self
        """
        try:
            return self._fit(X, groups, session, y=y)
        finally:
            self.__dict__.pop("_origin", None)  # of use while it trains, and perhaps large

    @property
    def encoder_(self) -> Encoder:
        """The encoder as it is now: a transformer, fitted, whose net is part of this one's."""
        self._ready()
        own = copy.copy(self.architecture_["encoder"])
        own.set_params(device=self.device, precision=self.precision, sfreq=self._sfreq, units=self._units)
        own.architecture_ = {key: getattr(own, key) for key in own._architecture}
        own.contract_, own.net_, own.training_ = self.contract_, self.net_.net, dict(getattr(self, "training_", {}))
        own.n_channels_in_, own.n_times_in_ = self.contract_.n_channels, self.contract_.n_times
        return own

    def _answers(self, X) -> np.ndarray:
        """What the head says of windows, in float64."""
        self._ready()
        return self._replay(self._convert(read_windows(self, X, reset=False))).astype(np.float64)

    def _replay(self, windows):
        return self._through_net(windows, self._n_outputs)

    def _runner(self, runtime, device, half, shape):
        if runtime != "openvino":
            return super()._runner(runtime, device, half, shape)
        run = through_openvino(self.net_.net, shape, half)  # 2026.4 errs in numbers a channel after a mean over time
        return lambda x: self.net_.head(torch.from_numpy(run(x)))

    # --------------------------------------------------------------------------------- training

    def _columns(self, X, groups, session, **columns):
        return {"y": self._labels_of(X, columns["y"])}

    @property
    def _from_nothing(self) -> bool:
        return self.tune == "scratch" or self.encoder is None

    def _new_contract(self, X):
        """The encoder's, where its weights stay; else a new one, as the encoder makes its own."""
        origin = self._origin = self._read_encoder()
        self.sfreq_ = origin.sfreq if self.sfreq is None else self.sfreq
        self.units_ = origin.units if self.units is None else self.units
        if not self._from_nothing:
            self.contract_ = origin.contract_
            return self._convert(X)
        own = bare(origin).set_params(sfreq=self.sfreq_, units=self.units_)
        own._check_parameters()
        X = own._new_contract(X)
        self.contract_ = own.contract_
        return X

    def _read_encoder(self) -> Encoder:
        """The encoder that was given; an error where it has no weights to begin from and should."""
        encoder = self.encoder
        if encoder is None:
            if self.tune == "head":
                raise ValueError(
                    'tune="head" trains a head on an encoder that stays as it is, and encoder=None has learnt nothing. '
                    "Pass a fitted encoder, or where the weights of one are."
                )
            return RelConEncoder()
        if isinstance(encoder, (str, Path)):
            encoder = from_pretrained(encoder, device=self.device)
        if not isinstance(encoder, Encoder):
            raise TypeError(
                f"encoder is an encoder, where the weights of one are, or None; got {type(encoder).__name__}. Of a "
                f"fine-tuned estimator pass the encoder_."
            )
        if encoder.__sklearn_is_fitted__():
            encoder._ready()
        elif self.tune != "scratch":
            raise ValueError(
                f'tune="{self.tune}" begins from the weights of an encoder, and this {type(encoder).__name__} has none '
                f"yet. Fit it first, name weights and set its max_epochs=0, or train its net from nothing by "
                f'tune="scratch".'
            )
        return encoder

    def _convert(self, X):
        return self.contract_.convert(type(self).__name__, X, self._sfreq, self._units)

    @property
    def _sfreq(self) -> float:
        return self.sfreq_ if self.sfreq is None else self.sfreq

    @property
    def _units(self) -> str:
        return self.units_ if self.units is None else self.units

    def _make_net(self, n_channels):
        own = self.architecture_["encoder"] = bare(self._origin)
        net = own._make_net(n_channels) if self._from_nothing else copy.deepcopy(self._origin.net_)
        return headed(net, self.head, self.hidden, self._n_outputs)

    def _make_objective(self, X, groups, session, seed, **columns):
        net = self.net_.eval()
        if self.weights is None and not self._from_nothing:
            some = np.linspace(0, len(X) - 1, min(len(X), ENOUGH)).astype(int)
            net.head.standardize.measure(self.encoder_._replay(X[some]))
        if self.tune == "head":
            net = nn.Sequential(Frozen(net.net), net.head)
        return Supervised(net, self._names_classes, self._changes(X.shape[1]))

    def _changes(self, n_channels: int) -> Callable | None:
        own = self.architecture_["encoder"]
        if callable(self.augment) or not self.augment:
            return self.augment or None
        if isinstance(own, HeartEncoder):
            return own._augment(n_channels, "none")  # a label may be about time, such as a heart rate
        return Augment([(rotate, 1.0)]) if own._moves and n_channels % 3 == 0 else None

    def _training(self, X, groups, seed):
        """With the data that the encoder has seen, which an evaluation has to know of too."""
        training = super()._training(X, groups, seed)
        if self.weights is not None or self._from_nothing:
            return training
        origin = self._origin
        place = self.encoder if isinstance(self.encoder, (str, Path)) else origin.weights
        began = type(origin).__name__ + (f" of {place}" if place else "")
        return {**training, "encoder": began, **hub.inherited(getattr(origin, "training_", {}))}

    def _check_parameters(self):
        super()._check_parameters()
        self._check_choice("head", HEADS)
        self._check_choice("tune", TUNES)
        self._check_number("hidden", Integral, 1)
        if not isinstance(self.augment, bool) and not callable(self.augment):
            raise ValueError(
                f"augment of {type(self).__name__} is True, False, or changes of a batch, such as "
                f"augment.Augment([(augment.rotate, 1.0)]); got {self.augment!r}."
            )

    def _check_number(self, name, kind, low, above=False):
        if name != "sfreq" or self.sfreq is not None:  # None is the encoder's
            super()._check_number(name, kind, low, above)

    # --------------------------------------------------------------------------------- saving

    def _empty_net(self):
        with torch.device("meta"):
            net = self.architecture_["encoder"]._make_net(self.contract_.n_channels)
            sizes = self.architecture_["head"], self.architecture_["hidden"]
            return headed(net, *sizes, self._n_outputs).eval()

    def _config(self):
        own = self.architecture_["encoder"]
        params = {key: getattr(own, key) for key in own._architecture if key not in OF_THE_RUN}
        told = {"estimator_class": type(own).__name__, "params": params}
        return super()._config() | {"encoder": told, "answers": self._told_answers()}

    def _shape(self, config, folder):
        try:
            self._take_answers(config["answers"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{folder / 'config.json'} is damaged: answers: {error}. Get it anew.") from error
        super()._shape(config, folder)
        self.sfreq_, self.units_ = self.contract_.sfreq, self.contract_.units

    def _agreed(self, config):
        return {**super()._agreed(config), "encoder": self._stored_encoder(config.get("encoder"))}

    def _stored_encoder(self, told) -> Encoder:
        """The encoder that a checkpoint names, bare; its class is one of those that exist."""
        damaged = f"The config.json of {self.weights} is damaged: encoder"
        if not isinstance(told, dict) or not isinstance(told.get("params"), dict):
            raise ValueError(f"{damaged}. Get it anew.")
        kind: Any = named(hub.Checkpoint(Path(self.weights), told, {}, {}), Encoder)
        is_given = isinstance(self.encoder, Encoder)
        nameless = [key for key in kind._architecture if key in OF_THE_RUN]
        if nameless and not is_given:
            raise ValueError(
                f"{self.weights} began from an {kind.__name__} of parts that no file can name. Load it with "
                f"from_pretrained(source, encoder={kind.__name__}({', '.join(f'{key}=...' for key in nameless)}))."
            )
        try:
            parts = {key: getattr(self.encoder, key) for key in nameless}
            own = kind(**{key: frozen(value) for key, value in told["params"].items()}, **parts)
            own._check_parameters()
            if not all(number < 10_000 for number in numbers([getattr(own, key) for key in own._architecture])):
                raise ValueError("sizes beyond all reason")
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{damaged}: {error}. Get it anew.") from error
        if is_given and repr(bare(self.encoder)) != repr(own):
            raise ValueError(
                f"encoder={bare(self.encoder)!r} does not fit the weights of {self.weights}, which are of {own!r}. "
                f"Leave encoder out."
            )
        return own

    # --------------------------------------------------------------------------------- for the two

    @property
    def _n_outputs(self) -> int:
        """Numbers that the head gives of a window."""
        raise NotImplementedError

    def _labels_of(self, X: np.ndarray, y) -> np.ndarray:
        """What batches bring along of `y`; an error where it does not do."""
        raise NotImplementedError

    def _told_answers(self) -> dict:
        """What turns the net's numbers into answers, for ``config.json``."""
        raise NotImplementedError

    def _take_answers(self, told: dict):
        """Back from ``config.json``; any error means that it is damaged."""
        raise NotImplementedError


def bare(encoder: Encoder) -> Encoder:
    """An encoder of the same architecture that has learnt nothing."""
    shape = {key: getattr(encoder, key) for key in encoder._architecture}
    return type(encoder)(**{**shape, **getattr(encoder, "architecture_", {})})


def headed(net: Any, head: str, hidden: int, n_outputs: int) -> nn.Sequential:
    """A net and what answers from its embedding."""
    top: list[nn.Module] = [nn.Linear(net.dim, n_outputs)]
    if head == "mlp":
        top = [nn.Linear(net.dim, hidden), nn.GELU(), nn.Linear(hidden, n_outputs)]
    named_layers = {"standardize": Standardize(net.dim), **{f"layer{n}": layer for n, layer in enumerate(top)}}
    return nn.Sequential(OrderedDict(net=net, head=nn.Sequential(OrderedDict(named_layers))))


class Standardize(nn.Module):
    """Numbers around zero, with deviation one, by what the encoder made of windows before it was tuned.

    Without, a head learns slowly from numbers of all sizes; a norm over the batch would let windows depend on company.
    It changes nothing for a net that begins from nothing, whose embeddings say little about those to come.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def measure(self, Z: np.ndarray):
        scale = Z.std(0)
        scale = np.maximum(scale, 0.01 * scale.mean())  # what hardly moves is noise, and stays small
        self.mean = torch.from_numpy(Z.mean(0)).to(self.mean)
        self.scale = torch.from_numpy(np.where(scale > 0, scale, 1.0)).to(self.scale)

    def forward(self, z: Tensor) -> Tensor:
        return (z - self.mean) / self.scale
