"""Simulated wrists: the pulse as light sees it and as an accelerometer feels it, of one heart."""

from numbers import Real
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ._bunches import Pulse
from .checks import n_times_of
from .heart import TABLE, added, coloured, columns, moments, truth

LEAD = 0.22  # seconds that the table of a pulse wave begins before its steepest rise


def make_ppg_accel(
    n_participants=8,
    n_windows=20,
    *,
    seconds=60.0,
    sfreq=64.0,
    n_ppg_channels=4,
    motion=0.2,
    pulse=1.0,
    random_state=None,
) -> Pulse:
    """Windows of a wrist's optical pulse and acceleration at the same moments, and the truth of the heart behind both.

    Each participant has traits, a heart, vessels and a device of their own. Their windows lie hours to days apart, so
    that heart rate differs about as much within people as between them. Each beat sends a pulse through the skin, and
    shakes the wrist by a few thousandths of g, hardly more than the accelerometer's own noise.

    Parameters
    ----------
    n_participants : int, default=8
        The first participants stay the same when more are asked for.
    n_windows : int, default=20
        Windows of each participant; the first ones stay the same when more are asked for.
    seconds : float, default=60.0
        Length of a window.
    sfreq : float, default=64.0
        Samples per second of both sensors, on one clock.
    n_ppg_channels : int, default=4
        Optical channels: wavelengths and places, each with its own gain, delay, shape and noise.
    motion : float, default=0.2
        Share of windows in which the wrist is moved for some of the time. Others are still but for twitches.
    pulse : float, default=1.0
        How strongly the heart shakes the wrist, against a real one; 0 is a control in which nothing else changes.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    Bunch
        `ppg` is a float32 array of shape (n, n_ppg_channels, n_times) in arbitrary units, and `accel` one of shape
        (n, 3, n_times) in g, both as the sensors give them. Of length n, participant by participant:

        - `heart_rate`, beats per minute, and `sdnn` and `rmssd` in milliseconds, of the intervals within the window
        - `beats`, a list of arrays: when the heart beat, in seconds of the window; `ectopic`, how many came early
        - `transit`, milliseconds from a beat to the steepest rise of its pulse in the first channel, on average
        - `respiration`, breaths per minute
        - `motion`, the deviation in g that movement alone adds to the magnitude of acceleration above 0.5 Hz, and
          `moving`, whether more than twitches
        - `groups`, names of the participants; `start`, seconds since the participant's first window
        - `age` in years, `sex` ("F" or "M") and `bmi` of the participant

        Further `sfreq`, `units` and `channel_names` of `accel`, `ppg_units`, `ppg_channel_names`, `DESCR`, `license`.

    Examples
    --------
    >>> wrist = make_ppg_accel(2, 3, motion=0, random_state=0)
    >>> wrist.ppg.shape, wrist.accel.shape
    ((6, 4, 3840), (6, 3, 3840))
    >>> hertz = np.fft.rfftfreq(2**15, 1 / wrist.sfreq)
    >>> light = wrist.ppg[:, 0] - wrist.ppg[:, 0].mean(1, keepdims=True)
    >>> spectrum = np.abs(np.fft.rfft(light * np.hanning(3840), 2**15))
    >>> spectrum[:, (hertz < 0.6) | (hertz > 2.5)] = 0
    >>> bool(np.abs(60 * hertz[spectrum.argmax(1)] - wrist.heart_rate).max() < 5)
    True
    """
    counts = {"n_participants": n_participants, "n_windows": n_windows, "n_ppg_channels": n_ppg_channels}
    n_times = n_times_of(seconds, sfreq, **counts)
    _between("motion", motion, 0, 1)
    _between("pulse", pulse, 0, np.inf)
    t = np.arange(n_times) / sfreq
    n = n_participants * n_windows
    ppg = np.empty((n, n_ppg_channels, n_times), np.float32)
    accel = np.empty((n, 3, n_times), np.float32)
    rows = []

    def wear(rng, person):
        return SimpleNamespace(accel=_accelerometer(rng, person), skin=_skin(rng, person, n_ppg_channels))

    for i, moment in enumerate(moments(n_participants, n_windows, seconds, random_state, wear)):
        wrist = _wrist(moment, t, sfreq, motion)
        accel[i] = _accel(moment, wrist, pulse, t, sfreq)
        ppg[i], transit = _ppg(moment, wrist, t, sfreq)
        shaken = _above(np.linalg.norm(wrist.gravity + wrist.force, axis=0), sfreq, 0.5).std()
        rows.append(truth(moment, seconds) | {"transit": transit, "motion": shaken, "moving": wrist.moving})
    return Pulse(
        ppg=ppg,
        accel=accel,
        **columns(rows),
        sfreq=float(sfreq),
        units="g",
        channel_names=["x", "y", "z"],
        ppg_units="a.u.",
        ppg_channel_names=[f"ppg{k}" for k in range(n_ppg_channels)],
        DESCR=DESCR,
        license="CC0-1.0",
    )


