"""Features that are written down, and kernels of a library, by the encoders' interface.

MiniRocket's tests need the extra ``baselines``, whose sktime 1.2 wants pandas below 3.1, and are skipped without.
"""

import inspect
import os
import pickle
import re
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from wearembed import HandmadeFeatures, MiniRocketFeatures, RawWindows, Spectra, datasets, signals

MOTION = datasets.make_motion(n_participants=3, n_windows=8, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups
BASELINES = {
    "HandmadeFeatures": HandmadeFeatures(),
    "HandmadeFeatures, accel-heart": HandmadeFeatures("accel-heart"),
    "HandmadeFeatures, ppg": HandmadeFeatures("ppg"),
    "HandmadeFeatures, ecg": HandmadeFeatures("ecg"),
    "RawWindows": RawWindows(20),
    "RawWindows, standardised": RawWindows(standardize=True),
    "Spectra": Spectra(12),
}
with_sktime = pytest.mark.skipif(
    not (find_spec("sktime") and find_spec("numba")), reason="needs the extra baselines, see the top of this file"
)
ROCKET = MiniRocketFeatures(168, random_state=0)
every = pytest.mark.parametrize(
    "baseline", [*BASELINES.values(), pytest.param(ROCKET, marks=with_sktime)], ids=[*BASELINES, "MiniRocketFeatures"]
)
of_motion = pytest.mark.parametrize(
    "baseline",
    [BASELINES["HandmadeFeatures"], RawWindows(20), Spectra(12), pytest.param(ROCKET, marks=with_sktime)],
    ids=["HandmadeFeatures", "RawWindows", "Spectra", "MiniRocketFeatures"],
)


@parametrize_with_checks([*BASELINES.values(), *([ROCKET] if find_spec("sktime") and find_spec("numba") else [])])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------------------- what all share


@every
def test_a_row_is_a_windows_own_to_the_bit(baseline):
    own = clone(baseline).fit(X)
    whole = own.transform(X)
    assert whole.dtype == np.float32 and np.isfinite(whole).all()
    order = np.random.default_rng(0).permutation(len(X))
    assert_array_equal(own.transform(X[order]), whole[order])
    for n in (1, 2, 5):
        assert_array_equal(own.transform(X[3 : 3 + n]), whole[3 : 3 + n])


@every
def test_columns_are_named(baseline):
    frame = clone(baseline).set_output(transform="pandas").fit(X).transform(X)
    names = list(frame.columns)
    assert len(set(names)) == len(names) and names == list(clone(baseline).fit(X).get_feature_names_out())
    assert_array_equal(frame.to_numpy(), clone(baseline).fit_transform(X))
    with pytest.raises(sklearn.exceptions.NotFittedError, match="fit"):
        clone(baseline).get_feature_names_out()


@every
def test_labels_groups_and_the_order_of_fit_do_not_matter(baseline):
    told = clone(baseline).fit(X, y, groups=groups, session=groups)
    assert_array_equal(told.transform(X), clone(baseline).fit(X).transform(X))
    if baseline is not ROCKET:
        assert_array_equal(clone(baseline).transform(X), told.transform(X))  # it needs no fit
        assert_array_equal(clone(baseline).fit(X[:1]).transform(X), told.transform(X))


@every
@pytest.mark.parametrize("n_times", [2, 3, 9, 50, 301])
@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_any_length_and_any_number_of_channels_go_and_stillness_too(baseline, n_times, n_channels):
    moving = np.random.default_rng(0).normal(size=(5, n_channels, n_times))
    still = np.ones((5, n_channels, n_times))
    for windows in (moving, still, np.concatenate([moving, still])):
        assert np.isfinite(clone(baseline).fit(windows).transform(windows)).all()


@every
def test_pickle_and_global_generators(baseline, generators_untouched):
    own = clone(baseline).fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(own)).transform(X), own.transform(X))


def put(value):
    bad = X.copy()
    bad[2, 1, 7] = value
    return bad


WRONG = {
    "NaN": (put(np.nan), "1 of 24 windows hold NaN.*window 2, channel 1, sample 7"),
    "infinity": (put(np.inf), "1 of 24 windows hold inf"),
    "axes swapped": (X.transpose(0, 2, 1), "transpose"),
    "four dimensions": (X[None], "4 dimensions"),
    "strings": (X.astype(str), "numbers.*dtype <U"),
    "no sample": (X[..., :0], "empty windows"),
}


@every
@pytest.mark.parametrize("wrong", WRONG)
def test_bad_windows_are_named(baseline, wrong):
    windows, message = WRONG[wrong]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clone(baseline).fit(windows)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clone(baseline).fit(X).transform(windows)


