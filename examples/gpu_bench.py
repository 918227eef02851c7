"""How fast RelCon trains and embeds on a GPU, beside a plain loop, a product of large matrices and the arithmetic.

    python examples/gpu_bench.py                               the default nets: 64 anchors, 20 mates, 3 x 256
    python examples/gpu_bench.py --device cpu --small          the same lines at sizes that teach nothing

Prints tables in Markdown, and keeps them with ``--out FILE``. Weights and windows are random: speed does not depend on
what they say. A GPU that somebody else uses at the same time tells nothing.
"""

import argparse
import statistics
import sys
import time
from functools import partial
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from wearembed.nets import CrossAttention, ResNet1d
from wearembed.objectives import RelativeContrast
from wearembed.training import autocast


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="sizes that only show that everything runs")
    parser.add_argument("--turns", type=int, default=20, help="of each measurement; the median counts")
    parser.add_argument("--out", type=Path, help="file for the tables")
    args = parser.parse_args()
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU here. With --device cpu --small the same lines run on a CPU.", file=sys.stderr)
        return 2
    bench = Bench(args.device, args.small, 1 if args.small else args.turns)
    tables = [about(args.device), bench.training(), bench.embedding(), bench.profile()]
    print("\n\n".join(tables))
    if args.out is not None:
        args.out.write_text("\n\n".join(tables) + "\n")
    return 0


class Bench:
    """The default nets (or small ones) on a device, and what is measured of them."""

    def __init__(self, device, small, turns):
        self.device, self.small, self.turns = device, small, turns
        self.n, self.n_mates, self.n_windows = (4, 2, 8) if small else (64, 20, 8192)
        self.shape = (3, 32) if small else (3, 256)
        self.on_gpu = torch.device(device).type == "cuda"
        (net, distance), x = self.nets(), torch.randn(16, *self.shape, device=device)
        self.forward_work = operations(lambda: net.eval()(x)) / 16  # of a window
        self.pair_work = operations(lambda: distance.distances(x, x)) / 256  # of a pair, where 16 share candidates

    def nets(self):
        torch.manual_seed(0)
        if self.small:
            return ResNet1d(width=4, blocks=(1, 1, 1)).to(self.device), CrossAttention(dim=8).to(self.device).eval()
        return ResNet1d().to(self.device), CrossAttention().to(self.device).eval()

    def training(self):
        x = torch.randn(self.n, *self.shape, device=self.device)
        batch = {"x": x, "mates": torch.randn(self.n, self.n_mates, *self.shape, device=self.device)}
        rows = {"plain loop, float32": self.step("float32", batch, plain=True)}
        for precision in ("float32", "bfloat16"):
            rows[f"wearembed, {precision}"] = self.step(precision, batch)
        rows["wearembed, bfloat16, compiled"] = self.step("bfloat16", batch, compiled=True)
        n_pairs = self.n * (self.n - 1 + self.n_mates)
        work = self.n * (1 + self.n_mates) * 3 * self.forward_work + n_pairs * self.pair_work  # backward is two forward
        return self.table(f"RelCon step, {self.n} anchors, {self.n_mates} mates", "anchors", self.n, work, rows)

    def step(self, precision, batch, plain=False, compiled=False):
        net, distance = self.nets()
        if compiled:
            net.compile()
        objective = RelativeContrast(net, distance, self.n_mates).train()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)

        def once():
            optimizer.zero_grad()
            with autocast(self.device, precision):
                loss = plain_loss(net, distance, batch) if plain else objective(batch)
            loss.backward()
            optimizer.step()

        return self.measured(once)

    def embedding(self):
        x = torch.randn(self.n_windows, *self.shape, device=self.device)
        rows = {"one window at a time, float32": self.one_at_a_time(x)}
        ways = {"float32": None, "bfloat16": None, "bfloat16, compiled": torch.compile}
        if self.on_gpu:
            ways["bfloat16, CUDA graph"] = partial(graphed, x=x[:1024])
        for name, wrap in ways.items():
            rows[f"batches of 1,024, {name}"] = self.forward(x, name.split(",")[0], wrap)
        work = self.n_windows * self.forward_work
        return self.table(f"{self.n_windows:,} embeddings", "windows", self.n_windows, work, rows)

    @torch.no_grad()
    def forward(self, x, precision, wrap):
        with autocast(self.device, precision):
            net = self.nets()[0].eval()
            net = net if wrap is None else wrap(net)
            return self.measured(lambda: [net(some) for some in x.split(1024)])

    @torch.no_grad()
    def one_at_a_time(self, x):
        net, few = self.nets()[0].eval(), x[:256]
        seconds, memory = self.measured(lambda: [net(window[None]) for window in few])
        return seconds * len(x) / len(few), memory

    def measured(self, once):
        """Seconds, the median of some turns after three to warm up, and the largest memory in GiB."""
        for _ in range(1 if self.small else 3):
            once()
        if self.on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        took = []
        for _ in range(self.turns):
            start = time.perf_counter()
            once()
            if self.on_gpu:
                torch.cuda.synchronize()
            took.append(time.perf_counter() - start)
        return statistics.median(took), torch.cuda.max_memory_allocated() / 2**30 if self.on_gpu else float("nan")

    def peak(self, dtype):
        """Operations a second in the product of two large matrices."""
        n = 64 if self.small else 8192
        a = torch.randn(n, n, device=self.device, dtype=dtype)
        return 2 * n**3 / self.measured(lambda: a @ a)[0]

    def table(self, what, unit, n, work, rows):
        peaks = {name: self.peak(getattr(torch, name)) for name in ("float32", "bfloat16")}
        first = next(iter(rows.values()))[0]
        lines = [
            f"{what}: {work / 1e9:,.3g} GFLOP; a product of matrices does {peaks['float32'] / 1e12:.3g} TFLOP/s in "
            f"float32, {peaks['bfloat16'] / 1e12:.3g} in bfloat16.",
            "",
            f"| | ms | {unit}/s | times as fast | times the arithmetic floor | peak GiB |",
            "|---|---|---|---|---|---|",
        ]
        for name, (seconds, memory) in rows.items():
            floor = work / peaks["bfloat16" if "bfloat16" in name else "float32"]
            numbers = f"{1e3 * seconds:,.1f} | {n / seconds:,.0f} | {first / seconds:.1f} | {seconds / floor:.1f}"
            lines.append(f"| {name} | {numbers} | {f'{memory:.2f}' if self.on_gpu else '-'} |")
        return "\n".join(lines)

    def profile(self):
        """The ten longest operations of a step in bfloat16."""
        x = torch.randn(self.n, *self.shape, device=self.device)
        batch = {"x": x, "mates": torch.randn(self.n, self.n_mates, *self.shape, device=self.device)}
        net, distance = self.nets()
        objective = RelativeContrast(net, distance, self.n_mates).train()
        activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if self.on_gpu else [])
        for _ in range(2):  # the first warms up
            with profile(activities=activities) as found, autocast(self.device, "bfloat16"):
                objective(batch).backward()
        order = "self_cuda_time_total" if self.on_gpu else "self_cpu_time_total"
        return found.key_averages().table(sort_by=order, row_limit=10, max_name_column_width=60)


