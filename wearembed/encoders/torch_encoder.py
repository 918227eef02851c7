"""Torch modules of others as encoders, so that they can be compared."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from .. import signals
from ..training import find_device
from .baselines import WindowTransformer
from .contract import Contract, is_acceleration
from .inference import at_once, full_batches

loaded: WeakKeyDictionary[Any, nn.Module] = WeakKeyDictionary()  # what loaders gave, one copy a process


class TorchEncoder(WindowTransformer):
    """A torch module of somebody else as a frozen encoder: its input contract is declared here, and then kept.

    Windows at `sfreq` in `units` are converted to what the module was trained on, and refused where they cannot be.
    ``transform`` needs no ``fit``. The module is never trained, copied or downloaded: ``clone``, and so a search, hands
    it on, and whoever passes it has its weights and keeps its licence (docs/baselines).

    Parameters
    ----------
    module : nn.Module or callable
        Maps ``(B, C, T)`` to ``(B, D)``; or a callable without arguments that gives such a module, called once a
        process, when the module is first needed. A pickle holds what was passed: a module with its weights, or the
        name of a function.
    sfreq : float, default=100.0
        Rate of `X` in hertz.
    units : str, default="g"
        Units of `X`.
    net_sfreq : float, default=None
        Rate of the windows that the module was trained on. None: that of `X` in ``fit``, or where there was none in
        ``transform``.
    net_units : str, default=None
        Units that it was trained on. None: g where `units` are of acceleration, else `units`.
    n_channels : int, default=None
        That it takes. None: those of `X`.
    n_times : int, default=None
        Samples at `net_sfreq` that it takes. None: see `seconds`.
    seconds : float, default=None
        The same in seconds, in place of `n_times`. None: as many as `X` has. Windows may be longer or shorter by less
        than a sample of the slower rate: 2.56 s at 30 Hz are 77 samples, which last a little longer.
    standardize : bool, default=False
        Whether it was trained on windows each of whose channels has mean zero and deviation one. Units other than those
        of acceleration then do not matter.
    output : callable, default=None
        Makes a tensor ``(B, D)`` of what the module returns, where that is a tuple, a dictionary or a longer tensor.
        ``operator.itemgetter(0)`` takes the first of a tuple, ``functools.partial(torch.flatten, start_dim=1)`` makes a
        row of each window's numbers.
    dim : int, default=None
        Length of an embedding, where it is to be checked.
    device : str, default="auto"
        ``"auto"`` takes a GPU where there is one. The module is moved there, and stays there.

    Attributes
    ----------
    contract_ : Contract
        What the module takes.
    dim_ : int
        Length of an embedding.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    Examples
    --------
    >>> from torch import nn
    >>> from wearembed import TorchEncoder
    >>> from wearembed.datasets import make_motion
    >>> theirs = nn.Sequential(nn.Conv1d(3, 8, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten())  # with their weights
    >>> encoder = TorchEncoder(theirs, sfreq=100, units="g", net_sfreq=30, seconds=2.56, n_channels=3)
    >>> encoder.transform(make_motion(n_participants=2, n_windows=5, random_state=0).data).shape
    (10, 8)
    """

    def __init__(
        self,
        module,
        sfreq=100.0,
        units="g",
        *,
        net_sfreq=None,
        net_units=None,
        n_channels=None,
        n_times=None,
        seconds=None,
        standardize=False,
        output=None,
        dim=None,
        device="auto",
    ):
        self.module = module
        self.sfreq = sfreq
        self.units = units
        self.net_sfreq = net_sfreq
        self.net_units = net_units
        self.n_channels = n_channels
        self.n_times = n_times
        self.seconds = seconds
        self.standardize = standardize
        self.output = output
        self.dim = dim
        self.device = device

    @property
    def net_(self) -> nn.Module:
        """The module, loaded where it was given by a loader."""
        if isinstance(self.module, nn.Module):
            return self.module
        if self.module not in loaded:
            loaded[self.module] = checked_module(self.module())
        return loaded[self.module]

    def _contract_of(self, X):
        own = super()._contract_of(X)
        sfreq = own.sfreq if self.net_sfreq is None else float(self.net_sfreq)
        n_times = self.n_times
        if n_times is None:
            n_times = max(1, round(sfreq * (own.seconds if self.seconds is None else self.seconds)))
        units = own.units if self.net_units is None else self.net_units
        n_channels = own.n_channels if self.n_channels is None else self.n_channels
        return Contract(int(n_channels), int(n_times), sfreq, units, bool(self.standardize))

    def _convert(self, X, contract):
        wanted, n_times = contract.n_times_at(self.sfreq), X.shape[2]
        slower = min(contract.sfreq, self.sfreq)
        if abs(n_times / self.sfreq - contract.seconds) < 1 / slower:  # as long, but for a part of a sample
            X = np.pad(X[..., :wanted], ((0, 0), (0, 0), (0, max(0, wanted - n_times))), mode="edge")
        X = super()._convert(X, contract)  # acceleration is in g now
        if contract.standardized or not is_acceleration(contract.units):
            return X
        return signals.convert_units(X, "g", contract.units)

    def _learn(self, X):
        self.dim_ = self._features(X[:1], self.contract_).shape[1]

    def _features(self, X, contract):
        device, net = find_device(self.device), self.net_
        net.to(device)
        n = at_once(torch.device(device).type, contract.n_times)
        with asleep(net), torch.inference_mode():
            parts = [self._rows(net(x.to(device)), n)[: r.stop - r.start] for r, x in full_batches(X, n)]
        return np.concatenate(parts)

    def _rows(self, given, n_windows: int) -> np.ndarray:
        """What the module returned as a row a window."""
        rows = given if self.output is None else self.output(given)
        if not isinstance(rows, torch.Tensor) or rows.ndim != 2 or len(rows) != n_windows:
            what = "The module returned" if self.output is None else "output made of what the module returned"
            raise ValueError(
                f"{type(self).__name__} wants a tensor of shape ({n_windows}, dim), a row a window. {what} "
                f"{described(rows)}. Pass output=, a callable that makes a row a window of it, such as "
                f"operator.itemgetter(0) or functools.partial(torch.flatten, start_dim=1)."
            )
        if self.dim not in (None, rows.shape[1]):
            raise ValueError(f"{type(self).__name__} was told dim={self.dim}; the module gives {rows.shape[1]}.")
        return rows.float().cpu().numpy()

    def _names(self):
        return [f"{type(self).__name__.lower()}{n}" for n in range(self.dim_)]

    def _check_parameters(self):
        super()._check_parameters()
        if not callable(self.module):
            raise TypeError(
                f"module is an nn.Module, or a callable without arguments that gives one; got "
                f"{type(self.module).__name__}."
            )
        for name, kind in {"net_sfreq": Real, "n_channels": Integral, "n_times": Integral, "seconds": Real}.items():
            if getattr(self, name) is not None:
                self._check_number(name, kind, 0)
        if self.dim is not None:
            self._check_number("dim", Integral, 0)
        if self.n_times is not None and self.seconds is not None:
            raise ValueError(f"Say n_times or seconds, not both; got n_times={self.n_times}, seconds={self.seconds}.")
        net_units = self.units if self.net_units is None else self.net_units
        if is_acceleration(self.units) != is_acceleration(net_units):
            raise ValueError(
                f"units, of X, and net_units, of the module, are both of acceleration or neither; got "
                f"{self.units!r} and {net_units!r}."
            )
        find_device(self.device)

    def __sklearn_clone__(self):
        """The module is handed on: it is what the encoder is, and nothing that it learns."""
        bare = copy.copy(self)
        bare.module = bare.output = None
        twin = super(TorchEncoder, bare).__sklearn_clone__()
        twin.module, twin.output = self.module, self.output
        return twin


def checked_module(given) -> nn.Module:
    if not isinstance(given, nn.Module):
        raise TypeError(f"module is called without arguments and gives an nn.Module; it gave a {type(given).__name__}.")
    return given


@contextmanager
def asleep(net: nn.Module) -> Iterator[None]:
    """Have all parts in evaluation mode, and leave each as it was."""
    awake = [part for part in net.modules() if part.training]
    net.eval()
    try:
        yield
    finally:
        for part in awake:
            part.training = True


def described(given) -> str:
    """What a module returned, in words."""
    if isinstance(given, torch.Tensor):
        return f"a tensor of shape {tuple(given.shape)}"
    if isinstance(given, dict):
        return f"a dictionary of {', '.join(map(str, given))}"
    if isinstance(given, (tuple, list)):
        return f"{len(given)} things, the first {described(given[0]) if given else 'missing'}"
    return f"a {type(given).__name__}"
