"""An accelerometer encoder that learns the heart from a PPG encoder."""

import copy
from numbers import Real
from pathlib import Path
from typing import Self

import torch
from sklearn.base import clone

from .. import hub
from ..objectives import CrossModalDistillation
from ..training import Recipe
from .base import Encoder
from .contract import is_acceleration, read_windows
from .heart import TIME_WARPS, HeartEncoder, sized
from .masked import PPGMaskedEncoder
from .pretrained import from_pretrained
from .trainable import is_to_be_fitted


class DistilledAccelEncoder(HeartEncoder):
    """Accelerometer encoder whose embedding of a minute is its teacher's embedding of the same minute's PPG.

    A wrist at rest shakes a little with each beat. The teacher knows what beats look like in PPG, and never changes;
    the student finds them in acceleration, without any label.

    Parameters
    ----------
    teacher : encoder, str or path, default=None
        What embeds the second sensor, `paired`: a fitted encoder, such as a `PPGMaskedEncoder`, or where the weights of
        one are. It stays as it is, and ``clone``, and so a search, does not train it anew. An encoder that is not
        fitted is fitted on `paired` first; None is a `PPGMaskedEncoder` with default parameters.
    size : str or tuple, default="L"
        The student: transformers ``"L"``, ``"M"``, ``"S"``, ``"XS"`` (6.3, 3.2, 1.8 and 1.2 million parameters; our
        ladder, since the paper's is not known), or ``"efficientnet"``. A tuple names other sizes: (width, layers,
        hidden) of a transformer, (width, expansion) of an EfficientNet.
    dim : int, default=None
        Length of an embedding; None, or the same, is that of the teacher.
    temperature : float, default=0.04
        Of the loss (our default, the contrastive paper's). With a few hundred steps, 0.2 is easier to learn from
        (docs/results).
    weight : float, default=0.5
        Share of the loss that looks for the student by its teacher; the rest looks the other way (our default).
    augment : bool, default=True
        Change what both see, each by draws of its own, with the probabilities of the contrastive paper's PPG. The paper
        reports a 45 % larger error of heart rate without.
    time_warp : {"fixed", "apple", "none"}, default="fixed"
        Among these changes. ``"apple"``, the released code's, skips beats, which are the point here.
    standardize_teacher : bool, default=True
        Aim at the teacher's embeddings with mean and deviation of each direction over the training windows taken away
        (our default). Embeddings of different minutes have too much in common otherwise, above all a masked teacher's.
        To retrieve by student what the teacher embeds, standardise the latter by the same windows, with a
        ``StandardScaler``. False aims at them as they are; a teacher that is trained along is never standardised.
    joint : bool, default=False
        Train a copy of the teacher along. The paper reports more than 95 % larger error of heart rate so; for that
        ablation.
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` and ``lr=1e-3`` are our defaults, with AdamW, 5 % of the steps to warm up
        and a cosine to the end. Each window's negatives are the others of its batch: larger batches teach finer.
    sfreq : float, default=64.0
        Rate of `X` in hertz (paper: 64). That of `paired` is the teacher's. Once trained, other rates are converted.
    units : str, default="g"
        Of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.

    Attributes
    ----------
    net_ : PatchTransformer or EfficientNet1d
    teacher_ : encoder
        The fitted teacher; not there in loaded weights.
    contract_ : Contract
        Channels, samples, rate and units of training.
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
    >>> from wearembed import DistilledAccelEncoder, PPGMaskedEncoder
    >>> from wearembed.datasets import make_ppg_accel
    >>> pulse = make_ppg_accel(n_participants=3, n_windows=4, seconds=10, random_state=0)
    >>> teacher = PPGMaskedEncoder(size=(16, 1, 32), max_epochs=1, random_state=0).fit(pulse.ppg)
    >>> student = DistilledAccelEncoder(teacher, size=(16, 1, 32), max_epochs=1, random_state=0)
    >>> student.fit(pulse.accel, paired=pulse.ppg, groups=pulse.groups).transform(pulse.accel).shape
    (12, 16)
    """

    teacher_: Encoder
    _sensor = "accel"
    _moves = True
    _architecture = ("size", "dim")
    _handed_on = ("teacher",)
    _recipe = Recipe(torch.optim.AdamW, weight_decay=1e-5, warmup=0.05, cosine=True)

    def __init__(
        self,
        teacher=None,
        size="L",
        *,
        dim=None,
        temperature=0.04,
        weight=0.5,
        augment=True,
        time_warp="fixed",
        standardize_teacher=True,
        joint=False,
        weights=None,
        revision=None,
        max_epochs=20,
        batch_size=256,
        lr=1e-3,
        device="auto",
        precision="float32",
        compile=False,
        num_workers=0,
        callbacks=None,
        checkpoint_dir=None,
        validation_fraction=0.0,
        random_state=None,
        verbose=0,
        sfreq=64.0,
        units="g",
    ):
        super().__init__(
            weights=weights,
            revision=revision,
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            device=device,
            precision=precision,
            compile=compile,
            num_workers=num_workers,
            callbacks=callbacks,
            checkpoint_dir=checkpoint_dir,
            validation_fraction=validation_fraction,
            random_state=random_state,
            verbose=verbose,
            sfreq=sfreq,
            units=units,
        )
        self.teacher = teacher
        self.size = size
        self.dim = dim
        self.temperature = temperature
        self.weight = weight
        self.augment = augment
        self.time_warp = time_warp
        self.standardize_teacher = standardize_teacher
        self.joint = joint

    def fit(self, X, y=None, *, paired=None, groups=None, session=None) -> Self:
        """Learn from pairs of windows; labels are not looked at.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times)
            Acceleration at `sfreq` in `units`.
        y : ignored
        paired : array of shape (n_windows, n_channels_2, n_times_2), default=None
            The same minutes as the teacher's sensor has them, row by row, at the teacher's rate and in its units. In a
            ``Pipeline`` or a search it is routed by ``set_fit_request(paired=True)``. Needed wherever the teacher is of
            another sensor; a teacher of acceleration sees `X` itself without, and is compressed.
        groups : array of shape (n_windows,), default=None
            Participant of each window.
        session : array of shape (n_windows,), default=None
            Stretch of time within a participant; for a teacher that is to be fitted first.

        Returns
        -------
        self
        """
        return self._fit(X, groups, session, paired=paired)

    def _columns(self, X, groups, session, **columns):
        paired = self._paired(X, columns["paired"])
        self.teacher_ = self._fit_teacher(paired, groups, session)
        own = self.dim if self.weights is None else self.net_.dim
        if own not in (None, self.teacher_.net_.dim):
            raise ValueError(
                f"Embeddings of teacher and student are compared, so dim is the teacher's, {self.teacher_.net_.dim}; "
                f"got {own}. Leave dim out, or name a teacher of the same length for weights that are trained on."
            )
        return {"paired": self.teacher_._convert(read_windows(self.teacher_, paired, reset=False))}

    def _paired(self, X, paired):
        """The second sensor, a row for each window of `X`."""
        if paired is not None:
            if len(paired) != len(X):
                raise ValueError(
                    f"paired holds the same minutes as X, row by row: expected {len(X)} windows, got {len(paired)}."
                )
            return paired
        if not is_acceleration(getattr(self.teacher, "units", "")):
            raise ValueError(
                "DistilledAccelEncoder learns from a second sensor: pass fit(X, paired=ppg), the same minutes row by "
                "row. In a Pipeline or a search, route it: set_fit_request(paired=True), with metadata routing enabled."
            )
        return X

    def _n_parts(self):
        return int(is_to_be_fitted(self.teacher))

    def _fit_teacher(self, paired, groups, session) -> Encoder:
        """The teacher that was given, fitted where it is not."""
        teacher = PPGMaskedEncoder(device=self.device, verbose=self.verbose) if self.teacher is None else self.teacher
        if isinstance(teacher, (str, Path)):
            teacher = from_pretrained(teacher, device=self.device)
        if not isinstance(teacher, Encoder):
            raise TypeError(
                f"teacher is an encoder, where the weights of one are, or None; got {type(teacher).__name__}."
            )
        if teacher.__sklearn_is_fitted__():
            teacher._ready()
            return teacher
        return self._fit_first(clone(teacher), "teacher", self.random_state, paired, groups, session)

    def _train(self, X, groups, session, columns):
        super()._train(X, groups, session, columns)
        self.architecture_ = {**self.architecture_, "dim": self.net_.dim}

    def _make_net(self, n_channels):
        dim = self.dim if self.dim is not None or not hasattr(self, "teacher_") else self.teacher_.net_.dim
        return sized(self.size, n_channels, dim=dim)

    def _make_objective(self, X, groups, session, seed, **columns):
        self.architecture_ = {**self.architecture_, "dim": self.net_.dim}  # for copies that are made while it trains
        own = copy.deepcopy(self.teacher_.net_)  # freezing or training a copy leaves the user's as it is
        own_change, teachers_change = (  # which are the same for PPG and for acceleration
            self._augment(n_channels, self.time_warp) if self.augment else None
            for n_channels in (X.shape[1], self.teacher_.n_channels_in_)
        )
        center, scale = self._moments(columns["paired"])
        return CrossModalDistillation(
            self.net_,
            own,
            own_change,
            teachers_change,
            self.temperature,
            self.weight,
            self.joint,
            center,
            scale,
        )

    def _moments(self, paired) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        """Mean and deviation of the teacher's embeddings over the windows of training."""
        if self.joint or not self.standardize_teacher:
            return None, None
        Z = torch.from_numpy(self.teacher_._replay(paired))
        return Z.mean(0), Z.std(0).clamp_min(1e-6)

    def _training(self, X, groups, seed):
        """With the data that the teacher has seen, which an evaluation has to know of too."""
        training = super()._training(X, groups, seed)
        theirs = getattr(self.teacher_, "training_", {})
        named = self.teacher if isinstance(self.teacher, (str, Path)) else self.teacher_.weights
        teacher = type(self.teacher_).__name__ + (f" of {named}" if named else "")
        return {**training, "teacher": teacher, **hub.inherited(training, theirs)}

    def _check_parameters(self):
        super()._check_parameters()
        self._check_choice("time_warp", TIME_WARPS)
        self._check_number("temperature", Real, 0, above=True)
        self._check_number("weight", Real, 0)
        if self.weight > 1:
            raise ValueError(f"weight of DistilledAccelEncoder is a share, 1 at most; got {self.weight}.")