def operations(call):
    """Additions and multiplications in products of matrices and convolutions, as torch counts them."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops()


def about(device):
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "CPU"
    return f"{name}, torch {torch.__version__}"


def graphed(net, x):
    """The net's kernels for a batch like `x`, recorded once and then replayed without Python."""
    stream, held = torch.cuda.Stream(), x.clone()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            net(held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        z = net(held)

    def replay(x):
        held[: len(x)].copy_(x)
        graph.replay()
        return z[: len(x)].clone()

    return replay


def plain_loss(net, distance, batch):
    """What a first reading of the paper gives: candidate by candidate, then anchor by anchor."""
    x, mates = batch["x"], batch["mates"]
    n, n_mates = mates.shape[:2]
    with torch.no_grad():
        far = [distance(x, x.roll(-shift, 0)) for shift in range(1, n)]
        far = torch.stack(far + [distance(x, mates[:, k]) for k in range(n_mates)], 1)
    z = net(torch.cat([x, mates.flatten(0, 1)]))
    z, z_mates = z[:n], z[n:].unflatten(0, (n, n_mates))
    total = 0.0
    for a in range(n):
        others = torch.cat([z.roll(-a, 0)[1:], z_mates[a]])
        near = torch.cosine_similarity(z[a][None], others, dim=1) / 0.1
        near = near[far[a].argsort(descending=True)]
        for place in range(1, len(near)):
            total = total + torch.logsumexp(near[: place + 1], 0) - near[place]
    return total / n


if __name__ == "__main__":
    sys.exit(main())
