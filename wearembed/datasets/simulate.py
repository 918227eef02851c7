"""Simulated recordings: people whose every trait is known."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from ..signals import STANDARD_GRAVITY, resample
from ._bunches import Motion
from .checks import n_times_of, seeds_of

RATE = 100  # Hz at which bodies move here, whatever rate the device has
PHASES = 256  # steps of the table that holds one stride
LONGEST = 60  # windows in a session
STEPPING = ("walking", "running", "stairs")
ACTIVITIES = ("rest", "walking", "running", "stairs", "fidgeting")


class Limb(NamedTuple):
    """Where a device sits, and what reaches it there: ranges to draw from, postures as (mean, deviation) in degrees."""

    lever: tuple  # metres to the joint that the limb turns about
    swing: tuple  # degrees to either side of the middle, in walking
    bounce: tuple  # share of the trunk's acceleration that arrives
    impact: tuple  # share of a heel strike that arrives
    reach: float  # size of voluntary movements, the wrist's being 1
    rest: tuple  # the limb's angle from hanging
    walk: tuple
    run: tuple
    side: int = 0  # 1 left, -1 right; strapped on for good, where others are put in anew each session


HANGING, CARRYING, SITTING, LYING = (8, 9), (75, 15), (84, 10), (90, 15)
ARM = Limb(
    (0.25, 0.6), (8, 32), (0.35, 0.8), (0.04, 0.2), 1.0, (HANGING, (80, 20), (80, 20), (110, 20), (50, 60)),
    (HANGING,) * 6 + ((30, 8), CARRYING), ((85, 15),),
)  # fmt: skip
LIMBS = {
    "wrist left": ARM._replace(side=1),
    "wrist right": ARM._replace(side=-1),
    "pocket": Limb(
        (0.1, 0.3), (6, 20), (0.8, 1.7), (0.3, 1.0), 0.8, (HANGING, SITTING, SITTING, LYING), (HANGING,), ((14, 8),)
    ),
    "waist": Limb(
        (0.0, 0.1), (1, 5), (0.8, 1.2), (0.3, 0.8), 0.4, (HANGING, HANGING, (20, 10), LYING), (HANGING,), (HANGING,)
    ),
}
PLACEMENTS = tuple(LIMBS)


class Device(NamedTuple):
    """How a sensor writes down what it feels; by default without a fault."""

    sfreq: float
    gain: np.ndarray = np.ones(3)
    offset: np.ndarray = np.zeros(3)  # g
    noise: float = 0.0  # g
    top: float = np.inf  # g, where it saturates
    step: float = 0.0  # g, its resolution


GAITS = {  # against the same person's walking: cadence, bounce, impact, swing, and what differs between left and right
    "walking": (1.0, 1.0, 1.0, 1.0, 1.0),
    "running": (1.45, 1.1, 2.2, 0.9, 1.0),
    "stairs up": (0.86, 0.9, 0.7, 0.7, 1.5),
    "stairs down": (0.97, 1.5, 1.6, 0.7, 1.5),
}


def make_motion(
    n_participants=8,
    n_windows=100,
    *,
    seconds=2.56,
    sfreq=100.0,
    activities=ACTIVITIES,
    placements=PLACEMENTS,
    device=True,
    random_state=None,
) -> Motion:
    """Windows of a worn accelerometer, and the truth of how they came about.

    Each participant has a gait, a tremor, a placement and a device of their own, and goes through sessions: unbroken
    stretches of at most 60 windows in which the activities follow one another, each in a posture and at a pace of its
    own. The windows of a session are consecutive, so that some hold a change of activity.

    Parameters
    ----------
    n_participants : int, default=8
        The first participants stay the same when more are asked for.
    n_windows : int, default=100
        Windows of each participant.
    seconds : float, default=2.56
        Length of a window.
    sfreq : float, default=100.0
        Samples per second. Bodies move below 50 Hz, whatever the rate.
    activities : sequence of str, default=("rest", "walking", "running", "stairs", "fidgeting")
        What people do, each about equally long.
    placements : sequence of str, default=("wrist left", "wrist right", "pocket", "waist")
        Where a device may be worn; each participant has one place.
    device : bool, default=True
        Whether the device adds its gain, offset, noise, range, resolution and own rate. Without, motion is exact.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, 3, n_times) in g. Of length n, participant by participant:

        - `target`, the activity of most of the window, and `share`, of how much of it
        - `groups` and `session`, names of the participant and of the unbroken stretch; `start`, seconds into the latter
        - `cadence`, steps per second, NaN where the target has no steps
        - `placement`; `gravity` (n, 3), its mean in the device's axes, shorter than 1 where it turned
        - `gain` and `offset` (n, 3), the device's per axis; `native_sfreq`, the rate it sampled at

        Further `sfreq`, `units`, `channel_names`, `DESCR` and `license`.

    Examples
    --------
    >>> motion = make_motion(2, 30, activities=["walking"], placements=["waist"], random_state=0)
    >>> motion.data.shape
    (60, 3, 256)
    >>> size = np.linalg.norm(motion.data, axis=1)
    >>> spectrum = np.abs(np.fft.rfft(size - size.mean(1, keepdims=True), 2048))
    >>> steps = np.fft.rfftfreq(2048, 1 / motion.sfreq)[spectrum.argmax(1)]
    >>> bool(np.median(np.abs(steps - motion.cadence)) < 0.05)
    True
    """
    n_times = n_times_of(seconds, sfreq, n_participants=n_participants, n_windows=n_windows)
    _check_choices(activities, placements)
    sizes = [len(part) for part in np.array_split(np.arange(n_windows), -(-n_windows // LONGEST))]
    rows = []
    for i, own in enumerate(seeds_of(n_participants, random_state)):
        rng = np.random.default_rng(own)
        person = _person(rng, str(rng.choice(list(placements))))
        worn = _device(rng) if device else Device(float(sfreq))
        for j, size in enumerate(sizes):
            names = {"groups": np.full(size, f"P{i:04d}"), "session": np.full(size, f"P{i:04d}-{j:02d}")}
            rows.append(names | _session(rng, person, worn, size, n_times, sfreq, list(activities)))
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    about = {"units": "g", "channel_names": ["x", "y", "z"], "DESCR": DESCR, "license": "CC0-1.0"}
    return Motion(**columns, sfreq=float(sfreq), **about)


DESCR = """Simulated accelerometer windows of people who rest, walk, run, climb stairs and fidget.

