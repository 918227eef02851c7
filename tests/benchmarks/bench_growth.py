"""Cost against size, with the exponent of each: nothing grows faster than it must.

    nox -s bench -- -k growth                                          prints
    python tests/benchmarks/bench_growth.py docs/_static               writes growth.csv and growth.png (extra "plots")

Nets are small, so that the large sizes are affordable: an encoder of width 8 with a block a stage, a distance of 16
features. The exponent is the slope of the logarithms over the larger half of the sizes, in which fixed costs no longer
hide it. Times are of the processor, one thread, the best of three turns.
"""

import csv
import gc
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from wearembed import RelConDistance, RelConEncoder
from wearembed.nets import CrossAttention, ResNet1d
from wearembed.objectives import relative_contrast
from wearembed.training import Anchors


class Growth(NamedTuple):
    what: str
    size: str
    sizes: tuple[int, ...]
    measure: Callable[[int], float]
    unit: str
    most: float  # the exponent that theory allows, with some room for what the machine adds


def seconds(call, turns=3):
    """Of the processor, the best of some turns after one to warm up."""
    call()
    took = []
    for _ in range(turns):
        start = time.process_time()
        call()
        took.append(time.process_time() - start)
    return min(took)


def loss(n_anchors, n_candidates):
    near, far = torch.rand(n_anchors, n_candidates, requires_grad=True), torch.rand(n_anchors, n_candidates)
    return seconds(lambda: relative_contrast(near, far).backward())


def distances(n, n_times):
    net, x = CrossAttention(dim=16).eval(), torch.randn(n, 3, n_times)
    return seconds(lambda: net.distances(x, x))


def distances_to_own(n_mates):
    net, x = CrossAttention(dim=16).eval(), torch.randn(8, 3, 64)
    mates = torch.randn(8, n_mates, 3, 64)
    return seconds(lambda: net.distances_to_own(x, mates))


def encoder_step(n, n_times):
    net, x = ResNet1d(width=8, blocks=(1, 1, 1)), torch.randn(n, 3, n_times)
    return seconds(lambda: net(x).sum().backward())


def small_encoder():
    encoder = RelConEncoder(width=8, blocks=(1, 1, 1), distance=RelConDistance(dim=4, max_epochs=1), max_epochs=1)
    return encoder.fit(np.random.default_rng(0).standard_normal((8, 3, 256), dtype=np.float32))


def transform_time(n):
    encoder, x = small_encoder(), np.random.default_rng(0).standard_normal((n, 3, 256), dtype=np.float32)
    return seconds(lambda: encoder.transform(x), turns=1)


def transform_memory(n):
    """MiB that `transform` needs at most while it reads windows from a file, the embeddings themselves left out."""
    encoder = small_encoder()
    with tempfile.TemporaryDirectory() as folder:
        X = np.lib.format.open_memmap(Path(folder) / "x.npy", mode="w+", dtype=np.float32, shape=(n, 3, 256))
        X[:] = np.random.default_rng(0).standard_normal((n, 3, 256), dtype=np.float32)
        X = np.load(Path(folder) / "x.npy", mmap_mode="r")
        encoder.transform(X[:256])
        gc.collect()
        with Watched() as memory:
            Z = encoder.transform(X)
    return max(memory.grown - Z.nbytes / 2**20, 1.0)


