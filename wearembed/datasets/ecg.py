"""Simulated electrocardiograms of one lead: waves that a person's traits shape."""

from types import SimpleNamespace

import numpy as np

from ._bunches import Heart
from .checks import n_times_of
from .heart import coloured, columns, moments, truth


def make_ecg(n_participants=8, n_windows=20, *, seconds=30.0, sfreq=128.0, random_state=None) -> Heart:
    """Windows of a single-lead electrocardiogram, and the truth of the heart behind them.

    The people and hearts are those of :func:`make_ppg_accel`: with an equal `random_state` the participants have equal
    traits and equal rates at equal windows, though not the same beats.

    Parameters
    ----------
    n_participants : int, default=8
        The first participants stay the same when more are asked for.
    n_windows : int, default=20
        Windows of each participant; the first ones stay the same when more are asked for.
    seconds : float, default=30.0
        Length of a window.
    sfreq : float, default=128.0
        Samples per second.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, 1, n_times) in mV. Of length n, participant by participant:

        - `heart_rate`, beats per minute, and `sdnn` and `rmssd` in milliseconds, of the intervals within the window
        - `beats`, a list of arrays: when the R waves peak, in seconds of the window; `ectopic`, how many came early
        - `respiration`, breaths per minute
        - `groups`, names of the participants; `start`, seconds since the participant's first window
        - `age` in years, `sex` ("F" or "M") and `bmi` of the participant

        Further `sfreq`, `units`, `channel_names`, `DESCR` and `license`.

    Examples
    --------
    >>> ecg = make_ecg(2, 3, random_state=0)
    >>> ecg.data.shape
    (6, 1, 3840)
    >>> peaks = [np.interp(beats, np.arange(3840) / 128, x[0]) for x, beats in zip(ecg.data, ecg.beats)]
    >>> all(np.median(peak) > np.quantile(x, 0.95) for x, peak in zip(ecg.data, peaks))
    True
    """
    n_times = n_times_of(seconds, sfreq, n_participants=n_participants, n_windows=n_windows)
    t = np.arange(n_times) / sfreq
    data = np.empty((n_participants * n_windows, 1, n_times), np.float32)
    rows = []
    for i, moment in enumerate(moments(n_participants, n_windows, seconds, random_state, _wear)):
        data[i] = _contact(moment, _waves(moment, t), t, sfreq)
        rows.append(truth(moment, seconds))
    about = {"units": "mV", "channel_names": ["I"], "DESCR": DESCR, "license": "CC0-1.0"}
    return Heart(data=data, **columns(rows), sfreq=float(sfreq), **about)


DESCR = """Simulated windows of lead I of an electrocardiogram.

No recording went into them. Each beat is a sum of smooth waves P, Q, R, S and T with sizes, widths and times of the
person's own, shaped by age, sex and body mass; the T wave follows the square root of the interval before it. Contact,
baseline, muscles and mains differ from window to window."""


def _wear(rng, person):
    """A person's waves P, Q, R, S, T (rise and fall): sizes in mV, seconds from R, and widths in seconds."""
    young, woman, heavy = person.young, person.sex == "F", (person.bmi - 26) / 5
    pr = 0.155 - 0.012 * young + rng.normal(0, 0.012)
    size = np.array([0.09, -0.07, 0.8 * np.exp(-0.12 * heavy), -0.18 * np.exp(-0.3 * heavy), 0.0])
    size[4] = 0.2 * np.exp(0.2 * young - 0.2 * woman)
    return SimpleNamespace(
        size=size * rng.lognormal(0, [0.25, 0.5, 0.2, 0.4, 0.2]),
        at=np.array([-pr, -0.028, 0, 0.03, 0.29 + 0.012 * woman - 0.006 * young])
        + rng.normal(0, [0.006, 0.002, 0, 0.003, 0.01]),
        width=np.array([0.022, 0.009, 0.011, 0.011, 0.05]) * rng.lognormal(0, 0.1, 5),
        skew=rng.uniform(0.55, 0.85),  # how much shorter a T wave's fall is than its rise
        mains=rng.choice([50, 60]),  # Hz
    )


def _waves(moment, t):
    """The waves of the beat before and of the beat after each sample."""
    rng, heart, worn = moment.rng, moment.heart, moment.worn
    at = np.tile(worn.at, (len(heart.beats), 1))
    filled = np.sqrt(0.3 * heart.rr + 0.7 * heart.mean)  # the QT interval follows slowly
    at[:, 4] *= filled / np.sqrt(0.88)
    size = worn.size * (1 + 0.03 * rng.normal(size=(len(heart.beats), 1)) * [1, 0, 0, 0, 1])
    size *= 1 + 0.06 * np.sin(np.interp(heart.beats, heart.grid, heart.breath) + 0.7)[:, None]
    last = np.searchsorted(heart.beats, t, side="right") - 1
    total = np.zeros(len(t))
    for i in (last, np.minimum(last + 1, len(heart.beats) - 1)):
        off = (t - heart.beats[i])[:, None] - at[i]
        width = np.where((off > 0) & (np.arange(5) == 4), worn.skew, 1) * worn.width
        total += (size[i] * np.exp(-0.5 * (off / width) ** 2)).sum(1)
    return total


def _contact(moment, wave, t, sfreq):
    """What dry electrodes make of it: gain, baseline, muscles, mains and noise of this window."""
    rng, heart = moment.rng, moment.heart
    gain = rng.lognormal(0, 0.2)
    baseline = coloured(rng, 1, len(t), sfreq, lambda f: 1 / (1 + (f / 0.15) ** 2))[0] * 0.06 * rng.lognormal(0, 0.5)
    breath = 0.03 * rng.lognormal(0, 0.4) * np.sin(np.interp(t, heart.grid, heart.breath))
    muscle = coloured(rng, 1, len(t), sfreq, lambda f: f / (f + 25))[0] * 0.012 * rng.lognormal(0, 0.5)
    mains, phase, loud = 0.015 * rng.lognormal(0, 0.6), rng.uniform(0, 2 * np.pi), rng.random() < 0.25
    hum = mains * np.sin(2 * np.pi * moment.worn.mains * t + phase) * (loud and moment.worn.mains < sfreq / 2)
    return gain * wave + baseline + breath + muscle + hum
