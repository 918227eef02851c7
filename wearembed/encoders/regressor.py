"""An encoder and a head that says numbers."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_X_y

from .finetuned import FineTuned
from .heart import given


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
            self._measure(y[np.asarray(seen)])
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