@every
def test_windows_unlike_those_of_fit_are_refused(baseline):
    for windows, message in ((X[..., :200], "got 3 x 200"), (X[:, :2], "got 2 x 256")):
        with pytest.raises(ValueError, match=message):
            clone(baseline).fit(X).transform(windows)


@of_motion
def test_units_are_converted_and_undeclared_ones_refused(baseline):
    wanted = clone(baseline).fit(X).transform(X)
    metric = clone(baseline).set_params(units="m/s^2").fit(X * 9.80665).transform(X * 9.80665)
    assert np.mean(np.abs(metric - wanted) < 1e-2) > 0.95  # a feature may be the place of a near tie
    with pytest.raises(ValueError, match=r"units='m/s\^2'"):
        clone(baseline).fit(X * 9.80665)
    with pytest.raises(ValueError, match="furlong"):
        clone(baseline).set_params(units="furlong").fit(X).set_params(units="g").transform(X)


def walk(n_times=512):
    t = np.arange(n_times) / 100
    rate = np.linspace(1.4, 2.2, 6)[:, None]
    size = 1 + 0.3 * np.sin(2 * np.pi * rate * t) + 0.1 * np.sin(4 * np.pi * rate * t + 1)
    return np.stack([0.1 * size, 0.2 * size, size], axis=1)


@of_motion
def test_another_rate_is_converted_to_that_of_fit(baseline):
    own = clone(baseline).fit(walk())
    half = clone(baseline).fit(walk()).set_params(sfreq=50.0).transform(walk()[..., ::2])
    alike = np.corrcoef(half.ravel(), own.transform(walk()).ravel())[0, 1]
    assert alike > 0.95


@every
@pytest.mark.parametrize("sfreq", [0, -1, np.nan, "fast"])
def test_bad_rates_are_named(baseline, sfreq):
    with pytest.raises(ValueError, match="sfreq of .* is a finite number above 0"):
        clone(baseline).set_params(sfreq=sfreq).fit(X)


@every
def test_a_pipeline_searches_by_participant(baseline):
    pipeline = make_pipeline(clone(baseline), StandardScaler(), LogisticRegression(max_iter=200))
    grid = {"logisticregression__C": [0.1, 1]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(2), error_score="raise").fit(X, y, groups=groups)
    assert search.predict(X).shape == y.shape


@every
def test_every_parameter_is_documented(baseline):
    section = type(baseline).__doc__.split("Parameters\n")[1].split("Attributes\n")[0]
    named = re.findall(r"^    (\w[\w, ]*?)(?: :.*)?$", section, flags=re.MULTILINE)
    assert {n for names in named for n in names.split(", ")} == set(inspect.signature(type(baseline)).parameters)


# ------------------------------------------------------------------------------------- hand-made, second writings


