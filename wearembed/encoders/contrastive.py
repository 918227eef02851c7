"""PPG, ECG and accelerometer encoders trained by the contrast of participants."""

from numbers import Real

from ..objectives import ParticipantContrast
from ..objectives.contrastive import NEGATIVES
from ..training import Recipe
from .heart import TIME_WARPS, HeartEncoder, given

POSITIVES = ("participant", "segment")


class ContrastiveEncoder(HeartEncoder):
    """What the three have in common; each says its sensor."""

    _recipe = Recipe(weight_decay=1e-5)  # released code
    sampler = "spread"

    def __init__(self, size, *, positives, temperature, negatives, momentum, koleo, time_warp, **shared):
        super().__init__(**shared)
        self.size = size
        self.positives = positives
        self.temperature = temperature
        self.negatives = negatives
        self.momentum = momentum
        self.koleo = koleo
        self.time_warp = time_warp

    def _make_objective(self, X, groups, session, seed, **columns):
        return ParticipantContrast(
            self.net_,
            self._augment(X.shape[1], self.time_warp),
            self.positives,
            self.temperature,
            self.negatives,
            self.momentum,
            self.koleo,
        )

    def _check_parameters(self):
        super()._check_parameters()
        self._check_choice("positives", POSITIVES)
        self._check_choice("negatives", NEGATIVES)
        self._check_choice("time_warp", TIME_WARPS)
        self._check_number("temperature", Real, 0, above=True)
        self._check_number("koleo", Real, 0)
        if self.momentum is not None:
            self._check_number("momentum", Real, 0)
            if self.momentum >= 1:
                raise ValueError(f"momentum of {type(self).__name__} is below 1, or None; got {self.momentum}.")


class PPGContrastiveEncoder(ContrastiveEncoder):
    """PPG encoder trained to know a participant again.

    Windows of 60 s at 64 Hz, four optical channels in the paper; any number and length will do. Band-pass them first
    by `signals.prepare_ppg`.

    Parameters
    ----------
    size : str or tuple, default="efficientnet"
        The net: ``"efficientnet"`` is `nets.EfficientNet1d` as in the released code, of 256 numbers an embedding and
        expansion 7; ``"L"``, ``"M"``, ``"S"`` and ``"XS"`` are `nets.PatchTransformer`. A tuple names other sizes:
        (width, expansion) of the one, (width, layers, hidden) of the other.
    positives : {"participant", "segment"}, default="participant"
        What is pulled together: two windows of one participant (paper), or a window and itself, augmented twice. With
        ``"participant"`` one that is alone in its participant is left out with a warning.
    temperature : float, default=0.04
        Of the loss (released code).
    negatives : {"both", "cross"}, default="both"
        As in `objectives.info_nce`.
    momentum : float or None, default=0.99
        Of the copy that follows (released code); None goes without, as SimCLR.
    koleo : float, default=0.1
        Weight of `objectives.koleo` (released code).
    time_warp : {"apple", "fixed", "none"}, default="apple"
        The released code's warp of time skips stretches of every second window that it meets
        (`augment.warp_time_apple`); ``"fixed"`` keeps all that happened.
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` and ``lr=1e-3`` are the released code's, and so are Adam and its weight
        decay of 1e-5.
    sfreq : float, default=64.0
        Rate of `X` in hertz (paper: 64). Once trained, other rates are converted.
    units : str, default="a.u."
        Windows are standardised, so that their unit does not matter.

    Attributes
    ----------
    net_ : EfficientNet1d or PatchTransformer
    contract_ : Contract
        Channels, samples, rate and units of training.
    history_ : list of dict
        One entry an epoch.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Abbaspourazad et al. Large-scale Training of Foundation Models for Wearable Biosignals. ICLR 2024.
    arXiv:2312.05409

    Examples
    --------
    >>> from wearembed import PPGContrastiveEncoder
    >>> from wearembed.datasets import make_ppg_accel
    >>> pulse = make_ppg_accel(n_participants=3, n_windows=4, seconds=10, random_state=0)
    >>> encoder = PPGContrastiveEncoder(size=(36, 2), max_epochs=1, random_state=0)
    >>> encoder.fit(pulse.ppg, groups=pulse.groups).transform(pulse.ppg).shape
    (12, 36)
    """

    _sensor = "ppg"

    def __init__(
        self,
        size="efficientnet",
        *,
        positives="participant",
        temperature=0.04,
        negatives="both",
        momentum=0.99,
        koleo=0.1,
        time_warp="apple",
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
        units="a.u.",
    ):
        super().__init__(**given(locals()))


