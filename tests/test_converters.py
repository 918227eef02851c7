"""Windows go to other libraries and come back as they were."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from wearembed import converters
from wearembed.datasets import make_ecg, make_motion

MOTION = make_motion(n_participants=2, n_windows=5, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups


# --- MNE


@pytest.fixture
def mne():
    return pytest.importorskip("mne", reason="mne is not in the extra test: it is large")


def test_mne_gives_windows_back_to_the_bit(mne):
    epochs = converters.to_mne(X, 100, units="g", groups=groups, target=y)
    assert isinstance(epochs, mne.BaseEpochs) and epochs.get_channel_types() == ["misc"] * 3
    back = converters.from_mne(epochs, units="g")
    assert_array_equal(back.data, X)
    assert back.data.dtype == np.float32 and back.sfreq == 100 and back.units == "g"
    assert_array_equal(back.groups, groups)
    assert_array_equal(back.target, y.astype(str))
    assert back.channel_names == ["x", "y", "z"] and list(back.index) == ["participant"]


@pytest.mark.parametrize("units", ["V", "mV", "uV"])
def test_mne_has_volts_and_we_have_what_was_asked_for(units, mne):
    ecg = make_ecg(n_participants=2, n_windows=3, seconds=5, random_state=0)
    epochs = converters.to_mne(ecg.data, ecg.sfreq, units=units)
    assert np.allclose(epochs.get_data(), ecg.data * converters.VOLTS[units])
    assert_array_equal(converters.from_mne(epochs, units=units).data, ecg.data)
    assert converters.from_mne(epochs).units == "V"
    assert converters.from_mne(epochs).groups is None


def test_mne_of_several_sensors_has_to_be_told_which(mne):
    info = mne.create_info(["a", "b", "heart", "trigger"], 50, ["misc", "misc", "ecg", "stim"], verbose="error")
    epochs = mne.EpochsArray(np.ones((4, 4, 100)), info, verbose="error")
    with pytest.raises(ValueError, match="of types ecg, misc.*channels='ecg'"):
        converters.from_mne(epochs)
    assert converters.from_mne(epochs, "ecg", units="mV").data.max() == 1000
    assert converters.from_mne(epochs, ["b", "a"], units="g").channel_names == ["b", "a"]
    with pytest.raises(ValueError, match="does not say the units.*misc"):
        converters.from_mne(epochs, "misc")
    with pytest.raises(ValueError, match="in volts; units is one of V, mV, uV, and got 'g'"):
        converters.from_mne(epochs, "ecg", units="g")


# --- aeon, tslearn, sktime


def test_aeon_has_the_same_layout():
    assert_array_equal(converters.from_aeon(converters.to_aeon(X)), X)
    assert_array_equal(converters.from_aeon(list(X)), X)
    assert_array_equal(converters.from_aeon(X[:, 0]), X[:, :1])
    with pytest.raises(ValueError, match=r"of 2, from \(3, 200\) to \(3, 256\).*wearembed.cut"):
        converters.from_aeon([X[0], X[1][:, :200]])
    with pytest.raises(ValueError, match="got 4 dimensions"):
        converters.from_aeon(X[None])
    with pytest.raises(ValueError, match="of <U"):
        converters.from_aeon(X.astype(str))


def test_tslearn_has_channels_last():
    there = converters.to_tslearn(X)
    assert there.shape == (10, 256, 3) and there.flags.c_contiguous
    assert_array_equal(there[4, :, 1], X[4, 1])
    assert_array_equal(converters.from_tslearn(there), X)
    assert_array_equal(converters.from_tslearn(there[..., 0]), X[:, :1])
    there[3, 200:] = np.nan
    with pytest.raises(ValueError, match="200 to 256 samples, filled up with NaN"):
        converters.from_tslearn(there)


def test_tslearns_own_data_sets_go_through():
    utils = pytest.importorskip("tslearn.utils", reason="tslearn is not installed")
    assert_array_equal(converters.from_tslearn(utils.to_time_series_dataset(list(converters.to_tslearn(X)))), X)


def test_sktime_has_frames():
    frame = converters.to_sktime(X, channel_names=["a", "b", "c"])
    assert list(frame) == ["a", "b", "c"] and frame.index.names == ["instance", "time"]
    assert_array_equal(frame.loc[4, "b"].to_numpy(), X[4, 1])
    assert_array_equal(converters.from_sktime(frame), X)
    cells = pd.DataFrame({name: [pd.Series(x) for x in X[:, n]] for n, name in enumerate("abc")})
    assert_array_equal(converters.from_sktime(cells), X)
    assert_array_equal(converters.from_sktime(X), X)
    with pytest.raises(ValueError, match="of 2, from"):
        converters.from_sktime(frame.iloc[:-1])
    with pytest.raises(ValueError, match="from_pandas"):
        converters.from_sktime(pd.DataFrame({"a": [1.0, 2.0]}))


# --- frames


@pytest.mark.parametrize("layout", ["long", "wide"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_give_windows_back_to_the_bit_in_any_order_of_rows(layout, dtype):
    frame = converters.to_pandas(X.astype(dtype), 100, groups=groups, layout=layout)
    assert len(frame) == X.size // (1 if layout == "long" else 3)
    for rows in (frame, frame.sample(frac=1, random_state=0)):
        back = converters.from_pandas(rows, channels=["x", "y", "z"])
        assert back.data.dtype == dtype and back.sfreq == 100
        assert_array_equal(back.data, X)
        assert_array_equal(back.groups, groups)
    assert list(back.index) == ["window", "participant", "start"] and len(back.index) == len(X)
    assert_array_equal(converters.from_pandas(frame, channels=["z", "x"]).data, X[:, [2, 0]])


def recorded(n=130, sfreq=50.0):
    times = np.arange(n) / sfreq
    return pd.concat(
        pd.DataFrame({"participant": who, "time": times, "x": times, "y": -times, "z": n_th}, index=range(n))
        for n_th, who in enumerate(["B", "A"])
    )


def test_samples_in_a_row_become_windows_and_the_rest_is_left():
    found = converters.from_pandas(recorded(), n_times=50)
    assert found.data.shape == (4, 3, 50) and found.sfreq == 50
    assert sorted(found.groups) == ["A", "A", "B", "B"]
    assert_array_equal(found.data[:, 0, 0], [0, 1, 0, 1])
    assert_array_equal(found.index["start"], [0, 1, 0, 1])
    stamped = recorded().assign(time=lambda f: pd.Timestamp("2024-05-01") + pd.to_timedelta(f["time"], unit="s"))
    assert_array_equal(converters.from_pandas(stamped, n_times=50).data, found.data)
    alone = recorded()[lambda f: f["participant"] == "A"].drop(columns="participant")
    assert converters.from_pandas(alone, n_times=50).groups is None


def late(frame):
    frame = frame.reset_index(drop=True)
    frame.loc[40:, "time"] += 0.5
    return frame


@pytest.mark.parametrize(
    ("change", "told", "message"),
    [
        (late, {"n_times": 50}, "not regular in participant B: steps from.*0.52 s.*read_recording.*wearembed.cut"),
        (lambda f: f.drop(index=70), {"n_times": 50}, "not regular.*0.04 s.*wearembed.cut"),
        (lambda f: f, {}, "no column window.*n_times=256"),
        (lambda f: f.drop(columns="time"), {"n_times": 50}, "no column time; it has participant, x, y, z"),
        (lambda f: f, {"n_times": 500}, "No participant has the 500"),
        (lambda f: f, {"n_times": 50, "channels": ["x", "w"]}, "no channels w; it has"),
        (lambda f: f.assign(x=f["x"].where(f["time"] != 0.5)), {"n_times": 50}, "2 samples lack the value"),
        (lambda f: f.assign(window=(f["time"] > 0.5).astype(int)), {}, "these have 52 to 208 samples"),
    ],
    ids=["late", "a gap", "no windows", "no time", "too few", "no such channel", "a hole", "unequal"],
)
def test_frames_that_are_no_windows_say_what_lacks(change, told, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        converters.from_pandas(change(recorded()), **told)


def test_long_frames_that_say_a_thing_twice_are_refused():
    frame = converters.to_pandas(X, 100)
    with pytest.raises(ValueError, match="2 rows say the same channel at the same time again"):
        converters.from_pandas(pd.concat([frame, frame[:2]]))
    with pytest.raises(ValueError, match="1 samples lack the value"):
        converters.from_pandas(frame.drop(index=7))


def test_a_window_of_two_people_is_refused():
    frame = converters.to_pandas(X, 100, groups=groups, layout="wide").assign(window=0)
    frame["time"] = np.arange(len(frame)) / 100
    with pytest.raises(ValueError, match="Window 0 is of 2 participants"):
        converters.from_pandas(frame)


def test_names_and_layouts_are_checked():
    with pytest.raises(ValueError, match="a name for each of 3 channels"):
        converters.to_pandas(X, 100, channel_names=["a"])
    with pytest.raises(ValueError, match="layout is"):
        converters.to_pandas(X, 100, layout="tall")