No recording went into them. Gravity turns with posture and swinging limbs; strides repeat a waveform of the person's
own, with heel strikes as damped impulses; hands reach, turn and shake; the device adds gain, offset, noise, range,
resolution and a rate of its own."""


def _check_choices(activities, placements):
    """Refuse what people do not do here, and where they wear nothing."""
    for name, asked, known in [("activities", activities, ACTIVITIES), ("placements", placements, PLACEMENTS)]:
        if isinstance(asked, str) or not len(asked) or set(asked) - set(known):
            raise ValueError(f"Expected {name} to be a list of one or more of {known}, got {asked!r}.")


def _person(rng, placement):
    """What stays with somebody: their gait, their hands, and where they wear the device."""
    limb = LIMBS[placement]
    return SimpleNamespace(
        placement=placement,
        limb=limb,
        cadence=np.clip(rng.normal(1.82, 0.14), 1.5, 2.1),
        lever=rng.uniform(*limb.lever),
        swing=np.radians(rng.uniform(*limb.swing)),
        bounce=rng.uniform(*limb.bounce) * rng.uniform(0.2, 0.36),
        impact=rng.uniform(*limb.impact) * rng.lognormal(0, 0.5),
        ring=(4 * 4.5 ** rng.random(), rng.uniform(0.015, 0.06)),  # 4 to 18 Hz, and seconds to fade to a third
        duty=rng.uniform(0.6, 0.85),  # share of a running step with a foot on the ground
        odd=rng.lognormal(-1.6, 0.5),
        waveform=rng.lognormal(0, 0.4, (3, 10)),  # of axes x harmonics of the stride
        phase=rng.normal(0, np.linspace(0.3, 1.5, 10), (3, 10)),
        decay=rng.uniform(0.5, 1.5),
        loose=rng.lognormal(-2 if limb.side else -1.5, 0.5),  # how much of a stride flesh, cloth and strap scatter
        wobble=rng.uniform(0.01, 0.035),
        tremor=(rng.uniform(8, 12), rng.lognormal(np.log(0.0015), 0.6) * limb.reach),  # Hz, g
        liveliness=rng.lognormal(0, 0.3) * limb.reach,
        axes=_axes(rng) @ _turn(rng, (0.1, 0.1, 0.3)),
    )


def _axes(rng):
    """How a maker lays out x, y and z: one of the 24 ways to put a box down."""
    turn = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], (3, 1))
    turn[0] *= np.linalg.det(turn)
    return turn


def _device(rng):
    """Real sensors: noise of 2 to 8 mg and of near a step, 2.5 % of gain, 6 to 14 bits to 16 g, 20 to 100 Hz."""
    top = rng.choice([1.5, 2, 2, 4, 4, 8, 8, 16])
    bits = max(rng.choice([6, 8, 10, 12, 13, 14]), np.ceil(np.log2(2 * top / 0.06)))
    rate = float(rng.choice([20, 25, 30, 32, 50, 50, 64, 100, 100, 100]))
    step = 2 * top / 2**bits
    noise = max(rng.uniform(0.002, 0.008), 0.4 * step)
    return Device(rate, rng.normal(1, 0.025, 3), rng.normal(0, 0.03, 3), noise, top, step)


def _session(rng, person, device, n_windows, n_times, sfreq, activities):
    """An unbroken stretch, cut into windows, as a dictionary of columns."""
    n = int(n_windows * n_times / sfreq * RATE) + 2 * RATE  # a second more at either end for the filters
    script = _script(rng, person, n, n_windows, activities)
    acceleration, swing, cadence = _gait(rng, person, script)
    parts = [part(rng, person, script) for part in (_hands, _shaking, _stillness)]
    acceleration = acceleration + sum(more for more, _ in parts)
    angles = script.posture + swing + sum(turn for _, turn in parts)
    mount = _mount(rng, person)
    force, gravity = (x @ mount.T for x in _felt(acceleration, angles, person.lever))
    samples = _record(rng, force, device, sfreq)[:, round(sfreq) :][:, : n_windows * n_times]

    at = RATE + (np.arange(n_windows * n_times) * RATE / sfreq).astype(int).reshape(n_windows, n_times)
    label = script.label[script.which[at]]
    share = np.stack([(label == name).mean(1) for name in ACTIVITIES])
    target = np.array(ACTIVITIES)[share.argmax(0)]
    chosen = label == target[:, None]
    steps = np.where(chosen, cadence[at], 0).sum(1) / chosen.sum(1)
    return {
        "data": samples.reshape(3, n_windows, n_times).swapaxes(0, 1).astype(np.float32),
        "target": target,
        "share": share.max(0),
        "start": np.arange(n_windows) * n_times / sfreq,
        "cadence": np.where(np.isin(target, STEPPING), steps, np.nan),
        "placement": np.full(n_windows, person.placement),
        "gravity": gravity[at].mean(1),
        "gain": np.tile(device.gain, (n_windows, 1)),
        "offset": np.tile(device.offset, (n_windows, 1)),
        "native_sfreq": np.full(n_windows, device.sfreq),
    }


def _script(rng, person, n, n_windows, activities):
    """Who does what when: shuffled decks of the activities, each bout with its own pace, posture and stride."""
    n_bouts = max(min(len(activities), n_windows), round(n / RATE / 14))
    deck = [rng.permutation(list(activities)) for _ in range(-(-n_bouts // len(activities)))]
    label = np.concatenate(deck)[:n_bouts]
    weight = rng.uniform(0.5, 1.5, n_bouts)
    edge = np.r_[0, np.round(np.cumsum(weight) / weight.sum() * n)].astype(int)
    bouts = [_bout(rng, person, name) for name in label]
    columns = {name: np.array([bout[name] for bout in bouts]) for name in bouts[0]}
    script = SimpleNamespace(n=n, edge=edge, label=label, which=np.repeat(np.arange(n_bouts), np.diff(edge)), **columns)
    script.posture = gaussian_filter1d(script.posture[script.which], rng.uniform(0.15, 0.35) * RATE, axis=0)
    return script


def _bout(rng, person, activity):
    """One stretch of one activity: where the limb is held, how fast the steps are, how busy the hands are."""
    limb = person.limb
    postures = {"running": limb.run, "walking": limb.walk, "stairs": limb.walk}.get(activity, limb.rest)
    pitch, spread = postures[rng.integers(len(postures))]
    held = 0.2 if limb.side and pitch > 20 and activity != "running" else 1.0  # a hand that carries does not swing
    turned = (60 if activity in ("rest", "fidgeting") else 25) if limb.side else 10
    posture = np.radians([rng.normal(pitch, spread), rng.normal(0, 12), rng.normal(0, turned)])
    busy = {"rest": rng.uniform(0, 0.06), "fidgeting": rng.lognormal(-0.2, 0.6)}.get(activity, rng.uniform(0, 0.2))
    name = f"stairs {rng.choice(['up', 'down'])}" if activity == "stairs" else activity
    moving = name in GAITS
    cadence = person.cadence * GAITS[name][0] * rng.lognormal(0, 0.06) if moving else 0.0
    shaking = activity == "fidgeting" and rng.random() < 0.4
    return {
        "posture": posture * (1, limb.side or 1, limb.side or 1),  # left and right mirror each other
        "busy": busy * person.liveliness,
        "shake": rng.uniform(0.1, 0.9) * limb.reach if shaking else 0.0,
        "pace": np.exp(rng.uniform(np.log(0.7), np.log(6))),
        "cadence": cadence,
        "stride": _stride(rng, person, name, cadence, held) if moving else np.zeros((PHASES + 1, 9)),
    }


def _stride(rng, person, name, cadence, held):
    """One cycle of two steps: smooth acceleration (3), heel strikes (3) and the limb's angles (3) at each phase."""
    _, bounce, impact, swing, odd = GAITS[name]
    u = np.arange(PHASES + 1) / PHASES
    odd = np.clip(person.odd * odd * rng.lognormal(0, 0.2), 0, 0.8)
    force = (cadence / 1.8) ** 1.5
    smooth = _harmonics(rng, person, odd, u) * person.bounce * bounce * force
    if name == "running":
        smooth = 0.5 * smooth + np.outer(_flight(u, person.duty), (0.15, 0, 1)) * person.bounce / 0.3
    strikes = _strikes(rng, u % 1 * 2 / cadence, 1 / cadence, odd, person.ring)
    strikes *= person.impact * impact * force * rng.lognormal(0, 0.15)
    angles = person.swing * swing * held * rng.lognormal(0, 0.2) * rng.uniform(0.5, 1.5, 3) * (1, 0.15, 0.25)
    wave = rng.normal(0, (0.3, 1, 1)) + 2 * np.pi * u[:, None]
    angles = angles * (np.cos(wave) + rng.uniform(0.02, 0.2) * np.cos(2 * wave + rng.normal(0, 1)))
    return np.hstack([smooth, strikes, angles])


