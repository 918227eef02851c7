"""The heart in a signal: windows as the papers feed them, beats, and what beats say."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.signal import find_peaks

from wearembed import signals
from wearembed.signals import heart

PREPARE = {
    "ppg": (signals.prepare_ppg, 64),
    "ecg": (signals.prepare_ecg, 128),
    "accel": (signals.prepare_accel, 64),
}


def heartbeats(seed=0, seconds=60, rate=None):
    """Times of beats that breath and chance make uneven."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(50, 110) if rate is None else rate
    times = [0.5]
    while times[-1] < seconds - 0.5:
        breath = 0.05 * np.sin(2 * np.pi * 0.25 * times[-1])
        times.append(times[-1] + 60 / rate * (1 + breath + 0.02 * rng.normal()))
    return np.array(times[:-1])


def bumps(beats, sfreq, seconds, shapes):
    """At each beat one bell for each of `shapes`: its height, delay and width."""
    t = np.arange(0, seconds, 1 / sfreq)[:, None] - beats
    return sum(height * np.exp(-0.5 * ((t - delay) / width) ** 2) for height, delay, width in shapes).sum(1)


def pulses(beats, sfreq=64, seconds=60):
    """Systole, and the wave that comes back after it."""
    return bumps(beats, sfreq, seconds, [(1, 0, 0.09), (0.45, 0.28, 0.12)])


def complexes(beats, sfreq=128, seconds=60):
    """P, Q, R, S and T."""
    shapes = [(0.12, -0.16, 0.025), (-0.15, -0.03, 0.01), (1, 0, 0.011), (-0.25, 0.03, 0.012), (0.3, 0.25, 0.05)]
    return bumps(beats, sfreq, seconds, shapes)


def drifting(x, sfreq, noise=0.0, seed=0):
    t = np.arange(len(x)) / sfreq
    return x + 0.5 * np.sin(2 * np.pi * 0.1 * t) + noise * np.random.default_rng(seed).normal(size=len(x))


# --- windows as the papers feed them


@pytest.mark.parametrize("sensor", PREPARE)
@pytest.mark.parametrize("sfreq", [100, 256, 512.5])
def test_prepared_windows_have_the_rate_and_scale_of_the_paper(sensor, sfreq):
    prepare, rate = PREPARE[sensor]
    x = np.random.default_rng(0).normal([[5], [0], [-900]], [[1], [1e-3], [70]], size=(2, 3, round(20 * sfreq)))
    z = prepare(x.astype(np.float32), sfreq)
    assert z.shape == (2, 3, 20 * rate)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=-1), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=-1), 1, rtol=1e-5)


def test_prepared_pulse_stays_and_drift_goes():
    t, new = np.arange(0, 60, 1 / 256), np.arange(0, 60, 1 / 64)
    z = signals.prepare_ppg(np.sin(2 * np.pi * 1.2 * t) + 5 * np.sin(2 * np.pi * 0.1 * t), 256)
    wanted = np.sqrt(2) * np.sin(2 * np.pi * 1.2 * new)
    inner = slice(5 * 64, -5 * 64)
    np.testing.assert_allclose(z[inner], wanted[inner], atol=0.05)