def power_by_the_book(x, sfreq):
    """Frequency and mean square of each line of the spectrum, by sums of cosines and sines."""
    n = len(x)
    window = [np.sin(np.pi * (i + 0.5) / n) ** 2 for i in range(n)]
    x = [(v - np.mean(x)) * w for v, w in zip(x, window)]
    lines = []
    for k in range(n // 2 + 1):
        turn = 2 * np.pi * k / n
        a, b = (sum(v * f(turn * i) for i, v in enumerate(x)) for f in (np.cos, np.sin))
        lines.append((k * sfreq / n, 2 * (a**2 + b**2) / (n * sum(w**2 for w in window))))
    return lines


def rhythm_by_the_book(x, sfreq, shortest, longest):
    x = [v - np.mean(x) for v in x]
    own = sum(v * v for v in x)
    alike = {}
    for lag in range(int(shortest * sfreq), min(int(longest * sfreq), len(x))):
        alike[lag] = sum(a * b for a, b in zip(x, x[lag:])) / own
    best = max(alike, key=alike.get)
    return alike[best], best / sfreq


def spectrum_by_the_book(name, x, sfreq, edges):
    lines, wanted = power_by_the_book(x, sfreq), {}
    for low, high in pairwise(edges):
        wanted[f"{name} {low:g}-{high:g} Hz"] = np.log(sum(p for f, p in lines if low <= f < high) + 1e-8)
    inside = [(f, p) for f, p in lines if edges[0] <= f < edges[-1]]
    total = sum(p for _, p in inside)
    wanted[f"{name} strongest Hz"] = max(inside, key=lambda line: line[1])[0]
    wanted[f"{name} strongest share"] = max(p for _, p in inside) / total
    wanted[f"{name} entropy"] = stats.entropy([p for _, p in inside])
    return wanted


def motion_by_the_book(window, sfreq):
    """The features of one window, one after the other."""
    x, y, z = (axis.astype(float).tolist() for axis in window)
    size = [np.sqrt(a * a + b * b + c * c) for a, b, c in zip(x, y, z)]
    wanted = {}
    for name, v in {"x": x, "y": y, "z": z, "magnitude": size}.items():
        wanted[f"{name} mean"], wanted[f"{name} deviation"] = np.mean(v), np.std(v)
        for percent in (5, 25, 50, 75, 95):
            wanted[f"{name} {percent} %"] = np.percentile(v, percent)
        jerk = [(b - a) * sfreq for a, b in pairwise(v)]
        wanted[f"{name} jerk deviation"] = np.log(np.std(jerk) + 1e-6)
        wanted[f"{name} jerk 95 %"] = np.log(np.percentile(np.abs(jerk), 95) + 1e-6)
        wanted |= spectrum_by_the_book(name, v, sfreq, (0.3, 1.2, 2.2, 3.5, 6, 10, 20))
    wanted["magnitude skewness"], wanted["magnitude kurtosis"] = stats.skew(size), stats.kurtosis(size)
    for a, b in (("x", "y"), ("x", "z"), ("y", "z")):
        both = {"x": x, "y": y, "z": z}
        wanted[f"{a} with {b}"] = np.corrcoef(both[a], both[b])[0, 1]
    height, period = rhythm_by_the_book(size, sfreq, 0.25, 1.5)
    return wanted | {"magnitude rhythm": height, "magnitude rhythm period": period}


def measured(windows, **how):
    features = HandmadeFeatures(**how).fit(windows)
    rows = features.transform(windows)
    return [dict(zip(features.get_feature_names_out(), row)) for row in rows]


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert_allclose(found[name], value, rtol=2e-3, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("window", range(3))
def test_features_of_motion_are_what_their_names_say(window):
    one = X[window * 8 : window * 8 + 1]
    assert_same(measured(one, sfreq=100)[0], motion_by_the_book(one[0], 100.0))


def test_features_of_a_pulse_are_what_their_names_say():
    pulse = datasets.make_ppg_accel(n_participants=1, n_windows=2, seconds=10, n_ppg_channels=2, random_state=0).ppg
    found = measured(pulse * 3 + 100, sensor="ppg", sfreq=64)[1]
    one, wanted = signals.standardize(pulse)[1].astype(float), {}
    for n, x in enumerate(one):
        name = f"channel {n}"
        wanted[f"{name} skewness"], wanted[f"{name} kurtosis"] = stats.skew(x), stats.kurtosis(x)
        wanted[f"{name} steepness"] = np.log(np.std([b - a for a, b in pairwise(x)]) * 64 + 1e-6)
        wanted |= spectrum_by_the_book(name, x, 64, (0.4, 0.8, 1.2, 1.7, 2.4, 3.4, 4.8, 6.5, 9.0))
        height, period = rhythm_by_the_book(x, 64, 0.3, 2.0)
        wanted |= {f"{name} rhythm": height, f"{name} rhythm period": period}
    beats = signals.heart_rate_variability(signals.find_beats(one[0], 64), min_intervals=3)
    wanted |= {"heart rate": beats.heart_rate, "SDNN": beats.sdnn, "RMSSD": beats.rmssd, "intervals": beats.n_intervals}
    assert_same(found, wanted)


@pytest.mark.parametrize("sensor", ["ppg", "ecg"])
def test_the_heart_rate_is_that_of_the_simulated_heart(sensor):
    made = datasets.make_ecg if sensor == "ecg" else partial(datasets.make_ppg_accel, motion=0.0)
    heart = made(n_participants=4, n_windows=2, seconds=30, random_state=0)
    found = measured(heart.data if sensor == "ecg" else heart.ppg, sensor=sensor)
    assert_allclose([row["heart rate"] for row in found], heart.heart_rate, atol=1.5)


def test_where_no_beat_is_found_the_rhythm_tells_the_rate():
    short = np.sin(2 * np.pi * 1.25 * np.arange(0, 1.9, 1 / 64))[None]  # below 2 s none are looked for
    found = measured(short, sensor="ppg")[0]
    assert abs(found["heart rate"] - 75) < 5 and found["SDNN"] == found["intervals"] == 0
    still = measured(np.ones((1, 640)), sensor="ppg")[0]
    assert still["heart rate"] == still["RMSSD"] == 0


def test_a_resting_wrist_shakes_at_the_rate_of_its_heart():
    wrist = datasets.make_ppg_accel(n_participants=6, n_windows=2, motion=0.0, pulse=6.0, random_state=0)
    found = np.array([row["shaking rate"] for row in measured(wrist.accel, sensor="accel-heart", sfreq=64)])
    error = np.abs(found - wrist.heart_rate)
    assert np.median(error) < 3, "a strong pulse is felt"
    rows = measured(wrist.accel[:1], sensor="accel-heart", sfreq=64)[0]
    shaking = signals.bandpass(wrist.accel[0].astype(float), 64, 4, 11)
    felt = np.sqrt((shaking**2).sum(0))
    height = np.corrcoef(felt[: -round(0.75 * 64)], felt[round(0.75 * 64) :])[0, 1]
    assert abs(rows["shaking after 0.750 s"] - height) < 0.05


def test_raw_windows_keep_what_is_slow():
    raw = RawWindows(32).fit(walk())
    rows = raw.transform(walk()).reshape(6, 3, 32)
    at = (np.arange(32) + 0.5) * 16 - 0.5
    line = np.apply_along_axis(lambda x: np.interp(at, np.arange(512), x), 2, walk())
    assert np.corrcoef(rows[..., 2:-2].ravel(), line[..., 2:-2].ravel())[0, 1] > 0.98
    assert raw.get_feature_names_out()[32] == "y at 0.075 s"
    assert_array_equal(RawWindows(256).fit_transform(X), X.reshape(24, -1))


def test_spectra_are_the_power_of_each_band():
    found = Spectra(10, highest=20).fit_transform(X[:1, :1])[0]
    lines = power_by_the_book(X[0, 0].astype(float), 100)
    wanted = [np.log(sum(p for f, p in lines if low <= f < low + 2) + 1e-8) for low in range(0, 20, 2)]
    assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (HandmadeFeatures("gyro"), "sensor of HandmadeFeatures is one of accel, accel-heart, ppg, ecg; got 'gyro'"),
        (HandmadeFeatures(units="mV"), "one of g, m/s^2, mg; got 'mV'"),
        (HandmadeFeatures("ppg", units="g"), "not one of acceleration; got 'g'"),
        (HandmadeFeatures("ecg", sfreq=32), "more than 40 samples a second; got sfreq=32"),
        (RawWindows(0), "n_times of RawWindows is a whole number above 0; got 0"),
        (Spectra(2.5), "n_bands of Spectra is a whole number"),
        (Spectra(highest=-1), "highest of Spectra is a finite number above 0"),
        (MiniRocketFeatures(0), "n_kernels of MiniRocketFeatures is a whole number"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(baseline, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        baseline.fit(X)


def test_hand_made_features_want_two_samples():
    with pytest.raises(ValueError, match="2 samples or more; got n_features = 1"):
        HandmadeFeatures().fit(np.ones((3, 1)))


# ------------------------------------------------------------------------------------- MiniRocket


@pytest.mark.skipif(find_spec("sktime") is not None, reason="it is there")
def test_without_sktime_the_extra_is_named():
    with pytest.raises(ImportError, match=r'pip install "wearembed\[baselines\]"'):
        MiniRocketFeatures().fit(X)


THREADED = """
import numpy as np
import torch

torch.set_num_threads(1)
from wearembed import MiniRocketFeatures

print(torch.get_num_threads())
X = np.random.default_rng(0).normal(size=(8, 3, 64)).astype(np.float32)
MiniRocketFeatures(84, random_state=0).fit(X).transform(X)
print(torch.get_num_threads())
"""


@with_sktime
def test_random_kernels_leave_torch_its_threads():
    """numba sets how many all of OpenMP has, so that what is trained afterwards came out otherwise."""
    two = os.environ | {"OMP_NUM_THREADS": "2"}
    told = subprocess.run([sys.executable, "-c", THREADED], env=two, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1", "1"]


@with_sktime
def test_minirocket_is_that_of_sktime_with_a_seed():
    from sktime.transformations.rocket import MiniRocketMultivariate

    theirs = MiniRocketMultivariate(num_kernels=168, random_state=int(np.random.RandomState(0).randint(2**31 - 1)))
    assert_array_equal(clone(ROCKET).fit(X).transform(X), theirs.fit(X).transform(X).to_numpy())
    assert not np.array_equal(clone(ROCKET).set_params(random_state=1).fit(X).transform(X), ROCKET.fit_transform(X))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        clone(ROCKET).transform(X)
    assert torch.is_tensor(torch.from_numpy(clone(ROCKET).fit_transform(X[:, :, :5])))  # shorter than a kernel