def _harmonics(rng, person, odd, u):
    """The trunk's periodic sway: twice a stride forward and up, once a stride sideways, the rest is asymmetry."""
    h = np.arange(1, 11)
    even = h % 2 == 0
    step = np.where(even, 1, odd)
    size = np.stack([0.6 * step, 0.5 * np.where(even, 0.4, 1), step]) * np.ceil(h / 2) ** -person.decay
    size = size * person.waveform * rng.lognormal(0, 0.15, (3, 10))
    phase = person.phase + rng.normal(0, 0.15, (3, 10)) + np.array([[-np.pi / 2], [0], [0]])
    return np.einsum("ch,uch->uc", size, np.cos(2 * np.pi * h * u[:, None, None] + phase))


def _flight(u, duty):
    """Weight in running, less one g: a half sine while a foot is on the ground, nothing in the air."""
    step = 2 * u % 1
    return np.where(step < duty, np.pi / 2 / duty * np.sin(np.pi * step / duty), 0) - 1


def _strikes(rng, t, step, odd, ring):
    """Two heels hit the ground: broad-band shocks, damped on their way up, stronger on one side."""
    left, right = rng.normal((0.4, 0.3, 0.9), 0.2), rng.normal((0.4, -0.3, 0.9), 0.2)
    second = (t - step * (1 + 0.1 * odd)) % (2 * step)
    return np.outer(_ring(t, *ring), left * (1 + odd / 2)) + np.outer(_ring(second, *ring), right * (1 - odd / 2))


