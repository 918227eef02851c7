"""What several benchmarks ask of the machine."""

import json
import os
import subprocess
import sys

import torch

OPERATIONS = 2 * 4096 * 2048 * 2048  # of a product


def products():
    """The matrix product that is taken for what the machine can do, by its dtype."""
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(4096, 2048, dtype=dtype), torch.ones(2048, 2048, dtype=dtype)
        yield str(dtype).removeprefix("torch."), lambda a=a, b=b: a @ b


def in_a_process_of_its_own(file, what):
    """What ``python FILE WHAT`` prints last, as JSON; with all threads, where the tests' conftest asks for one."""
    threads = {**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    done = subprocess.run([sys.executable, file, what], capture_output=True, text=True, check=True, env=threads)
    return json.loads(done.stdout.splitlines()[-1])
