"""Windows per second from a store beside an array in memory, and the memory that a store takes from 1e5 to 1e7 windows.

    nox -s bench -- -k stores

RelCon's access: 64 anchors, each with 20 other windows of its participant and hour. Windows for the memory are small,
1 x 64 samples as int16, so that ten million of them are 1.3 GB; the store is deleted afterwards. Each line of that
table begins where the one before has left off.
"""

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from skorch.callbacks import Callback

from wearembed import RelConDistance, RelConEncoder, StreamEmbedder, WindowStore, datasets
from wearembed.runs import Runs
from wearembed.training import Anchors, Learner

N_WINDOWS, N_PARTICIPANTS = 100_000, 100  # 307 MB as float32
BATCH, N_MATES, N_BATCHES = 64, 20, 60


def write(path, n_windows, n_participants, shape, dtype, per_hour=50):
    """A participant after the other, each with a line in the log and a shard of its own."""
    store = WindowStore.create(path, n_channels=shape[0], n_times=shape[1], sfreq=100, units="g", dtype=dtype)
    rng, n = np.random.default_rng(0), n_windows // n_participants
    for person in range(n_participants):
        hours = [f"P{person:05d} 2026-03-{1 + h // 24 % 28:02d}T{h % 24:02d}" for h in range(-(-n // per_hour))]
        session = np.repeat(hours, per_hour)[:n]
        store.append(rng.standard_normal((n, *shape), np.float32), participant=f"P{person:05d}", session=session)
    return store


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The same windows on disk in two ways, and in memory."""
    folder = tmp_path_factory.mktemp("stores")
    stores = {d: write(folder / d, N_WINDOWS, N_PARTICIPANTS, (3, 256), d) for d in ("float32", "int16")}
    whole = stores["float32"]
    yield {
        "array in memory": (whole[:], whole.codes("participant"), whole.codes("session")),
        **{f"WindowStore, {d}": (s, s.codes("participant"), s.codes("session")) for d, s in stores.items()},
    }
    for file in folder.rglob("*.npy"):
        file.unlink()


def rate(X, groups, session):
    """Windows a second that come out of the loader, ready for a step; the best of three epochs' beginnings."""
    best = 0.0
    for _ in range(3):
        loader = iter(Learner(None, batch_size=BATCH).get_iterator(Anchors(X, groups, session, n_mates=N_MATES)))
        next(loader)
        start = time.perf_counter()
        n = sum(len(b["x"]) + b["mates"].shape[0] * N_MATES for b, _ in islice(loader, N_BATCHES))
        best = max(best, n / (time.perf_counter() - start))
    return best


def test_windows_a_second_of_stores(places, benchmark):
    print("\n| from | windows/s | of the array |")
    print("|---|---|---|")
    rates = {name: rate(*place) for name, place in places.items()}
    benchmark.pedantic(partial(rate, *places["WindowStore, float32"]), rounds=1)
    for name, found in rates.items():
        print(f"| {name} | {found:,.0f} | {found / rates['array in memory']:.2f} |")


def test_share_of_a_step_of_stores(places, benchmark):
    """A whole step of skorch with the default nets in bfloat16, and how much of it is waiting for windows."""
    import torch

    from wearembed.nets import CrossAttention, ResNet1d
    from wearembed.objectives import RelativeContrast

    class Timed(Learner):
        waited, began = 0.0, None

        def get_iterator(self, dataset, training=False):
            def timed(batches):
                batches, start = iter(batches), time.perf_counter()
                for batch in batches:
                    self.waited += time.perf_counter() - start
                    yield batch
                    start = time.perf_counter()

            return timed(super().get_iterator(dataset, training))

    torch.manual_seed(0)
    X, groups, session = places["WindowStore, int16"]
    some = np.arange(3 * BATCH) * (len(X) // (3 * BATCH))
    anchors = Anchors(X, groups, session, n_mates=N_MATES)
    anchors.rows = anchors.rows[some]  # three steps
    objective = RelativeContrast(ResNet1d(), CrossAttention().eval(), N_MATES)
    learner = Timed(
        objective, batch_size=BATCH, max_epochs=1, train_split=None, precision="bfloat16", verbose=0, lr=1e-3
    )
    start = time.perf_counter()
    benchmark.pedantic(learner.fit, args=(anchors,), rounds=1)
    whole = time.perf_counter() - start
    waited = learner.waited
    print(f"\n3 steps: {whole:.1f} s, of which {1e3 * waited:.0f} ms waited for windows: {waited / whole:.3%}")


def test_latency_of_stores_and_streams(benchmark):
    """Milliseconds from the last sample of a window to its embedding."""
    walk = np.hstack(datasets.make_motion(n_participants=1, n_windows=30, random_state=0).data)
    print("\n| encoder | ms a push that completes a window | ms a push that does not |")
    print("|---|---|---|")
    for name in ("wearembed/relcon-synthetic", "wearembed/relcon-open"):
        stream = StreamEmbedder(RelConEncoder.from_pretrained(name, device="cpu"), step=1.0)
        took = {True: [], False: []}
        for first in range(0, walk.shape[1], 10):
            start = time.perf_counter()
            came = len(stream.push(walk[:, first : first + 10])) > 0
            took[came].append(time.perf_counter() - start)
        print(f"| {name} | {1e3 * np.median(took[True]):.1f} | {1e3 * np.median(took[False]):.2f} |")
    benchmark.pedantic(partial(stream.push, walk[:, :10]), rounds=3)


# --- memory, each size in a process of its own


def grown(what):
    """MiB that the process grew by in doing it: what it keeps, and the most that it held on the way."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()["RssAnon"]
    kept = what()
    now = resident()
    return kept, now["RssAnon"] - before, now["VmHWM"] - before - now["RssFile"]


def resident():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile", "VmHWM")}


def measure(path):
    """Of a store: MiB kept and at the most, of opening, participants, an epoch's beginning, batches, and transform."""
    told = {}
    store, *told["opened"] = grown(lambda: WindowStore(path))
    store[[0, -1]]
    runs, *told["whose windows they are"] = grown(lambda: (store.runs("participant"), store.runs("session")))
    for sampler in ("mates", "spread", "participants"):
        anchors, *told[f"anchors, `{sampler}`"] = grown(partial(Anchors, store, *runs, N_MATES, sampler))
        batches = anchors.batches(BATCH, (0, 0))
        _, *told[f"an epoch drawn, `{sampler}`"] = grown(partial(next, batches))
        rows = [next(batches) for _ in range(200)]
        _, *told[f"200 batches read, `{sampler}`"] = grown(partial(read, anchors, rows))
    half = np.flatnonzero(np.arange(len(store)) % 100_000 < 50_000)  # as scikit-learn chooses participants
    _, *told["a view of half of them"] = grown(lambda: store.rows(half))
    distance = RelConDistance(4, 5, 2, max_epochs=1, device="cpu", sfreq=100).fit(store.rows(slice(0, 1000)))
    small = RelConEncoder(4, (1,), (3,), distance=distance, batch_size=BATCH, callbacks=[Enough()], device="cpu")
    _, *told["`fit`, 20 steps"] = grown(lambda: begun(small, store))
    small.set_params(validation_fraction=0.1)
    _, *told["the same, a tenth held out"] = grown(lambda: begun(small, store))
    small = RelConEncoder(4, (1,), (3,), device="cpu").untrained(0, n_channels=1, n_times=64)
    some = store.rows(np.arange(0, len(store), len(store) // 20_000))
    _, *told["20,000 of them embedded"] = grown(lambda: small.transform(some))
    return told


def read(anchors, rows):
    return sum(len(anchors[some][0]["x"]) for some in rows)


class Enough(Callback):
    """Stops in the first epoch."""

    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history[-1, "batches"]) == 20:
            raise Stop


class Stop(Exception):
    """After as many steps as are enough to see what memory an epoch takes."""


def begun(encoder, store):
    with pytest.raises(Stop):
        encoder.fit(store)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_of_stores(benchmark):
    tables = {}
    with tempfile.TemporaryDirectory(prefix="wearembed-stores-") as folder:
        for n in (100_000, 1_000_000, 10_000_000):
            path = Path(folder) / str(n)
            write(path, n, 100, (1, 64), "int16", per_hour=500)
            done = subprocess.run([sys.executable, __file__, path], capture_output=True, text=True, check=True)
            tables[n] = json.loads(done.stdout.splitlines()[-1])
            for file in path.glob("*"):
                file.unlink()
    benchmark.pedantic(lambda: None, rounds=1)
    print("\n| MiB kept (at the most) | " + " | ".join(f"{n:,} windows" for n in tables) + " |")
    print("|---|" + "---|" * len(tables))
    for what in tables[100_000]:
        print(f"| {what} | " + " | ".join(f"{t[what][0]:.0f} ({t[what][1]:.0f})" for t in tables.values()) + " |")


# --- decision 16


class Nothing:
    """As many windows as anybody likes, of which none is there."""

    def __init__(self, n_windows):
        self.n_windows = n_windows

    def __len__(self):
        return self.n_windows


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_anchors_of_a_billion_windows(benchmark):
    """87,000 participants, hours of 1,406 windows: whose windows they are is made up, and none is behind them."""
    n, person, hour = 10**9, 11_494, 1_406
    stops = np.append(np.arange(person, n, person), n)
    of_hour = np.unique(np.concatenate([*(stops - person + min(k * hour, person) for k in range(10)), stops]))
    of_hour = of_hour[of_hour > 0]
    who, when = Runs(np.arange(len(stops)), stops), Runs(np.arange(len(of_hour)), of_hour)
    print(f"\n{len(stops):,} participants, {len(of_hour):,} hours")
    print("| sampler | s to make anchors | MiB kept (at the most) | ms to the first batch | ms a batch |")
    print("|---|---|---|---|---|")
    for sampler in ("mates", "spread", "participants"):
        start = time.perf_counter()
        anchors, kept, most = grown(partial(Anchors, Nothing(n), who, when, N_MATES, sampler))
        made, batches = time.perf_counter() - start, anchors.batches(BATCH, (0, 0))
        start = time.perf_counter()
        next(batches)
        first, start = time.perf_counter() - start, time.perf_counter()
        for _ in range(200):
            next(batches)
        each = (time.perf_counter() - start) / 200
        print(f"| {sampler} | {made:.1f} | {kept:.0f} ({most:.0f}) | {1e3 * first:.0f} | {1e3 * each:.1f} |")
    benchmark.pedantic(lambda: None, rounds=1)


def test_opening_of_stores_of_many_shards(tmp_path, benchmark):
    n = 1000
    store = WindowStore(write(tmp_path / "many", 115 * n, n, (1, 8), "int16").path)
    start = time.perf_counter()
    benchmark.pedantic(lambda: (store.runs("participant"), store.runs("session")), rounds=1)
    told, start = time.perf_counter() - start, time.perf_counter()
    store[::115]
    print(f"\n{n} shards: whose windows they are {told:.2f} s, a window of each {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
