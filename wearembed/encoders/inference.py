"""Windows through a net: as many at once, so that an embedding is the same to the bit whatever its company."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ..nets import for_inference
from ..progress import counted
from ..training import find_device, is_half
from .pretrained import Pretrained
from .runtimes import through_openvino
from .tensors import tensor_change, tensor_windows

# Windows that go through a net together: always as many, the last batch filled up. Sums then have one order, and an
# embedding is the same to the bit whatever its row and its company.
AT_ONCE = {"cpu": 64, "openvino": 16, "cuda": 1024}
MANY = 20  # batches whose way through a net is worth a word, where one is asked for


class Inference(Pretrained):
    """What an estimator with a net computes of windows."""

    def _through_net(self, windows: np.ndarray, n_out: int) -> np.ndarray:
        """The `n_out` numbers that the net makes of each window, whatever its company."""
        Z = np.empty((len(windows), n_out), np.float32)
        with torch.inference_mode():
            n, run = self._made_ready()
            batches = full_batches(windows, n)
            many = self.verbose and len(windows) > MANY * n
            for rows, x in counted(batches, f"{type(self).__name__}.transform", len(windows), many):
                Z[rows] = run(x)[: rows.stop - rows.start].cpu().numpy()
        refuse_overflow(type(self).__name__, windows, Z)
        return Z

    def _tensor_through_net(self, X: torch.Tensor, n_out: int) -> torch.Tensor:
        """The same of a tensor that is as `sfreq` and `units` say: it is converted, and stays, on its device."""
        name = type(self).__name__
        X = tensor_windows(name, X)
        change = tensor_change(self.contract_, name, X, self.sfreq, self.units)
        Z = torch.empty((len(X), n_out), dtype=torch.float32, device=X.device)
        with torch.no_grad():  # what is made in inference mode could take no part in anybody's training
            n, run = self._made_ready()
            for rows, x in full_batches(X, n):
                Z[rows] = run(change(x))[: rows.stop - rows.start].to(X.device)
        return Z

    def _made_ready(self) -> tuple[int, Callable[[torch.Tensor], torch.Tensor]]:
        """How many windows go at once, and the net as a function of as many."""
        device, contract = find_device(self.device), self.contract_
        half = is_half(device, self.precision)
        runtime = "openvino" if self.compile == "openvino" and device == "cpu" else torch.device(device).type
        n = at_once(runtime, contract.n_times)
        return n, self._runner(runtime, device, half, (n, contract.n_channels, contract.n_times))

    def _runner(self, runtime: str, device: str, half: bool, shape) -> Callable[[torch.Tensor], torch.Tensor]:
        """The net as a function of a batch of that shape. On a CPU it is made anew each time, and cannot be stale."""
        net = self.net_.to(device)
        if runtime == "openvino":
            compiled = through_openvino(net, shape, half)
            return lambda x: torch.from_numpy(compiled(x.cpu()))
        if runtime == "cpu":
            net = for_inference(net, torch.bfloat16 if half else torch.float32)

        def run(x):
            with torch.autocast(runtime, torch.bfloat16, enabled=half):
                return net(x.to(device)).float()

        return run


def at_once(runtime: str, n_times: int) -> int:
    """Windows of a batch; fewer of long ones on a CPU, as layers that outgrow its cache cost more than they save."""
    most = AT_ONCE.get(runtime, 64)
    return most if runtime == "cuda" else max(4, min(most, most * 512 // n_times))


def refuse_overflow(name: str, windows: np.ndarray, Z: np.ndarray):
    """An error where the net made something else than numbers of finite windows."""
    bad = np.flatnonzero(~np.isfinite(Z).all(1))
    if len(bad):
        raise ValueError(
            f"{name} makes NaN or infinity of {len(bad)} of {len(Z)} windows, the first of window {bad[0]}, whose "
            f"values reach to {np.abs(windows[bad[0]]).max():.3g}. If that is no size for such a signal, leave those "
            f"windows out or mend sfreq and units; if it is, the weights are damaged."
        )


def full_batches(windows: Any, n: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """Rows of windows, and `n` windows that begin with them, in memory that the next batch takes over."""
    there = windows.device if isinstance(windows, torch.Tensor) else "cpu"
    x = torch.zeros(n, *windows.shape[1:], device=there)
    for start in range(0, len(windows), n):
        some = windows[start : start + n]
        some = some if isinstance(some, torch.Tensor) else torch.tensor(some)
        x[: len(some)] = some
        yield slice(start, start + len(some)), x