DESCR = """Simulated windows of photoplethysmography and acceleration at the wrist, on one clock.

No recording went into them. A heart whose intervals sway with breath, vessels and the hours of a day sends a pulse
wave, shaped by age, sex and body mass, past optical channels of different gain, delay and shape; each beat also shakes
the wrist by a few mg in a short damped swing. Gravity turns with posture, breath and twitches; sensors add gain,
offset, noise and resolution; in some windows the wrist is moved, which both sensors feel."""


def _between(name, value, low, high):
    """Refuse anything but a number from `low` to `high`."""
    known = isinstance(value, Real) and not isinstance(value, bool)
    known = known and np.isfinite(float(value)) and low <= float(value) <= high
    if not known:
        wanted = "a number of at least 0" if high == np.inf else f"a number from {low} to {high}"
        raise ValueError(f"Expected {name} to be {wanted}, got {value!r}.")


def _accelerometer(rng, person):
    """How each beat shakes a person's wrist, how the wrist is held, and what the device there adds."""
    young, woman, heavy = person.young, person.sex == "F", (person.bmi - 26) / 5
    kick = 0.00245 * np.exp(0.12 * young - 0.16 * heavy - 0.08 * woman + rng.normal(0, 0.25))
    held = rng.permutation([[0, 0, 1.5], [1, 0, 0.5], [0, 1, 0.5], [-1, 0, 0.5]])
    return SimpleNamespace(
        kick=np.clip(kick, 0.0015, 0.0045),  # g, at its peak
        pitch=np.clip([5.2 - 0.4 * young, 8.2 - 0.6 * young] * rng.lognormal(0, 0.1, 2), 4, 10),  # Hz of two swings
        phase=rng.normal(0, 0.6, 2),
        fade=rng.uniform(0.035, 0.055, 2),  # s
        along=_unit(rng.normal(size=(2, 3))),
        second=rng.uniform(0.3, 0.7),  # size of the second swing, the first being 1
        postures=_unit(rng.normal(size=(4, 3)) + held),
        tremor=(rng.uniform(8.5, 11.5), 0.0006 * rng.lognormal(0, 0.3)),  # Hz, g
        noise=rng.uniform(0.0012, 0.0024),  # g
        step=rng.choice([0.0005, 0.001, 0.001, 0.002, 0.004]),  # g
        gain=rng.normal(1, 0.01, (3, 1)),
        offset=rng.normal(0, 0.01, (3, 1)),  # g
    )


def _skin(rng, person, n_channels):
    """The pulse wave that a person's vessels make, in four parts: rise, reflection, notch's wave, tail; and its light.

    Stiff old vessels reflect more and sooner and lose the notch; a woman's wave is smaller and its way shorter; fat
    dims, widens and delays it.
    """
    young, woman, heavy = person.young, person.sex == "F", (person.bmi - 26) / 5
    at = np.array([0, 0.19 + 0.035 * young - 0.015 * woman, 0.36 + 0.04 * young, 0.5])
    width = np.array([0.076 - 0.006 * woman + 0.005 * heavy, 0.085, 0.075, 0.18])
    height = np.array([1, 0.42 - 0.2 * young, 0.11 + 0.045 * young, 0.22])
    return SimpleNamespace(
        transit=np.clip(0.2 + 0.015 * young - 0.008 * woman + 0.004 * heavy + rng.normal(0, 0.012), 0.15, 0.25),  # s
        at=at + rng.normal(0, 0.007, 4),  # s after the first crest
        width=width * rng.lognormal(0, 0.06, 4),  # s
        height=height * rng.lognormal(0, 0.1, 4),
        depth=0.01 * np.exp(0.12 * young - 0.2 * woman - 0.25 * heavy + rng.normal(0, 0.3)),  # of the light
        light=40000 * rng.lognormal(0, 0.25) * rng.lognormal(0, 0.3, (n_channels, 1)),
        share=rng.lognormal(0, 0.3, (n_channels, 1)),
        delay=np.r_[0, rng.uniform(-0.002, 0.01, n_channels - 1)],  # s
        mix=rng.lognormal(0, 0.12, (n_channels, 4)),
        noise=0.02 * rng.lognormal(0, 0.4, (n_channels, 1)),  # of the pulse
        slip=rng.normal(0, 1, (n_channels, 3)) + rng.normal(0, 1.5, 3),  # how a moved sensor changes what it sees
    )


