"""Encoders: what is trained, and turns windows into embeddings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from torch import nn

from .. import __version__, disk
from ..nets import ResNet1d
from .contract import read_windows
from .runtimes import to_onnx
from .shown import for_the_diagram
from .tensors import brought_home, dispatched
from .trainable import Trainable
from .untrained import hand_on, make_untrained, meet, stays_untrained, untrained_shape


class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Trainable):
    """Any net, trained by any objective, as a scikit-learn transformer of windows.

    Parameters
    ----------
    net : callable, default=ResNet1d
        Called with the number of channels, gives a module that maps ``(B, C, T)`` to ``(B, D)`` and has ``dim``.
        ``functools.partial(ResNet1d, width=16)``, for one.
    objective : callable
        Called with the net, gives a module that owns it, has ``n_mates`` and maps a batch to a scalar loss.
    weights : str, default=None
        Folder, bundled name or hub repository to load from; its net holds. With ``max_epochs=0`` the encoder is frozen.
    revision : str, default=None
        Of the weights on the hub.
    max_epochs : int, default=20
        Passes over the anchors (our default).
    batch_size : int, default=64
        Anchors of a step, of all processes together where torchrun started several.
    lr : float, default=5e-4
        Of Adam (our default).
    device : str, default="auto"
        ``"auto"`` takes a GPU where there is one; else ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Of the net's products, in training and in ``transform``. ``"auto"``: bfloat16 where the device is fast in it.
    compile : bool or "openvino", default=False
        True: compile the net by ``torch.compile`` for training. ``"openvino"``: let OpenVINO run ``transform`` on a
        CPU, which it first takes some seconds to compile for (extra ``openvino``); training is as with False.
    num_workers : int, default=0
        Processes that read windows.
    callbacks : list of skorch callbacks, default=None
        Early stopping, schedules and the like.
    checkpoint_dir : path, default=None
        Where training keeps its state after each epoch; the same line run again goes on from there.
    validation_fraction : float, default=0.0
        Share of the participants whose loss is only watched (``valid_loss``).
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 shows how far ``fit`` is, with a line an epoch, and ``transform`` of many windows: by a bar in a terminal and
        in a notebook, by lines elsewhere.
    sfreq : float, default=100.0
        Rate of `X` in hertz.
    units : str, default="g"
        Units of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.

    Attributes
    ----------
    net_ : nn.Module
    contract_ : Contract
        Channels, samples, rate and units of training.
    history_ : list of dict
        One entry an epoch.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    Examples
    --------
    >>> from functools import partial
    >>> from wearembed import Encoder, nets, objectives
    >>> from wearembed.augment import SomeOf, relcon_changes
    >>> objective = partial(objectives.MotifReconstruction, augment=SomeOf(relcon_changes(3)))
    >>> Encoder(net=partial(nets.ResNet1d, width=16), objective=objective).max_epochs
    20
    """

    _architecture: tuple[str, ...] = ("net",)

    def __init__(
        self,
        net: Callable[..., nn.Module] = ResNet1d,
        objective: Callable[..., nn.Module] | None = None,
        *,
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
        self.net = net
        self.objective = objective

    def transform(self, X) -> np.ndarray:
        """Embed windows, each on its own.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times), or WindowStore
            At `sfreq` in `units`, of as many seconds as those of training.

        Returns
        -------
        array of shape (n_windows, dim), float32
            A window's row is the same to the bit whatever other windows are in `X`. Of a tensor, where scikit-learn
            has ``array_api_dispatch=True``, a tensor on the same device.
        """
        self._ready()
        if isinstance(X, torch.Tensor) and dispatched(X):
            there: Any = self._tensor_through_net(X, self._n_features_out)
            return there
        return brought_home(self._replay(self._convert(read_windows(self, X, reset=False))), X)

    def _replay(self, windows: np.ndarray) -> np.ndarray:
        return self._through_net(windows, self._n_features_out)

    def untrained(self, random_state=None, *, windows=None, n_channels=None, n_times=None) -> Self:
        """Give the same net with random weights: the baseline that tells what training was worth.

        It has the architecture, the input contract and the parameters of this encoder, and has learnt nothing: weights
        are those that its layers begin with. ``fit`` leaves it as it is, ``clone``, a search and a pickle keep it, and
        ``repr`` says what it is. It trains, from nothing, once its ``max_epochs`` is set.

        Parameters
        ----------
        random_state : int, RandomState or None, default=None
            The same number gives the same net, which without `windows` is also the one that ``fit`` makes with this
            ``random_state`` and ``max_epochs=0``.
        windows : array of shape (n_windows, n_channels, n_times), or WindowStore, default=None
            As of `transform`. Batch norms take the mean and deviation of their inputs from 64 of them, as training's
            first steps would. None: they have those that they begin with, zero and one, with which a deep net may say
            nearly the same of all windows, and be a baseline that anything beats.
        n_channels, n_times : int, default=None
            Of windows at `sfreq`, for an encoder that is neither fitted nor loaded, where there are no `windows`.

        Returns
        -------
        encoder
            Of the same class, to be used in ``transform`` at once.
        """
        if windows is not None:
            windows = read_windows(self, windows, reset=False)
            fitted = self.__sklearn_is_fitted__()
            n_channels, n_times = (None, None) if fitted else windows.shape[1:]
        contract, architecture = untrained_shape(self, n_channels, n_times)
        twin = make_untrained(clone(self).set_params(**architecture), contract, random_state)
        if windows is not None:
            meet(twin, windows)
        return twin

    def export_onnx(self, path, *, dynamic_length=False) -> Path:
        """Write the net as one ONNX file, for runtimes that know nothing of torch; needs the extra ``onnx``.

        Its input is ``windows``, float32 of shape ``(n_windows, n_channels, n_times)``, any number of them; its output
        ``embedding``, ``(n_windows, dim)``. What windows have to be stands in the metadata of the file: ``n_channels``,
        ``n_times``, ``sfreq`` in hertz, ``units``, and ``standardized``, whether each channel of a window has to have
        mean zero and deviation one, which `transform` sees to and the file does not.

        Parameters
        ----------
        path : path
            Of the file, whose folder is made where it is missing.
        dynamic_length : bool, default=False
            Let windows of other lengths in. A net has learnt what it makes of those of training alone.

        Returns
        -------
        Path
        """
        self._ready()
        contract = self.contract_.to_dict()
        told = {"estimator_class": type(self).__name__, "wearembed_version": __version__, **contract}
        shape = contract["n_channels"], contract["n_times"]
        path = Path(path).expanduser().resolve()
        disk.write(path, to_onnx(self.net_, shape, dynamic_length, told))
        return path

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns: the name of the class, and numbers from 0 on.

        Parameters
        ----------
        input_features : ignored
            Here because scikit-learn asks for it.

        Returns
        -------
        array of str
        """
        if for_the_diagram() and "net_" not in vars(self):
            raise NotFittedError("Nothing is loaded only to be shown.")
        return super().get_feature_names_out(input_features)

    @property
    def _n_features_out(self) -> int:
        self._ready()
        return self.net_.dim

    def _output(self) -> str:
        return f"{self._n_features_out} numbers a window"

    def _stays(self):
        return stays_untrained(self)

    def _training(self, X, groups, seed):
        blank = {} if self.max_epochs or self.weights is not None else {"untrained": True}
        return {**super()._training(X, groups, seed), **blank}

    def __sklearn_clone__(self):
        twin = super().__sklearn_clone__()
        return hand_on(self, twin) if self._stays() else twin

    def __repr__(self, N_CHAR_MAX=700):
        blank = getattr(self, "training_", {}).get("untrained")
        return super().__repr__(N_CHAR_MAX) + ("  # untrained, random weights" if blank else "")

    def _make_net(self, n_channels):
        return self.net(n_channels)

    def _make_objective(self, X, groups, session, seed, **columns):
        if self.objective is None:
            raise ValueError(
                "Encoder needs an objective: a callable from the net to a module that maps a batch to a loss, such as "
                "functools.partial(objectives.MotifReconstruction, augment=...). RelConEncoder has its own."
            )
        return self.objective(self.net_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
