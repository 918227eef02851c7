"""Seconds of `embed_store` beside the plain `encoder.transform(store)`, by workers; and the memory that it takes.

    nox -s bench -- -k cohort

Each way has one torch thread a worker. Workers are timed twice: with their start, in which each imports torch and this
package, and once they run. All ways are taken turn by turn in one process, and the best of the turns counts.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

N_SHARDS, N_EACH, TURNS = 8, 1024, 3


def filled(folder, n_shards, n_each):
    from wearembed import WindowStore
    from wearembed.datasets import make_motion

    motion = make_motion(n_participants=4, n_windows=64, random_state=0).data
    store = WindowStore.create(Path(folder) / "store", n_channels=3, n_times=256, sfreq=100, units="g")
    for person in range(n_shards):
        store.append(np.resize(motion, (n_each, 3, 256)), participant=f"P{person}")
    return store


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measured(what):
    """Seconds of each way."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of each worker
    import torch
    from distributed import Client, LocalCluster

    from wearembed import RelConEncoder, embed_store

    torch.set_num_threads(1)
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        store, made = filled(folder, N_SHARDS, N_EACH), iter(range(1000))

        def embed(**how):
            return embed_store(store, encoder, Path(folder) / str(next(made)), verbose=0, **how)

        seconds = {"two processes, with their start": [timed(lambda: embed(n_jobs=2))]}
        start = time.perf_counter()
        options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
        with LocalCluster(2, **options) as cluster, Client(cluster) as client:
            embed(engine=client)
            seconds["two workers of Dask, with their start"] = [time.perf_counter() - start]
            ways = {
                "encoder.transform(store)": lambda: encoder.transform(store),
                "one process": embed,
                "two processes": lambda: embed(n_jobs=2),
                "two workers of Dask": lambda: embed(engine=client),
            }
            for _ in range(TURNS):
                for way, call in ways.items():
                    seconds.setdefault(way, []).append(timed(call))
        whole = embed()
        again = {"all parts there already": lambda: embed_store(store, encoder, whole, verbose=0)}
        for way, call in again.items():
            seconds[way] = [timed(call) for _ in range(TURNS)]
    return {way: min(took) for way, took in seconds.items()}


def test_a_cohort_beside_the_plain_transform(benchmark):
    from machine import in_a_process_of_its_own

    seconds = benchmark.pedantic(in_a_process_of_its_own, args=(__file__, "seconds"), rounds=1)
    plain, n = seconds["encoder.transform(store)"], N_SHARDS * N_EACH
    print(f"\n{n} windows of 3 x 256 in {N_SHARDS} shards, load {os.getloadavg()[0]:.1f} at the end:\n")
    print("| way | s | windows/s | times as fast |")
    print("|---|---|---|---|")
    for way, s in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"| {way} | {s:.2f} | {n / s:,.0f} | {plain / s:.2f} |")


@pytest.mark.parametrize("n_windows", [20_000, 80_000])
def test_memory_does_not_grow_with_a_cohort(benchmark, n_windows):
    from bench_growth import Watched

    from wearembed import RawWindows, embed_store

    with tempfile.TemporaryDirectory() as folder:
        store = filled(folder, 1, n_windows)
        encoder = RawWindows(256).fit(store[:8])
        with Watched() as memory:
            benchmark.pedantic(
                embed_store, args=(store, encoder, Path(folder) / "out"), kwargs={"verbose": 0}, rounds=1
            )
        size = sum(file.stat().st_size for file in (Path(folder) / "out").glob("*.parquet")) / 2**20
    print(f"\n| {n_windows:,} windows in one shard | {memory.grown:.0f} MiB more | {size:.0f} MiB of Parquet |")


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
