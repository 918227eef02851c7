"""Windows on disk: what a store gives back, what survives a crash, and that encoders cannot tell it from an array."""

import errno
import json
import multiprocessing
import os
import pickle
import signal
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from killed import killed_at
from numpy.testing import assert_allclose, assert_array_equal
from pulled import Pulled
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing

from wearembed import (
    AccelMaskedEncoder,
    DistilledAccelEncoder,
    Encoder,
    FineTunedClassifier,
    HandmadeFeatures,
    PPGContrastiveEncoder,
    RawWindows,
    RelConDistance,
    RelConEncoder,
    SimCLREncoder,
    TorchEncoder,
    WindowStore,
    datasets,
    nets,
)
from wearembed.stores import files, store
from wearembed.training import Anchors

MOTION = datasets.make_motion(n_participants=4, n_windows=6, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups
session = np.arange(len(X)) // 3 % 2
KIND = {"n_channels": 3, "n_times": 256, "sfreq": 100, "units": "g"}


@pytest.fixture
def empty(tmp_path):
    return WindowStore.create(tmp_path / "store", **KIND)


@pytest.fixture
def full(empty):
    """In three shards, the second of a single window."""
    for some in (slice(0, 10), slice(10, 11), slice(11, None)):
        empty.append(X[some], participant=groups[some], session=session[some], activity=y[some])
    return empty


# --- what comes back


def test_windows_come_back_to_the_bit(full):
    assert full.shape == X.shape and full.ndim == 3 and full.dtype == np.float32 and len(full) == len(X)
    assert_array_equal(full[:], X)
    assert_array_equal(np.asarray(full), X)
    assert_array_equal(np.stack(list(full)), X)


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(3, 17),
        slice(None, None, -5),
        slice(5, 5),
        [3, 20, 10, 3],
        np.array([-1, 0]),
        np.array([], int),
        groups == groups[-1],
        7,
        -1,
        np.int64(11),
        (slice(2, 14), 1),
        (4, 2),
        ([12, 1], slice(None), slice(0, 5)),
        (Ellipsis, slice(0, 2)),
    ],
    ids=str,
)
def test_a_store_is_indexed_as_an_array_is(full, key):
    assert_array_equal(full[key], X[key])
    assert full[key].dtype == np.float32


@pytest.mark.parametrize("key", [[24], [-25], 24, np.ones(5, bool), [[1, 2]], [0.5], ["a"]], ids=str)
def test_rows_that_are_not_there_are_refused(full, key):
    with pytest.raises(IndexError):
        full[key]


def test_what_is_opened_again_is_the_same(full):
    again = WindowStore(full.path)
    assert_array_equal(again[:], X)
    assert (again.sfreq, again.units) == (100.0, "g")
    assert again.identity() == full.identity()


def test_participants_sessions_and_labels_are_kept_by_window(full):
    assert_array_equal(full.groups, groups)
    assert_array_equal(full.session, session.astype(str))
    assert_array_equal(full.index["activity"], y)
    some = full.rows([20, 3])
    assert_array_equal(some.groups, groups[[20, 3]])
    assert_array_equal(some.index["activity"], y[[20, 3]])


def test_a_window_ends_its_length_after_its_start_also_when_clocks_change(empty):
    start = pd.date_range("2026-03-29 00:59:58", periods=2, freq="1s", tz="Europe/London")  # then it is 02:00
    empty.append(X[:2], participant="P", start=start, coverage=[1, 0.9])
    assert_array_equal(empty.index["start"], start)
    assert (empty.index["stop"] - empty.index["start"] == pd.Timedelta(seconds=2.56)).all()
    assert empty.index["stop"].iloc[1] == pd.Timestamp("2026-03-29 02:00:01.56", tz="Europe/London")
    assert_array_equal(empty.index["coverage"], [1, 0.9])


