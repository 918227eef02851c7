"""The studies run from end to end, go on where they were, and tell the same twice; at sizes that teach nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from wearembed import from_pretrained
from wearembed.datasets import make_motion

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


def write_recordings(folder, n_participants=3):
    """What `examples/pretrain_relcon.py` reads, with simulated motion in it."""
    for name in ("hmp_wrist_adl", "spsw_watch", "wisdm_phone", "stress_predict_e4"):
        (folder / name).mkdir(parents=True)
        for person in range(n_participants):
            motion = make_motion(1, 8, sfreq=32.0, random_state=person)
            acc = np.concatenate(list(motion.data), 1).T
            told = {} if name == "stress_predict_e4" else {"length": [300, len(acc) - 300], "sfreq": [32.0, 32.0]}
            np.savez(folder / name / f"S{person:02}.npz", acc=acc, **told)


@pytest.mark.slow
def test_motion_is_learnt_from_simulation_and_then_from_recordings(tmp_path):
    write_recordings(tmp_path / "data")
    small = ("--participants", "4", "--windows", "12", "--epochs", "1", "--threads", "1")
    line = [sys.executable, str(EXAMPLES / "pretrain_relcon.py")]
    begun = ["synthetic", "--out", "begun", "--leave-out", "pockets"]
    ended = ["open", "--data", "data", "--from", "begun", "--out", "ended", "--without", "spsw_watch"]
    for rest in (begun, ended):
        subprocess.run([*line, *rest, *small], cwd=tmp_path, check=True, capture_output=True)
    synthetic, opened = (from_pretrained(tmp_path / name) for name in ("begun", "ended"))
    assert synthetic.verify() and opened.verify()
    assert synthetic.training_["synthetic"] and not opened.training_["synthetic"]
    assert "hmp_wrist_adl" in opened.training_["data"] and "spsw_watch" not in opened.training_["data"]
    assert {row["license"] for row in opened.training_["attribution"]} == {"CC-BY-4.0", "MIT"}
    X = make_motion(1, 4, random_state=9).data
    assert opened.transform(X).shape == (4, 1024) and not np.allclose(opened.transform(X), synthetic.transform(X))


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
