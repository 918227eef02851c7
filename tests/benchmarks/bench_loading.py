"""Windows per second from an array, in memory or in a file, to batches of RelCon; beside a loader of single windows.

    nox -s bench -- -k loading

The reference is the usual one: a data set that reads one anchor and its 20 mates by their rows, and torch's own loader
that stacks 64 of them. Nothing is trained but the one step that loading is compared with.
"""

import time
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from wearembed.nets import CrossAttention, ResNet1d
from wearembed.objectives import RelativeContrast
from wearembed.training import Anchors, Learner

N_WINDOWS, N_PARTICIPANTS, N_SESSIONS = 200_000, 200, 20  # 614 MB; sessions of 50 windows
BATCH, N_MATES, N_BATCHES = 64, 20, 60


class OneByOne(Dataset):
    """An anchor and its mates."""

    def __init__(self, X, pool):
        self.X, self.pool = X, pool
        self.rows = {p: np.flatnonzero(pool == p) for p in np.unique(pool)}

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        others = self.rows[self.pool[i]]
        mates = np.random.default_rng().choice(others[others != i], N_MATES, replace=False)
        return {"x": torch.tensor(self.X[i]), "mates": torch.stack([torch.tensor(self.X[j]) for j in mates])}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The same windows in memory and in a file, deleted afterwards; participant and session of each."""
    file = tmp_path_factory.mktemp("loading") / "windows.npy"
    rng, n = np.random.default_rng(0), N_WINDOWS // 10
    X = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(N_WINDOWS, 3, 256))
    for start in range(0, N_WINDOWS, n):
        X[start : start + n] = rng.standard_normal((n, 3, 256), dtype=np.float32)
    X.flush()
    place = rng.permutation(N_WINDOWS)  # windows of a participant lie anywhere
    yield (
        {"array": np.array(X), "file": np.load(file, mmap_mode="r")},
        {"groups": place % N_PARTICIPANTS, "session": place // N_PARTICIPANTS % N_SESSIONS},
    )
    file.unlink()


def anchors_of(X, labels, sampler):
    return Learner(nn.Identity, batch_size=BATCH).get_iterator(Anchors(X, **labels, n_mates=N_MATES, sampler=sampler))


def one_by_one(X, labels, num_workers):
    pool = labels["groups"] * N_SESSIONS + labels["session"]
    return DataLoader(OneByOne(X, pool), BATCH, shuffle=True, num_workers=num_workers)


def n_in(batch):
    """Windows of a batch, its mates included."""
    batch = batch[0] if isinstance(batch, (list, tuple)) else batch
    return sum(batch[name].numel() // (3 * 256) for name in ("x", "mates") if name in batch)


def anonymous_mib():
    """Memory of this process that no file backs."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("RssAnon")) / 1024


def load(batches):
    """Windows, and seconds from the second batch on."""
    batches = iter(batches)
    next(batches)  # starts workers, and draws what an epoch draws at once
    start = time.perf_counter()
    n = sum(n_in(batch) for batch in islice(batches, N_BATCHES))
    return n, time.perf_counter() - start


def step():
    """Seconds of a step in bfloat16, the second of two."""
    torch.manual_seed(0)
    objective = RelativeContrast(ResNet1d(), CrossAttention().eval(), N_MATES).train()
    batch = {"x": torch.randn(BATCH, 3, 256), "mates": torch.randn(BATCH, N_MATES, 3, 256)}
    for _ in range(2):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            objective(batch).backward()
        took = time.perf_counter() - start
    return took


def test_windows_a_second(arrays, benchmark):
    stores, labels = arrays
    ways = {f'Anchors, sampler="{s}"': partial(anchors_of, sampler=s) for s in ("mates", "participants", "spread")}
    ways["one by one"] = partial(one_by_one, num_workers=0)
    ways["one by one, two workers"] = partial(one_by_one, num_workers=2)
    took = benchmark.pedantic(step, rounds=1)
    print(f"\n| from | way | windows/s | times as fast | share of a step of {took:.1f} s | memory grows by MiB |")
    print("|---|---|---|---|---|---|")
    for where, X in stores.items():
        load(ways["one by one"](X, labels))  # the file is in the page cache
        rates = {}
        for name, way in ways.items():
            before = anonymous_mib()
            n, seconds = load(way(X, labels))
            rates[name] = n / seconds, seconds / N_BATCHES / took, anonymous_mib() - before
        for name, (rate, share, grown) in rates.items():
            times = rate / rates["one by one"][0]
            print(f"| {where} | {name} | {rate:,.0f} | {times:.1f} | {share:.2%} | {grown:.0f} |")


@pytest.mark.parametrize("n_windows", [325_000, 1_300_000])
def test_drawing_an_epoch(n_windows, benchmark):
    rng = np.random.default_rng(0)
    X = np.broadcast_to(np.float32(0), (n_windows, 3, 256))  # rows are drawn, none is read
    groups, session = rng.integers(0, 1000, n_windows), rng.integers(0, 50, n_windows)
    make = partial(Anchors, X, groups, session, n_mates=N_MATES)
    benchmark.pedantic(make, rounds=1)
    print(f"\n{n_windows:,} windows of 1,000 participants: Anchors made in {benchmark.stats['min']:.1f} s")
    for sampler in ("mates", "participants", "spread"):
        batches = make(sampler=sampler).batches(BATCH, (0, 1))
        start = time.perf_counter()
        next(batches)
        first, start = time.perf_counter() - start, time.perf_counter()
        n = sum(1 for _ in islice(batches, 300))
        each = (time.perf_counter() - start) / n
        print(f'sampler="{sampler}": first batch {first:.2f} s, each further {1e3 * each:.3f} ms')
