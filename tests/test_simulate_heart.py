"""Simulated hearts: what was true of them is found again, by simpler means, in what the sensors wrote."""

import numpy as np
import pytest
from scipy.signal import butter, find_peaks, sosfiltfilt

from wearembed.datasets import make_ecg, make_ppg_accel

TRAITS = ["groups", "start", "age", "sex", "bmi"]
HEART = ["heart_rate", "sdnn", "rmssd", "ectopic", "respiration"]


@pytest.fixture(scope="module")
def still():
    return make_ppg_accel(40, 4, motion=0, random_state=0)


@pytest.fixture(scope="module")
def ecg():
    return make_ecg(40, 4, random_state=0)


def band(x, sfreq, low, high):
    return sosfiltfilt(butter(3, [low, high], "bandpass", fs=sfreq, output="sos"), x, axis=-1)


def around(x, sfreq, moments, before, after):
    """Stretches of a signal (n_times,) from `before` to `after` seconds around moments that leave room for them."""
    moments = moments[(moments > before) & (moments < len(x) / sfreq - after)]
    t = np.arange(-before, after, 1 / sfreq)
    return np.interp(moments[:, None] + t, np.arange(len(x)) / sfreq, x)


def pulse_waves(wrist):
    """Each participant's pulse wave about the beats, minus its first value, as high as 1: (n_participants, 1 s)."""
    waves = []
    for name in np.unique(wrist.groups):
        rows = np.flatnonzero(wrist.groups == name)
        wave = np.mean([around(wrist.ppg[i, 0], wrist.sfreq, wrist.beats[i], 0, 1).mean(0) for i in rows], 0)
        waves.append((wave - wave[0]) / np.ptp(wave))
    return np.array(waves)


def of_people(x, column):
    """A trait once a participant."""
    return x[column][np.unique(x.groups, return_index=True)[1]]


# --- what comes out


def test_wrist_has_the_shapes_units_and_names_that_are_promised(still):
    n = 40 * 4
    assert still.ppg.shape == (n, 4, 3840) and still.accel.shape == (n, 3, 3840)
    assert still.ppg.dtype == still.accel.dtype == np.float32
    assert np.isfinite(still.ppg).all() and np.isfinite(still.accel).all()
    assert all(still[name].shape == (n,) for name in [*TRAITS, *HEART, "transit", "motion", "moving"])
    assert (still.sfreq, still.units, still.ppg_units, still.license) == (64.0, "g", "a.u.", "CC0-1.0")
    assert still.channel_names == ["x", "y", "z"] and len(still.ppg_channel_names) == 4
    assert set(still.sex) == {"F", "M"} and still.DESCR


def test_ecg_has_the_shapes_units_and_names_that_are_promised(ecg):
    assert ecg.data.shape == (160, 1, 3840) and ecg.data.dtype == np.float32
    assert np.isfinite(ecg.data).all() and len(ecg.beats) == 160
    assert all(ecg[name].shape == (160,) for name in [*TRAITS, *HEART])
    assert (ecg.sfreq, ecg.units, ecg.channel_names, ecg.license) == (128.0, "mV", ["I"], "CC0-1.0")
    assert ecg.DESCR


def test_length_rate_and_channels_are_as_asked():
    wrist = make_ppg_accel(1, 2, seconds=7.5, sfreq=25, n_ppg_channels=1, random_state=0)
    assert wrist.ppg.shape == (2, 1, 188) and wrist.accel.shape == (2, 3, 188)
    assert make_ecg(1, 2, seconds=10, sfreq=250, random_state=0).data.shape == (2, 1, 2500)


def test_a_window_too_short_for_intervals_has_a_heart_rate_of_nan():
    wrist = make_ppg_accel(1, 2, seconds=0.25, random_state=0)
    assert np.isnan(wrist.heart_rate).all() and np.isnan(wrist.sdnn).all() and np.isnan(wrist.rmssd).all()


# --- seeds


@pytest.mark.parametrize(("make", "signal"), [(make_ppg_accel, "ppg"), (make_ppg_accel, "accel"), (make_ecg, "data")])
def test_equal_seeds_are_equal_to_the_bit(make, signal, generators_untouched):
    first, again, other = (make(2, 3, random_state=seed) for seed in (3, 3, 4))
    assert np.array_equal(first[signal], again[signal]) and np.array_equal(first.start, again.start)
    assert not np.array_equal(first[signal], other[signal])
    assert not np.array_equal(make(1, 1)[signal], make(1, 1)[signal])


