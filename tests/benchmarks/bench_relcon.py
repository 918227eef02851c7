"""A RelCon step of 64 anchors and 20 mates with the default nets, beside a plain loop over anchors and candidates.

    nox -s bench            or    pytest tests/benchmarks -o python_files='bench_*.py' --benchmark-only -s

The loop is what a first reading of the paper gives, and what the official code does: one candidate of every anchor at
a time, its keys and values computed anew for each pair, and a loss gathered anchor by anchor. Both have the same
weights, windows and candidates, in float32, and have to agree on the loss. Each runs in a process of its own, whose
peak memory is read; ratios mean something, seconds are those of the machine.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from wearembed.nets import CrossAttention, ResNet1d, sparsemax
from wearembed.objectives import RelativeContrast, relative_contrast

N_ANCHORS, N_MATES = 64, 20


def made():
    torch.manual_seed(0)
    batch = {"x": torch.randn(N_ANCHORS, 3, 256), "mates": torch.randn(N_ANCHORS, N_MATES, 3, 256)}
    return ResNet1d().train(), CrossAttention().eval(), batch


def plain_loss(net, distance, batch):
    x, mates = batch["x"], batch["mates"]
    far = []
    with torch.no_grad():
        for shift in range(1, N_ANCHORS):
            far.append(distance(x, x.roll(-shift, 0)))
        for k in range(N_MATES):
            far.append(distance(x, mates[:, k]))
    far = torch.stack(far, 1)
    z = net(torch.cat([x, mates.flatten(0, 1)]))
    z, z_mates = z[:N_ANCHORS], z[N_ANCHORS:].unflatten(0, (N_ANCHORS, N_MATES))
    total = 0.0
    for a in range(N_ANCHORS):
        others = torch.cat([z.roll(-a, 0)[1:], z_mates[a]])
        near = torch.cosine_similarity(z[a][None], others, dim=1) / 0.1
        near = near[far[a].argsort(descending=True)]
        for place in range(1, len(near)):
            total = total + torch.logsumexp(near[: place + 1], 0) - near[place]
    return total / N_ANCHORS


def ours_loss(net, distance, batch):
    return RelativeContrast(net, distance, N_MATES)(batch)


def bfloat16_loss(net, distance, batch):
    with torch.autocast("cpu", torch.bfloat16):
        return RelativeContrast(net, distance, N_MATES)(batch)


def one_step(way):
    """Seconds, peak memory and loss of a training step: the better of two, after none to warm up for the loop."""
    net, distance, batch = made()
    loss_of = {"loop": plain_loss, "ours": ours_loss, "bfloat16": bfloat16_loss}[way]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    seconds, losses = [], []
    for _ in range(2):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(net, distance, batch)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        losses.append(loss.item())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": min(seconds), "peak_gib": peak, "loss": losses[0], "threads": torch.get_num_threads()}


def in_a_process_of_its_own(way):
    threads = {**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    done = subprocess.run([sys.executable, __file__, way], capture_output=True, text=True, check=True, env=threads)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_step_beside_the_loop(benchmark):
    loop, half = in_a_process_of_its_own("loop"), in_a_process_of_its_own("bfloat16")
    ours = benchmark.pedantic(in_a_process_of_its_own, args=("ours",), rounds=1)
    rows = {"loop over anchors and candidates": loop, "wearembed": ours, 'wearembed, precision="bfloat16"': half}
    what = f"RelCon step, {N_ANCHORS} anchors, {N_MATES} mates, {ours['threads']} threads"
    print(f"\n| {what} | s | peak GiB | times as fast |")
    print("|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['seconds']:.2f} | {row['peak_gib']:.2f} | {loop['seconds'] / row['seconds']:.1f} |")
    np.testing.assert_allclose(ours["loss"], loop["loss"], rtol=1e-4)
    np.testing.assert_allclose(half["loss"], loop["loss"], rtol=1e-2)


def test_distances_of_all_pairs(benchmark):
    torch.manual_seed(0)
    net, x = CrossAttention().eval(), torch.randn(N_ANCHORS, 3, 256)
    with torch.no_grad():
        start = time.perf_counter()
        one_by_one = torch.stack([net(x, c[None].expand_as(x)) for c in x], 1)
        loop = time.perf_counter() - start
    far = benchmark.pedantic(net.distances, args=(x, x), rounds=3, warmup_rounds=1)
    at_once = benchmark.stats["min"]
    print(f"\n{N_ANCHORS} x {N_ANCHORS} distances: a candidate at a time {loop:.2f} s, at once {at_once:.2f} s")
    torch.testing.assert_close(far, one_by_one, rtol=1e-4, atol=1e-3)


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
    print(json.dumps(one_step(sys.argv[1])))
