"""A RelCon step of 64 anchors and 20 mates with the default nets, beside a plain loop over anchors and candidates.

    nox -s bench -- -k relcon

The loop is what a first reading of the paper gives, and what the official code does: one candidate of every anchor at
a time, its keys and values computed anew for each pair, a loss gathered anchor by anchor, and the net layer by layer in
float32. All ways have the same weights, windows and candidates and have to agree on the loss. Each runs in a process of
its own, whose peak memory is read; ratios mean something, seconds are those of the machine.
"""

import json
import os
import resource
import sys
import time
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from machine import OPERATIONS, in_a_process_of_its_own, products

from wearembed import RelConDistance
from wearembed.memory import kept_memory
from wearembed.nets import CrossAttention, ResNet1d, sparsemax
from wearembed.objectives import RelativeContrast, relative_contrast

N_ANCHORS, N_MATES = 64, 20
N_TOGETHER = 128  # windows of a batch of participants x windows, each of them anchor and candidate
PAIR = 0.019  # GFLOP of a distance, as torch counts products and convolutions
GFLOP = 3 * 0.449 * N_ANCHORS * (1 + N_MATES) + PAIR * N_ANCHORS * (N_ANCHORS - 1 + N_MATES)  # of a step
WAYS = {
    "loop": "loop over anchors and candidates",
    "float32": "wearembed",
    "bfloat16": 'wearembed, `precision="bfloat16"`',
    "returned": "the same, memory returned to the kernel",
    "compiled": 'wearembed, `precision="bfloat16", compile=True`',
    "participants": f"wearembed, bfloat16, {N_TOGETHER} windows as anchors and candidates",
    "stride": "the same, with another distance: `RelConDistance(stride=2)`",
}


def made():
    torch.manual_seed(0)
    batch = {"x": torch.randn(N_ANCHORS, 3, 256), "mates": torch.randn(N_ANCHORS, N_MATES, 3, 256)}
    return ResNet1d().train(), CrossAttention().eval(), batch


def plain_net(net, x):
    x = F.max_pool1d(net.norm(net.conv(x)).relu(), 3, 2)
    return net.blocks(x).mean(-1)


def plain_loss(net, distance, batch):
    x, mates = batch["x"], batch["mates"]
    far = []
    with torch.no_grad():
        for shift in range(1, N_ANCHORS):
            far.append(distance(x, x.roll(-shift, 0)))
        for k in range(N_MATES):
            far.append(distance(x, mates[:, k]))
    far = torch.stack(far, 1)
    z = plain_net(net, torch.cat([x, mates.flatten(0, 1)]))
    z, z_mates = z[:N_ANCHORS], z[N_ANCHORS:].unflatten(0, (N_ANCHORS, N_MATES))
    total = 0.0
    for a in range(N_ANCHORS):
        others = torch.cat([z.roll(-a, 0)[1:], z_mates[a]])
        near = torch.cosine_similarity(z[a][None], others, dim=1) / 0.1
        near = near[far[a].argsort(descending=True)]
        for place in range(1, len(near)):
            total = total + torch.logsumexp(near[: place + 1], 0) - near[place]
    return total / N_ANCHORS


def ours_loss(way, net, distance, batch):
    distance.compiled = way == "compiled"
    with torch.autocast("cpu", torch.bfloat16, enabled=way != "float32"):
        return RelativeContrast(net, distance, len(batch.get("mates", [[]])[0]))(batch)


def one_step(way):
    """Seconds, peak memory and loss of a training step: the best of three, of two for the loop."""
    net, distance, batch = made()
    if way in ("participants", "stride"):
        distance.stride = 2 if way == "stride" else 1
        batch = {"x": torch.randn(N_TOGETHER, 3, 256)}
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    seconds, losses = [], []
    with kept_memory() if way not in ("loop", "returned") else nullcontext():
        for _ in range(2 if way == "loop" else 3):
            start = time.perf_counter()
            optimizer.zero_grad()
            loss = plain_loss(net, distance, batch) if way == "loop" else ours_loss(way, net, distance, batch)
            loss.backward()
            optimizer.step()
            seconds.append(time.perf_counter() - start)
            losses.append(loss.item())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": min(seconds), "peak_gib": peak, "loss": losses[0], "threads": torch.get_num_threads()}


@pytest.fixture
def all_threads():
    """As many as the processes of their own have; the tests' conftest asks for one."""
    before = torch.get_num_threads()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    yield
    torch.set_num_threads(before)


def matrix_rates():
    """GFLOP/s of a large product in float32 and in bfloat16: what the machine gives at best."""
    rates = {}
    for dtype, product in products():
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            product()
            seconds.append(time.perf_counter() - start)
        rates[dtype] = OPERATIONS / min(seconds) / 1e9
    return rates


