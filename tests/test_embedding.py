"""Cohorts to embeddings: each window once and to the bit, whoever is killed, whatever was there before."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from killed import killed_at
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wearembed import (
    HandmadeFeatures,
    RelConEncoder,
    SimCLREncoder,
    WindowStore,
    datasets,
    embed_store,
    embedding,
    read_embeddings,
)

MOTION = datasets.make_motion(n_participants=4, n_windows=6, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups
KIND = {"n_channels": 3, "n_times": 256, "sfreq": 100, "units": "g"}
CUTS = (0, 5, 6, 12, 20, 24)  # of shards
QUIET = {"verbose": 0}


class Means(TransformerMixin, BaseEstimator):
    """Mean and deviation of a window."""

    def __init__(self, scale=1.0, verbose=0):
        self.scale = scale
        self.verbose = verbose

    def transform(self, X):
        X = np.asarray(X)
        return self.scale * np.stack([X.mean((1, 2)), X.std((1, 2))], axis=1)

    def get_feature_names_out(self, input_features=None):
        return np.array(["mean", "deviation"], dtype=object)

    def __sklearn_is_fitted__(self):
        return True


class Fatal(Means):
    """The same; whoever meets a window kills a process unless there is a file, which it makes if `once`."""

    def __init__(self, window=None, file=None, once=True, parent=False):
        super().__init__()
        self.window = window
        self.file = file
        self.once = once
        self.parent = parent

    def transform(self, X):
        X = np.asarray(X)
        if not Path(self.file).exists() and (self.window == X).all((1, 2)).any():
            if self.once:
                Path(self.file).touch()
            if self.parent:
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().transform(X)


class Threads(Means):
    """How many threads torch has in the process that embeds."""

    def transform(self, X):
        return np.full((len(X), 2), torch.get_num_threads())


class Wrong(Means):
    """A column more than it names."""

    def transform(self, X):
        return np.zeros((len(X), 3))


class Nested(Means):
    """Embeds the same store into the same folder."""

    def __init__(self, store=None, out=None):
        super().__init__()
        self.store = store
        self.out = out

    def transform(self, X):
        embed_store(self.store, Means(), self.out, **QUIET)


class Greatest(Means):
    """How many windows came along at once."""

    def transform(self, X):
        return np.full((len(X), 2), len(X))


@pytest.fixture
def store(tmp_path):
    made = WindowStore.create(tmp_path / "store", **KIND)
    for start, stop in pairwise(CUTS):
        made.append(X[start:stop], participant=groups[start:stop], session="night" if start else None, age=40)
    return made


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def columns(table, encoder):
    return table[list(encoder.get_feature_names_out())].to_numpy()


def times(out):
    return {file.name: file.stat().st_mtime_ns for file in out.glob("part-*.parquet")}


def assert_whole(out, store, encoder):
    """Every window once, in order, and nothing else in the folder."""
    table = read_embeddings(out)
    assert_array_equal(columns(table, encoder), np.asarray(encoder.transform(store[:]), np.float32))
    assert_array_equal(table["participant"], store.groups)
    assert {file.name for file in out.iterdir()} - set(times(out)) == {"_embeddings.json", ".lock"}


# --- what comes out

ENCODERS = {
    "RelConEncoder": lambda: RelConEncoder.from_pretrained("wearembed/relcon-synthetic"),
    "in m/s^2": lambda: RelConEncoder.from_pretrained("wearembed/relcon-synthetic", sfreq=50, units="m/s^2"),
    "SimCLREncoder": lambda: SimCLREncoder(4, (1, 1), (3, 4), max_epochs=1, batch_size=8, random_state=0).fit(X),
    "HandmadeFeatures": lambda: HandmadeFeatures().fit(X),
    "a pipeline": lambda: make_pipeline(HandmadeFeatures(), StandardScaler()).fit(X),
    "set to pandas": lambda: HandmadeFeatures().fit(X).set_output(transform="pandas"),
}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
def test_embeddings_are_those_of_transform_to_the_bit(make, n_jobs, store, out, tmp_path):
    encoder = make()
    if getattr(encoder, "sfreq", 100) == 50:
        other = WindowStore.create(tmp_path / "slow", n_channels=3, n_times=128, sfreq=50, units="m/s^2")
        other.append(9.81 * X[:7, :, ::2], participant="A")
        other.append(9.81 * X[7:, :, ::2], participant="B")
        store = other
    table = read_embeddings(embed_store(store, encoder, out, n_jobs=n_jobs, **QUIET))
    assert_array_equal(columns(table, encoder), np.asarray(encoder.transform(store), np.float32))
    assert set(table.dtypes[list(encoder.get_feature_names_out())]) == {np.dtype(np.float32)}


def test_a_part_a_shard_with_the_index_of_the_store(store, out):
    assert embed_store(store, Means(), str(out), **QUIET) == out
    assert sorted(times(out)) == [f"part-{number:06d}.parquet" for number in range(len(CUTS) - 1)]
    table = read_embeddings(out)
    assert list(table) == [*store.index, "mean", "deviation"]
    pd.testing.assert_frame_equal(table[list(store.index)], store.index, check_dtype=False)


def test_times_with_their_zones_and_labels_of_some_shards_come_along(store, out):
    start = pd.date_range("2026-03-29 00:59:58", periods=3, freq="1s", tz="Europe/London")
    store.append(X[:3], participant="P", start=start, coverage=0.9, hand="left", recording="a.cwa")
    start = pd.date_range("2026-03-29 00:59:58", periods=2, freq="1s", tz="America/New_York")
    store.append(X[:2], participant="Q", start=start)
    table = read_embeddings(embed_store(store, Means(), out, **QUIET))
    pd.testing.assert_frame_equal(table[list(store.index)], store.index, check_dtype=False)


def test_the_folder_is_read_by_pandas_too(store, out):
    embed_store(store, Means(), out, **QUIET)
    table = pd.read_parquet(out)
    assert_array_equal(table[["mean", "deviation"]], read_embeddings(out)[["mean", "deviation"]])
    assert_array_equal(table["participant"], groups)
    assert pd.read_parquet(out, columns=["deviation"]).shape == (len(X), 1)


@pytest.mark.parametrize(
    "rows", [slice(None, None, 2), slice(None, None, -1), [7, 7, 3], [20, 1, 6, 19], np.arange(24) % 5 == 0], ids=str
)
def test_rows_of_a_store_are_embedded_in_their_order(rows, store, out):
    some = store.rows(rows)
    assert_whole(embed_store(some, Means(), out, **QUIET), some, Means())
    untouched = times(out)
    store.append(X[:2], participant="late")
    embed_store(WindowStore(store.path).rows(np.arange(24)).rows(rows), Means(), out, **QUIET)
    assert times(out) == untouched, "the store grew, its rows did not"


def test_parts_of_many_windows_are_made_a_block_at_a_time(out, tmp_path):
    small = WindowStore.create(tmp_path / "small", n_channels=1, n_times=8, sfreq=100, units="g")
    small.append(np.tile(X[:, :1, :8], (1000, 1, 1)), participant="P")
    embed_store(small, Greatest(), out, **QUIET)
    told = pq.read_metadata(out / "part-000000.parquet")
    assert [told.row_group(n).num_rows for n in range(told.num_row_groups)] == [8192, 8192, 7616]
    assert read_embeddings(out)["mean"].max() == 8192
    large = WindowStore.create(tmp_path / "large", n_channels=1, n_times=2**20, sfreq=100, units="g")
    large.append(np.broadcast_to(np.float32(1), (18, 1, 2**20)), participant="P")
    assert read_embeddings(embed_store(large, Greatest(), tmp_path / "two", **QUIET))["mean"].max() == 16


@pytest.mark.slow
def test_processes_share_the_cores(store, out, monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    table = read_embeddings(embed_store(store, Threads(), out, n_jobs=2, **QUIET))
    assert set(table["mean"]) == {max(1, joblib.cpu_count() // 2)}


def test_other_engines_do_part_by_part_what_is_left(store, out):
    parts = embedding.unfinished_parts(store.path, Means(), out)
    embedding.embed_part(parts[3], Means())
    with pytest.raises(ValueError, match=r"4 of 5 parts .* the first is part-000000"):
        read_embeddings(out)
    left = embedding.unfinished_parts(store, Means(), out)
    assert [part.file for part in left] == [part.file for part in parts if part is not parts[3]]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda part: embedding.embed_part(part, Means()), left)) == [part.file for part in left]
    assert not embedding.unfinished_parts(store, Means(), out)
    Z = Means().transform(store[:]).astype(np.float32)
    assert_array_equal(columns(read_embeddings(out), Means()), Z)


def test_progress_is_shown_in_windows_and_can_be_left_out(store, out, capsys):
    embed_store(store, Means(), out, **QUIET)
    assert not capsys.readouterr().err
    (out / "part-000003.parquet").unlink()
    embed_store(store, Means(), out)
    assert "24.0/24.0" in capsys.readouterr().err


# --- resuming


def test_whole_parts_stay_and_damaged_ones_are_made_anew(store, out):
    embed_store(store, Means(), out, **QUIET)
    first, before = read_embeddings(out), times(out)
    cut, flipped, empty, gone = (out / f"part-00000{n}.parquet" for n in (0, 2, 3, 4))
    cut.write_bytes(cut.read_bytes()[:-100])
    data = bytearray(flipped.read_bytes())
    where = data.index(np.float32(first["deviation"].iloc[CUTS[2]]).tobytes())
    data[where] ^= 1
    flipped.write_bytes(data)
    empty.write_bytes(b"")
    gone.unlink()
    (out / ".part-000004.parquet.0.scratch").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"1 of 5 parts .* part-000004\.parquet"):
        read_embeddings(out)
    embed_store(store, Means(), out, **QUIET)
    assert_whole(out, store, Means())
    assert [name for name in before if times(out)[name] == before[name]] == ["part-000001.parquet"]


def test_a_flipped_bit_is_found_by_reading(store, out):
    embed_store(store, Means(), out, **QUIET)
    file = out / "part-000003.parquet"
    data = bytearray(file.read_bytes())
    data[data.index(np.float32(read_embeddings(out)["deviation"].iloc[CUTS[3]]).tobytes())] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"part-000003\.parquet is damaged"):
        read_embeddings(out)


def test_a_part_of_another_folder_is_made_anew(store, out, tmp_path):
    embed_store(store, Means(), out, **QUIET)
    embed_store(store, Means(scale=2.0), tmp_path / "other", **QUIET)
    (out / "part-000001.parquet").write_bytes((tmp_path / "other/part-000001.parquet").read_bytes())
    with pytest.raises(ValueError, match=r"part-000001\.parquet is of other windows or another encoder"):
        read_embeddings(out)
    assert_whole(embed_store(store, Means(), out, **QUIET), store, Means())


def test_a_store_that_grew_has_its_new_shards_done(store, out):
    embed_store(store, Means(), out, **QUIET)
    before, old = times(out), WindowStore(store.path)
    store.append(X[:7], participant="late", weight=70.0)
    embed_store(store, Means(), out, **QUIET)
    assert_whole(out, store, Means())
    assert {name: time for name, time in times(out).items() if name in before} == before and len(times(out)) == 6
    assert_array_equal(read_embeddings(out)["weight"].isna(), np.arange(31) < 24)
    with pytest.raises(ValueError, match="begun with 31 .* and the 24"):
        embed_store(old, Means(), out, **QUIET)


def test_another_encoder_is_refused_by_name_and_nothing_is_touched(store, out):
    embed_store(store, Means(), out, **QUIET)
    before = times(out), (out / "_embeddings.json").read_text()
    for other in (Means(scale=2.0), HandmadeFeatures().fit(X)):
        with pytest.raises(ValueError, match=r"another encoder: begun with Means\(\), and this is"):
            embed_store(store, other, out, **QUIET)
    assert before == (times(out), (out / "_embeddings.json").read_text())
    embed_store(store, Means(verbose=1), out, **QUIET)  # embeds alike
    assert times(out) == before[0]


def test_other_weights_are_refused_and_the_same_from_elsewhere_are_not(store, out, tmp_path):
    encoder = SimCLREncoder(4, (1, 1), (3, 4), max_epochs=1, batch_size=8, random_state=0).fit(X)
    encoder.save_pretrained(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    encoder.save_pretrained(tmp_path / "a")
    embed_store(store, SimCLREncoder.from_pretrained(tmp_path / "a"), out, **QUIET)
    before = times(out)
    embed_store(store, SimCLREncoder.from_pretrained(tmp_path / "b", device="cpu", verbose=1), out, **QUIET)
    assert times(out) == before
    same = SimCLREncoder.from_pretrained(tmp_path / "a")
    with torch.no_grad():
        next(same.net_.parameters()).add_(1e-3)
    with pytest.raises(ValueError, match="another encoder"):
        embed_store(store, same, out, **QUIET)


def in_a_process_of_its_own(path, out):
    embed_store(path, RelConEncoder.from_pretrained("wearembed/relcon-synthetic"), out, **QUIET)
    return os.getpid()


def test_an_encoder_is_known_again_in_another_process(store, out):
    made_by = joblib.Parallel(n_jobs=2)([joblib.delayed(in_a_process_of_its_own)(store.path, out)])
    assert made_by != [os.getpid()]
    before = times(out)
    in_a_process_of_its_own(store.path, out)
    assert times(out) == before


@pytest.mark.parametrize("shards", [((0, 5), (6, 24)), ((0, 6), (6, 24))])
def test_another_store_is_refused(shards, store, out, tmp_path):
    embed_store(store, Means(), out, **QUIET)
    other = WindowStore.create(tmp_path / "other", **KIND)
    for start, stop in shards:
        other.append(X[start:stop], participant=groups[start:stop])
    for windows in (other, store.rows(slice(3, None))):
        with pytest.raises(ValueError, match="embeddings of other windows"):
            embed_store(windows, Means(), out, **QUIET)


def test_a_call_that_made_nothing_binds_nobody(store, out):
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic", units="m/s^2")
    with pytest.raises(RuntimeError, match=r"5 of 5 parts(.*\n)*.*parquet: ValueError: The store holds windows"):
        embed_store(store, encoder, out, **QUIET)
    embed_store(store, Means(), out, **QUIET)


# --- failures


def test_a_shard_that_fails_is_named_the_others_are_done_and_it_alone_is_done_again(store, out):
    file = store.path / "000002.npy"
    windows = file.read_bytes()
    file.write_bytes(windows[:1000])
    with pytest.raises(RuntimeError, match=r"1 of 5 parts(.*\n)*part-000002\.parquet: ValueError: .*000002\.npy"):
        embed_store(store, Means(), out, n_jobs=2, **QUIET)
    before = times(out)
    assert len(before) == 4
    file.write_bytes(windows)
    embed_store(store, Means(), out, **QUIET)
    assert_whole(out, store, Means())
    assert before.items() <= times(out).items()


def test_a_transformer_whose_shape_is_not_what_it_names_is_told(store, out):
    with pytest.raises(RuntimeError, match=r"names 2 columns .* gives shape \(5, 3\) of 5 windows"):
        embed_store(store, Wrong(), out, **QUIET)


@pytest.mark.parametrize("point", [1, 2, 3, 4, 5, 6, 9, 12])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_killed_while_it_writes_leaves_parts_whole_or_not_there(store, out, point):
    assert killed_at(point, lambda: embed_store(store, Means(), out, **QUIET)) == -signal.SIGKILL
    before = times(out)
    for name in before:
        assert pq.read_table(out / name).num_rows
    embed_store(store, Means(), out, **QUIET)
    assert_whole(out, store, Means())
    assert before.items() <= times(out).items()


SCRIPT = """
import sys
import numpy as np
from test_embedding import Fatal, embed_store
window, file, store, out, n_jobs = sys.argv[1:]
n_jobs = int(n_jobs)
embed_store(store, Fatal(np.load(window), file, parent=n_jobs > 1), out, n_jobs=n_jobs, verbose=0)
"""


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_after_the_calling_process_was_killed_the_same_call_does_the_rest(n_jobs, store, out, tmp_path):
    np.save(tmp_path / "window.npy", X[15])
    told = [str(path) for path in (tmp_path / "window.npy", tmp_path / "killed", store.path, out)]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with open(tmp_path / "said", "wb") as said:  # no pipe: workers that are left keep it open for a while
        done = subprocess.run([sys.executable, "-c", SCRIPT, *told, str(n_jobs)], env=here, stderr=said, stdout=said)
    assert done.returncode == -signal.SIGKILL, (tmp_path / "said").read_text()
    before = times(out)
    assert before and "part-000003.parquet" not in before
    with pytest.raises(ValueError, match="parts of .* are not there yet"):
        read_embeddings(out)
    encoder = Fatal(X[15], told[1], parent=n_jobs > 1)
    embed_store(store, encoder, out, n_jobs=n_jobs, **QUIET)
    assert_whole(out, store, encoder)
    assert before.items() <= times(out).items()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_worker_process_that_is_killed_once_costs_nothing(store, out, tmp_path):
    encoder = Fatal(X[15], str(tmp_path / "killed"))
    assert_whole(embed_store(store, encoder, out, n_jobs=2, **QUIET), store, encoder)
    assert (tmp_path / "killed").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_part_that_kills_each_worker_is_named_and_the_others_are_done(store, out, tmp_path):
    encoder = Fatal(X[-1], str(tmp_path / "well"), once=False)
    with pytest.raises(RuntimeError, match=r"1 of 5 parts(.*\n)*part-000004\.parquet: its process was killed"):
        embed_store(store, encoder, out, n_jobs=2, **QUIET)
    assert "part-000004.parquet" not in times(out)
    (tmp_path / "well").touch()
    assert_whole(embed_store(store, encoder, out, n_jobs=2, **QUIET), store, encoder)


# --- Dask


@pytest.fixture(scope="module")
def client():
    """Of two worker processes; a part is given up at the second death."""
    dask = pytest.importorskip("dask", reason="needs the extra distributed")
    distributed = pytest.importorskip("distributed", reason="needs the extra distributed")
    told = {"distributed.scheduler.allowed-failures": 1, "distributed.worker.daemon": True}
    told |= {"distributed.comm.timeouts.connect": "120s", "distributed.comm.timeouts.tcp": "120s"}  # of a busy machine
    with (
        dask.config.set(told),
        distributed.LocalCluster(
            2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
        distributed.Client(cluster, timeout=120) as client,
    ):
        yield client


def test_a_dask_cluster_is_named_by_client_by_address_or_by_joblib(client, store, out):
    address = client.scheduler.address
    for number, engine in enumerate([client, address, "dask"]):
        folder = out / str(number)
        assert_whole(embed_store(store, Means(), folder, engine=engine, **QUIET), store, Means())
    with joblib.parallel_config("dask"):
        assert_whole(embed_store(store, Means(), out / "joblib", **QUIET), store, Means())


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_cluster_that_loses_a_worker_embeds_every_window_once(client, out, tmp_path):
    long = WindowStore.create(tmp_path / "long", n_channels=1, n_times=8, sfreq=100, units="g")
    windows = np.tile(X[:, :1, :8], (400, 1, 1)) + np.arange(9600, dtype=np.float32)[:, None, None]
    for person in range(6):
        long.append(windows + 10000 * person, participant=f"P{person}")
    encoder = Fatal(windows[9000] + np.float32(30000), str(tmp_path / "killed"))  # within the second block of a part
    workers = set(client.nthreads())
    embed_store(long, encoder, out, engine=client, **QUIET)
    assert (tmp_path / "killed").exists() and not workers <= set(client.nthreads())
    assert_whole(out, long, encoder)
    assert len(read_embeddings(out)["mean"].unique()) > 9600


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_part_that_a_cluster_gives_up_is_named_and_the_others_are_done(client, store, out, tmp_path):
    encoder = Fatal(X[15], str(tmp_path / "well"), once=False)
    with pytest.raises(RuntimeError, match=r"of 5 parts(.*\n)*part-000003\.parquet.*: given up .* KilledWorker"):
        embed_store(store, encoder, out, engine=client, **QUIET)
    assert "part-000003.parquet" not in times(out)
    (tmp_path / "well").touch()
    assert_whole(embed_store(store, encoder, out, engine=client, **QUIET), store, encoder)


# --- what is refused


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"encoder": "wearembed/relcon-synthetic"}, TypeError, r"wearembed\.from_pretrained"),
        ({"encoder": GroupKFold()}, TypeError, "got GroupKFold"),
        ({"store": X}, TypeError, "a WindowStore, some rows of one, or its path; got ndarray"),
        ({"engine": "spark"}, ValueError, "address of a scheduler"),
        ({"engine": 3}, ValueError, "got 3"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(store, out, given, error, said):
    with pytest.raises(error, match=said):
        embed_store(**{"store": store, "encoder": Means(), "out": out, **QUIET, **given})


def test_a_folder_of_something_else_is_left_alone(store):
    with pytest.raises(FileExistsError, match="not empty, and holds no embeddings"):
        embed_store(store, Means(), store.path, **QUIET)
    assert {file.suffix for file in store.path.iterdir()} == {".json", ".jsonl", ".npy", ".parquet", ".seal"}
    with pytest.raises(FileNotFoundError, match="No embeddings of a store at"):
        read_embeddings(store.path)


def test_a_store_without_windows_has_nothing_to_embed(out, tmp_path):
    with pytest.raises(ValueError, match="nothing to embed"):
        embed_store(WindowStore.create(tmp_path / "empty", **KIND), Means(), out, **QUIET)


def test_a_label_called_as_a_column_of_the_embedding_is_refused(out, tmp_path):
    store = WindowStore.create(tmp_path / "s", **KIND)
    store.append(X, participant="P", mean=0.0)
    with pytest.raises(ValueError, match="labels that are called .*: mean"):
        embed_store(store, Means(), out, **QUIET)


def test_an_encoder_that_cannot_travel_is_refused(store, out):
    encoder = Means()
    encoder.lock = joblib.parallel.threading.Lock()
    with pytest.raises(TypeError, match="can be pickled; Means cannot"):
        embed_store(store, encoder, out, **QUIET)


@pytest.mark.parametrize("text", ["{", "{}", '{"format": "wearembed-embeddings", "version": 1, "parts": [{}]}'])
def test_a_damaged_description_is_told(store, out, text):
    embed_store(store, Means(), out, **QUIET)
    (out / "_embeddings.json").write_text(text)
    for call in (lambda: read_embeddings(out), lambda: embed_store(store, Means(), out, **QUIET)):
        with pytest.raises(ValueError, match=r"_embeddings\.json"):
            call()


def test_the_description_says_what_was_done(store, out):
    embed_store(store, Means(), out, **QUIET)
    told = json.loads((out / "_embeddings.json").read_text())
    assert (told["encoder"], told["columns"], told["n_windows"]) == ("Means", ["mean", "deviation"], len(X))
    assert [part["n_windows"] for part in told["parts"]] == np.diff(CUTS).tolist()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_a_second_call_is_kept_out(store, out):
    with pytest.raises(RuntimeError, match="RuntimeError: Another process embeds into"):
        embed_store(store, Nested(str(store.path), str(out)), out, **QUIET)