@pytest.mark.parametrize(("make", "signal"), [(make_ppg_accel, "ppg"), (make_ppg_accel, "accel"), (make_ecg, "data")])
def test_more_participants_and_more_windows_leave_the_first_as_they_were(make, signal):
    few, many = make(2, 3, random_state=3), make(3, 5, random_state=3)
    kept = [0, 1, 2, 5, 6, 7]
    for name in [signal, *TRAITS, *HEART]:
        assert np.array_equal(few[name], many[name][kept])


def test_both_simulators_have_the_same_people(still, ecg):
    for name in ["groups", "age", "sex", "bmi"]:
        assert np.array_equal(still[name], ecg[name])


# --- the heart


def test_truth_follows_from_the_beats(still):
    for i, beats in enumerate(still.beats):
        rr = 1000 * np.diff(beats)
        assert beats.min() >= 0 and beats.max() < 60
        assert np.isclose(still.heart_rate[i], 60000 / rr.mean())
        assert np.isclose(still.sdnn[i] ** 2, ((rr - rr.mean()) ** 2).sum() / (len(rr) - 1))
        assert np.isclose(still.rmssd[i] ** 2, (np.diff(rr) ** 2).mean())


def test_hearts_are_as_fast_and_as_unsteady_as_hearts_are(still):
    assert still.heart_rate.min() > 38 and still.heart_rate.max() < 160
    assert 60 < np.median(still.heart_rate) < 75
    calm = still.ectopic == 0
    for name, low, high in [("sdnn", 10, 100), ("rmssd", 7, 90)]:
        assert low < np.quantile(still[name][calm], 0.05) < np.quantile(still[name][calm], 0.95) < high
    assert np.corrcoef(still.age, np.log(still.rmssd))[0, 1] < -0.2
    assert (still.respiration > 7).all() and (still.respiration < 24.1).all()


def test_heart_rate_differs_within_people_and_not_by_name_alone():
    rate = make_ecg(40, 10, random_state=1).heart_rate.reshape(40, 10)
    within, between = np.sqrt(rate.var(1, ddof=1).mean()), rate.mean(1).std()
    assert 7 < within < 13 and 0.6 < within / between < 1.6


def test_windows_of_a_participant_lie_apart_in_time(still):
    start = still.start.reshape(40, 4)
    assert (start[:, 0] == 0).all() and np.diff(start, axis=1).min() >= 60
    assert np.median(start[:, -1]) > 3600


def test_intervals_sway_with_breath(still):
    """The strongest rhythm of the intervals above 0.13 Hz is the breath's, in most windows."""
    hertz = np.arange(0.135, 0.4, 0.002)
    found = []
    for beats in still.beats:
        rr = np.diff(beats) - np.diff(beats).mean()
        found.append(hertz[np.abs(np.exp(-2j * np.pi * np.outer(hertz, beats[1:])) @ rr).argmax()])
    error = np.abs(60 * np.array(found) - still.respiration)[still.respiration > 9]
    assert (error < 1.5).mean() > 0.5


# --- the wrist


def test_pulse_peaks_give_the_heart_rate(still):
    pulse = band(still.ppg[:, 0], still.sfreq, 0.5, 4)
    peaks = [find_peaks(x, distance=26, prominence=x.std())[0] for x in pulse]
    rate = np.array([60 * 64 / np.diff(found).mean() for found in peaks])
    assert (np.abs(rate - still.heart_rate) < 2).mean() > 0.95


def test_pulse_follows_each_beat_by_the_persons_own_transit(still):
    steepest = []
    for x, beats in zip(still.ppg[:, 0], still.beats):
        wave = around(x, still.sfreq, beats, 0, 0.45).mean(0)
        wave = np.interp(np.arange(0, 440), 1000 / 64 * np.arange(len(wave)), np.gradient(wave))  # one a millisecond
        steepest.append(wave.argmax())
    assert np.median(np.abs(steepest - still.transit)) < 12
    assert np.corrcoef(steepest, still.transit)[0, 1] > 0.7
    assert still.transit.min() > 130 and still.transit.max() < 280
    transit = still.transit.reshape(40, 4)
    assert transit.std(1).mean() < 0.7 * transit.mean(1).std()


