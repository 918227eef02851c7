"""A wrist that is known at any time, for tests of what recordings make of it."""

import numpy as np
import pandas as pd

START = pd.Timestamp("2024-05-01 08:00:00")


def wrist(t, top=9.0):
    """Three axes in g, gravity and sines up to `top` hertz, at any times."""
    rng = np.random.default_rng(3)
    x = np.zeros((3, len(t)))
    x[2] = 1.0
    for hertz in np.append(rng.uniform(0.1, top, 9), top):
        x += 0.08 * rng.normal(size=(3, 1)) * np.sin(2 * np.pi * hertz * t + rng.uniform(0, 6))
    return x


def seconds(sfreq, length):
    return np.arange(round(sfreq * length)) / sfreq
