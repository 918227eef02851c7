"""Simulated motion: the truth that comes with it is found again in the signal."""

import numpy as np
import pytest

from wearembed.datasets import make_motion
from wearembed.datasets.simulate import ACTIVITIES, PLACEMENTS

COLUMNS = ["target", "share", "groups", "session", "start", "cadence", "placement", "native_sfreq"]


@pytest.fixture(scope="module")
def motion():
    return make_motion(n_participants=12, n_windows=70, random_state=0)


@pytest.fixture(scope="module")
def exact():
    return make_motion(n_participants=12, n_windows=40, device=False, random_state=1)


def step_rate(window, sfreq, low=1.2, high=3.5):
    """Steps per second by autocorrelation of the magnitude, the best of the lags that a step can last."""
    size = np.linalg.norm(window, axis=0)
    size = size - size.mean()
    power = np.abs(np.fft.rfft(size, 4 * len(size))) ** 2
    power[: int(0.8 * 4 * len(size) / sfreq)] = 0
    likeness = np.fft.irfft(power)
    lags = np.arange(int(sfreq / high), int(sfreq / low))
    return sfreq / lags[likeness[lags].argmax()]


def test_shapes_units_and_names_are_as_promised(motion):
    n = 12 * 70
    assert motion.data.shape == (n, 3, 256) and motion.data.dtype == np.float32
    assert all(len(motion[name]) == n for name in COLUMNS)
    assert all(motion[name].shape == (n, 3) for name in ["gravity", "gain", "offset"])
    assert (motion.sfreq, motion.units, motion.channel_names) == (100.0, "g", ["x", "y", "z"])
    assert motion.DESCR and motion.license
    assert np.isfinite(motion.data).all()
    assert set(motion.target) == set(ACTIVITIES) and set(motion.placement) <= set(PLACEMENTS)


def test_length_and_rate_are_as_asked():
    motion = make_motion(2, 5, seconds=4, sfreq=51.2, random_state=0)
    assert motion.data.shape == (10, 3, 205)


def test_equal_seeds_are_equal_to_the_bit(generators_untouched):
    first, second = (make_motion(2, 10, random_state=3) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in ["data", "target", "gain", "groups"])
    assert not np.array_equal(first.data, make_motion(2, 10, random_state=4).data)
    assert not np.array_equal(make_motion(1, 3).data, make_motion(1, 3).data)


def test_more_participants_leave_the_first_as_they_were():
    few, many = make_motion(2, 10, random_state=3), make_motion(4, 10, random_state=3)
    assert np.array_equal(few.data, many.data[:20])


def test_cadence_is_found_again_in_walking():
    motion = make_motion(12, 40, activities=["walking"], placements=["waist"], seconds=5.12, random_state=2)
    found = np.array([step_rate(window, motion.sfreq) for window in motion.data])
    error = np.abs(found - motion.cadence)[motion.share == 1]
    assert np.median(error) < 0.05
    assert (error < 0.15).mean() > 0.8
    assert motion.cadence.min() > 1.3 and motion.cadence.max() < 2.6


def test_running_is_faster_than_stairs_and_the_still_have_no_cadence(motion):
    cadence = {name: motion.cadence[motion.target == name] for name in ACTIVITIES}
    assert np.median(cadence["running"]) > 2.3 > np.median(cadence["walking"]) > np.median(cadence["stairs"])
    assert np.isnan(cadence["rest"]).all() and np.isnan(cadence["fidgeting"]).all()
    assert not np.isnan(cadence["walking"]).any()


def test_rest_feels_one_g_along_the_true_gravity(exact):
    held = np.linalg.norm(exact.gravity, axis=1)
    still = (exact.target == "rest") & (exact.share == 1)
    felt = exact.data[still].mean(2)
    assert np.quantile(np.abs(np.linalg.norm(felt, axis=1) - 1), 0.9) < 0.02  # some change their posture
    assert np.quantile(np.abs(felt - exact.gravity[still]).max(1), 0.9) < 0.02
    assert 0.999 < np.median(held[still]) <= held.max() < 1 + 1e-6


def test_activities_differ_in_force_as_bodies_do(motion):
    spread = np.linalg.norm(motion.data, axis=1).std(1)
    spread = {name: np.median(spread[(motion.target == name) & (motion.share == 1)]) for name in ACTIVITIES}
    assert spread["rest"] < 0.03 < spread["fidgeting"]
    assert spread["rest"] < 0.1 < spread["walking"] < 1.5 * spread["walking"] < spread["running"]


