"""An encoder and a head that names classes."""

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_X_y

from .finetuned import FineTuned
from .heart import given


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
        return {**columns, "weight": self._class_weights(y[np.asarray(seen)])[y].astype(np.float32)}

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
