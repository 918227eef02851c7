"""The studies run from end to end, go on where they were, and tell the same twice; at sizes that teach nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parent.parent / "examples"
TINY = {
    "heart_from_wrist.py": [
        *("simulated", "--participants", "12", "--windows", "4", "--epochs", "2", "--batch-size", "16"),
        *("--rows", "mean", "hand", "accel-masked", "from-masked", "supervised-0.1", "teacher-masked"),
        *("--work", "kept"),
    ],
    "participant_pairs.py": [
        *("--set", "ppg-simulated", "--participants", "8", "--windows", "6", "--epochs", "1", "--size", "18", "2"),
        *("--out", "kept.csv"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_study_runs_and_a_second_run_only_tells(name, tmp_path):
    command = [sys.executable, str(EXAMPLES / name), *TINY[name]]
    first, second = (
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    table = [line for line in first.splitlines() if line.startswith("|")]
    assert len(table) > 5
    assert [line for line in second.splitlines() if line.startswith("|")] == table
    assert len(second.splitlines()) < len(first.splitlines())  # nothing is computed again


def test_the_gpu_benchmark_says_that_there_is_no_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, str(EXAMPLES / "gpu_bench.py")], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no GPU" in done.stderr


@pytest.mark.slow
def test_the_gpu_benchmark_runs_without_one(tmp_path):
    command = [sys.executable, str(EXAMPLES / "gpu_bench.py"), "--device", "cpu", "--small", "--out", "kept.md"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 + 2 + 4 and "Self CPU" in told
    assert (tmp_path / "kept.md").read_text() == told
