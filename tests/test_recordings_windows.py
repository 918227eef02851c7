"""Recordings and their windows: what was measured is in the window, at its time, or it is a gap."""

import numpy as np
import pandas as pd
import pytest
from measured import START, seconds, wrist

from wearembed import signals
from wearembed.recordings import Recording, cut


def recorded(sfreq, length=60.0, **kwargs):
    return Recording(wrist(seconds(sfreq, length)), sfreq, kwargs.pop("participant", "P01"), "g", START, **kwargs)


# --- a recording


def test_a_recording_knows_its_length_and_says_so():
    r = recorded(50, 10, name="day one")
    assert (r.duration, r.signal.dtype, r.channel_names) == (10.0, np.float32, ("x", "y", "z"))
    assert repr(r) == (
        "Recording('day one', participant='P01', 3 channels × 500 samples at 50 Hz, 'g', 10 s from 2024-05-01 08:00:00)"
    )


def test_a_recording_with_a_gap_is_as_long_as_its_clock_says():
    t = seconds(50, 10)
    t[250:] += 30
    assert recorded(50, 10, times=t + 5).duration == pytest.approx(40)
    assert recorded(50, 10, times=t + 5).start == START + pd.Timedelta("5s")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": np.zeros((6000, 3))}, r"\(n_channels, n_samples\), got \(6000, 3\)"),
        ({"signal": np.full((3, 100), np.inf)}, "Expected finite samples"),
        ({"sfreq": 0}, "Expected sfreq to be positive"),
        ({"times": np.arange(7.0)}, r"one time in seconds for each of 100 samples, got shape \(7,\)"),
        ({"times": np.zeros(100)}, "increase from sample to sample"),
        ({"times": np.arange(100) / 25}, r"go with sfreq=50 Hz, got samples 0.04 s apart: 25 Hz"),
        ({"channel_names": ("x", "y")}, "one channel name for each of 3 channels"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(change, message):
    fields = {"signal": np.zeros((3, 100)), "sfreq": 50, "participant": "P01", "units": "g", **change}
    with pytest.raises(ValueError, match=message):
        Recording(**fields)


# --- windows


def test_the_same_rate_gives_the_samples_themselves():
    r = recorded(100)
    X, index = cut(r, seconds=2.56, sfreq=100, step=1.28)
    assert (X.shape, X.dtype) == ((45, 3, 256), np.float32)
    for k in (0, 7, 44):
        np.testing.assert_array_equal(X[k], r.signal[:, 128 * k : 128 * k + 256])
    assert (index["coverage"] == 1).all()
    assert index["start"][7] == START + pd.Timedelta(seconds=7 * 1.28)


@pytest.mark.parametrize("sfreq", [30, 50, 64, 98.3, 104, 125])
def test_the_rate_of_the_device_does_not_show_in_the_windows(sfreq):
    wanted, _ = cut(recorded(100), 5, 100)
    got, index = cut(recorded(sfreq), 5, 100)
    assert got.shape == wanted.shape
    assert (index["coverage"] == 1).all()
    assert np.abs(got - wanted)[1:-1].max() < 1e-3
    turn = (got * wanted).sum((1, 2)) / np.linalg.norm(got, axis=(1, 2)) / np.linalg.norm(wanted, axis=(1, 2))
    assert turn.min() > 0.999


def test_what_a_lower_rate_cannot_hold_is_filtered_away():
    t = seconds(100, 60)
    hum = Recording(np.sin(2 * np.pi * 30 * t), 100, "P01", "a.u.")
    X, _ = cut(hum, 10, 32)
    assert np.abs(X[1:-1]).max() < 1e-3


def test_a_long_recording_is_cut_as_if_at_once():
    x = np.random.default_rng(0).normal(size=(1, 360_000)).astype(np.float32)
    X, _ = cut(Recording(x, 100, "P01", "a.u."), 10, 80)
    whole = signals.resample(x, 100, 80).reshape(-1, 1, 800)
    np.testing.assert_allclose(X, whole, atol=1e-5)


def test_an_unsteady_clock_is_followed():
    t = seconds(64, 60)
    t = t + 0.3 * np.sin(2 * np.pi * t / 60)  # up to 3 % fast, then slow
    X, _ = cut(Recording(wrist(t), 64, "P01", "g", times=t), 5, 100)
    for k in (1, 5, 10):
        np.testing.assert_allclose(X[k], wrist(5 * k + seconds(100, 5)), atol=2e-3)


def test_samples_taken_at_odd_times_are_put_in_their_place():
    t = seconds(100, 60)
    t[1:] += np.random.default_rng(0).uniform(-0.3, 0.3, len(t) - 1) / 100
    X, _ = cut(Recording(wrist(t), 100, "P01", "g", times=t), 5, 100)
    np.testing.assert_allclose(X[4], wrist(20 + seconds(100, 5)), atol=1e-3)


def test_a_gap_lowers_coverage_is_bridged_and_invents_no_window():
    t = seconds(50, 60)
    t[1000:] += 21  # silent from 20 s to 41 s
    r = Recording(wrist(t), 50, "P01", "g", START, times=t)
    X, index = cut(r, seconds=6, sfreq=100, min_coverage=0.8)
    starts = (index["start"] - START).dt.total_seconds().tolist()
    assert starts == [0, 6, 12, 42, 48, 54, 60, 66, 72]
    assert (index["coverage"] == 1).all()
    assert index.attrs["n_left_out"] == 4
    X, index = cut(r, seconds=6, sfreq=100, min_coverage=0.3)
    partly = index[index["coverage"] < 1]
    assert partly["coverage"].tolist() == pytest.approx([1 / 3], abs=0.002)
    bridge = X[partly.index[0]][:, 210:]
    np.testing.assert_allclose(np.diff(bridge, 2, axis=1), 0, atol=1e-6)
    assert np.isfinite(X).all()


def test_samples_that_are_nan_are_a_gap():
    r = recorded(100, 20)
    r.signal[1, 500:700] = np.nan
    X, index = cut(r, 10, 100)
    assert index["coverage"].tolist() == pytest.approx([0.8, 1.0])
    assert np.isfinite(X).all()
    assert cut(r, 1, 100, min_coverage=0)[1].attrs["n_left_out"] == 2  # windows of nothing stay out at any rate


def test_a_filter_does_not_carry_one_side_of_a_gap_to_the_other():
    t = seconds(100, 40)
    x = np.where(t < 20, 1.0, -1.0)
    t = np.where(t < 20, t, t + 10)
    X, _ = cut(Recording(x, 100, "P01", "a.u.", times=t), 10, 30)
    np.testing.assert_allclose(X[:2], 1, atol=1e-6)
    np.testing.assert_allclose(X[2:], -1, atol=1e-6)


def test_recordings_of_many_people_come_in_one_table():
    people = (recorded(f, 20, participant=p) for p, f in [("a", 50), ("b", 64), ("c", 100)])
    X, index = cut(people, 5, 50)
    assert len(X) == len(index) == 12
    assert index["participant"].tolist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert list(index.columns) == ["participant", "recording", "start", "coverage"]
    assert index.index.tolist() == list(range(12))


@pytest.mark.parametrize("length", [0, 0.02, 4.9])
def test_a_recording_shorter_than_a_window_gives_none(length):
    X, index = cut([recorded(50, length)], 5, 100)
    assert (X.shape, X.dtype, len(index)) == ((0, 3, 500), np.float32, 0)
    full = cut(recorded(50, 6), 5, 100)[1]
    assert index.dtypes["coverage"] == full.dtypes["coverage"]
    assert index.dtypes["start"].kind == "M"


def test_a_short_recording_among_others_does_no_harm():
    X, index = cut([recorded(50, 1), recorded(50, 10, participant="P02")], 5, 100)
    assert index["participant"].tolist() == ["P02", "P02"]
    assert len(X) == 2


def test_recordings_of_different_kinds_are_not_mixed():
    other = Recording(np.zeros((3, 500)), 50, "P02", "m/s²")
    with pytest.raises(ValueError, match=r"'P01' with 3 channels in 'g' and 'P02' with 3 in 'm/s\^2'"):
        cut([recorded(50, 10), other], 5, 50)
    with pytest.raises(ValueError, match="'P02' with 1 in 'g'"):
        cut([recorded(50, 10), Recording(np.zeros(500), 50, "P02", "g")], 5, 50)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(TypeError, match=r"got str. Read a file with wearembed.read_recording"):
        cut(["P01.cwa"], 5, 50)
    with pytest.raises(ValueError, match="at least one recording, got none"):
        cut([], 5, 50)
    with pytest.raises(ValueError, match="Expected seconds to be positive"):
        cut(recorded(50), -5, 50)
    with pytest.raises(ValueError, match="min_coverage between 0 and 1, got 80"):
        cut(recorded(50), 5, 50, min_coverage=80)