class ECGContrastiveEncoder(ContrastiveEncoder):
    """ECG encoder trained to know a participant again.

    Windows of 30 s at 128 Hz of one lead in the paper; any number and length will do. Band-pass them first by
    `signals.prepare_ecg`. Augmentations are twice as likely as for PPG, since a person's ECG varies less (paper).

    Parameters
    ----------
    size : str or tuple, default="efficientnet"
        The net: ``"efficientnet"`` is `nets.EfficientNet1d` as in the released code, of 256 numbers an embedding and
        expansion 6; ``"L"``, ``"M"``, ``"S"`` and ``"XS"`` are `nets.PatchTransformer`. A tuple names other sizes:
        (width, expansion) of the one, (width, layers, hidden) of the other.
    positives : {"participant", "segment"}, default="participant"
        What is pulled together: two windows of one participant (paper), or a window and itself, augmented twice. With
        ``"participant"`` one that is alone in its participant is left out with a warning.
    temperature : float, default=0.04
        Of the loss (released code).
    negatives : {"both", "cross"}, default="both"
        As in `objectives.info_nce`.
    momentum : float or None, default=0.99
        Of the copy that follows (released code); None goes without, as SimCLR.
    koleo : float, default=0.1
        Weight of `objectives.koleo` (released code).
    time_warp : {"apple", "fixed", "none"}, default="apple"
        The released code's warp of time skips stretches of every second window that it meets
        (`augment.warp_time_apple`); ``"fixed"`` keeps all that happened.
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` and ``lr=1e-3`` are the released code's, and so are Adam and its weight
        decay of 1e-5.
    sfreq : float, default=128.0
        Rate of `X` in hertz (paper: 128). Once trained, other rates are converted.
    units : str, default="mV"
        Windows are standardised, so that their unit does not matter.

    Attributes
    ----------
    net_ : EfficientNet1d or PatchTransformer
    contract_ : Contract
        Channels, samples, rate and units of training.
    history_ : list of dict
        One entry an epoch.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Abbaspourazad et al. Large-scale Training of Foundation Models for Wearable Biosignals. ICLR 2024.
    arXiv:2312.05409

    Examples
    --------
    >>> from wearembed import ECGContrastiveEncoder
    >>> from wearembed.datasets import make_ecg
    >>> ecg = make_ecg(n_participants=3, n_windows=4, seconds=10, random_state=0)
    >>> encoder = ECGContrastiveEncoder(size=(36, 2), max_epochs=1, random_state=0)
    >>> encoder.fit(ecg.data, groups=ecg.groups).transform(ecg.data).shape
    (12, 36)
    """

    _sensor = "ecg"

    def __init__(
        self,
        size="efficientnet",
        *,
        positives="participant",
        temperature=0.04,
        negatives="both",
        momentum=0.99,
        koleo=0.1,
        time_warp="apple",
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
        sfreq=128.0,
        units="mV",
    ):
        super().__init__(**given(locals()))


class AccelContrastiveEncoder(ContrastiveEncoder):
    """Accelerometer encoder trained to know a participant again: Accel-CL, a baseline of the distillation paper.

    Windows of 60 s at 64 Hz, three axes. Each axis is standardised over its window, which takes gravity's mean away.
    Augmentations are as for PPG (our default).

    Parameters
    ----------
    size : str or tuple, default="efficientnet"
        The net: ``"efficientnet"`` is `nets.EfficientNet1d` as in the released code, of 256 numbers an embedding and
        expansion 7; ``"L"``, ``"M"``, ``"S"`` and ``"XS"`` are `nets.PatchTransformer`. A tuple names other sizes:
        (width, expansion) of the one, (width, layers, hidden) of the other.
    positives : {"participant", "segment"}, default="participant"
        What is pulled together: two windows of one participant (paper), or a window and itself, augmented twice. With
        ``"participant"`` one that is alone in its participant is left out with a warning.
    temperature : float, default=0.04
        Of the loss (released code).
    negatives : {"both", "cross"}, default="both"
        As in `objectives.info_nce`.
    momentum : float or None, default=0.99
        Of the copy that follows (released code); None goes without, as SimCLR.
    koleo : float, default=0.1
        Weight of `objectives.koleo` (released code).
    time_warp : {"apple", "fixed", "none"}, default="apple"
        The released code's warp of time skips stretches of every second window that it meets
        (`augment.warp_time_apple`); ``"fixed"`` keeps all that happened.
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` and ``lr=1e-3`` are the released code's, and so are Adam and its weight
        decay of 1e-5.
    sfreq : float, default=64.0
        Rate of `X` in hertz (paper: 64). Once trained, other rates are converted.
    units : str, default="g"
        ``"m/s^2"`` and ``"mg"`` are converted to g.

    Attributes
    ----------
    net_ : EfficientNet1d or PatchTransformer
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
    """

    _sensor = "accel"
    _moves = True

    def __init__(
        self,
        size="efficientnet",
        *,
        positives="participant",
        temperature=0.04,
        negatives="both",
        momentum=0.99,
        koleo=0.1,
        time_warp="apple",
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
        super().__init__(**given(locals()))
