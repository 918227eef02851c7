"""PPG and accelerometer encoders trained by masked reconstruction."""

from numbers import Real

import torch

from ..objectives import MaskedReconstruction
from ..training import Recipe
from .heart import HeartEncoder, given, is_transformer


class MaskedEncoder(HeartEncoder):
    """What the two have in common; each says its sensor."""

    # our default, as masked autoencoders are trained elsewhere; the paper's is not known
    _recipe = Recipe(torch.optim.AdamW, betas=(0.9, 0.95), weight_decay=0.05, warmup=0.05, cosine=True, clip=1.0)

    def __init__(self, size, *, mask_ratio, **shared):
        super().__init__(**shared)
        self.size = size
        self.mask_ratio = mask_ratio

    def _make_objective(self, X, groups, session, seed, **columns):
        return MaskedReconstruction(self.net_, self.mask_ratio)

    def _check_parameters(self):
        super()._check_parameters()
        self._check_number("mask_ratio", Real, 0, above=True)
        if self.mask_ratio >= 1:
            raise ValueError(f"mask_ratio of {type(self).__name__} is below 1; got {self.mask_ratio}.")
        if not is_transformer(self.size):
            raise ValueError(
                f"{type(self).__name__} hides patches, which only a transformer has: size is one of L, M, S, XS or "
                f"(width, layers, hidden); got {self.size!r}."
            )


class PPGMaskedEncoder(MaskedEncoder):
    """PPG encoder trained to rebuild what was hidden from it: PPG-MAE, the first teacher of the distillation paper.

    Windows of 60 s at 64 Hz, four optical channels in the paper; any number and length will do. Band-pass them first
    by `signals.prepare_ppg`.

    Parameters
    ----------
    size : str or tuple, default="L"
        The net, a `nets.PatchTransformer`: ``"L"``, ``"M"``, ``"S"``, ``"XS"`` (6.3, 3.2, 1.8 and 1.2 million
        parameters), or (width, layers, hidden).
    mask_ratio : float, default=0.8
        Share of the patches that are hidden (the paper's, as it is recalled).
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` and ``lr=1e-3`` are our defaults, with AdamW, 5 % of the steps to warm up
        and a cosine to the end.
    sfreq : float, default=64.0
        Rate of `X` in hertz (paper: 64). Once trained, other rates are converted.
    units : str, default="a.u."
        Windows are standardised, so that their unit does not matter.

    Attributes
    ----------
    net_ : PatchTransformer
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

    _sensor = "ppg"

    def __init__(
        self,
        size="L",
        *,
        mask_ratio=0.8,
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


class AccelMaskedEncoder(MaskedEncoder):
    """Accelerometer encoder trained to rebuild what was hidden from it: Accel-MAE, a baseline of the paper.

    Windows of 60 s at 64 Hz, three axes. Each axis is standardised over its window, which takes gravity's mean away.

    Parameters
    ----------
    size : str or tuple, default="L"
        The net, a `nets.PatchTransformer`: ``"L"``, ``"M"``, ``"S"``, ``"XS"`` (6.3, 3.2, 1.8 and 1.2 million
        parameters), or (width, layers, hidden).
    mask_ratio : float, default=0.8
        Share of the patches that are hidden (the paper's, as it is recalled).
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` and ``lr=1e-3`` are our defaults, with AdamW, 5 % of the steps to warm up
        and a cosine to the end.
    sfreq : float, default=64.0
        Rate of `X` in hertz (paper: 64). Once trained, other rates are converted.
    units : str, default="g"
        ``"m/s^2"`` and ``"mg"`` are converted to g.

    Attributes
    ----------
    net_ : PatchTransformer
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
        size="L",
        *,
        mask_ratio=0.8,
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