def test_labels_that_some_windows_do_not_have_are_missing(empty):
    empty.append(X[:2], participant="A", age=40)
    empty.append(X[2:3], participant="B", session="night")
    assert empty.index["age"].tolist()[:2] == [40, 40] and np.isnan(empty.index["age"].iloc[2])
    assert empty.session.tolist() == [None, None, "night"]


def test_an_empty_store_has_no_windows(empty):
    assert empty.shape == (0, 3, 256) and len(empty[:]) == 0 and len(empty.groups) == 0 and len(empty.index) == 0
    with pytest.raises(ValueError, match="store without windows"):
        RawWindows().fit(empty)


# --- int16


def test_int16_is_right_to_half_a_step_of_the_window(tmp_path):
    small = WindowStore.create(tmp_path / "s", **KIND, dtype="int16")
    small.append(np.concatenate([X, np.zeros((1, 3, 256))]), participant="P")
    step = np.abs(X).max((1, 2), keepdims=True) / 32767
    assert (np.abs(small[: len(X)] - X) <= 0.51 * step).all()
    assert not small[-1].any()
    assert_array_equal(small[[5, 2]], small[:][[5, 2]])
    assert (small.path / "000000.npy").stat().st_size < 0.51 * (X.nbytes + 3 * 256 * 4)


def test_int16_at_the_resolution_of_a_device_is_exact(tmp_path):
    steps = np.random.default_rng(0).integers(-2048, 2048, X.shape)
    small = WindowStore.create(tmp_path / "s", **KIND, dtype="int16", scale=1 / 256)
    small.append(steps / 256, participant="P")
    assert_array_equal(small[:], steps.astype(np.float32) / 256)
    with pytest.raises(ValueError, match=r"reaches to 127.996; window 1 holds 200"):
        small.append(np.stack([X[0], np.full((3, 256), 200)]), participant="P")
    assert len(WindowStore(small.path)) == len(X)


def test_the_scale_of_each_window_is_a_file_that_is_watched_too(tmp_path):
    small = WindowStore.create(tmp_path / "s", **KIND, dtype="int16")
    small.append(X, participant="P")
    file = small.path / "000000.scale"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"not what was written: 000000\.scale\."):
        small.verify()
    file.unlink()
    with pytest.raises(ValueError, match=r"000000\.scale is missing or damaged"):
        WindowStore(small.path)[0]


def test_a_store_whose_scales_are_in_the_index_is_read_and_appended_to(tmp_path):
    """As stores were before there were files of scales."""
    small = WindowStore.create(tmp_path / "s", **KIND, dtype="int16")
    small.append(X, participant=groups)
    windows = small[:]
    index, scale = small.path / "000000.parquet", small.path / "000000.scale"
    pd.read_parquet(index).assign(scale=np.load(scale)).to_parquet(index, index=False)
    scale.unlink()
    (small.path / files.SEAL).unlink()
    log = small.path / files.LOG
    shard = json.loads(log.read_text())["shards"][0]
    log.write_text(json.dumps({"shards": [[*shard[:3], files.sha256_of(index)]]}) + "\n")
    old = WindowStore(small.path).verify()
    assert_array_equal(old[:], windows)
    assert "scale" not in old.index
    old.append(X[:2], participant="P")
    assert_array_equal(WindowStore(small.path).verify()[:], np.concatenate([windows, windows[:2]]))


