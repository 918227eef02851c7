"""What simulators ask of their arguments."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from ..signals import positive


def n_times_of(seconds, sfreq, **counts):
    """The samples of a window, once all that was asked for can be had."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"Expected {name} to be a whole number of at least 1, got {value!r}.")
    n_times = round(positive(seconds, "seconds", "s") * positive(sfreq, "sfreq", "Hz"))
    if n_times < 2:
        raise ValueError(f"Expected windows of 2 samples or more, got {seconds} s at {sfreq} Hz. Lengthen them.")
    return n_times


def seeds_of(n_participants, random_state):
    """A seed sequence for each participant; more participants do not change the first."""
    seed = None if random_state is None else check_random_state(random_state).randint(2**31 - 1)
    return np.random.SeedSequence(seed).spawn(n_participants)
