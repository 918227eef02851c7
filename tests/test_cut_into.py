"""Recordings and files into a store: the windows that `cut` makes, once each, whatever comes between."""

import os
import signal
import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
from killed import killed_at
from numpy.testing import assert_allclose, assert_array_equal

from wearembed import Recording, WindowStore, cut, cut_into, datasets, read_recording
from wearembed.recordings import grid
from wearembed.training import Anchors

MOTION = datasets.make_motion(n_participants=1, n_windows=60, random_state=0)
SIGNAL = np.hstack(MOTION.data)  # 153.6 s at 100 Hz in g
KIND = {"n_channels": 3, "n_times": 256, "sfreq": 100, "units": "g"}


def recording(x=SIGNAL, **params):
    given = {"sfreq": 100, "participant": "P01", "units": "g", "start": "2026-03-01 08:58", "name": "left"}
    return Recording(x, **{**given, **params})


def with_gaps():
    x = SIGNAL.copy()
    for gap in (slice(0, 20), slice(700, 790), slice(2000, 6000), slice(9000, 9600)):
        x[:, gap] = np.nan
    return recording(x)


@pytest.fixture
def store(tmp_path):
    return WindowStore.create(tmp_path / "store", **KIND)


def files(folder, n=3, seconds=30):
    folder.mkdir()
    for k in range(n):
        x = SIGNAL[:, 1000 * k : 1000 * k + 100 * seconds]
        table = pd.DataFrame({"time": np.arange(x.shape[1]) / 100, **dict(zip("xyz", x))})
        table.to_csv(folder / f"P{k}.csv", index=False)
    return sorted(folder.iterdir())


# --- windows


@pytest.mark.parametrize("one", [recording(), with_gaps()], ids=["whole", "gaps"])
@pytest.mark.parametrize("step", [None, 1.28, 7.0])
@pytest.mark.parametrize("at_once", [2**20, 1000])
def test_windows_are_those_of_cut_to_the_bit(store, one, step, at_once, monkeypatch):
    monkeypatch.setattr(grid, "AT_ONCE", at_once)
    table = cut_into(store, one, step)
    X, index = cut(one, 2.56, 100, step=step)
    assert_array_equal(store[:], X)
    for name in ("participant", "recording", "start", "coverage"):
        assert_array_equal(store.index[name], index[name])
    told = {"recording": "left", "participant": "P01", "n_windows": len(X), "n_left_out": index.attrs["n_left_out"]}
    assert table.to_dict("records") == [{**told, "error": ""}]


def test_other_rates_and_units_become_those_of_the_store(store):
    slow = recording(SIGNAL[:, ::2] * 9.80665, sfreq=50, units="m/s^2")
    cut_into(store, [slow])
    assert_allclose(store[:], cut(slow, 2.56, 100)[0] / 9.80665, atol=1e-5)


def test_int16_holds_what_was_cut(tmp_path):
    small = WindowStore.create(tmp_path / "s", **KIND, dtype="int16", scale=1 / 1024)
    cut_into(small, recording())
    assert_allclose(small[:], cut(recording(), 2.56, 100)[0], atol=0.5001 / 1024)


def test_mates_come_from_the_hour_of_the_recording(store):
    other = recording(name="right")
    cut_into(store, [recording(), other])
    hour = store.index["start"].dt.floor("h")
    assert hour.nunique() == 2
    anchors = Anchors(store, store.codes("participant"), store.codes("session"), n_mates=20)
    for rows, mates in anchors.batches(16, (0, 0)):
        for row, own in zip(rows, mates):
            assert (hour[own] == hour[row]).all() and (
                store.index["recording"][own] == store.index["recording"][row]
            ).all()


def test_the_hour_that_comes_twice_is_two_sessions(tmp_path):
    coarse = WindowStore.create(tmp_path / "s", n_channels=1, n_times=60, sfreq=0.1, units="a.u.")
    start = pd.Timestamp("2026-10-25 00:30", tz="Europe/London")
    night = Recording(np.arange(1440.0), sfreq=0.1, participant="P", units="a.u.", start=start)
    cut_into(coarse, night)
    hours = dict.fromkeys(coarse.session)
    assert list(hours) == [
        "P 2026-10-25T00+0100",
        "P 2026-10-25T01+0100",
        "P 2026-10-25T01+0000",
        "P 2026-10-25T02+0000",
        "P 2026-10-25T03+0000",
    ]
    assert (coarse.index["stop"] - coarse.index["start"] == pd.Timedelta("10min")).all()
    assert str(coarse.index["start"].dt.tz) == "Europe/London"


@pytest.mark.parametrize(("session", "n"), [(None, 0), ("minute", 3), ("day", 1)])
def test_sessions_may_be_others(store, session, n):
    cut_into(store, recording(), session=session)
    assert (0 if store.session is None else len(set(store.session))) == n


def test_time_in_which_it_was_not_worn_is_left_out(tmp_path):
    pytest.importorskip("skdh")
    coarse = WindowStore.create(tmp_path / "s", n_channels=3, n_times=100, sfreq=10, units="g")
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.3, (3, 10 * 36000)).astype(np.float32)
    x[:, 180_000:288_000] = np.array([[0], [0], [1]]) + rng.normal(0, 0.002, (3, 108_000))
    day = recording(x, sfreq=10, start="2026-03-01 00:00")
    table = cut_into(coarse, day, nonwear=True)
    assert_array_equal(np.unique(coarse.index["start"].dt.hour), [0, 1, 2, 3, 4, 8, 9])
    assert table.loc[0, "n_left_out"] == 3 * 360