# --- what is refused


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_windows_that_are_not_finite_are_refused_and_nothing_is_appended(full, bad):
    worse = X.astype(np.float64)
    worse[7, 1, 3] = bad
    with pytest.raises(ValueError, match=r"in 1 of them, the first at window 7\."):
        full.append(worse, participant="P")
    assert_array_equal(WindowStore(full.path)[:], X)
    full.append(X[:1], participant="P")
    assert len(full.verify()) == len(X) + 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"X": X[:, :2]}, "3 channels x 256 samples"),
        ({"X": X[0]}, "3 channels x 256 samples"),
        ({"participant": groups[:3]}, "one for each of 24 windows"),
        ({"participant": None}, "whose windows"),
        ({"participant": [None, *groups[1:]]}, "missing for 1 of 24"),
        ({"scale": 1.0}, "columns of its own called scale"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(empty, given, said):
    with pytest.raises(ValueError, match=said):
        empty.append(**{"X": X, "participant": groups, **given})


def test_a_folder_with_something_in_it_is_not_made_a_store(full, tmp_path):
    with pytest.raises(FileExistsError, match="not empty"):
        WindowStore.create(full.path, **KIND)
    with pytest.raises(FileNotFoundError, match="store.json is missing"):
        WindowStore(tmp_path)


@pytest.mark.parametrize(
    "params", [{"n_times": 0}, {"sfreq": -1}, {"dtype": "float16"}, {"scale": 1.0}, {"dtype": "int16", "scale": 0.0}]
)
def test_a_store_of_no_kind_is_refused(tmp_path, params):
    with pytest.raises(ValueError):
        WindowStore.create(tmp_path / "s", **{**KIND, **params})


# --- crashes and damage


@pytest.mark.parametrize("point", [1, 2, 3, 5, 10, 12, 13, 14])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_killed_while_it_writes_leaves_what_was_whole(full, point, monkeypatch):
    monkeypatch.setattr(store, "LARGEST", 2 * 3 * 256 * 4)  # two windows a shard
    late = np.ones((6, 3, 256), np.float32)
    work = partial(WindowStore(full.path).append, late, participant="late")
    assert killed_at(point, work) == -signal.SIGKILL
    after = WindowStore(full.path).verify()
    whole = 6 if point > 13 else 0  # the 14th is the log itself, whose line may then have come to be
    assert len(after) == len(X) + whole
    assert_array_equal(after[: len(X)], X)
    after.append(X[:3], participant="again")
    assert_array_equal(after.verify()[-3:], X[:3])
    assert len(list(after.path.glob("*.npy"))) == len(list(after.path.glob("*.parquet"))) == 5 + whole // 2
    assert not list(after.path.glob(".*scratch"))


def test_a_line_of_the_log_that_was_cut_off_is_none(full):
    log = full.path / files.LOG
    log.write_bytes(log.read_bytes() + b'{"shards": [["000003", 1')
    again = WindowStore(full.path)
    assert len(again) == len(X)
    again.append(X[:2], participant="P")
    assert len(WindowStore(full.path).verify()) == len(X) + 2


def test_verify_names_the_file_that_changed(full):
    file = full.path / "000002.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"not what was written: 000002\.npy\."):
        full.verify()


@pytest.mark.parametrize("name", ["000000.npy", "000000.parquet"])
def test_a_shard_that_is_gone_is_said_by_name(full, name):
    (full.path / name).unlink()
    fresh = WindowStore(full.path)
    with pytest.raises(ValueError, match=name):
        fresh[0]
        fresh.groups  # noqa: B018


@pytest.mark.parametrize("text", ["{", "{}", '{"shards": [["../../etc/passwd", 1, "", ""]]}', '{"shards": [[]]}'])
def test_a_log_that_is_damaged_or_names_other_files_is_refused(full, text):
    (full.path / files.LOG).write_text(text + "\n")
    with pytest.raises(ValueError, match="damaged"):
        WindowStore(full.path)


def test_a_store_of_a_later_version_is_refused(full):
    about = json.loads((full.path / "store.json").read_text())
    (full.path / "store.json").write_text(json.dumps({**about, "version": 2}))
    with pytest.raises(ValueError, match="no store that this version"):
        WindowStore(full.path)


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_second_writer_is_kept_out(full):
    with full._folder.writing(), pytest.raises(RuntimeError, match="Another process is writing"):
        WindowStore(full.path).append(X[:1], participant="P")


def test_two_stores_that_are_open_append_one_after_the_other(full):
    other = WindowStore(full.path)
    full.append(X[:1], participant="A")
    assert len(other) == len(X)  # what it had when it was opened
    other.append(X[1:2], participant="B")
    assert_array_equal(WindowStore(full.path)[-2:], X[:2])
    assert other.groups.tolist()[-2:] == ["A", "B"]


def test_blocks_are_all_there_with_their_note_or_none_is(full, monkeypatch):
    monkeypatch.setattr(store, "LARGEST", 5 * 3 * 256 * 4)

    def blocks(fail):
        for first in range(0, 24, 7):
            if fail and first == 14:
                raise OSError("the recording ended")
            yield X[first : first + 7], {"participant": "late", "activity": y[first : first + 7]}

    with pytest.raises(OSError, match="ended"):
        full.extend(blocks(fail=True), note={"from": 1})
    assert len(WindowStore(full.path).verify()) == 24 and not full.notes
    full.extend(blocks(fail=False), note={"from": 1})
    again = WindowStore(full.path).verify()
    assert_array_equal(again[24:], X)
    assert_array_equal(again.index["activity"][24:], y)
    assert again.notes == full.notes == [{"from": 1}]
    assert [shard.n_windows for shard in again._folder.shards[3:]] == [5, 5, 5, 5, 4]
    full.extend([], note={"from": 2})
    assert len(full) == 48 and WindowStore(full.path).notes == [{"from": 1}, {"from": 2}]
    with pytest.raises(ValueError, match="3 channels x 256 samples"):
        full.extend([(X[:, :2], {"participant": "P"})])


def test_what_an_append_wrote_before_it_failed_goes_with_the_next(full, monkeypatch):
    monkeypatch.setattr(store, "LARGEST", 3 * 256 * 4)
    for _ in range(2):
        with pytest.raises(ValueError, match="window 3"):
            full.append(np.concatenate([X[:3], X[3:4] * np.nan]), participant="P")
    assert len(list(full.path.glob("*.npy"))) == 6  # three of them nobody's
    full.append(X[:1], participant="P")
    assert len(list(full.path.glob("*.npy"))) == len(full._folder.shards) == 4


# --- views


def test_words_are_numbers_inside(full):
    for some in (full, full.rows([20, 3, 4]), full.rows(slice(None)).map(np.negative, 256, 100, "g")):
        assert some.codes("participant").dtype == np.int32
        for name, words in (("participant", some.groups), ("session", some.session)):
            assert_array_equal(
                np.unique(some.codes(name), return_inverse=True)[1], np.unique(words, return_inverse=True)[1]
            )
    full.append(X[:1], participant="P")
    assert full.codes("session")[-1] == -1 and full.codes("recording") is None
    with pytest.raises(ValueError, match="session has 1 missing labels"):
        SimCLREncoder(4, (1, 1), (3, 4), **SMALL).fit(full)


def test_the_index_of_some_rows_reads_their_shards_alone(full):
    whole = full.index
    (full.path / "000002.parquet").unlink()
    some = WindowStore(full.path).rows([10, 3, 10, 0])
    pd.testing.assert_frame_equal(some.index, whole.iloc[[10, 3, 10, 0]].reset_index(drop=True))


def test_what_is_known_of_windows_that_lie_together_does_not_grow_with_their_number(tmp_path):
    sizes = []
    for n in (100, 10_000):
        store = WindowStore.create(tmp_path / str(n), n_channels=1, n_times=4, sfreq=4, units="g", dtype="int16")
        store.append(
            np.ones((n, 1, 4)), participant=np.repeat(["a", "b"], n // 2), session=np.repeat(["h", "i"], n // 2)
        )
        half = store.rows(store.groups == "b")
        anchors = Anchors(half, half.runs("participant"), half.runs("session"), n_mates=3)
        sizes.append(len(pickle.dumps([anchors, half.runs("participant"), half.rows(slice(3, None))])))
    assert sizes[1] < sizes[0] + 100


def test_choosing_rows_reads_nothing(full, monkeypatch):
    monkeypatch.setattr(files.Folder, "read", lambda *a: pytest.fail("read"))
    view = _safe_indexing(_safe_indexing(full, np.arange(3, 20)), np.array([4, 1]))
    assert isinstance(view, WindowStore) and view.shape == (2, 3, 256)
    monkeypatch.undo()
    assert_array_equal(view[:], X[[7, 4]])


def test_a_pickle_is_a_path_and_rows(full):
    view = full.rows(groups == groups[0])
    assert len(pickle.dumps(view)) < 1000
    assert_array_equal(pickle.loads(pickle.dumps(view))[:], X[groups == groups[0]])
    kept = pickle.dumps(full)
    full.append(X[:1], participant="P")
    assert_array_equal(pickle.loads(kept)[:], X)  # as many as there were


def read_there(windows):
    return windows[[0, -1]]


def test_a_view_is_read_in_a_process_of_its_own(full):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert_array_equal(pool.apply(read_there, (full.rows([5, 20]),)), X[[5, 20]])


def test_rows_of_a_store_are_not_appended_to(full):
    for some in (full.rows([0]), full.shards()[0]):
        with pytest.raises(ValueError, match="some rows of a store"):
            some.append(X[:1], participant="P")
        with pytest.raises(ValueError, match="some rows of a store"):
            some.extend([(X[:1], {"participant": "P"})])
    assert_array_equal(WindowStore(full.path).verify()[:], X)


def test_gather_lays_a_participants_windows_together(full, tmp_path):
    full.append(X[:2], participant=groups[0])  # far from the others
    new = full.gather(tmp_path / "gathered")
    assert (np.diff(np.unique(new.groups, return_inverse=True)[1]) >= 0).all()
    order = np.argsort(full.groups, kind="stable")
    assert_array_equal(new.verify()[:], full[order])
    assert_array_equal(new.session, full.session[order])
    columns = ["participant", "activity"]
    pd.testing.assert_frame_equal(new.index[columns], full.index.iloc[order].reset_index(drop=True)[columns])


def test_a_store_is_appended_from_another_in_shards_of_bounded_size(full, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "LARGEST", 5 * 3 * 256 * 4)
    new = WindowStore.create(tmp_path / "new", **KIND)
    new.append(full, participant=full.groups)
    assert [shard.n_windows for shard in new._folder.shards] == [5, 5, 5, 5, 4]
    assert_array_equal(new[:], X)
    with pytest.raises(ValueError, match="at 50 Hz in g"):
        new.append(WindowStoreAt(tmp_path / "slow", 50), participant="P")


def WindowStoreAt(path, sfreq):
    return WindowStore.create(path, **{**KIND, "sfreq": sfreq})


def test_more_shards_than_maps_may_be_open_are_read_all_the_same(full, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "most_open", lambda: 2)
    small = WindowStore.create(tmp_path / "small", **KIND, dtype="int16")
    for _ in range(3):
        small.append(X[:5], participant="P")
    for _ in range(2):
        assert_array_equal(full[::-1], X[::-1])
        assert_allclose(small[:], np.tile(X[:5], (3, 1, 1)), atol=1e-3)
        assert len(full._folder.maps) + len(small._folder.maps) == 2
    del small
    assert_array_equal(full[:1], X[:1])
    assert len(full._folder.maps) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_files_that_may_not_be_opened_are_not_called_damaged(full, monkeypatch):
    def refused(*args, **kwargs):
        raise OSError(errno.EMFILE, "Too many open files", "000000.npy")

    monkeypatch.setattr(np, "load", refused)
    with pytest.raises(OSError, match="Too many open files"):
        full[0]


def test_the_log_of_a_store_without_scales_of_its_own_is_what_it_was_before_there_were_any(full):
    assert {
        len(shard) for line in (full.path / files.LOG).read_text().splitlines() for shard in json.loads(line)["shards"]
    } == {4}


def test_nothing_is_no_word(tmp_path):
    store = WindowStore.create(tmp_path / "s", n_channels=1, n_times=4, sfreq=4, units="g")
    store.append(np.ones((2, 1, 4)), participant="P")
    store.append(np.ones((2, 1, 4)), participant="P", session=["h", "nan"])
    assert store.codes("session").tolist() == [-1, -1, 0, 1]
    assert store.session.tolist() == [None, None, "h", "nan"]


# --- encoders

SMALL = {"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0}
DISTANCE = RelConDistance(dim=8, kernel=5, bottleneck=2, **{**SMALL, "max_epochs": 1})
ENCODERS = {
    "RelConEncoder": RelConEncoder(4, (1, 1), (3, 4), distance=DISTANCE, mates=3, **SMALL),
    "RelConEncoder, participants": RelConEncoder(
        4, (1, 1), (3, 4), distance=DISTANCE, mates=3, sampler="participants", **SMALL
    ),
    "SimCLREncoder": SimCLREncoder(4, (1, 1), (3, 4), validation_fraction=0.3, **SMALL),
    "Encoder": Encoder(partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,)), Pulled, **SMALL),
    "AccelMaskedEncoder": AccelMaskedEncoder((16, 1, 32), sfreq=100, **SMALL),
    "DistilledAccelEncoder": DistilledAccelEncoder(
        AccelMaskedEncoder((8, 1, 16), sfreq=100, **SMALL), (16, 1, 32), sfreq=100, **SMALL
    ),
    "RawWindows": RawWindows(32),
    "HandmadeFeatures": HandmadeFeatures(),
}
every = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)