def _ring(t, sfreq, fade):
    """A damped swing that a shock at time 0 sets off."""
    return np.exp(-t / fade) * np.sin(2 * np.pi * sfreq * t)


def _gait(rng, person, script):
    """Stride after stride, no two alike: acceleration and angles of the limb, and the steps per second."""
    n, which = script.n, script.which
    steady = gaussian_filter1d(script.cadence[which], 0.3 * RATE, mode="nearest")
    cadence = steady * np.exp(person.wobble * (_drift(rng, n, 3) + _drift(rng, n, 0.5)))
    phase = (rng.random() + np.cumsum(cadence) / 2 / RATE) % 1 * PHASES
    i = phase.astype(int) % PHASES
    part = (phase - i)[:, None]
    wave = (1 - part) * script.stride[which, i] + part * script.stride[which, i + 1]
    near_edge = np.abs(np.arange(n)[:, None] - script.edge).min(1) < 0.15 * RATE
    level = gaussian_filter1d(np.where(near_edge, 0, script.cadence[which] > 0).astype(float), 0.12 * RATE)
    level = level[:, None] * np.exp([[0.1], [0.25], [0.1]] * np.stack([_drift(rng, n, s) for s in (2, 0.6, 3)])).T
    smooth, strikes, angles = (wave[:, 3 * k : 3 * k + 3] * level[:, k : k + 1] for k in range(3))
    scatter = np.stack([_drift(rng, n, 0.03) for _ in "xyz"], 1) * person.loose
    strength = gaussian_filter1d(np.abs(smooth + strikes).sum(1), 0.06 * RATE)[:, None]
    return smooth + strikes + strength * scatter, angles, cadence


