"""RelCon: the learned distance, and the encoder that learns to rank by it."""

import copy
from numbers import Integral, Real
from pathlib import Path
from typing import Self

import numpy as np
import torch
from sklearn.base import clone

from .. import hub
from ..augment import SomeOf, relcon_changes
from ..memory import kept_memory
from ..nets import CrossAttention, ResNet1d, Views
from ..objectives import MotifReconstruction, RelativeContrast
from ..training import SAMPLERS, find_device
from .base import Encoder
from .contract import read_windows
from .official import official_checkpoint, official_distance, official_encoder
from .trainable import Trainable, is_to_be_fitted

ATTENTION = ("sparsemax", "softmax")


class RelConDistance(Trainable):
    """How badly the patterns of one window rebuild another: the learned distance of RelCon.

    A cross-attention net is trained to rebuild each window from an augmented copy of itself. Between two windows its
    error then is small where one holds the other's motifs, at whatever time, and large where it does not. It is not
    symmetric.

    Parameters
    ----------
    dim : int, default=64
        Features of queries, keys and values (official code).
    kernel : int, default=15
        Samples that a convolution spans (official code).
    n_dilated : int, default=2
        Dilated layers (official code).
    bottleneck : int, default=8
        Features inside a layer (official code).
    attention : {"sparsemax", "softmax"}, default="sparsemax"
        In training (paper, official code).
    inference_attention : {"sparsemax", "softmax"} or None, default=None
        In `pairwise`; None is that of training, as the paper says. The official code measures with softmax by a slip,
        which ``"softmax"`` reproduces.
    center : bool, default=False
        Take each window's mean off before comparing. The official code compares windows as they are, gravity and all;
        the squared error of a device that points elsewhere then outweighs what it feels (docs/relcon). The default is
        the official one; ``center=True`` ranks by motion.
    stride : int, default=1
        Samples that become one, their mean, before windows are compared; 2 makes a distance about four times as cheap.
        The official code keeps all.
    views : tuple of {"as worn", "shape", "upright", "upright shape"}, default=("as worn",)
        What is compared (official code: the axes as they come). With ``("as worn", "upright")`` the motion along
        gravity and across it counts too, which is the same however a device is turned.
    time_warp : {"independent", "together"}, default="independent"
        The official code's augmentation warps the time of each axis apart, which destroys what they do at one moment;
        ``"together"`` warps them alike, as a person who slows down does. The official one stays the default until the
        other is shown to be as good.
    weights, revision, max_epochs, batch_size, lr, device, precision, compile, num_workers, callbacks, checkpoint_dir, \
validation_fraction, random_state, verbose, sfreq, units
        As in `Encoder`; ``max_epochs=10``, ``batch_size=64`` and ``lr=1e-3`` are the official code's.

    Attributes
    ----------
    net_ : CrossAttention
    contract_ : Contract
    history_ : list of dict

    References
    ----------
    Xu et al. RelCon: Relative Contrastive Learning for a Motion Foundation Model for Wearable Data. ICLR 2025.

    Examples
    --------
    >>> from wearembed import RelConDistance
    >>> from wearembed.datasets import make_motion
    >>> X = make_motion(n_participants=2, n_windows=8, random_state=0).data
    >>> distance = RelConDistance(dim=16, max_epochs=1, random_state=0).fit(X)
    >>> distance.pairwise(X[:2], X).shape
    (2, 16)
    """

    _architecture = (
        "dim",
        "kernel",
        "n_dilated",
        "bottleneck",
        "attention",
        "inference_attention",
        "center",
        "stride",
        "views",
    )
    _adjustable = ("attention", "inference_attention")
    _moves = True

    def __init__(
        self,
        dim=64,
        kernel=15,
        n_dilated=2,
        bottleneck=8,
        *,
        attention="sparsemax",
        inference_attention=None,
        center=False,
        stride=1,
        views=("as worn",),
        time_warp="independent",
        weights=None,
        revision=None,
        max_epochs=10,
        batch_size=64,
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
        self.dim = dim
        self.kernel = kernel
        self.n_dilated = n_dilated
        self.bottleneck = bottleneck
        self.attention = attention
        self.inference_attention = inference_attention
        self.center = center
        self.stride = stride
        self.views = views
        self.time_warp = time_warp

    def pairwise(self, A, B=None) -> np.ndarray:
        """Distance of each window of `A`, as anchor, to each of `B`, as candidate.

        Parameters
        ----------
        A : array of shape (n_A, n_channels, n_times)
            At `sfreq` in `units`.
        B : array of shape (n_B, n_channels, n_times), default=None
            None is `A`.

        Returns
        -------
        array of shape (n_A, n_B), float32
            Squared error, summed over samples and channels, in squared g. Only orders within a row mean something: the
            scale goes with the anchor's amplitude. Memory stays bounded for any number of windows.
        """
        self._ready()
        A = np.asarray(self._convert(read_windows(self, A, reset=False)))
        B = A if B is None else np.asarray(self._convert(read_windows(self, B, reset=False)))
        return self._pairwise(A, B)

    def _pairwise(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        device = find_device(self.device)
        net, far = self.net_.to(device), np.empty((len(A), len(B)), np.float32)
        candidates = torch.tensor(B, device=device)
        net.compiled = self.compile is True
        with kept_memory(device):
            for start in range(0, len(A), 64):
                anchors = torch.tensor(A[start : start + 64], device=device)
                far[start : start + 64] = net.distances(anchors, candidates).float().cpu().numpy()
        return far

    def _replay(self, windows):
        return self._pairwise(windows, windows)

    def _output(self):
        return "a distance for each pair of windows, by `pairwise`"

    def _make_net(self, n_channels):
        return CrossAttention(n_channels, **{key: getattr(self, key) for key in self._architecture})

    def _make_objective(self, X, groups, session, seed, **columns):
        return MotifReconstruction(self.net_, SomeOf(relcon_changes(X.shape[1], self.time_warp)))

    def _check_parameters(self):
        super()._check_parameters()
        self._check_choice("compile", (False, True))
        for name in ("dim", "kernel", "bottleneck", "stride"):
            self._check_number(name, Integral, 1)
        self._check_number("n_dilated", Integral, 0)
        self._check_choice("attention", ATTENTION)
        self._check_choice("inference_attention", (None, *ATTENTION))
        self._check_choice("time_warp", ("independent", "together"))

    @classmethod
    def from_official(cls, path, *, inference_attention="softmax", **params) -> Self:
        """Load a distance that RelCon's official code trained.

        Parameters
        ----------
        path : path
            ``checkpoint_best.pkl`` or the like: ``{"net": ..., "optimizer": ..., "epoch": ..., "test_loss": ...}``.
            Read by torch's weights-only reader.
        inference_attention : {"sparsemax", "softmax"}, default="softmax"
            The official code measures with softmax.
        **params
            Other parameters to set, such as ``sfreq``, ``units`` and ``device``.

        Returns
        -------
        RelConDistance
            ``RelConDistance(weights=path, max_epochs=0, ...)``, loaded.
        """
        params = {"inference_attention": inference_attention, **params}
        return cls(
            weights=str(Path(path).expanduser().resolve()),
            max_epochs=0,
            **official_distance(hub.read_official(path))[0],
            **params,
        )._load()

    def _official(self, file):
        shape, n_channels, tensors = official_distance(hub.read_official(file))
        attention = {"attention": self.attention, "inference_attention": self.inference_attention}
        return official_checkpoint(self, file, {**shape, **attention}, n_channels, tensors)


class RelConEncoder(Encoder):
    """Motion encoder trained by relative contrast: embeddings are ranked as a learned distance ranks windows.

    Parameters
    ----------
    width : int, default=64
        Filters of the first stage of `nets.ResNet1d`; the embedding has ``width * 2 ** (len(blocks) - 1)`` numbers, 256
        by default (official code).
    blocks, kernels : tuple of int, default=(3, 4, 6) and (3, 4, 4)
        Residual blocks of each stage and the samples that their convolutions span (official code).
    pool : tuple of {"mean", "deviation"}, default=("mean",)
        What is told of each filter over time (official code: the mean). With ``("mean", "deviation")`` the embedding is
        twice as long, and linear probes read much more from it.
    views : tuple of {"as worn", "shape", "upright", "upright shape"}, default=("as worn",)
        Ways in which the net sees a window (official code: its axes as they come). More than one make a net for each,
        see `nets.Views`, and an embedding as many times as long; the upright ones do not depend on how a device is
        turned.
    distance : RelConDistance or str, default=None
        What ranks the candidates: a fitted distance, one to be fitted on `X` first, or where the weights of one are.
        None fits one with default parameters. ``clone``, and so a search, forgets that an object was fitted, and fits
        it anew in each fold; a distance that is named by its weights stays as it is.
    mates : int, default=20
        Windows of the same participant (and session) that each anchor is compared with, besides the other anchors of
        the batch (official code). Where there are fewer, each is drawn, some repeatedly; a window alone in its session
        draws from its participant; one alone in its participant is left out with a warning.
    temperature : float, default=0.1
        Of the loss (official code).
    projection : int, default=0
        Outputs of a head between embedding and loss that is dropped after training; 0 is none (official code). Without
        one an embedding keeps little but what the ranks ask for.
    sampler : {"mates", "participants"}, default="mates"
        ``"mates"`` draws them for each anchor (paper). ``"participants"`` fills batches with blocks of up to ``mates +
        1`` windows of one participant, in which each window is anchor and candidate at once: as many
        comparisons for a fraction of the embeddings, but fewer participants a batch.
    weights : str, default=None
        Folder, bundled name or hub repository to load from. With ``max_epochs=0`` the encoder is frozen.
    revision : str, default=None
        Of the weights on the hub.
    max_epochs : int, default=20
        Passes over the anchors (our default; official code: 100).
    batch_size : int, default=64
        Anchors of a step (official code).
    lr : float, default=5e-4
        Of Adam (our default). The official code's 1e-6 hardly moves a net that starts from nothing; the paper has none.
    device : str, default="auto"
        ``"auto"`` takes a GPU where there is one; else ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Of the net's products, in training and in ``transform``. The distance and the loss stay in float32. ``"auto"``:
        bfloat16 where the device is fast in it.
    compile : bool or "openvino", default=False
        True: let ``torch.compile`` work for training, on the net where a GPU trains, on the distance's attention
        everywhere. ``"openvino"``: let OpenVINO run ``transform`` on a CPU, for which it first takes some seconds to
        compile (extra ``openvino``); training is as with False.
    num_workers : int, default=0
        Processes that read windows.
    callbacks : list of skorch callbacks, default=None
        Early stopping, schedules and the like.
    checkpoint_dir : path, default=None
        Where training keeps its state after each epoch. The same line run again goes on from there, and ends with the
        weights of an uninterrupted run (on CPU).
    validation_fraction : float, default=0.0
        Share of the participants whose loss is only watched (``valid_loss``), for early stopping.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0
        1 shows how far ``fit`` is, with a line an epoch, and ``transform`` of many windows: by a bar in a terminal and
        in a notebook, by lines elsewhere.
    sfreq : float, default=100.0
        Rate of `X` in hertz (paper: 100). Once trained, other rates are converted.
    units : str, default="g"
        Units of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.

    Attributes
    ----------
    net_ : ResNet1d or Views
    distance_ : RelConDistance
        The fitted distance.
    contract_ : Contract
        Channels, samples, rate and units of training.
    history_ : list of dict
        One entry an epoch: ``train_loss`` and more.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Xu et al. RelCon: Relative Contrastive Learning for a Motion Foundation Model for Wearable Data. ICLR 2025.
    arXiv:2411.18822

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import Pipeline
    >>> from wearembed import RelConEncoder
    >>> from wearembed.datasets import make_motion
    >>> motion = make_motion(n_participants=2, n_windows=10, random_state=0)
    >>> encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    >>> pipeline = Pipeline([("emb", encoder), ("clf", LogisticRegression(max_iter=1000))])
    >>> pipeline.fit(motion.data, motion.target).predict(motion.data).shape
    (20,)
    """

    distance_: RelConDistance | None
    _architecture = ("width", "blocks", "kernels", "pool", "views")
    _moves = True

    def __init__(
        self,
        width=64,
        blocks=(3, 4, 6),
        kernels=(3, 4, 4),
        *,
        pool=("mean",),
        views=("as worn",),
        distance=None,
        mates=20,
        temperature=0.1,
        projection=0,
        sampler="mates",
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
        self.width = width
        self.blocks = blocks
        self.kernels = kernels
        self.pool = pool
        self.views = views
        self.distance = distance
        self.mates = mates
        self.temperature = temperature
        self.projection = projection
        self.sampler = sampler

    def _make_net(self, n_channels):
        if tuple(self.views) == ("as worn",):
            return ResNet1d(n_channels, self.width, self.blocks, self.kernels, self.pool)
        return Views(n_channels, self.views, self.width, self.blocks, self.kernels, self.pool)

    def _make_objective(self, X, groups, session, seed, **columns):
        self.distance_ = self._fit_distance(X, groups, session, seed)
        own = copy.deepcopy(self.distance_.net_)  # training freezes it, and one that was passed stays as it is
        own.compiled = self.compile is True
        return RelativeContrast(self.net_, own, self.mates, self.temperature, self.projection)

    def _n_parts(self):
        return int(bool(self.max_epochs) and is_to_be_fitted(self.distance))

    def _fit_distance(self, X: np.ndarray, groups, session, seed: int) -> RelConDistance:
        """The distance that was given, fitted where it is not."""
        contract, distance = self.contract_, self.distance
        if distance is None:
            if self.weights is not None and self.distance_ is not None:
                return self.distance_  # the one that the weights were trained with
            distance = RelConDistance(device=self.device, verbose=self.verbose)
        elif isinstance(distance, (str, Path)):
            distance = RelConDistance.from_pretrained(distance, device=self.device)
        elif not isinstance(distance, RelConDistance):
            raise TypeError(
                f"distance is a RelConDistance, where the weights of one are, or None; got {type(distance).__name__}."
            )
        if distance.__sklearn_is_fitted__():
            distance._ready()
        else:
            distance = clone(distance).set_params(sfreq=contract.sfreq, units=contract.units)
            self._fit_first(distance, "distance", seed, X, groups, session)
        theirs = distance.contract_
        if (theirs.n_channels, theirs.sfreq, theirs.units) != (contract.n_channels, contract.sfreq, contract.units):
            raise ValueError(
                f"distance was fitted on {theirs.n_channels} channels at {theirs.sfreq:g} Hz in {theirs.units}, and X "
                f"has {contract.n_channels} at {contract.sfreq:g} Hz in {contract.units}. Fit it on windows like X, or "
                f"leave it out."
            )
        return distance

    def _check_parameters(self):
        super()._check_parameters()
        self._check_number("width", Integral, 1)
        for name in ("blocks", "kernels"):
            self._check_stages(name)
        self._check_number("mates", Integral, 1)
        self._check_number("temperature", Real, 0, above=True)
        self._check_number("projection", Integral, 0)
        self._check_choice("sampler", SAMPLERS)

    def _shape(self, config, folder):
        super()._shape(config, folder)
        self.distance_ = None
        if config.get("distance") is not None:
            self.distance_ = RelConDistance(max_epochs=0, device=self.device)
            self.distance_._set_stored(config["distance"], folder)
            self.distance_._shape(config["distance"], folder)

    def _modules(self):
        distance = getattr(self, "distance_", None)
        return super()._modules() | ({} if distance is None else {"distance": distance.net_})

    def _config(self):
        distance = getattr(self, "distance_", None)
        return super()._config() | ({} if distance is None else {"distance": distance._config()})

    @classmethod
    def from_official(cls, path, **params) -> Self:
        """Load an encoder that RelCon's official code trained.

        Parameters
        ----------
        path : path
            ``checkpoint_best.pkl`` or the like: ``{"net": ..., "optimizer": ..., "epoch": ..., "test_loss": ...}``.
            Read by torch's weights-only reader.
        **params
            Other parameters to set, such as ``sfreq``, ``units`` and ``device``.

        Returns
        -------
        RelConEncoder
            ``RelConEncoder(weights=path, max_epochs=0, ...)``, loaded. It brings no distance: to train on, name one, or
            one is fitted.
        """
        return cls(
            weights=str(Path(path).expanduser().resolve()),
            max_epochs=0,
            **official_encoder(hub.read_official(path))[0],
            **params,
        )._load()

    def _official(self, file):
        return official_checkpoint(self, file, *official_encoder(hub.read_official(file)))