@every
def test_a_store_equals_an_array(encoder, full):
    of_array = clone(encoder).fit(X, groups=groups, session=session)
    of_store = clone(encoder).fit(full, groups=groups, session=session)
    assert_array_equal(of_store.transform(full), of_array.transform(X))
    assert_array_equal(of_store.transform(full.rows([20, 3])), of_array.transform(X[[20, 3]]))
    assert of_store.n_features_in_ == of_array.n_features_in_ == 3


@every
def test_a_store_says_itself_whose_its_windows_are(encoder, full):
    assert_array_equal(
        clone(encoder).fit(full).transform(X), clone(encoder).fit(X, groups=groups, session=session).transform(X)
    )


def test_what_is_converted_is_converted_as_it_is_read(tmp_path):
    fast = WindowStore.create(tmp_path / "s", n_channels=3, n_times=512, sfreq=200, units="mg")
    windows = np.repeat(X, 2, axis=2) * 1000
    fast.append(windows, participant=groups)
    trained = SimCLREncoder(4, (1, 1), (3, 4), **SMALL).fit(X, groups=groups).set_params(sfreq=200, units="mg")
    assert_array_equal(trained.transform(fast), trained.transform(windows))
    with pytest.raises(ValueError, match="holds windows at 200 Hz in mg, and SimCLREncoder was told of 100 Hz"):
        trained.set_params(sfreq=100).transform(fast.rows(slice(None)).map(lambda x: x[..., ::2], 256, 200, "mg"))