def test_nobody_pulls_the_limb_off_for_long(exact):
    """Positions stay bounded, so acceleration averages to gravity over a session."""
    for session in np.unique(exact.session):
        within = exact.session == session
        size = np.linalg.norm(exact.data[within], axis=1)
        assert 0.9 < size.mean() < 1.8


def test_gain_and_offset_are_what_turns_the_exact_into_the_measured():
    asked = {"n_participants": 6, "n_windows": 40, "activities": ["rest"], "random_state": 5}
    measured = make_motion(**asked)
    felt = measured.data.mean(2)
    recovered = (felt - measured.offset) / measured.gain
    before, after = (np.linalg.norm(x - measured.gravity, axis=1) for x in (felt, recovered))
    assert np.median(after) < 0.005 < 0.02 < np.median(before)
    for name in np.unique(measured.groups):
        assert len(np.unique(measured.gain[measured.groups == name], axis=0)) == 1
    assert len(np.unique(measured.gain, axis=0)) == 6


def test_an_exact_device_leaves_no_trace(exact):
    assert (exact.gain == 1).all() and (exact.offset == 0).all() and (exact.native_sfreq == 100).all()


def test_no_channel_is_dead(motion):
    assert motion.data.std(2).min() > 1e-4


def test_a_slow_device_has_nothing_beyond_its_own_band():
    motion = make_motion(24, 10, activities=["running"], random_state=0)
    power = np.abs(np.fft.rfft(motion.data * np.hanning(256), axis=-1)) ** 2
    beyond = np.fft.rfftfreq(256, 0.01) > 0.5 * motion.native_sfreq[:, None] + 2
    share = (power.sum(1) * beyond).sum(1) / power.sum((1, 2))
    slow = motion.native_sfreq < 60
    assert slow.any() and share[slow].max() < 0.01


def test_a_session_is_one_unbroken_stretch_of_one_participant(exact):
    for session in np.unique(exact.session):
        rows = np.flatnonzero(exact.session == session)
        assert (np.diff(rows) == 1).all() and len(set(exact.groups[rows])) == 1
        assert np.allclose(np.diff(exact.start[rows]), 2.56)
        within = exact.data[rows]
        across = np.abs(within[1:, :, 0] - within[:-1, :, -1]).mean()
        inside = np.abs(np.diff(within, axis=2)).mean()
        assert across < 3 * inside


def test_long_participants_have_several_sessions(motion):
    n_sessions = [len(set(motion.session[motion.groups == name])) for name in np.unique(motion.groups)]
    assert n_sessions == [2] * 12


def test_everyone_does_everything(motion):
    for name in np.unique(motion.groups):
        assert set(motion.target[motion.groups == name]) == set(ACTIVITIES)


def test_people_walk_more_like_themselves_than_like_others():
    """Half of somebody's walking finds its owner by its spectrum alone, far more often than by chance."""
    motion = make_motion(10, 60, activities=["walking"], placements=["waist"], device=False, random_state=7)
    size = np.linalg.norm(motion.data, axis=1)
    spectrum = np.log(np.abs(np.fft.rfft((size - size.mean(1, keepdims=True)) * np.hanning(256)))[:, 2:40])
    spectrum = spectrum.reshape(10, 2, 30, -1).mean(2)
    nearest = ((spectrum[:, None, 0] - spectrum[None, :, 1]) ** 2).sum(-1).argmin(1)
    assert (nearest == np.arange(10)).mean() >= 0.7


def test_only_what_was_asked_for_happens():
    motion = make_motion(3, 8, activities=["rest", "running"], placements=["pocket"], random_state=0)
    assert set(motion.target) == {"rest", "running"} and set(motion.placement) == {"pocket"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n_participants": 0}, "n_participants to be a whole number of at least 1, got 0"),
        ({"n_windows": 2.5}, "n_windows to be a whole number"),
        ({"n_windows": True}, "n_windows to be a whole number"),
        ({"sfreq": -50}, "sfreq to be positive"),
        ({"seconds": 0}, "seconds to be positive"),
        ({"seconds": np.nan}, "seconds to be positive"),
        ({"seconds": 0.001}, "2 samples or more"),
        ({"activities": ["walking", "flying"]}, "activities to be a list .* got .*flying"),
        ({"activities": "walking"}, "activities to be a list"),
        ({"placements": []}, "placements to be a list"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked, words):
    with pytest.raises(ValueError, match=words):
        make_motion(**asked)