def test_a_step_beside_the_loop(benchmark, all_threads):
    rates = matrix_rates()
    rows = {way: in_a_process_of_its_own(__file__, way) for way in WAYS if way != "bfloat16"}
    rows["bfloat16"] = benchmark.pedantic(in_a_process_of_its_own, args=(__file__, "bfloat16"), rounds=1)
    loop = rows["loop"]
    per_second = {way: N_ANCHORS * (N_ANCHORS - 1 + N_MATES) / row["seconds"] for way, row in rows.items()}
    for way in ("participants", "stride"):
        per_second[way] = N_TOGETHER * (N_TOGETHER - 1) / rows[way]["seconds"]
    print(f"\n| RelCon step, {N_ANCHORS} anchors, {N_MATES} mates, {loop['threads']} threads ", end="")
    print("| s | peak GiB | comparisons a second | times as many |\n|---|---|---|---|---|")
    for way, name in WAYS.items():
        row, pace = rows[way], per_second[way]
        print(
            f"| {name} | {row['seconds']:.2f} | {row['peak_gib']:.2f} | {pace:.0f} | {pace / per_second['loop']:.1f} |"
        )
    shares = [GFLOP / rows[way]["seconds"] / rate for way, rate in zip(("float32", "bfloat16"), rates.values())]
    best = [f"{rate:.0f}" for rate in rates.values()]
    print(f"\nLarge matrix products: {best[0]} GFLOP/s in float32, {best[1]} in bfloat16. ", end="")
    print(f"The step's {GFLOP / 1000:.1f} TFLOP go at {shares[0]:.0%} and {shares[1]:.0%} of these.")
    for way in ("float32", "bfloat16", "returned", "compiled"):
        np.testing.assert_allclose(rows[way]["loss"], loop["loss"], rtol=1e-4 if way == "float32" else 1e-2)


def test_distances_of_all_pairs(benchmark, all_threads):
    torch.manual_seed(0)
    net, x = CrossAttention().eval(), torch.randn(N_ANCHORS, 3, 256)
    with torch.no_grad():
        start = time.perf_counter()
        one_by_one = torch.stack([net(x, c[None].expand_as(x)) for c in x], 1)
        loop = time.perf_counter() - start
    with kept_memory():
        far = benchmark.pedantic(net.distances, args=(x, x), rounds=3, warmup_rounds=1)
        at_once = benchmark.stats["min"]
        net.compiled = True
        net.distances(x, x)
        start = time.perf_counter()
        compiled_far = net.distances(x, x)
        compiled = time.perf_counter() - start
    rate = matrix_rates()["float32"]
    print(f"\n| distances, {N_ANCHORS} x {N_ANCHORS} windows | pairs a second | times as many | share of matrix rate |")
    print("|---|---|---|---|")
    for name, seconds in {"a candidate at a time": loop, "wearembed": at_once, "`compile=True`": compiled}.items():
        pace = N_ANCHORS**2 / seconds
        share = f"{pace * PAIR / rate:.0%}" if seconds != loop else ""
        print(f"| {name} | {pace:.0f} | {loop / seconds:.1f} | {share} |")
    torch.testing.assert_close(far, one_by_one, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(compiled_far, one_by_one, rtol=1e-4, atol=1e-3)


def test_many_distances_in_bounded_memory(benchmark):
    """`pairwise` of 2,000 windows with 16, which costs a 125th of 2,000 x 2,000, in a process of its own."""
    row = benchmark.pedantic(in_a_process_of_its_own, args=(__file__, "pairwise"), rounds=1)
    pace, minutes = 32_000 / row["seconds"], row["seconds"] * 125 / 60
    print(f"\npairwise, 2,000 x 16 windows: {row['seconds']:.1f} s, {pace:.0f} pairs a second, ", end="")
    print(f"peak {row['peak_gib']:.2f} GiB, torch and all. 2,000 x 2,000: about {minutes:.0f} minutes.")


def many_distances():
    encoder = RelConDistance(max_epochs=0, device="cpu")
    X = np.random.default_rng(0).standard_normal((2000, 3, 256)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder.fit(X[:64])
    start = time.perf_counter()
    encoder.pairwise(X, X[:16])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


@pytest.mark.parametrize("way", ["sort", "ours"])
def test_sparsemax(benchmark, way):
    scores = torch.randn(16, 256, 256, generator=torch.Generator().manual_seed(0))

    def by_sorting(scores):
        z = scores.sort(-1, descending=True).values
        sums = z.cumsum(-1) - 1
        n = (z * torch.arange(1, 257) > sums).sum(-1, keepdim=True)
        return (scores - sums.gather(-1, n - 1) / n).clamp_min(0)

    function = {"sort": by_sorting, "ours": sparsemax}[way]
    weights = benchmark.pedantic(function, args=(scores,), rounds=5, warmup_rounds=1)
    torch.testing.assert_close(weights, by_sorting(scores), rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", ["loop", "ours"])
def test_loss(benchmark, way):
    generator = torch.Generator().manual_seed(0)
    near = (torch.rand(64, 83, generator=generator) * 2 - 1).requires_grad_()
    far = torch.rand(64, 83, generator=generator)

    def loop():
        total = 0.0
        for s, d in zip(near, far):
            s = s[d.argsort(descending=True)] / 0.1
            for place in range(1, len(s)):
                total = total + torch.logsumexp(s[: place + 1], 0) - s[place]
        (total / len(near)).backward()

    def ours():
        relative_contrast(near, far).backward()

    benchmark.pedantic({"loop": loop, "ours": ours}[way], rounds=3, warmup_rounds=1)


if __name__ == "__main__":
    print(json.dumps(many_distances() if sys.argv[1] == "pairwise" else one_step(sys.argv[1])))