class Watched:
    """The most that memory grows by inside, in MiB; of pages that no file backs."""

    def __enter__(self):
        self.before, self.grown, self.done = self.now(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.thread.join()

    def watch(self):
        while not self.done.wait(0.002):
            self.grown = max(self.grown, self.now() - self.before)

    def now(self):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def epoch(n):
    """An epoch's batches drawn, windows read from an array that takes no memory."""
    X = np.broadcast_to(np.float32(0), (n, 3, 256))
    groups = np.random.default_rng(0).integers(0, n // 200, n)

    def draw():
        for _ in Anchors(X, groups, n_mates=20).batches(64, (0, 0)):
            pass

    return seconds(draw, turns=1)


GROWTHS = [
    Growth(
        "Loss, anchors against one another", "anchors", (64, 128, 256, 512, 1024, 2048), lambda n: loss(n, n), "s", 2.3
    ),
    Growth("Loss, 64 anchors", "candidates", (64, 256, 1024, 4096, 16384), partial(loss, 64), "s", 1.3),
    Growth("Distances of a batch", "anchors", (8, 16, 32, 64, 128), lambda n: distances(n, 64), "s", 2.2),
    Growth("Distances to own mates", "mates", (8, 16, 32, 64, 128), distances_to_own, "s", 1.2),
    Growth("Distances of 8 windows", "samples", (64, 128, 256, 512, 1024), lambda n: distances(8, n), "s", 2.3),
    Growth(
        "Encoder forward and backward", "windows", (128, 256, 512, 1024, 2048), lambda n: encoder_step(n, 256), "s", 1.2
    ),
    Growth(
        "Encoder forward and backward", "samples", (256, 512, 1024, 2048, 4096), partial(encoder_step, 64), "s", 1.2
    ),
    Growth("transform", "windows", (256, 1024, 4096, 16384), transform_time, "s", 1.1),
    Growth("transform, memory", "windows", (1024, 4096, 16384, 65536), transform_memory, "MiB", 0.5),
    Growth("Anchors made, epoch drawn", "windows", (4000, 16000, 64000, 256000), epoch, "s", 1.2),
]


def exponent(sizes, costs):
    """Slope of the logarithms over the larger half of the sizes, three at least."""
    last = slice(-max(3, (len(sizes) + 1) // 2), None)
    return np.polyfit(np.log(sizes[last]), np.log(costs[last]), 1)[0]


@pytest.mark.parametrize("growth", GROWTHS, ids=lambda g: f"{g.what} by {g.size}".replace(",", "").replace(" ", "-"))
def test_growth(growth, benchmark):
    torch.manual_seed(0)
    costs = benchmark.pedantic(lambda: [growth.measure(n) for n in growth.sizes], rounds=1)
    p = exponent(growth.sizes, costs)
    told = ", ".join(f"{n:,}: {cost:.3g} {growth.unit}" for n, cost in zip(growth.sizes, costs))
    print(f"\n| {growth.what} | {growth.size} | {told} | {p:.2f} |")
    assert p < growth.most


def picture(rows, file):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    for axes, growth in zip(figure.subplots(2, 5).flat, GROWTHS):
        costs = [cost for what, size, _, cost, _ in rows if (what, size) == (growth.what, growth.size)]
        p = exponent(growth.sizes, costs)
        color = "#0072B2" if growth.unit == "s" else "#D55E00"  # of Okabe and Ito: told apart by all eyes
        axes.loglog(growth.sizes, costs, "o-", color=color, markersize=4)
        axes.set_title(growth.what.replace(", ", ",\n").replace(" forward", "\nforward"), fontsize=9)
        ticks = growth.sizes[:: len(growth.sizes) // 2]
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axes.set_xlabel(growth.size, fontsize=9)
        axes.set_ylabel({"s": "seconds", "MiB": "MiB"}[growth.unit], fontsize=9)
        axes.text(0.06, 0.86, f"exponent {p:.2f}", transform=axes.transAxes, fontsize=9)
        axes.set_ylim(min(costs) / 3, max(costs) * 10)
        axes.tick_params(labelsize=8)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)


def main(folder):
    torch.set_num_threads(1)
    rows = []
    for growth in GROWTHS:
        torch.manual_seed(0)
        for n in growth.sizes:
            rows.append((growth.what, growth.size, n, growth.measure(n), growth.unit))
            print(*rows[-1], sep=", ", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "growth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("what", "size", "n", "cost", "unit"), *rows])
    picture(rows, folder / "growth.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