def test_standardised_windows_of_light_come_from_a_store(tmp_path):
    heart = datasets.make_ppg_accel(n_participants=3, n_windows=3, seconds=10, random_state=0)
    light = WindowStore.create(tmp_path / "s", n_channels=4, n_times=640, sfreq=64, units="a.u.")
    ppg = heart.ppg
    light.append(ppg, participant=heart.groups)
    encoder = PPGContrastiveEncoder((16, 1, 32), **SMALL)
    of_array = clone(encoder).fit(ppg, groups=heart.groups)
    assert_array_equal(clone(encoder).fit(light).transform(light), of_array.transform(ppg))


def test_a_second_sensor_may_be_a_store(full, tmp_path):
    other = WindowStore.create(tmp_path / "s", **KIND)
    other.append(X[:, ::-1], participant=groups)
    student = ENCODERS["DistilledAccelEncoder"]
    assert_array_equal(
        clone(student).fit(full, paired=other).transform(X),
        clone(student).fit(X, paired=X[:, ::-1], groups=groups, session=session).transform(X),
    )


def test_distances_of_a_store_are_those_of_an_array(full):
    distance = clone(DISTANCE).fit(full)
    assert_array_equal(distance.pairwise(full.rows([1, 2]), full), distance.pairwise(X[[1, 2]], X))


