"""A classifier and a regressor: an encoder and a head on it, trained by labels from end to end."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_X_y
from torch import Tensor, nn

from .. import hub
from ..augment import Augment, rotate
from ..nets import Frozen
from ..objectives import Supervised
from ..training import Recipe
from .base import Encoder, Trainable
from .contract import read_windows
from .heart import HeartEncoder, given
from .pretrained import OF_THE_RUN, from_pretrained, frozen, named, numbers
from .relcon import RelConEncoder
from .runtimes import through_openvino

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


class FineTunedClassifier(ClassifierMixin, FineTuned):
    """An encoder with a head that names the class of each window, trained by labels.

    Parameters
    ----------
    encoder : encoder, str or path, default=None
        What it begins from: a fitted encoder, or where the weights of one are. It stays as it is, and ``clone``, and so
        a search, hands a fitted one on. With ``tune="scratch"`` it may be unfitted, since only its architecture counts.
        None is the net of a `RelConEncoder` with default parameters, from nothing.
    head : {"linear", "mlp"}, default="linear"
        One layer on the embedding, or two.
    tune : {"full", "head", "scratch"}, default="full"
        ``"full"``: the encoder's net trains on, with the head. ``"head"``: it stays as it is to the bit, and the head
        alone trains. ``"scratch"``: it begins from nothing, the supervised baseline of the distillation paper.
    hidden : int, default=256
        Features between the two layers of an ``"mlp"``.
    class_weight : dict, "balanced" or None, default=None
        How much the windows of a class count in the loss, by the name of the class. ``"balanced"`` lets a rare class
        count as much as a frequent one. A checkpoint does not keep it.
    augment : bool or callable, default=True
        Change windows while they train. True: for encoders of the heart what the contrastive paper does, save for the
        warp of time, since labels may be about time; for RelCon's turn the axes, so that it does not matter how a
        device is worn, nor in which posture; for others nothing. A callable maps a batch to a changed one, such as an
        `augment.Augment`; a checkpoint does not keep it.
    weights : str, default=None
        Folder or hub repository of a fine-tuned classifier. It brings all of it: encoder, head and classes. With
        ``max_epochs=0`` it is frozen; with more, encoder and head train on, or the head alone with ``tune="head"``.
    revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`, with AdamW, a weight decay of 0.01, 5 % of the steps to warm up and a cosine to the end (our
        default). To stop early, hold participants out by `validation_fraction` and pass skorch's ``EarlyStopping``.
    sfreq : float, default=None
        Rate of `X` in hertz. None: what the encoder says of its own. Other rates than that of the encoder's weights are
        converted.
    units : str, default=None
        Units of `X`. None: what the encoder says of its own.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    net_ : nn.Sequential
        Of ``net``, the encoder's, and ``head``.
    encoder_ : encoder
        The encoder as it is now, fitted; it shares its net with the classifier.
    contract_ : Contract
        Channels, samples, rate and units: the encoder's, or those of training.
    history_ : list of dict
        One entry an epoch.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Abbaspourazad et al. Wearable Accelerometer Foundation Models for Health via Knowledge Distillation. 2024.
    arXiv:2412.11276

    Examples
    --------
    >>> from wearembed.datasets import make_motion
    >>> from wearembed import FineTunedClassifier
    >>> motion = make_motion(n_participants=2, n_windows=10, random_state=0)
    >>> classifier = FineTunedClassifier("wearembed/relcon-synthetic", max_epochs=1, random_state=0)
    >>> classifier.fit(motion.data, motion.target, motion.groups).predict_proba(motion.data).shape
    (20, 5)
    """

    _architecture = ("head", "hidden")
    _names_classes = True

    def __init__(
        self,
        encoder=None,
        head="linear",
        *,
        tune="full",
        hidden=256,
        class_weight=None,
        augment=True,
        weights=None,
        revision=None,
        max_epochs=20,
        batch_size=64,
        lr=5e-4,
        device="auto",
        precision="float32",
        compile=False,
        num_workers=0,
        callbacks=None,
        checkpoint_dir=None,
        validation_fraction=0.0,
        random_state=None,
        verbose=0,
        sfreq=None,
        units=None,
    ):
        shared = given(locals())
        self.class_weight = shared.pop("class_weight")
        super().__init__(**shared)

    def predict_proba(self, X) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
            At `sfreq` in `units`, of as many seconds as those of training.

        Returns
        -------
        array of shape (n_windows, n_classes), float64
            In the order of `classes_`. A window's row is the same to the bit whatever other windows are in `X`.
        """
        return softmax(self._answers(X), axis=1)

    def predict(self, X) -> np.ndarray:
        """The most probable class.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
            At `sfreq` in `units`, of as many seconds as those of training.

        Returns
        -------
        array of shape (n_windows,)
        """
        likely = self.predict_proba(X).argmax(1)
        return self.classes_[likely]

    def _labels_of(self, X, y):
        _, y = check_X_y(X, y, dtype=None, allow_nd=True, ensure_all_finite=False, estimator=self)
        if pd.isna(y).any():
            raise ValueError(f"y has {int(pd.isna(y).sum())} missing labels. Leave such windows out.")
        labels = y.tolist()
        if y.dtype.kind not in "biufUO" or (y.dtype.kind == "O" and not all(isinstance(c, str) for c in labels)):
            raise ValueError(
                f"Unknown label type: y names classes by strings, or by numbers in an array of numbers; got an array "
                f"of dtype {y.dtype}."
            )
        check_classification_targets(y)
        if self.weights is None:
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise ValueError(f"y names one class only, {labels[0]!r}; there is nothing to tell it from.")
        code = {label: n for n, label in enumerate(self.classes_.tolist())}
        unknown = sorted({str(label) for label in labels if label not in code})
        if unknown:
            raise ValueError(
                f"The weights of {self.weights} know the classes {', '.join(map(str, code))}; y names "
                f"{', '.join(unknown[:3])} too. To learn other classes, pass their encoder_ as encoder, and no weights."
            )
        return np.array([code[label] for label in labels])

    def _fitted_columns(self, columns, seen):
        if self.class_weight is None:
            return columns
        y = columns["y"]
        return {**columns, "weight": self._class_weights(y[seen])[y].astype(np.float32)}

    def _class_weights(self, seen: np.ndarray) -> np.ndarray:
        """A factor for each class, in which balanced ones are one on average over the windows that are trained on."""
        if isinstance(self.class_weight, dict):
            return compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[seen])
        counts = np.bincount(seen, minlength=len(self.classes_))
        return len(seen) / np.maximum(counts, 1) / np.count_nonzero(counts)  # a class may be held out altogether

    def _check_parameters(self):
        super()._check_parameters()
        if not isinstance(self.class_weight, dict):
            self._check_choice("class_weight", (None, "balanced"))

    def _output(self):
        return f"the probabilities of {self._n_outputs} classes a window: {', '.join(map(str, self.classes_))}"

    @property
    def _n_outputs(self):
        return len(self.classes_)

    def _told_answers(self):
        kind = {"U": "str", "O": "object"}.get(self.classes_.dtype.kind, self.classes_.dtype.name)
        return {"classes": self.classes_.tolist(), "dtype": kind}

    def _take_answers(self, told):
        kind = {"str": np.dtype(str), "object": np.dtype(object)}.get(told["dtype"]) or np.dtype(told["dtype"])
        strings = [isinstance(label, str) for label in told["classes"]]
        sound = all(strings) if kind.kind in "UO" else kind.kind in "biuf" and not any(strings)
        self.classes_ = np.array(told["classes"], dtype=kind)
        if not sound or self.classes_.ndim != 1 or len(self.classes_) < 2:
            raise ValueError("their values make no sense")


class FineTunedRegressor(RegressorMixin, FineTuned):
    """An encoder with a head that says numbers of each window, trained by labels.

    Targets are brought to mean zero and deviation one, over the windows that are trained on, and answers back to where
    the targets were. The loss is the squared error, to which all targets then count alike.

    Parameters
    ----------
    encoder : encoder, str or path, default=None
        What it begins from: a fitted encoder, or where the weights of one are. It stays as it is, and ``clone``, and so
        a search, hands a fitted one on. With ``tune="scratch"`` it may be unfitted, since only its architecture counts.
        None is the net of a `RelConEncoder` with default parameters, from nothing.
    head : {"linear", "mlp"}, default="linear"
        One layer on the embedding, or two.
    tune : {"full", "head", "scratch"}, default="full"
        ``"full"``: the encoder's net trains on, with the head. ``"head"``: it stays as it is to the bit, and the head
        alone trains. ``"scratch"``: it begins from nothing, the supervised baseline of the distillation paper.
    hidden : int, default=256
        Features between the two layers of an ``"mlp"``.
    augment : bool or callable, default=True
        Change windows while they train. True: for encoders of the heart what the contrastive paper does, save for the
        warp of time, since labels may be about time; for RelCon's turn the axes, so that it does not matter how a
        device is worn, nor in which posture; for others nothing. A callable maps a batch to a changed one, such as an
        `augment.Augment`; a checkpoint does not keep it.
    weights : str, default=None
        Folder or hub repository of a fine-tuned regressor. It brings all of it: encoder, head and the scale of targets.
        With ``max_epochs=0`` it is frozen; with more, encoder and head train on, or the head alone with
        ``tune="head"``.
    revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`, with AdamW, a weight decay of 0.01, 5 % of the steps to warm up and a cosine to the end (our
        default). To stop early, hold participants out by `validation_fraction` and pass skorch's ``EarlyStopping``.
    sfreq : float, default=None
        Rate of `X` in hertz. None: what the encoder says of its own. Other rates than that of the encoder's weights are
        converted.
    units : str, default=None
        Units of `X`. None: what the encoder says of its own.

    Attributes
    ----------
    target_mean_, target_scale_ : array of shape () or (n_targets,)
        Of the targets that were trained on.
    net_ : nn.Sequential
        Of ``net``, the encoder's, and ``head``.
    encoder_ : encoder
        The encoder as it is now, fitted; it shares its net with the regressor.
    contract_ : Contract
        Channels, samples, rate and units: the encoder's, or those of training.
    history_ : list of dict
        One entry an epoch.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Abbaspourazad et al. Wearable Accelerometer Foundation Models for Health via Knowledge Distillation. 2024.
    arXiv:2412.11276

    Examples
    --------
    >>> from wearembed import PPGMaskedEncoder
    >>> from wearembed.datasets import make_ppg_accel
    >>> from wearembed import FineTunedRegressor
    >>> pulse = make_ppg_accel(n_participants=2, n_windows=6, seconds=10, random_state=0)
    >>> encoder = PPGMaskedEncoder(size=(16, 1, 32), max_epochs=1, random_state=0).fit(pulse.ppg)
    >>> regressor = FineTunedRegressor(encoder, max_epochs=1, random_state=0)
    >>> regressor.fit(pulse.ppg, pulse.heart_rate, pulse.groups).predict(pulse.ppg).shape
    (12,)
    """

    _architecture = ("head", "hidden")
    _names_classes = False

    def __init__(
        self,
        encoder=None,
        head="linear",
        *,
        tune="full",
        hidden=256,
        augment=True,
        weights=None,
        revision=None,
        max_epochs=20,
        batch_size=64,
        lr=5e-4,
        device="auto",
        precision="float32",
        compile=False,
        num_workers=0,
        callbacks=None,
        checkpoint_dir=None,
        validation_fraction=0.0,
        random_state=None,
        verbose=0,
        sfreq=None,
        units=None,
    ):
        super().__init__(**given(locals()))

    def predict(self, X) -> np.ndarray:
        """The targets of each window.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
            At `sfreq` in `units`, of as many seconds as those of training.

        Returns
        -------
        array of shape (n_windows,) or (n_windows, n_targets), float64
            As `y` was. A window's row is the same to the bit whatever other windows are in `X`.
        """
        said = self._answers(X)
        if self.target_mean_.ndim == 0:
            said = said[:, 0]
        return said * self.target_scale_ + self.target_mean_

    def _labels_of(self, X, y):
        _, y = check_X_y(
            X, y, dtype=None, allow_nd=True, ensure_all_finite=False, multi_output=True, y_numeric=True, estimator=self
        )
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"FineTunedRegressor takes numbers as y; got an array of dtype {y.dtype}. Classes are for "
                f"FineTunedClassifier."
            )
        y = y.astype(np.float64)
        if self.weights is None:
            self._measure(y)
        elif y.shape[1:] != self.target_mean_.shape:
            raise ValueError(
                f"The weights of {self.weights} say an array of shape (n_windows{self._targets(', ')}); got y of shape "
                f"{y.shape}. To learn other targets, pass their encoder_ as encoder, and no weights."
            )
        return y

    def _measure(self, y: np.ndarray):
        """Where targets lie and how far they scatter; one that does not scatter stays where it is."""
        scale = y.std(0)
        self.target_mean_, self.target_scale_ = np.asarray(y.mean(0)), np.where(scale > 0, scale, 1.0)

    def _fitted_columns(self, columns, seen):
        y = columns["y"]
        if self.weights is None:
            self._measure(y[seen])
        y = (y - self.target_mean_) / self.target_scale_
        return {**columns, "y": y.reshape(len(y), -1).astype(np.float32)}

    def _output(self):
        return f"{self._n_outputs} {'number' if self._n_outputs == 1 else 'numbers'} a window, by `predict`"

    @property
    def _n_outputs(self):
        return self.target_mean_.size

    def _targets(self, before: str) -> str:
        return "".join(f"{before}{n}" for n in self.target_mean_.shape)

    def _told_answers(self):
        return {"mean": self.target_mean_.tolist(), "scale": self.target_scale_.tolist()}

    def _take_answers(self, told):
        mean, scale = (np.array(told[name], dtype=np.float64) for name in ("mean", "scale"))
        if mean.shape != scale.shape or mean.ndim > 1 or not mean.size:
            raise ValueError("mean and scale are not of the same targets")
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("their values make no sense")
        self.target_mean_, self.target_scale_ = mean, scale

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


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
