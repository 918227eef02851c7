"""Windows per second of `transform` on a CPU, beside the plain net called as anybody would.

    nox -s bench -- -k transform

The plain net sees all windows as one batch, in float32 or under torch's autocast. All ways of a net run in one process,
turn by turn, and the best turn of each counts; so does that of a product of 4096 x 2048 by 2048 x 2048, which is what
the machine can do. The operations are those that torch counts. Norms have the statistics of the windows.
"""

import json
import sys
import time
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from machine import OPERATIONS, in_a_process_of_its_own, products
from torch.utils.flop_counter import FlopCounterMode

from wearembed import AccelMaskedEncoder, PPGContrastiveEncoder, RelConEncoder

HALF = torch.bfloat16
NETS = {  # an encoder, and the windows that it embeds
    "ResNet1d": (RelConEncoder, (256, 3, 256)),
    "EfficientNet1d": (PPGContrastiveEncoder, (64, 4, 3840)),
    "PatchTransformer L": (AccelMaskedEncoder, (32, 3, 3840)),
}


def untrained(name):
    make, shape = NETS[name]
    X = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    encoder = make(max_epochs=0, device="cpu", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stays untrained
        encoder.fit(X)
    x = torch.from_numpy(encoder._convert(X))
    with torch.no_grad():
        encoder.net_.train()(x[:32])
    encoder.net_.eval()
    return encoder, X, x


def ways(encoder, X, x):
    """What is timed, by its name."""

    def plain(enabled):
        with torch.inference_mode(), torch.autocast("cpu", HALF, enabled=enabled):
            return encoder.net_(x).float().numpy()

    def transform(**params):
        return encoder.set_params(**{"precision": "float32", "compile": False, **params}).transform(X)

    yield "plain net, float32", lambda: plain(False)
    yield "plain net, autocast", lambda: plain(True)
    yield "transform, float32", transform
    yield 'transform, precision="auto"', lambda: transform(precision="auto")
    if find_spec("openvino"):
        yield "OpenVINO, float32", lambda: transform(compile="openvino")
        yield "OpenVINO, bfloat16", lambda: transform(compile="openvino", precision="bfloat16")


def measured(name, turns=5):
    encoder, X, x = untrained(name)
    timed = {**dict(ways(encoder, X, x)), **dict(products())}
    made = {way: function() for way, function in timed.items()}  # and warm
    seconds = {way: [] for way in timed}
    for _ in range(turns):
        for way, function in timed.items():
            start = time.perf_counter()
            function()
            seconds[way].append(time.perf_counter() - start)
    best = {way: min(times) for way, times in seconds.items()}
    peak = {dtype: OPERATIONS / best.pop(dtype) / 1e9 for dtype, _ in products()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder.net_(x[:1])
    wanted = made["plain net, float32"]
    rows = {}
    for way, time_ in best.items():
        Z = made[way]
        cosine = (Z * wanted).sum(1) / np.linalg.norm(Z, axis=1) / np.linalg.norm(wanted, axis=1)
        gflops = counter.get_total_flops() * len(X) / time_ / 1e9
        rows[way] = {"per_second": len(X) / time_, "gflops": gflops, "cosine": float(cosine.min())}
    return {"rows": rows, "peak": peak, "threads": torch.get_num_threads(), "mflop": counter.get_total_flops() / 1e6}


@pytest.mark.parametrize("name", NETS)
def test_transform_beside_the_plain_net(benchmark, name):
    found = benchmark.pedantic(in_a_process_of_its_own, args=(__file__, name), rounds=1)
    rows, peak, shape = found["rows"], found["peak"], NETS[name][1]
    print(f"\n{name}, {shape[0]} windows of {shape[1]} x {shape[2]}, {found['mflop']:.0f} MFLOP each, on", end=" ")
    peaks = " and ".join(f"{gflops:.0f} in {dtype}" for dtype, gflops in peak.items())
    print(f"{found['threads']} threads, which multiply {peaks} (GFLOP/s):")
    print("\n| way | windows/s | times plain | GFLOP/s | of float32 peak | of bfloat16 peak | least cosine |")
    print("|---|---|---|---|---|---|---|")
    for way, row in rows.items():
        ratio = row["per_second"] / rows["plain net, float32"]["per_second"]
        shares = " | ".join(f"{row['gflops'] / peak[dtype]:.0%}" for dtype in ("float32", "bfloat16"))
        print(
            f"| {way} | {row['per_second']:.0f} | {ratio:.2f} | {row['gflops']:.0f} | {shares} | {row['cosine']:.5f} |"
        )
    assert all(row["cosine"] > 0.999 for row in rows.values())


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