def _wrist(moment, t, sfreq, share):
    """How the wrist is held and moved in one window: gravity and force (3, n_times) in g, breath, and bouts."""
    rng, postures = moment.rng, moment.worn.accel.postures
    moving, force, turn, bout = _movement(rng.spawn(1)[0], t, sfreq, share)  # moved or not, the rest stays the same
    breath = np.interp(t, moment.heart.grid, moment.heart.breath)
    posture = _unit(postures[rng.integers(len(postures))] + 0.15 * rng.normal(size=3))
    creep = 0.006 * coloured(rng, 3, len(t), sfreq, lambda f: np.exp(-0.5 * (f / 0.03) ** 2))
    tilt = _unit(np.cross(posture, rng.normal(size=3))) * rng.uniform(0.001, 0.005)
    turned = posture[:, None] + creep + tilt[:, None] * np.sin(breath + rng.normal(0, 0.5)) + turn
    gravity = turned / np.linalg.norm(turned, axis=0)
    return SimpleNamespace(
        posture=posture, gravity=gravity, force=force, turn=turn, breath=breath, moving=moving, bout=bout
    )


def _movement(rng, t, sfreq, share):
    """Twitches in every window, and in a share of them bouts: whether it has some, force, turns of gravity, when."""
    moving = bool(rng.random() < share)
    when = rng.uniform(0, t[-1], rng.poisson(t[-1] / 20))[:, None]
    ago = (t - when) / rng.uniform(0.08, 0.2, when.shape)  # in halves of a twitch
    size = _unit(rng.normal(size=(len(when), 3))).T * rng.uniform(0.002, 0.01, len(when))
    force = size @ (ago * np.exp(-(ago**2)))
    turn = 0.006 * rng.normal(size=(3, len(when))) @ np.tanh(ago)
    bout = np.zeros(len(t))
    if moving:
        bouts = [_bout(rng, t, sfreq) for _ in range(1 + rng.poisson(1.5))]
        force, turn, bout = (before + sum(more) for before, more in zip((force, turn, bout), zip(*bouts)))
    return moving, force, turn, np.minimum(bout, 1)


def _bout(rng, t, sfreq):
    """Seconds of movement of 20 to 300 mg that leave the wrist in another posture."""
    middle, half = rng.uniform(0, t[-1]), rng.uniform(0.5, 5)
    bout = np.exp(-(((t - middle) / half) ** 4))
    pace = rng.uniform(0.7, 3)  # Hz
    shaking = coloured(rng, 3, len(t), sfreq, lambda f: f / pace * np.exp(-f / pace))
    size = 0.02 * 15 ** rng.random() * _unit(rng.normal(size=3))
    turn = 0.3 * rng.random() * rng.normal(size=(3, 1)) * np.tanh((t - middle) / half)
    return size[:, None] * bout * shaking, turn, bout


def _accel(moment, wrist, pulse, t, sfreq):
    """What the accelerometer writes down, (3, n_times) in g."""
    rng, heart, worn = moment.rng, moment.heart, moment.worn.accel
    table = _kick(rng, worn, wrist.posture, sfreq)
    arrival = heart.beats + moment.worn.skin.transit - 0.1
    pitch, size = worn.tremor
    felt = wrist.gravity + wrist.force + added(table, arrival, pulse * _sizes(rng, heart, 0.12, 0.12), t)
    tremor = coloured(rng, 3, len(t), sfreq, lambda f: np.exp(-0.5 * ((f - pitch) / 0.8) ** 2))
    felt = (felt + size * rng.lognormal(0, 0.3) * tremor) * worn.gain + worn.offset
    return np.round((felt + worn.noise * rng.normal(size=felt.shape)) / worn.step) * worn.step