def _hands(rng, person, script):
    """Reaches and turns: straight to the next place and posture, held there, then on; some end in a knock."""
    n = script.n
    start = np.sort(rng.uniform(0, n, max(1, round(1.2 * n / RATE))))
    busy = script.busy[script.which[start.astype(int)]] * (_drift(rng, n, 4)[start.astype(int)] > -0.4)
    kept = rng.random(len(start)) < busy + 0.15
    start, busy = np.r_[0, start[kept]], np.r_[0, busy[kept]][:, None]
    arrival = start + np.minimum(rng.uniform(0.25, 1.2, len(start)) * RATE, 0.9 * np.diff(start, append=n + RATE))
    goal = rng.normal(size=(len(start), 6)) * np.minimum(busy, 1.5) * [0.15, 0.12, 0.15, 0.6, 0.35, 0.7]
    moment = np.stack([start, arrival], 1).ravel()
    path = np.stack([np.roll(goal, 1, 0), goal], 1).reshape(-1, 6)
    path = np.stack([np.interp(np.arange(n), moment, column) for column in path.T], 1)
    path = gaussian_filter1d(path, rng.uniform(0.06, 0.11) * RATE, axis=0, mode="nearest")
    acceleration = np.gradient(np.gradient(path[:, :3], axis=0), axis=0) * RATE**2 / STANDARD_GRAVITY
    effort = gaussian_filter1d(np.abs(acceleration).sum(1), 0.1 * RATE)  # a muscle's noise grows with its pull
    acceleration += 0.15 * effort[:, None] * np.stack([_drift(rng, n, 0.04) for _ in "xyz"], 1)
    return acceleration + _knocks(rng, person, n, arrival, busy), path[:, 3:]


def _knocks(rng, person, n, arrival, busy):
    """Things met at the end of a movement: short shocks, ringing as the person's heel strikes do."""
    shock = np.zeros((n, 3))
    hit = (rng.random(len(arrival)) < 0.3) & (arrival < n)
    shock[arrival[hit].astype(int)] = busy[hit] * rng.normal(size=(hit.sum(), 3)) * rng.exponential(0.3)
    ring = _ring(np.arange(0, 0.25, 1 / RATE), *person.ring)
    return np.stack([np.convolve(column, ring)[:n] for column in shock.T], 1)