def test_units_that_gravity_belies_are_found_in_a_store(tmp_path):
    wrong = WindowStore.create(tmp_path / "s", **KIND)
    wrong.append(X * 9.80665, participant=groups)
    with pytest.raises(ValueError, match=r"median\s+vector magnitude"):
        SimCLREncoder(4, (1, 1), (3, 4), **SMALL).fit(wrong)


def test_a_store_that_stands_still_has_nothing_to_learn(empty):
    empty.append(np.ones((9, 3, 256)), participant="P")
    with pytest.raises(ValueError, match="every window is constant"):
        SimCLREncoder(4, (1, 1), (3, 4), **SMALL).fit(empty)


def test_a_store_is_fine_tuned_cross_validated_and_searched_by_participant(full):
    encoder = SimCLREncoder(4, (1, 1), (3, 4), **SMALL)
    pipeline = make_pipeline(encoder, LogisticRegression(max_iter=1000))
    folds, given = GroupKFold(2), {"groups": full.groups}
    assert_array_equal(
        cross_val_score(pipeline, full, y, cv=folds, **given), cross_val_score(pipeline, X, y, cv=folds, **given)
    )
    search = GridSearchCV(pipeline, {"simclrencoder__lr": [1e-4, 1e-2]}, cv=folds)
    ours, theirs = clone(search).fit(full, y, **given), clone(search).fit(X, y, **given)
    assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    tuned = FineTunedClassifier(tune="scratch", **SMALL)
    assert_array_equal(clone(tuned).fit(full, y).predict(full), clone(tuned).fit(X, y, groups=groups).predict(X))


