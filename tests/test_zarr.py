"""Arrays of zarr that others wrote stand where an array of windows does."""

import os
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing

from wearembed import RelConDistance, RelConEncoder, SimCLREncoder, WindowStore, datasets
from wearembed.stores import ZarrWindows

tensorstore = pytest.importorskip("tensorstore", reason="writes and reads zarr")

MOTION = datasets.make_motion(n_participants=4, n_windows=6, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups
session = (np.arange(len(X)) // 3 % 2).astype(str)
SMALL = {"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0}


def written(kvstore, x, chunks=(5, 3, 256)):
    layout = {"data_type": str(x.dtype), "shape": x.shape, "codecs": [{"name": "bytes"}, {"name": "zstd"}]}
    layout["chunk_grid"] = {"name": "regular", "configuration": {"chunk_shape": chunks[: x.ndim]}}
    array = tensorstore.open({"driver": "zarr3", "kvstore": kvstore, "metadata": layout}, create=True).result()
    array.write(x).result()
    return kvstore


@pytest.fixture
def folder(tmp_path):
    return written({"driver": "file", "path": str(tmp_path / "windows")}, X)["path"]


@pytest.fixture
def windows(folder):
    return ZarrWindows(folder, sfreq=100, units="g", index={"participant": groups, "session": session})


KEYS = [slice(3, 17), slice(None, None, -5), slice(5, 5), [3, 20, 10, 3], np.array([-1]), groups == groups[-1], 7]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_windows_come_back_as_they_were_written(windows, key):
    assert windows.shape == X.shape and windows[key].dtype == np.float32
    assert_array_equal(windows[key], X[key])


def test_participants_and_sessions_come_from_arrays_a_table_or_a_file(folder, windows, tmp_path):
    table = pd.DataFrame({"participant": groups, "session": session, "age": 40})
    table.to_parquet(tmp_path / "index.parquet")
    for index in (table, tmp_path / "index.parquet", str(tmp_path / "index.parquet")):
        same = ZarrWindows(folder, sfreq=100, units="g", index=index)
        assert_array_equal(same.groups, groups)
        assert_array_equal(same.session, session)
        assert same.identity() == windows.identity()
    table[["age"]].to_parquet(tmp_path / "index.parquet")
    nobody = ZarrWindows(folder, sfreq=100, units="g", index=tmp_path / "index.parquet")
    assert nobody.groups is None and nobody.session is None and nobody.codes("participant") is None


def test_integers_are_steps(tmp_path):
    steps = np.random.default_rng(0).integers(-2048, 2048, X.shape).astype(np.int16)
    written({"driver": "file", "path": str(tmp_path / "steps")}, steps)
    windows = ZarrWindows(tmp_path / "steps", sfreq=100, units="g", scale=1 / 256)
    assert_array_equal(windows[:], steps.astype(np.float32) / 256)


def test_any_store_that_tensorstore_knows_may_hold_them(tmp_path):
    url = "file://" + written({"driver": "file", "path": str(tmp_path / "windows")}, X)["path"]
    assert_array_equal(ZarrWindows(url, sfreq=100, units="g")[2:9], X[2:9])
    packed = {"driver": "ocdbt", "base": {"driver": "file", "path": str(tmp_path / "packed") + "/"}}
    written(packed, X)
    assert_array_equal(ZarrWindows(packed, sfreq=100, units="g")[[4, 1]], X[[4, 1]])


def test_a_view_and_a_pickle_are_rows_and_a_source(windows):
    view = _safe_indexing(windows, np.arange(3, 20)).rows([4, 1])
    assert_array_equal(view[:], X[[7, 4]])
    again = pickle.loads(pickle.dumps(view))
    assert_array_equal(again[:], X[[7, 4]])
    assert_array_equal(again.groups, groups[[7, 4]])
    assert again.identity() == view.identity() != windows.identity()


def test_encoders_cannot_tell_it_from_an_array(windows):
    given = {"groups": groups, "session": session}
    simclr = SimCLREncoder(4, (1, 1), (3, 4), **SMALL)
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, **{**SMALL, "max_epochs": 1})
    relcon = RelConEncoder(4, (1, 1), (3, 4), distance=distance, mates=3, **SMALL)
    for encoder in (simclr, relcon):
        assert_array_equal(encoder.fit(windows).transform(windows), encoder.fit(X, **given).transform(X))
    pipeline, folds = make_pipeline(simclr, LogisticRegression(max_iter=1000)), GroupKFold(2)
    assert_array_equal(
        cross_val_score(pipeline, windows, y, cv=folds, groups=windows.groups),
        cross_val_score(pipeline, X, y, cv=folds, groups=groups),
    )


def test_a_store_is_made_of_it(windows, tmp_path):
    store = WindowStore.create(tmp_path / "store", n_channels=3, n_times=256, sfreq=100, units="g")
    store.append(windows, participant=windows.groups, session=windows.session)
    assert_array_equal(store.verify()[:], X)
    assert_array_equal(store.groups, groups)


def test_windows_that_are_not_finite_are_refused_when_they_are_read(tmp_path):
    bad = X.copy()
    bad[7, 1, 3] = np.nan
    written({"driver": "file", "path": str(tmp_path / "bad")}, bad)
    windows = ZarrWindows(tmp_path / "bad", sfreq=100, units="g")
    assert_array_equal(windows[:7], X[:7])
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 of them, the first at window 7\."):
        windows[:]


def test_what_is_no_array_of_windows_is_refused(tmp_path):
    written({"driver": "file", "path": str(tmp_path / "flat")}, X[:, 0])
    with pytest.raises(ValueError, match=r"shape \(n_windows, n_channels, n_times\), got float32 of shape"):
        ZarrWindows(tmp_path / "flat", sfreq=100, units="g")
    with pytest.raises(ValueError, match="zarr array of version 3"):
        ZarrWindows(tmp_path / "nothing", sfreq=100, units="g")


@pytest.mark.parametrize(
    ("given", "said"),
    [({"sfreq": 0}, "above 0"), ({"index": {"participant": groups[:3]}}, "3 values"), ({"scale": -1}, "above 0")],
)
def test_parameters_are_checked(folder, given, said):
    with pytest.raises(ValueError, match=said):
        ZarrWindows(folder, **{"sfreq": 100, "units": "g", **given})


def test_a_process_that_was_forked_says_that_it_cannot_read(windows, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="num_workers=0"):
        windows[0]