def _shaking(rng, person, script):
    """Work to and fro, such as brushing, stirring or a bouncing leg: fast ones are small in space."""
    n, which = script.n, script.which
    pace = script.pace[which] * np.exp(0.08 * _drift(rng, n, 1))
    phase = 2 * np.pi * np.cumsum(pace) / RATE
    bound = 0.06 * (2 * np.pi * script.pace) ** 2 / STANDARD_GRAVITY  # 6 cm to either side
    size = np.minimum(script.shake, bound)[:, None] * _unit(rng, len(bound))
    twist = (script.shake * 0.5 / script.pace**2)[:, None] * _unit(rng, len(bound))
    level = gaussian_filter1d(np.clip(_drift(rng, n, 2) + 1, 0, 1.5), 0.1 * RATE)
    to_and_fro = level * (np.cos(phase) + 0.3 * np.cos(2 * phase + rng.uniform(0, 2 * np.pi)))
    return to_and_fro[:, None] * size[which], (level * np.sin(phase))[:, None] * twist[which]


def _stillness(rng, person, script):
    """What no one can hold back: tremor, breath, and a posture that creeps."""
    n = script.n
    sfreq, size = person.tremor
    phase = 2 * np.pi * np.cumsum(sfreq * np.exp(0.05 * _drift(rng, n, 0.5))) / RATE
    tremor = size * np.cos(phase[:, None] + rng.uniform(0, 6, 3)) * np.stack([_drift(rng, n, 0.7) for _ in "xyz"], 1)
    breath = np.sin(2 * np.pi * np.cumsum(rng.uniform(0.2, 0.32) * np.exp(0.1 * _drift(rng, n, 4))) / RATE)
    sway = np.radians(rng.lognormal(-1, 0.6, 3)) * breath[:, None]
    creep = np.stack([0.04 * _drift(rng, n, 20) + 0.008 * _drift(rng, n, 2) for _ in "xyz"], 1)
    return tremor, sway + creep


def _drift(rng, n, seconds):
    """A smooth random course of about unit deviation that forgets itself in `seconds`."""
    knots = np.arange(-1, n / RATE / seconds + 2)
    return CubicSpline(knots, rng.normal(size=len(knots)))(np.arange(n) / RATE / seconds)


def _unit(rng, n):
    """Random directions."""
    x = rng.normal(size=(n, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _turn(rng, deviation):
    """A small random rotation, `deviation` radians about each axis."""
    return Rotation.from_rotvec(rng.normal(0, deviation)).as_matrix()


def _mount(rng, person):
    """From the limb's axes to the device's: a strap slips a little, a pocket takes a phone in any way."""
    if person.limb.side:
        return person.axes @ _turn(rng, (0.05, 0.05, 0.2))
    return _axes(rng) @ _turn(rng, 0.25 * np.ones(3))


def _felt(acceleration, angles, lever):
    """Force in g along a limb's axes, and gravity's share of it, both turned by its pitch, abduction and roll."""
    pitch, aside, roll = angles.T
    gravity = np.zeros_like(acceleration)
    gravity[:, 2] = 1
    turning = np.gradient(pitch) * RATE, np.gradient(aside) * RATE
    felt = []
    for x, pull in [(acceleration + gravity, lever / STANDARD_GRAVITY), (gravity, 0)]:
        up, forth = _rotate(x[:, 2], x[:, 0], pitch)
        up, side = _rotate(up, x[:, 1], aside)
        forth += pull * np.gradient(turning[0]) * RATE  # tangential
        side += pull * np.gradient(turning[1]) * RATE
        up += pull * (turning[0] ** 2 + turning[1] ** 2)  # centripetal
        felt.append(np.stack([*_rotate(forth, side, roll), up], 1))
    return felt


def _rotate(a, b, angle):
    """Two coordinates after their plane has turned by `angle`."""
    return np.cos(angle) * a - np.sin(angle) * b, np.sin(angle) * a + np.cos(angle) * b


def _record(rng, force, device, sfreq):
    """What the device writes: its own rate, gain and offset, white noise, range and resolution."""
    x = resample(force.T, RATE, device.sfreq) * device.gain[:, None] + device.offset[:, None]
    x = np.clip(x + device.noise * rng.normal(size=x.shape), -device.top, device.top)
    if device.step:
        x = np.round(x / device.step) * device.step
    return resample(x, device.sfreq, sfreq)
