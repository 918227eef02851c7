"""Tensors and other arrays under scikit-learn's array API dispatch: what comes in on a device goes out on it."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from torch import Tensor

from .. import signals
from .contract import SHAPE, Contract, finite, is_acceleration, refuse_other_units

A_LOOK = 2**22  # numbers of a tensor that tell in which units it is


def dispatched(X) -> bool:
    """Whether `X` is of another library than numpy, and scikit-learn was told to leave it there."""
    if not get_config()["array_api_dispatch"] or isinstance(X, (np.ndarray, np.generic)):
        return False
    return isinstance(X, Tensor) or hasattr(X, "__array_namespace__")


def brought_home(Z: np.ndarray, X) -> Any:
    """`Z` in the library and on the device of `X`, where scikit-learn dispatches; else as it is."""
    if not dispatched(X) or not isinstance(Z, np.ndarray):  # a frame is what somebody asked for
        return Z
    xp = torch if isinstance(X, Tensor) else X.__array_namespace__()
    return xp.asarray(Z, device=X.device)


def tensor_windows(name: str, X: Tensor) -> Tensor:
    """`X` as finite windows in three dimensions, where it is; an error says what is wrong with it."""
    if X.is_complex() or X.layout != torch.strided:
        what = "complex data" if X.is_complex() else f"a tensor of layout {X.layout}"
        raise ValueError(f"Complex data not supported, nor sparse: {name} takes {SHAPE}; got {what}.")
    if X.ndim not in (2, 3) or 0 in X.shape:
        raise ValueError(f"{name} takes {SHAPE}, none of them 0; got shape {tuple(X.shape)}.")
    X = X.detach()
    X = X[:, None] if X.ndim == 2 else X
    if not X.sum(dtype=torch.float64).isfinite() or not X.abs().amax() <= torch.finfo(torch.float32).max:
        finite(name, X.double().cpu().numpy())  # says where
    return X


def tensor_change(contract: Contract, name: str, X: Tensor, sfreq: float, units: str) -> Callable[[Tensor], Tensor]:
    """What makes windows like `X`, at `sfreq` in `units`, what the contract says, batch by batch on their device."""
    contract.check_shape(name, X, sfreq)
    steps: list[Callable[[Tensor], Tensor]] = []
    if is_acceleration(contract.units):
        look = X[:: max(1, X.numel() // A_LOOK)]
        signals.check_units(look.cpu().float().numpy(), units)
        factor = float(signals.to_g(np.ones(1, np.float32), units)[0])
        steps += [] if factor == 1 else [lambda x: x * factor]
    elif not contract.standardized:
        refuse_other_units(name, units, contract.units)
    if sfreq != contract.sfreq:
        weights = torch.from_numpy(rates(X.shape[-1], contract.n_times, sfreq, contract.sfreq))
        steps.append(lambda x: x @ weights.to(x.device))
    if contract.standardized:
        steps.append(standardize)

    def change(x):
        for step in steps:
            x = step(x)
        return x

    return change


@lru_cache(maxsize=4)
def rates(n_times: int, n_wanted: int, sfreq: float, wanted: float) -> np.ndarray:
    """What each of `n_times` samples adds to each of those at the wanted rate: `signals.sample_at` as a matrix."""
    positions = np.arange(n_wanted) * (sfreq / wanted)
    return signals.sample_at(np.eye(n_times), positions, band=min(1.0, wanted / sfreq)).astype(np.float32)


def standardize(x: Tensor) -> Tensor:
    """As `signals.standardize` does it, on the device."""
    constant = x.amax(-1, keepdim=True) == x.amin(-1, keepdim=True)
    centred = x - x.mean(-1, keepdim=True, dtype=torch.float64).float()
    centred = centred - centred.mean(-1, keepdim=True, dtype=torch.float64).float()
    deviation = centred.double().std(-1, keepdim=True, correction=0)
    constant |= deviation == 0
    return torch.where(constant, 0.0, centred / torch.where(constant, 1.0, deviation).float())
