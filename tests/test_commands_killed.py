"""SIGKILL at any moment, then the same line again: what comes out is what an undisturbed run gives."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from wearembed import SimCLREncoder, WindowStore, datasets

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]
KILLS = 10


def until_done(run, cwd, seed):
    """Run a line, killed at `KILLS` random moments after its work began, which its bar tells, and then to its end."""
    rng, log = random.Random(seed), cwd / "log.txt"
    n_killed = 0
    for _ in range(KILLS):
        with open(log, "wb") as stderr:
            process = subprocess.Popen(run, cwd=cwd, stdout=subprocess.DEVNULL, stderr=stderr)
            while not log.stat().st_size and process.poll() is None:
                time.sleep(0.005)
            try:
                process.wait(rng.uniform(0, 0.6))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                n_killed += process.wait() == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL), log.read_text()
    subprocess.run(run, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    log.unlink()
    return n_killed


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    for seed in range(30):
        motion = datasets.make_motion(n_participants=1, n_windows=40, random_state=seed)
        x, y, z = np.concatenate(list(motion.data), axis=1)
        time_ = np.arange(len(x)) / 100
        pd.DataFrame({"time": time_, "x": x, "y": y, "z": z}).to_csv(folder / f"P{seed:02d}.csv", index=False)
    return folder


def test_embedding_a_folder_that_is_killed_again_and_again_ends_as_if_it_had_not_been(recordings, tmp_path):
    def line(out):
        return [sys.executable, "-m", "wearembed", "embed", str(recordings), "-o", out, "--step", "0.5"]

    subprocess.run(line("whole"), cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    out = tmp_path / "killed"
    n_killed = until_done(line("killed"), tmp_path, seed=0)
    assert n_killed, "it was never killed: the recordings are too short for this machine"
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in out.iterdir()) == names and len(names) == 31
    for name in names[:-1]:  # the last is _run.json
        pd.testing.assert_frame_equal(pd.read_parquet(out / name), pd.read_parquet(tmp_path / "whole" / name))


def test_a_table_that_is_killed_leaves_the_old_one_and_no_litter(recordings, tmp_path):
    out = tmp_path / "out.parquet"
    pd.DataFrame({"old": [1]}).to_parquet(out)
    old = out.read_bytes()
    run = [sys.executable, "-m", "wearembed", "embed", str(recordings), "-o", str(out), "--quiet"]
    scratch = tmp_path / ".out.parquet.parts"
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    while not list(scratch.glob("*.parquet")) and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert out.read_bytes() == old and scratch.exists()
    subprocess.run(run, stdout=subprocess.DEVNULL, check=True)
    assert len(pd.read_parquet(out)) == 30 * 40 and sorted(os.listdir(tmp_path)) == ["out.parquet", "study"]


def test_pretraining_that_is_killed_again_and_again_gives_the_same_weights(tmp_path):
    motion = datasets.make_motion(n_participants=6, n_windows=20, random_state=0)
    store = WindowStore.create(tmp_path / "cohort", n_channels=3, n_times=256, sfreq=100, units="g")
    store.append(motion.data, participant=motion.groups)
    sets = ["width=8", "blocks=(1,1)", "kernels=(3,3)", "batch_size=32", "max_epochs=40"]

    def line(out):
        flags = [word for one in sets for word in ("--set", one)]
        return [
            sys.executable,
            "-m",
            "wearembed",
            "pretrain",
            "cohort",
            "-o",
            out,
            "--encoder",
            "SimCLREncoder",
            *flags,
        ]

    subprocess.run(line("whole"), cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    n_killed = until_done(line("killed"), tmp_path, seed=1)
    assert n_killed, "it was never killed: training is too short for this machine"
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
    killed = SimCLREncoder.from_pretrained(tmp_path / "killed")
    assert killed.verify() and killed.training_["epochs"] == 40
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cohort",
        *sorted_names("killed"),
        *sorted_names("whole"),
    ]


def sorted_names(name):
    return [name, f"{name}-training"]
