"""Where a net runs, how exactly, and with which draws."""

import threading
from contextlib import contextmanager

import torch

from .. import distributed

PRECISIONS = ("float32", "bfloat16", "auto")

one_at_a_time = threading.RLock()  # torch's generator is one for all threads


def find_device(device: str) -> str:
    """``"auto"`` is the first GPU where there is one, else the CPU; each process of torchrun has a GPU of its own."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and distributed.n_processes() > 1:
        device = f"cuda:{distributed.own_gpu()}"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f'device={device!r} is not to be had on this machine. Use "auto", "cpu"'
            + (', "cuda" or "cuda:N".' if torch.cuda.is_available() else "; no GPU is visible to torch.")
        ) from error
    return str(device)


def autocast(device: str, precision: str):
    """Half precision where it is asked for: matrix products and convolutions in bfloat16."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=is_half(device, precision))


def is_half(device: str, precision: str) -> bool:
    """Whether products are in bfloat16."""
    return precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.device(device).type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextmanager
def seeded(seed: int):
    """Draws of torch inside follow from `seed`; outside they go on as if nothing had been drawn."""
    with one_at_a_time, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
