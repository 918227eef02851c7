"""Hearts and the people they beat in: what all the sensors of one simulated moment share."""

from types import SimpleNamespace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfftfreq

from .checks import seeds_of

SLOW = 8  # Hz at which breath and the course of the heart rate are followed
TABLE = 256  # Hz of the tables that hold the wave of one beat
BEFORE, AFTER = 3, 2  # seconds of heart on either side of a window, for waves that begin or end outside


def moments(n_participants, n_windows, seconds, random_state, wear):
    """Each window of each participant: its name, person, heart, start and generator, and what `wear` gave the person.

    Persons, days and windows have generators of their own, so that neither more participants nor more windows change
    the first.
    """
    for i, own in enumerate(seeds_of(n_participants, random_state)):
        body, sensors, days, *windows = (np.random.default_rng(s) for s in own.spawn(3 + n_windows))
        person = _person(body)
        worn = wear(sensors, person)
        for start, rate, rng in zip(*_days(days, person, n_windows, seconds), windows):
            heart = _heart(rng, person, rate, seconds)
            yield SimpleNamespace(name=f"P{i:04d}", person=person, worn=worn, heart=heart, start=start, rng=rng)


def truth(moment, seconds):
    """What is known of a moment's heart and of whom it beats in, as a row of columns."""
    person, heart = moment.person, moment.heart
    inside = (heart.beats >= 0) & (heart.beats < seconds)
    beats = heart.beats[inside]
    rr = 1000 * np.diff(beats)
    return {
        "heart_rate": 60000 / rr.mean() if len(rr) else np.nan,
        "sdnn": rr.std(ddof=1) if len(rr) > 1 else np.nan,
        "rmssd": np.sqrt(np.mean(np.diff(rr) ** 2)) if len(rr) > 1 else np.nan,
        "beats": beats,
        "ectopic": int(heart.early[inside].sum()),
        "respiration": heart.respiration,
        "groups": moment.name,
        "start": moment.start,
        "age": person.age,
        "sex": person.sex,
        "bmi": person.bmi,
    }


def columns(rows):
    """Rows of truth as arrays; beats stay a list, since windows differ in how many they hold."""
    return {name: [r[name] for r in rows] if name == "beats" else np.array([r[name] for r in rows]) for name in rows[0]}


def _person(rng):
    """What stays with somebody: traits, the heart at rest, and how far breath and vessels sway it."""
    age, sex = rng.uniform(20, 80), str(rng.choice(["F", "M"]))
    bmi = np.clip(26 * rng.lognormal(0, 0.16) + 0.03 * (age - 50), 17, 45)
    resting = rng.normal(65, 8) + 2.5 * (sex == "F") + 0.25 * (bmi - 26)
    return SimpleNamespace(
        age=age,
        sex=sex,
        bmi=bmi,
        young=(50 - age) / 30,  # 1 at 20 years, -1 at 80
        resting=np.clip(resting, 50, 95),
        sway=rng.normal(0, 0.3, 3) + 0.45 * (50 - age) / 30,  # log size of breath, Mayer wave and drift in the RR
        jitter=0.005 * rng.lognormal(0, 0.4),  # s
        breath=np.clip(rng.normal(0.24, 0.035), 0.16, 0.32),  # Hz
        ectopy=0.0001 * rng.lognormal(0, 1.5),  # share of beats that come early
    )


def _days(rng, person, n_windows, seconds):
    """When the windows are and how fast the heart then beats: a clock, and a state that fades in an hour or two."""
    draws = rng.normal(size=(n_windows + 1, 2))
    gap = seconds + 2700 * np.exp(draws[1:, 0])
    start = np.cumsum(gap) - gap[0]
    keep = np.exp(-gap / 5400)
    state, states = draws[0, 1], []
    for a, fresh in zip(keep, draws[1:, 1]):
        state = a * state + np.sqrt(1 - a**2) * fresh
        states.append(state)
    clock = np.cos(2 * np.pi * (start / 86400 + draws[0, 0]))
    return start, np.clip(person.resting * np.exp(0.04 * clock + 0.16 * np.array(states)), 42, 150)


