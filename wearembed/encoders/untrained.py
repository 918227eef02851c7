"""Encoders that have learnt nothing and say so: how they are made, and how they outlive ``clone``."""

import copy
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn

from ..training import seeded
from .contract import Contract

MET = 64  # windows that batch norms take their statistics from
# What makes an encoder complete, besides its parameters.
KEPT = ("net_", "contract_", "training_", "history_", "untrained_", "n_channels_in_", "n_times_in_")


def untrained_shape(encoder, n_channels, n_times) -> tuple[Contract, dict[str, Any]]:
    """Contract and architecture of an encoder: those that it has, else by its parameters and the two numbers."""
    name, numbers = type(encoder).__name__, (n_channels, n_times)
    if encoder.__sklearn_is_fitted__():
        encoder._ready()
        known = encoder.contract_
        if numbers not in ((None, None), (known.n_channels, known.n_times)):
            raise ValueError(
                f"This {name} is of {known.n_channels} channels x {known.n_times} samples, and so is the same net "
                f"untrained; got n_channels={n_channels}, n_times={n_times}. Leave them out, or clone it first."
            )
        return known, encoder.architecture_
    if not all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in numbers):
        raise ValueError(
            f"This {name} is neither fitted nor loaded, so it has to be told what windows are: expected "
            f"untrained(n_channels=3, n_times=256) or the like, got n_channels={n_channels}, n_times={n_times}."
        )
    trained = copy.copy(encoder)
    trained.set_params(max_epochs=encoder.max_epochs or 1)._check_parameters()  # which warns of no epochs
    return encoder._contract_of(int(n_channels), int(n_times)), {}


def make_untrained(encoder, contract: Contract, random_state):
    """Give an unfitted encoder a net that begins as ``fit`` would let it begin."""
    whole = isinstance(random_state, Integral)
    seed = int(random_state if whole else check_random_state(random_state).randint(2**31 - 1))
    encoder.set_params(weights=None, revision=None, max_epochs=0, checkpoint_dir=None, random_state=seed)
    of_the_run = int(check_random_state(seed).randint(2**31 - 1))
    with seeded(of_the_run):
        encoder.net_ = encoder._make_net(contract.n_channels)
    encoder.net_.requires_grad_(True).eval()
    encoder.architecture_ = {key: getattr(encoder, key) for key in encoder._architecture}
    if "dim" in encoder.architecture_:
        encoder.set_params(dim=encoder.net_.dim)
        encoder.architecture_["dim"] = encoder.net_.dim
    encoder.contract_, encoder.history_, encoder.untrained_ = contract, [], seed
    encoder.n_channels_in_, encoder.n_times_in_ = contract.n_channels, contract.n_times
    encoder.training_ = {"untrained": True, "epochs": 0, "seed": of_the_run}
    return encoder


def meet(encoder, X):
    """Let batch norms take their statistics from some of the windows, spread over them; nothing else changes."""
    norms = [part for part in encoder.net_.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    rows = np.linspace(0, len(X) - 1, min(len(X), MET)).astype(int)
    windows = torch.from_numpy(encoder._convert(X[rows]))
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of what is met
        norm.train()
    with torch.no_grad():
        encoder.net_(windows)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        norm.eval()
    encoder.training_["norms_met"] = len(windows)


def stays_untrained(encoder) -> bool:
    """Whether it is one of those, and was not told since to become anything else."""
    if not hasattr(encoder, "untrained_") or encoder.weights is not None or encoder.max_epochs:
        return False
    same = all(getattr(encoder, key) == value for key, value in encoder.architecture_.items())
    return same and encoder.random_state == encoder.untrained_


def hand_on(encoder, twin):
    """A clone with the net of what it is a clone of."""
    for name in KEPT:
        setattr(twin, name, getattr(encoder, name))
    twin.training_ = dict(encoder.training_)
    twin.architecture_ = {key: getattr(twin, key) for key in encoder.architecture_}
    return twin