def test_optical_channels_see_one_pulse_each_in_its_own_way(still):
    pulse = band(still.ppg, still.sfreq, 0.5, 8)
    likeness = np.array([np.corrcoef(x)[0, 1:] for x in pulse])
    assert np.median(likeness) > 0.95 and likeness.max() < 1
    assert np.std(np.log(pulse.std(2)), axis=1).mean() > 0.1


def test_ppg_is_raw(still):
    pulse = band(still.ppg, still.sfreq, 0.5, 8).std(2)
    assert (still.ppg.mean(2) > 10 * pulse).all()  # light that is always there
    assert np.median(still.ppg.std(2) / pulse) > 1.3  # and wanders
    assert np.array_equal(still.ppg, np.round(still.ppg))


def test_still_wrists_feel_one_g(still):
    size = np.linalg.norm(still.accel, axis=1)
    assert np.abs(size.mean(1) - 1).max() < 0.06
    assert still.accel.mean(2).std(0).min() > 0.2  # in whatever posture


def test_without_motion_all_windows_pass_the_gate_of_still_ones(still):
    size = np.linalg.norm(still.accel, axis=1)
    high = sosfiltfilt(butter(4, 0.5, "highpass", fs=still.sfreq, output="sos"), size, axis=-1)
    assert high.std(1).max() < 0.02
    assert not still.moving.any() and still.motion.max() < 0.005


def test_motion_moves_a_share_of_windows_and_leaves_the_others_alone(still):
    moved = make_ppg_accel(40, 4, motion=0.3, random_state=0)
    size = np.linalg.norm(moved.accel, axis=1)
    high = sosfiltfilt(butter(4, 0.5, "highpass", fs=moved.sfreq, output="sos"), size, axis=-1).std(1)
    assert 0.2 < moved.moving.mean() < 0.4
    assert np.median(moved.motion[moved.moving]) > 0.01
    assert np.corrcoef(high, moved.motion)[0, 1] > 0.99
    assert np.array_equal(moved.accel[~moved.moving], still.accel[~moved.moving])
    spoilt = np.abs(moved.ppg - still.ppg).max(2) / still.ppg.std(2)
    assert np.median(spoilt[moved.moving]) > 1 and (spoilt[~moved.moving] == 0).all()


def test_hearts_shake_the_wrist_unless_asked_not_to(still):
    """What recurs with the beats is a thousandth of g with a pulse, and no more than by chance without."""
    numb = make_ppg_accel(40, 4, motion=0, pulse=0, random_state=0)
    assert np.array_equal(numb.ppg, still.ppg) and np.array_equal(numb.heart_rate, still.heart_rate)
    rng = np.random.default_rng(0)
    recurring = {}
    for name, wrist, shift in [("pulse", still, 0), ("none", numb, 0), ("elsewhere", numb, rng.uniform(0.2, 5, 300))]:
        shaken = band(wrist.accel, wrist.sfreq, 3, 12)
        moments = [beats + np.resize(shift, len(beats)) for beats in wrist.beats]
        average = [[around(axis, 64, m, 0, 0.5).mean(0) for axis in x] for x, m in zip(shaken, moments)]
        recurring[name] = np.sqrt(np.square(average).sum(1).mean(1))  # (n,) in g
    assert np.median(recurring["pulse"]) > 3 * np.median(recurring["none"])
    assert 0.0005 < np.median(recurring["pulse"]) < 0.002
    assert np.isclose(np.median(recurring["none"]), np.median(recurring["elsewhere"]), rtol=0.15)


def test_a_pulse_is_small_beside_the_noise_and_shaped_by_the_person(still):
    """The difference that the pulse alone makes: 1 to 6 mg at its peak, more alike within people than between."""
    numb = make_ppg_accel(40, 4, motion=0, pulse=0, random_state=0)
    pulse = np.linalg.norm(still.accel - numb.accel, axis=1)
    peak = np.array([around(x, 64, b, 0, 0.5).mean(0).max() for x, b in zip(pulse, still.beats)])
    assert 0.001 < np.quantile(peak, 0.05) < np.quantile(peak, 0.95) < 0.006
    peak = np.log(peak).reshape(40, 4)
    assert peak.std(1).mean() < peak.mean(1).std()