def _heart(rng, person, rate, seconds):
    """Beats of one window and of the seconds about it, and the breath that sways them."""
    grid = np.arange(-BEFORE * SLOW, (seconds + AFTER) * SLOW) / SLOW
    rr = 60 / rate
    pace = np.clip(person.breath * (rate / 68) ** 0.4 * rng.lognormal(0, 0.12), 0.13, 0.38)
    rest, slow = coloured(rng, 2, len(grid), SLOW, lambda f: np.exp(-0.5 * (f / 0.05) ** 2))
    breath = 2 * np.pi * (rng.random() + np.cumsum(np.clip(pace * (1 + 0.07 * rest), 0.12, 0.4)) / SLOW)
    mayer = 2 * np.pi * (rng.random() + rng.normal(0.1, 0.008) * grid)
    size = np.exp(person.sway + rng.normal(0, 0.3) + rng.normal(0, 0.2, 3)) * (rr / 0.88) ** 1.5
    size *= np.array([0.025 * np.sqrt(0.25 / pace), 0.02, 0.018])  # s
    course = rr + size @ np.stack([np.sin(breath), np.sin(mayer), slow])
    beats, early = _beats(rng, person, grid, np.maximum(course, 0.6 * rr))
    inside = np.interp([0, seconds], grid, breath)
    return SimpleNamespace(
        beats=beats,
        early=early,
        rr=np.diff(beats, prepend=beats[0] - rr),  # the interval before each beat
        mean=rr,
        grid=grid,
        breath=breath,  # radians at the moments of the grid
        respiration=60 * np.diff(inside)[0] / (2 * np.pi * seconds),
    )


def _beats(rng, person, grid, course):
    """Beats where the integrated rate passes whole numbers, each interval then jittered, and few of them cut short."""
    passed = np.cumsum(1 / course) / SLOW + rng.random()
    beats = np.interp(np.arange(np.ceil(passed[0]), passed[-1]), passed, grid)
    rr = np.diff(beats)
    early = rng.random(len(rr)) < person.ectopy
    rr = np.where(early, rng.uniform(0.6, 0.8) * rr, rr + person.jitter * rng.normal(size=len(rr)))
    rr[1:][early[:-1] & ~early[1:]] *= 1.2  # the pause that makes up for it
    return beats[0] + np.r_[0, np.cumsum(rr)], np.r_[False, early]


def coloured(rng, n_rows, n_times, sfreq, density):
    """Noise of unit deviation, (n_rows, n_times), whose amplitude goes with `density` of the frequency."""
    size = next_fast_len(n_times + n_times // 4, real=True)  # a circle longer than the window, so that ends differ
    weight = density(rfftfreq(size, 1 / sfreq))
    total = np.sqrt(np.sum(weight**2))
    if total < 1e-9:  # all of it above what `sfreq` can hold
        return np.zeros((n_rows, n_times))
    weight = weight[: np.flatnonzero(weight > 1e-6 * weight.max())[-1] + 1]
    parts = rng.standard_normal((n_rows, len(weight), 2)).view(complex)[..., 0]
    return irfft(parts * (weight * size / 2 / total), size)[:, :n_times]


def added(table, onsets, sizes, t):
    """Waves of a table (n_rows, n) at TABLE Hz, one from each onset on, summed at times `t` where they overlap."""
    length = table.shape[1] / TABLE
    last = np.searchsorted(onsets, t, side="right") - 1
    total = np.zeros((len(table), len(t)))
    for back in range(int(length / np.diff(onsets).min()) + 1):
        i = last - back
        ago = np.clip((t - onsets[i]) * TABLE, 0, table.shape[1] - 1.001)
        j = ago.astype(int)
        part, size = ago - j, sizes[i]
        total += table[:, j] * (size * (1 - part)) + table[:, j + 1] * (size * part)
    return total