def _kick(rng, worn, posture, sfreq):
    """How one beat shakes the wrist: two damped swings, along directions that go with the posture."""
    t = np.arange(0, 0.5, 1 / TABLE)
    rise = t / worn.fade[:, None]
    pitch = worn.pitch * rng.lognormal(0, 0.03, 2)
    swing = rise**2 * np.exp(-rise) * np.sin(2 * np.pi * np.outer(pitch, t) + worn.phase[:, None])
    swing *= [[1], [worn.second]] / np.abs(swing).max(1, keepdims=True)
    along = _unit(worn.along + 0.8 * np.cross(worn.along, posture) + 0.25 * rng.normal(size=(2, 3)))
    table = along.T @ swing
    size = worn.kick * np.clip(rng.lognormal(0, 0.2), 0.7, 1.4)
    return _blurred(table * size / np.linalg.norm(table, axis=0).max(), sfreq)


def _ppg(moment, wrist, t, sfreq):
    """What the optical channels write down, (n_channels, n_times), and the mean transit of the pulse in ms."""
    rng, heart, skin = moment.rng, moment.heart, moment.worn.skin
    transit = skin.transit + 0.03 * (heart.mean - 0.88) + rng.normal(0, 0.004) + 0.02 * (heart.rr - heart.mean)
    table = _pulse(skin, heart.mean, sfreq)
    wave = added(table, heart.beats + transit - LEAD, _sizes(rng, heart, 0.08, 0.03), t)
    common, own = rng.lognormal(-0.7, 0.4), coloured(rng, 1 + len(wave), len(t), sfreq, lambda f: np.exp(-f / 0.1))
    baseline = common * own[0] + 0.15 * own[1:] + rng.uniform(0.05, 0.3) * np.sin(wrist.breath + rng.uniform(0, 6))
    slip = 20 * gaussian_filter1d(skin.slip @ wrist.force, 0.03 * sfreq) + 3 * skin.slip @ wrist.turn
    wave = wave * (1 - 0.4 * wrist.bout) + baseline + slip + skin.noise * rng.normal(size=wave.shape)
    depth = skin.depth * rng.lognormal(0, 0.25) * skin.share
    return np.round(skin.light * (1 + depth * wave)), 1000 * transit.mean()


def _pulse(skin, rr, sfreq):
    """The wave of one beat in each channel, stretched where beats are slow; time 0 is its steepest rise."""
    slow = (rr / 0.88) ** 0.3
    t = np.arange(-LEAD, 0.1 + 1.15 * slow, 1 / TABLE)
    at = skin.width[0] + skin.at * slow
    width = skin.width * [1, slow, slow, slow]
    off = t[:, None] - skin.delay[:, None, None] - at  # (n_channels, n, 4)
    return _blurred(np.einsum("ck,ctk->ct", skin.mix * skin.height, np.exp(-0.5 * (off / width) ** 2)), sfreq)


def _sizes(rng, heart, breath, scatter):
    """Relative size of each beat's wave: it goes with breath and with how long the heart had filled."""
    now = np.interp(heart.beats, heart.grid, heart.breath)
    size = 1 + breath * np.sin(now) + 0.5 * (heart.rr / heart.mean - 1)
    return np.maximum(size + scatter * rng.normal(size=len(now)), 0.2)


def _blurred(table, sfreq):
    """A wave as samples at `sfreq` see it: a sensor averages for about as long as a sample lasts."""
    return gaussian_filter1d(table, 0.3 * TABLE / sfreq, axis=1, mode="nearest")


def _above(x, sfreq, low):
    """What is above `low` hertz."""
    spectrum = np.fft.rfft(x - x.mean())
    spectrum[np.fft.rfftfreq(len(x), 1 / sfreq) < low] = 0
    return np.fft.irfft(spectrum, len(x))


def _unit(x):
    """Directions of vectors along the last axis."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