# --- once each


def test_what_is_there_is_not_read_again(store, tmp_path):
    some = files(tmp_path / "files")
    first = cut_into(store, some)
    windows = store[:]
    again = cut_into(WindowStore(store.path), some, read=lambda path: pytest.fail("read"))
    pd.testing.assert_frame_equal(again, first)
    assert_array_equal(WindowStore(store.path)[:], windows)
    assert first["n_windows"].tolist() == [11] * 3 and len(windows) == 33


def test_a_file_that_was_moved_is_known_by_what_is_in_it(store, tmp_path):
    some = files(tmp_path / "files", 2)
    cut_into(store, some)
    (tmp_path / "files").rename(tmp_path / "moved")
    cut_into(store, sorted((tmp_path / "moved").iterdir()))
    assert len(store) == 22


def test_recordings_are_known_again_whatever_their_names(store):
    other = recording(SIGNAL[:, ::-1])  # the same name, start and length
    cut_into(store, [recording(), other, recording()])
    assert len(store) == 120
    cut_into(store, [[other], [recording(), recording(SIGNAL[:, :256])]])
    assert len(store) == 121


def test_a_recording_without_windows_is_done_too(store, tmp_path):
    some = files(tmp_path / "files", 1, seconds=2)
    assert cut_into(store, some)["n_windows"].tolist() == [0]
    assert cut_into(store, some, read=lambda path: pytest.fail("read"))["error"].tolist() == [""]


def test_a_file_that_changed_is_not_stored_twice(store, tmp_path):
    (file,) = files(tmp_path / "files", 1)
    cut_into(store, file)
    file.write_text(file.read_text() + "30.0,0,0,1\n")
    table = cut_into(store, file)
    assert "has changed since" in table.loc[0, "error"] and len(store) == 11


def test_recordings_are_not_cut_in_two_ways(store):
    cut_into(store, recording())
    with pytest.raises(ValueError, match=r"were cut with step=2\.56, not 5\.0"):
        cut_into(store, recording(), 5)


@pytest.mark.parametrize("point", [1, 3, 5, 6, 7, 8, 9, 12, 13])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_kill_it_goes_on_after_the_last_whole_recording(store, tmp_path, point):
    some = files(tmp_path / "files")
    work = partial(cut_into, WindowStore(store.path), some)
    assert killed_at(point, work) == -signal.SIGKILL
    n_before = len(WindowStore(store.path))
    assert n_before in (0, 11, 22)
    read = []
    table = cut_into(WindowStore(store.path), some, read=lambda path: read.append(path) or read_recording(path))
    assert len(read) == 3 - n_before // 11 and (table["error"] == "").all()
    whole = WindowStore(store.path).verify()
    assert_array_equal(whole[:], cut(map(read_recording, some), 2.56, 100)[0])
    assert whole.groups.tolist() == ["P0"] * 11 + ["P1"] * 11 + ["P2"] * 11


# --- failures


def test_what_cannot_be_read_is_told_and_the_others_are_done(store, tmp_path):
    some = files(tmp_path / "files")
    some[1].write_bytes(b"MD" + bytes(3000))
    odd = [recording(SIGNAL[:2]), recording(units="a.u."), tmp_path / "nowhere.csv"]
    table = cut_into(store, [*some, *odd])
    assert (table["error"] != "").tolist() == [False, True, False, True, True, True]
    for n, said in (
        (1, "cut off"),
        (3, "3 channels x 256 samples"),
        (4, "units of acceleration"),
        (5, "nothing there"),
    ):
        assert said in table.loc[n, "error"]
    assert table.loc[1, "recording"].endswith("P1.csv") and table["n_windows"].sum() == len(store.verify()) == 22


def test_a_full_disk_is_no_fault_of_a_recording(store, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cut_into(store, recording())
    monkeypatch.undo()
    assert cut_into(store, recording())["n_windows"].tolist() == [60]


@pytest.mark.parametrize("params", [{"session": "week"}, {"min_coverage": 2}, {"step": 0}])
def test_parameters_are_checked(store, params):
    with pytest.raises(ValueError):
        cut_into(store, recording(), **params)


def test_progress_is_shown_when_it_is_asked_for(store, capsys):
    cut_into(store, [recording()], verbose=1)
    assert "recordings: 100%" in capsys.readouterr().err
    cut_into(store, [recording()])
    assert not capsys.readouterr().err


# --- memory


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "AT_ONCE", 2**18)
    peaks = []
    for n_hours in (2, 8):
        file = tmp_path / f"{n_hours}.npy"
        mapped = np.lib.format.open_memmap(file, "w+", np.float32, (3, n_hours * 360_000))
        mapped[:] = np.tile(SIGNAL, (1, -(-n_hours * 360_000 // SIGNAL.shape[1])))[:, : n_hours * 360_000]
        del mapped
        store = WindowStore.create(tmp_path / f"store{n_hours}", **KIND)
        one = recording(np.load(file, mmap_mode="r"))
        tracemalloc.start()
        cut_into(store, one)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 50e6
