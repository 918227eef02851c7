"""Every test: one thread, no network, and generators that stay as they were for those who ask."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # whatever the shell says: threads and processes that tests start compute alike
os.environ["HF_HUB_DISABLE_XET"] = "1"  # read when huggingface_hub is imported, so before all else
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.pop("HF_HUB_OFFLINE", None)  # the socket guard below is what keeps us offline, and it cannot be unset

import ipaddress
import socket

import harm
import hypothesis
import numpy as np
import pytest
import torch

torch.set_num_threads(1)

# The same few examples each time; `nox -s campaign` asks for many, drawn anew.
hypothesis.settings.register_profile("few", max_examples=12, derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("campaign", max_examples=1000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("few")


def pytest_configure(config):
    """Forbid every socket to elsewhere, from collection on and in doctests too."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
    patch.setattr(socket, "getaddrinfo", guarded_lookup(socket.getaddrinfo))
    config.add_cleanup(patch.undo)


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == 0:
        harm.keep_tally()


def pytest_ignore_collect(collection_path, config):
    """Leave benchmarks alone unless they are asked for by ``-o python_files=bench_*.py``."""
    asked = any(pattern.startswith("bench") for pattern in config.getini("python_files"))
    return True if collection_path.name.startswith("bench_") and not asked else None


def guarded(method):
    def call(self, *args):
        if self.family in (socket.AF_INET, socket.AF_INET6) and args and isinstance(args[-1], tuple):
            refuse_elsewhere(args[-1][0])
        return method(self, *args)

    return call


def guarded_lookup(lookup):
    def call(host, *args, **kwargs):
        refuse_elsewhere(host)
        return lookup(host, *args, **kwargs)

    return call


def refuse_elsewhere(host):
    """Raise unless `host` is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        here = False
    if not here:
        raise RuntimeError(
            f"a test reached for {name!r}, but the tests are offline: only loopback and AF_UNIX sockets are open. "
            f"Serve it on 127.0.0.1, or read it from a folder."
        )


@pytest.fixture(autouse=True)
def one_thread():
    """Again for each test: libraries set how many OpenMP has, and torch's results go by it."""
    torch.set_num_threads(1)


@pytest.fixture
def generators_untouched():
    """Fail if the test moved numpy's or torch's global generator."""
    numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    yield
    numpy_after, torch_after = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(numpy_before, numpy_after)), "numpy's global generator was moved"
    assert torch.equal(torch_before, torch_after), "torch's global generator was moved"
