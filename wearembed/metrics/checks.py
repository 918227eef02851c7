"""What metrics ask of their arguments."""

import numbers

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state


def embeddings_of(Z, name, at_least=2):
    """A float64 array of finite rows."""
    Z = np.asarray(Z)
    if Z.dtype.kind not in "biuf":
        raise TypeError(f"Expected {name} to hold real numbers, got dtype {Z.dtype}. Convert it with astype(float).")
    if Z.ndim != 2 or len(Z) < at_least or Z.shape[1] == 0:
        raise ValueError(
            f"Expected {name} of shape (n_windows, dim) with at least {at_least} window{'s' * (at_least > 1)}, "
            f"got shape {Z.shape}. One row is one window's embedding."
        )
    bad = int((~np.isfinite(Z)).any(axis=1).sum())
    if bad:
        raise ValueError(f"Expected finite embeddings, got {bad} of {len(Z)} rows of {name} with NaN or infinity.")
    return Z.astype(np.float64)


def participants_of(groups, n_windows, instead="evaluate more people"):
    """Whole numbers from 0, one a participant."""
    groups = np.asarray(groups)
    if groups.shape != (n_windows,):
        raise ValueError(
            f"Expected groups to name the participant of each of {n_windows} windows, got shape {groups.shape}."
        )
    codes, names = pd.factorize(groups)
    if (codes < 0).any():
        raise ValueError(f"Expected a participant for every window, got {int((codes < 0).sum())} without. Name them.")
    if len(names) < 2:
        raise ValueError(f"Expected windows of at least 2 participants, got those of {names[0]} alone: {instead}.")
    return codes


def windows_of_each(codes):
    """The rows of each participant."""
    return np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])


def whole_number(value, name, least):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"Expected {name} to be a whole number of at least {least}, got {value!r}.")
    return int(value)


def generator(random_state):
    """A generator of its own; without a seed, numpy's global one stays where it is."""
    return np.random.default_rng(None if random_state is None else check_random_state(random_state).randint(2**31 - 1))
