"""Accelerometer encoder trained by SimCLR, the objective that everybody compares with."""

from numbers import Integral, Real

from ..augment import SomeOf, relcon_changes
from ..nets import ResNet1d
from ..objectives import SimCLR
from .base import Encoder


class SimCLREncoder(Encoder):
    """Motion encoder trained by SimCLR: two changed views of one window are told from those of all other windows.

    The net, the changes, the rate and the length of windows are those of `RelConEncoder` by default, so that a
    comparison of the two is one of objectives. Participants play no part in it. Another net:
    ``Encoder(net=..., objective=partial(objectives.SimCLR, augment=...))``.

    Parameters
    ----------
    width : int, default=64
        Filters of the first stage of `nets.ResNet1d`, as in `RelConEncoder`.
    blocks, kernels : tuple of int, default=(3, 4, 6) and (3, 4, 4)
        Residual blocks of each stage and the samples that their convolutions span, as in `RelConEncoder`.
    temperature : float, default=0.1
        Of the loss (our default, RelCon's).
    augment : callable, default=None
        Changes of a batch, such as an `augment.Augment`, called for each view. None: two of RelCon's eight for each
        window, one clock for all axes (our default; Tang et al. compared the same eight, alone and in pairs). A
        checkpoint does not keep it.
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose
        As in `Encoder`; ``batch_size=256`` is our default: a window's negatives are the rest of its batch.
    sfreq : float, default=100.0
        Rate of `X` in hertz. Once trained, other rates are converted.
    units : str, default="g"
        Units of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.

    Attributes
    ----------
    net_ : ResNet1d
    contract_ : Contract
        Channels, samples, rate and units of training.
    history_ : list of dict
        One entry an epoch.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Chen et al. A Simple Framework for Contrastive Learning of Visual Representations. ICML 2020. arXiv:2002.05709

    Tang et al. Exploring Contrastive Learning in Human Activity Recognition for Healthcare. 2020. arXiv:2011.11542

    Examples
    --------
    >>> from wearembed import SimCLREncoder
    >>> from wearembed.datasets import make_motion
    >>> X = make_motion(n_participants=2, n_windows=8, random_state=0).data
    >>> encoder = SimCLREncoder(width=8, blocks=(1, 1), kernels=(3, 4), max_epochs=1, random_state=0)
    >>> encoder.fit(X).transform(X).shape
    (16, 16)
    """

    _architecture = ("width", "blocks", "kernels")
    _moves = True

    def __init__(
        self,
        width=64,
        blocks=(3, 4, 6),
        kernels=(3, 4, 4),
        *,
        temperature=0.1,
        augment=None,
        weights=None,
        revision=None,
        max_epochs=20,
        batch_size=256,
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
        sfreq=100.0,
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
        self.width = width
        self.blocks = blocks
        self.kernels = kernels
        self.temperature = temperature
        self.augment = augment

    def _make_net(self, n_channels):
        return ResNet1d(n_channels, self.width, self.blocks, self.kernels)

    def _make_objective(self, X, groups, session, seed, **columns):
        augment = SomeOf(relcon_changes(X.shape[1], "together")) if self.augment is None else self.augment
        return SimCLR(self.net_, augment, self.temperature)

    def _check_parameters(self):
        super()._check_parameters()
        self._check_number("width", Integral, 1)
        self._check_number("temperature", Real, 0, above=True)
        for name in ("blocks", "kernels"):
            self._check_stages(name)
        if self.augment is not None and not callable(self.augment):
            raise ValueError(
                f"augment of SimCLREncoder is None, or changes of a batch, such as augment.Augment("
                f"[(augment.rotate, 1.0)]); got {self.augment!r}."
            )