def test_never_more_than_a_batch_is_read_at_once(full, monkeypatch):
    most = []
    read = files.Folder.read
    monkeypatch.setattr(files.Folder, "read", lambda self, rows: most.append(len(rows)) or read(self, rows))
    encoder = SimCLREncoder(4, (1, 1), (3, 4), **SMALL)
    big = WindowStore.create(full.path.parent / "big", **KIND)
    big.append(np.tile(X, (60, 1, 1)), participant=np.tile(groups, 60))
    monkeypatch.setattr("wearembed.stores.lazy.AT_ONCE", 100 * 3 * 256)
    monkeypatch.setattr("wearembed.encoders.contract.A_LOOK", 100)
    cross_val_score(
        make_pipeline(encoder.set_params(max_epochs=1, batch_size=64), LogisticRegression()),
        big,
        np.tile(y, 60),
        cv=GroupKFold(2),
        groups=big.groups,
    )
    assert len(big) == 1440 and max(most) <= 100


def test_training_on_a_store_goes_on_after_an_interruption(full, tmp_path):
    encoder = SimCLREncoder(4, (1, 1), (3, 4), **SMALL, checkpoint_dir=tmp_path / "run")
    clone(encoder).set_params(max_epochs=1).fit(full)
    ended = clone(encoder).fit(WindowStore(full.path))
    whole = clone(encoder).set_params(checkpoint_dir=None).fit(full)
    assert_allclose(ended.transform(X), whole.transform(X), atol=1e-6)
    full.append(X[:2], participant="new", session="1")
    with pytest.raises(ValueError, match="other data or parameters"):
        clone(encoder).fit(full)


def test_modules_of_others_read_stores(full):
    import torch

    theirs = TorchEncoder(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(77 * 3, 4)), net_sfreq=30)
    assert_array_equal(clone(theirs).fit(full).transform(full), clone(theirs).fit(X).transform(X))