@pytest.mark.parametrize("sensor", PREPARE)
def test_preparing_moves_nothing_in_time(sensor):
    prepare, rate = PREPARE[sensor]
    x = np.stack([bumps(np.array([7.0, 12.25]), 200, 20, [(1, 0, 0.05)])] * 3)
    z = prepare(x, 200)[0]
    assert {int(z[: 200 * rate // 20].argmax()), int(10 * rate + z[10 * rate :].argmax())} == {7 * rate, 12.25 * rate}


def test_an_accelerometer_keeps_its_slow_waves_unless_a_band_is_asked_for():
    t = np.arange(0, 60, 1 / 32)
    x = np.stack([np.sin(2 * np.pi * 0.1 * t) + 1] * 3)
    assert abs(np.corrcoef(signals.prepare_accel(x, 32)[0, ::2], x[0])[0, 1]) > 0.999
    sway = np.sin(2 * np.pi * 3 * t)
    banded = signals.prepare_accel(x + sway, 32, band=(0.5, 12))
    assert abs(np.corrcoef(banded[0, ::2], sway)[0, 1]) > 0.99


@pytest.mark.parametrize("sensor", PREPARE)
def test_a_flat_channel_becomes_zeros_and_not_scaled_rounding(sensor):
    prepare, _ = PREPARE[sensor]
    x = np.random.default_rng(0).normal(size=(3, 2000)).astype(np.float32)
    x[1] = 9.81
    z = prepare(x, 100)
    assert not z[1].any()
    assert z[[0, 2]].any(axis=-1).all()


def test_a_band_that_the_rate_cannot_hold_is_refused_by_name():
    with pytest.raises(ValueError, match=r"below half of sfreq, 32 Hz, got band=\(0.5, 40\).*band=None"):
        signals.prepare_ecg(np.zeros(640), 64)
    assert signals.prepare_ecg(np.random.default_rng(0).normal(size=640), 64, band=None).shape == (1280,)
    with pytest.raises(ValueError, match=r"low=8 and high=0\.4"):
        signals.prepare_ppg(np.zeros(640), 64, band=(8, 0.4))


def test_preparing_an_accelerometer_takes_three_axes():
    with pytest.raises(ValueError, match=r"\(\.\.\., 3, n_times\), got shape \(4, 640\)"):
        signals.prepare_accel(np.zeros((4, 640)), 64)


# --- low motion


def resting(size=0.003, seconds=60, sfreq=64):
    return np.random.default_rng(0).normal([[0.2], [0.1], [0.97]], size, size=(3, seconds * sfreq))


def test_the_gate_lets_a_resting_wrist_through_and_a_walking_one_not():
    t = np.arange(60 * 64) / 64
    shaken = resting() + 0.2 * np.sin(2 * np.pi * 2 * t)
    np.testing.assert_array_equal(signals.low_motion(np.stack([[resting(), shaken]] * 2), 64), [[True, False]] * 2)


@pytest.mark.parametrize(("size", "passes"), [(0.015, True), (0.025, False)])
def test_the_gate_is_a_deviation_of_the_magnitude_in_g(size, passes):
    t = np.arange(60 * 64) / 64
    x = np.zeros((3, len(t)))
    x[2] = 1 + np.sqrt(2) * size * np.sin(2 * np.pi * 3 * t)
    assert bool(signals.low_motion(x, 64)) is passes
    assert signals.low_motion(x, 64, threshold=0.05)


def test_turning_slowly_is_no_motion_for_the_gate():
    angle = np.pi * np.sin(2 * np.pi * 0.05 * np.arange(60 * 64) / 64)
    x = np.stack([np.sin(angle), 0 * angle, np.cos(angle) + 0.05 * np.sin(angle)])
    assert signals.low_motion(x, 64)


def test_the_gate_knows_metres_a_second_squared_from_g():
    with pytest.raises(ValueError, match="gravity in 'm/s\\^2'"):
        signals.low_motion(9.81 * resting(), 64)


def test_the_gate_asks_for_three_axes_and_a_rate():
    with pytest.raises(ValueError, match="three axes"):
        signals.low_motion(np.zeros((2, 640)), 64)
    with pytest.raises(ValueError, match="above 1 Hz"):
        signals.low_motion(np.zeros((3, 640)), 1)
    with pytest.raises(ValueError, match="threshold to be positive"):
        signals.low_motion(np.zeros((3, 640)), 64, threshold=0)


# --- beats


@pytest.mark.parametrize(("sensor", "wave", "sfreq", "within"), [
    ("ppg", pulses, 25, 0.008), ("ppg", pulses, 64, 0.008), ("ppg", pulses, 256, 0.008),
    ("ecg", complexes, 100, 0.002), ("ecg", complexes, 128, 0.002), ("ecg", complexes, 512, 0.002),
])  # fmt: skip
@pytest.mark.parametrize("rate", [45, 75, 120])
def test_every_beat_is_found_where_it_was(sensor, wave, sfreq, within, rate):
    beats = heartbeats(1, rate=rate)
    found = signals.find_beats(drifting(wave(beats, sfreq), sfreq, noise=0.005), sfreq, sensor)
    assert len(found) == len(beats)
    late = (found - beats)[2:-2]  # filters lean on what came before and comes after
    assert np.abs(late - np.median(late)).max() < within
    assert abs(np.median(late)) < 0.02


@pytest.mark.parametrize(("sensor", "wave", "sfreq"), [("ppg", pulses, 64), ("ecg", complexes, 128)])
def test_heart_rate_and_variability_are_what_the_beats_were_made_with(sensor, wave, sfreq):
    errors = []
    for seed in range(8):
        beats = heartbeats(seed)
        found = signals.find_beats(drifting(wave(beats, sfreq), sfreq, noise=0.02, seed=seed), sfreq, sensor)
        errors.append(np.subtract(signals.heart_rate_variability(found), signals.heart_rate_variability(beats)))
    heart_rate, sdnn, rmssd, n = np.abs(errors).mean(axis=0)
    assert heart_rate < 0.1
    assert sdnn < 1
    assert rmssd < 1.5
    assert n <= 1


def test_beats_between_samples_make_a_truer_rmssd(monkeypatch):
    beats = 0.5 + 0.817 * np.arange(72)
    x = drifting(pulses(beats), 64)
    between = signals.heart_rate_variability(signals.find_beats(x, 64)).rmssd
    monkeypatch.setattr(heart, "_summits", lambda x, peaks: peaks.astype(float))
    whole = signals.heart_rate_variability(signals.find_beats(x, 64)).rmssd
    assert between < 1 < 4 < whole  # the truth is 0


@pytest.mark.parametrize("noise", [0.1, 0.2])
def test_noise_between_slow_beats_is_no_beat(noise):
    beats = heartbeats(3, rate=50)
    found = signals.find_beats(drifting(complexes(beats, 250), 250, noise), 250, "ecg")
    extra = [time for time in found if np.abs(beats - time).min() > 0.05]
    assert len(extra) <= 1


def test_scale_and_offset_move_no_beat():
    x = drifting(pulses(heartbeats(4)), 64)
    found = signals.find_beats(x, 64)
    for other in (1e6 + 300 * x, 1e-6 * x):
        np.testing.assert_allclose(signals.find_beats(other, 64), found, atol=1e-6)
    np.testing.assert_allclose(signals.find_beats(x.astype(np.float32), 64), found, atol=1e-4)


@pytest.mark.parametrize("sensor", ["ppg", "ecg"])
@pytest.mark.parametrize("n_times", [200, 3840])
@pytest.mark.parametrize("level", [0.0, 9.81, -1e6])
def test_where_nothing_beats_nothing_is_found(sensor, n_times, level):
    ramp = np.arange(float(n_times))
    for x in (np.full(n_times, level), level + ramp, level - 0.01 * ramp):
        found = signals.find_beats(x, 100, sensor)
        assert found.shape == (0,)
        assert found.dtype == np.float64


@pytest.mark.parametrize("sensor", ["ppg", "ecg"])
def test_no_noise_is_too_much(sensor):
    rng = np.random.default_rng(0)
    for n_times in (200, 210, 333, 1000, 6000):
        for x in (
            rng.normal(size=n_times),
            rng.standard_cauchy(size=n_times),
            rng.normal(size=n_times).cumsum(),
            rng.integers(0, 2, n_times),
            np.eye(1, n_times, n_times // 2)[0],
            np.arange(n_times) > n_times // 2,
            np.exp(np.arange(n_times) / 30),
        ):
            found = signals.find_beats(x, 100, sensor)
            assert (np.diff(found) > 0).all()
            assert ((found >= 0) & (found < n_times / 100)).all()


def test_one_channel_of_two_seconds_is_asked_for():
    with pytest.raises(ValueError, match=r"shape \(1, 640\).*heart_labels"):
        signals.find_beats(np.zeros((1, 640)), 64)
    with pytest.raises(ValueError, match=r"2 s or more to find beats in, got 1\.5 s"):
        signals.find_beats(np.zeros(96), 64)
    with pytest.raises(ValueError, match="'ppg' or 'ecg', got 'eeg'"):
        signals.find_beats(np.zeros(640), 64, "eeg")
    with pytest.raises(ValueError, match="1 NaN or infinite of 640"):
        signals.find_beats(np.r_[np.zeros(639), np.nan], 64)
    with pytest.raises(ValueError, match="sfreq / 2 = 20 Hz"):
        signals.find_beats(np.zeros(640), 40, "ecg")


def test_without_neurokit2_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "neurokit2", None)
    with pytest.raises(ImportError, match=r'pip install "wearembed\[signals\]"'):
        signals.find_beats(pulses(heartbeats()), 64)


# --- neurokit2's own simulators


@pytest.fixture(scope="module")
def simulate():
    """The simulators of neurokit2, with its warnings kept for itself."""

    def call(name, **how):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import neurokit2

            return np.asarray(getattr(neurokit2, name)(duration=60, random_state=0, **how))

    return call


@pytest.mark.parametrize("rate", [55, 70, 100])
def test_a_simulated_pulse_at_64_hertz_says_what_it_does_at_1000(simulate, rate):
    quiet = {"drift": 0, "motion_amplitude": 0, "powerline_amplitude": 0, "burst_number": 0}
    fine = simulate("ppg_simulate", sampling_rate=1000, heart_rate=rate, **quiet)
    tops, _ = find_peaks(fine, prominence=0.5, distance=300)
    truth = signals.heart_rate_variability(tops / 1000)
    hrv = signals.heart_rate_variability(signals.find_beats(signals.resample(fine, 1000, 64), 64))
    assert abs(hrv.heart_rate - truth.heart_rate) < 0.2
    assert abs(hrv.sdnn - truth.sdnn) < 1.5
    assert abs(hrv.rmssd - truth.rmssd) < 6  # the band of 5 Hz takes the sharpest tops off


@pytest.mark.parametrize("rate", [55, 70, 100])
def test_the_rate_of_a_simulated_electrocardiogram_is_found(simulate, rate):
    x = simulate("ecg_simulate", sampling_rate=256, heart_rate=rate, heart_rate_std=2, noise=0.02)
    hrv = signals.heart_rate_variability(signals.find_beats(x, 256, "ecg"))
    assert abs(hrv.heart_rate - rate) < 1.5


# --- what beats say


def by_hand(beats, shortest=300, longest=2000, tolerance=0.2, neighbours=5, min_intervals=30):
    """The rules in loops: heart rate, SDNN, RMSSD, number of valid intervals."""
    intervals = [1000 * (beats[i + 1] - beats[i]) for i in range(len(beats) - 1)]
    possible = [shortest <= interval <= longest for interval in intervals]
    valid = []
    for i, interval in enumerate(intervals):
        near = range(max(0, i - neighbours), min(len(intervals), i + neighbours + 1))
        around = sorted(intervals[j] for j in near if possible[j])
        middle = (around[(len(around) - 1) // 2] + around[len(around) // 2]) / 2 if around else 0
        valid.append(possible[i] and abs(interval - middle) <= tolerance * middle)
    kept = [interval for interval, ok in zip(intervals, valid) if ok]
    if len(kept) < min_intervals:
        return (np.nan,) * 3 + (len(kept),)
    mean = sum(kept) / len(kept)
    sdnn = (sum((interval - mean) ** 2 for interval in kept) / (len(kept) - 1)) ** 0.5
    steps = [intervals[i + 1] - intervals[i] for i in range(len(valid) - 1) if valid[i] and valid[i + 1]]
    return 60000 / mean, sdnn, (sum(step**2 for step in steps) / len(steps)) ** 0.5, len(kept)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rules", [{}, {"tolerance": 0.1, "neighbours": 2}, {"longest": 900, "min_intervals": 5}])
def test_the_rules_are_what_they_are_in_loops(seed, rules):
    rng = np.random.default_rng(seed)
    beats = heartbeats(seed, seconds=rng.integers(20, 90))
    beats = np.delete(beats, rng.integers(1, len(beats) - 1, 3))
    beats = np.sort(np.r_[beats, rng.uniform(0, beats[-1], 3)])
    np.testing.assert_allclose(signals.heart_rate_variability(beats, **rules), by_hand(beats, **rules), rtol=1e-9)


def test_clean_beats_all_count():
    beats = heartbeats(5)
    intervals = 1000 * np.diff(beats)
    hrv = signals.heart_rate_variability(beats)
    assert hrv.n_intervals == len(intervals)
    assert hrv.heart_rate == pytest.approx(60000 / intervals.mean())
    assert hrv.sdnn == pytest.approx(intervals.std(ddof=1))
    assert hrv.rmssd == pytest.approx(np.sqrt(np.mean(np.diff(intervals) ** 2)))


def spoilt(beats, how):
    if how == "missed":
        return np.delete(beats, 30)
    if how == "extra":
        return np.insert(beats, 30, beats[29] + 0.4 * (beats[30] - beats[29]))
    ectopic = beats.copy()
    ectopic[30] -= 0.35 * (beats[30] - beats[29])
    return ectopic


@pytest.mark.parametrize(("how", "n_lost"), [("missed", 2), ("extra", 1), ("ectopic", 2)])
def test_one_false_beat_changes_little(how, n_lost):
    beats = heartbeats(6, rate=70)
    truth = signals.heart_rate_variability(beats)
    hrv = signals.heart_rate_variability(spoilt(beats, how))
    assert truth.n_intervals - hrv.n_intervals == n_lost
    assert abs(hrv.heart_rate - truth.heart_rate) < 0.3
    assert abs(hrv.sdnn - truth.sdnn) < 2
    assert abs(hrv.rmssd - truth.rmssd) < 2
    believed = signals.heart_rate_variability(spoilt(beats, how), tolerance=np.inf, longest=np.inf)
    assert believed.rmssd > 1.5 * truth.rmssd


def test_intervals_on_both_sides_of_a_gap_do_not_follow_each_other():
    intervals = np.r_[np.full(20, 0.8), 1.7, np.full(20, 0.9)]  # even before, even after; only the gap between
    hrv = signals.heart_rate_variability(np.cumsum(np.r_[0, intervals]))
    assert hrv.n_intervals == 40
    assert hrv.rmssd == pytest.approx(0, abs=1e-6)
    assert hrv.sdnn == pytest.approx(np.r_[np.full(20, 800), np.full(20, 900)].std(ddof=1))


@pytest.mark.parametrize("n_beats", [0, 1, 2, 10, 30])
def test_too_few_beats_say_nothing(n_beats):
    hrv = signals.heart_rate_variability(0.8 * np.arange(n_beats))
    assert np.isnan(hrv[:3]).all()
    assert hrv.n_intervals == max(0, n_beats - 1)


def test_thirty_intervals_are_enough_and_fewer_can_be():
    hrv = signals.heart_rate_variability(0.8 * np.arange(31))
    assert hrv.heart_rate == pytest.approx(75)
    assert signals.heart_rate_variability(0.8 * np.arange(11), min_intervals=10).heart_rate == pytest.approx(75)
    assert np.isnan(signals.heart_rate_variability([0, 0.8], min_intervals=0).sdnn)


def test_intervals_that_no_heart_has_do_not_count():
    for interval in (0.29, 2.01):
        assert signals.heart_rate_variability(interval * np.arange(60)).n_intervals == 0
    for interval in (0.31, 1.99):
        assert signals.heart_rate_variability(interval * np.arange(60)).n_intervals == 59


def test_beats_that_are_no_seconds_are_refused():
    for beats in (800.0 * np.arange(50), 51 * np.arange(50)):  # milliseconds; samples at 64 Hz
        with pytest.raises(ValueError, match="beats in seconds"):
            signals.heart_rate_variability(beats)
    with pytest.raises(ValueError, match="increasing order"):
        signals.heart_rate_variability([0.0, 2.0, 1.0])
    with pytest.raises(ValueError, match=r"got shape \(2, 3\)"):
        signals.heart_rate_variability(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="1 NaN"):
        signals.heart_rate_variability([0.0, np.nan])


# --- labels of many windows


def test_labels_are_those_of_each_window_by_itself():
    X = np.stack([[0 * pulses(heartbeats(seed)), drifting(pulses(heartbeats(seed)), 64, 0.02)] for seed in range(4)])
    labels = signals.heart_labels(X, 64, channel=1)
    wanted = [signals.heart_rate_variability(signals.find_beats(x, 64)) for x in X[:, 1]]
    pd.testing.assert_frame_equal(labels, pd.DataFrame(wanted))
    assert list(labels) == ["heart_rate", "sdnn", "rmssd", "n_intervals"]
    pd.testing.assert_frame_equal(signals.heart_labels(X[:, 1], 64), labels)


def test_windows_without_a_heart_have_no_label():
    labels = signals.heart_labels(np.zeros((3, 1, 3840)), 64)
    assert labels[["heart_rate", "sdnn", "rmssd"]].isna().all(axis=None)
    assert (labels["n_intervals"] == 0).all()


def test_labels_of_half_a_minute_ask_for_fewer_intervals():
    x = complexes(heartbeats(7, seconds=30, rate=55), 128, 30)[None, None]
    assert signals.heart_labels(x, 128, "ecg")["heart_rate"].isna().all()
    assert signals.heart_labels(x, 128, "ecg", min_intervals=20)["heart_rate"][0] == pytest.approx(55, abs=1)


def test_labels_of_no_windows_are_an_empty_table():
    labels = signals.heart_labels(np.zeros((0, 1, 3840)), 64)
    assert labels.shape == (0, 4)
    assert labels["heart_rate"].dtype == float
    with pytest.raises(ValueError, match=r"got shape \(3840,\)"):
        signals.heart_labels(np.zeros(3840), 64)