def test_a_pulse_twice_as_strong_is_twice_as_large():
    none, one, two = (make_ppg_accel(3, 2, motion=0, pulse=pulse, random_state=0).accel for pulse in (0, 20, 40))
    assert np.allclose(two - none, 2 * (one - none), atol=0.013)  # two steps of the coarsest sensor, and a half


# --- traits


def test_age_raises_the_wave_that_comes_back():
    wrist = make_ppg_accel(60, 2, motion=0, random_state=2)
    waves = pulse_waves(wrist)
    crest = waves[:, 10:30].argmax(1) + 10
    reflected = np.array([wave[k + 10 : k + 16].mean() for wave, k in zip(waves, crest)])  # 160 to 250 ms later
    assert np.corrcoef(reflected, of_people(wrist, "age"))[0, 1] > 0.5


def test_fat_dims_the_pulse_and_muffles_what_the_wrist_feels():
    wrist, numb = (make_ppg_accel(80, 2, seconds=20, motion=0, pulse=p, random_state=3) for p in (20, 0))
    depth = band(wrist.ppg, 64, 0.5, 8).std(2) / wrist.ppg.mean(2)
    kick = np.linalg.norm(wrist.accel - numb.accel, axis=1).std(1)
    for size in [depth.mean(1), kick]:
        size = np.log(size).reshape(80, 2).mean(1)
        assert np.corrcoef(size, of_people(wrist, "bmi"))[0, 1] < -0.2


def test_traits_shape_the_ecg():
    ecg = make_ecg(80, 2, seconds=20, random_state=4)
    found = []
    for x, beats in zip(ecg.data[:, 0], ecg.beats):
        wave = around(x, 128, beats, 0.25, 0.5).mean(0)
        zero = wave[:3].mean()
        t_wave = wave[57:83]  # 200 to 400 ms after the R wave
        found.append(((t_wave.max() - zero) / (wave[30:35].max() - zero), t_wave.argmax() / 128 + 0.2))
    height, late = np.array(found).reshape(80, 2, 2).mean(1).T
    age, woman = of_people(ecg, "age"), of_people(ecg, "sex") == "F"
    assert np.corrcoef(np.log(height), age)[0, 1] < -0.2
    rate = ecg.heart_rate.reshape(80, 2).mean(1)
    corrected = late * np.sqrt(rate / 60)
    assert np.corrcoef(late, rate)[0, 1] < -0.5 and abs(np.corrcoef(corrected, rate)[0, 1]) < 0.4
    assert corrected[woman].mean() > corrected[~woman].mean()


# --- the ECG


def test_r_waves_peak_at_the_beats(ecg):
    matched = 0
    for x, beats in zip(ecg.data[:, 0], ecg.beats):
        sharp = band(x, 128, 8, 30)
        peaks = find_peaks(sharp, height=0.5 * np.quantile(sharp, 0.99), distance=38)[0] / 128
        inner = beats[(beats > 0.1) & (beats < 29.9)]
        matched += np.mean([np.abs(peaks - beat).min() < 0.012 for beat in inner]) > 0.95
        assert abs(len(peaks) - len(beats)) <= 3
    assert matched / len(ecg.data) > 0.95


# --- what cannot be


@pytest.mark.parametrize("make", [make_ppg_accel, make_ecg])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n_participants": 0}, "n_participants to be a whole number of at least 1, got 0"),
        ({"n_windows": 2.5}, "n_windows to be a whole number"),
        ({"n_windows": True}, "n_windows to be a whole number"),
        ({"sfreq": -50}, "sfreq to be positive"),
        ({"seconds": np.nan}, "seconds to be positive"),
        ({"seconds": 0.001}, "2 samples or more"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, asked, words):
    with pytest.raises(ValueError, match=words):
        make(**asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"n_ppg_channels": 0}, "n_ppg_channels to be a whole number of at least 1, got 0"),
        ({"motion": 1.5}, "motion to be a number from 0 to 1, got 1.5"),
        ({"motion": "some"}, "motion to be a number from 0 to 1, got 'some'"),
        ({"pulse": -1}, "pulse to be a number of at least 0, got -1"),
        ({"pulse": np.nan}, "pulse to be a number of at least 0"),
    ],
)
def test_a_wrist_that_cannot_be_is_refused_by_name(asked, words):
    with pytest.raises(ValueError, match=words):
        make_ppg_accel(**asked)
