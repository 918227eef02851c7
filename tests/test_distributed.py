"""Training in several processes: what they learn is what one learns, and where one fails all stop."""

import os
import pickle
import re
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from several import ALL, RESUMED, SIMCLR, X, groups, trained
from sklearn.base import clone
from torch.nn import BatchNorm1d

from wearembed import SimCLREncoder, WindowStore, distributed
from wearembed.distributed import Share
from wearembed.nets.synced import whole_batch_norms

HERE = Path(__file__).parent
every = pytest.mark.parametrize("name", ALL)


def started(folder, n, *command):
    """`n` processes that torchrun might have started, each with its output in a file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = {**os.environ, "WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = []
    for rank in range(n):
        with open(folder / f"said{rank}", "w") as said:
            here = {**told, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(subprocess.Popen([sys.executable, *command], env=here, stdout=said, stderr=said))
    return processes


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folder in which two processes have done all that several.py says, and what each has kept."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "no checkpoint").mkdir()
    (folder / "no checkpoint" / "letter").touch()
    clone(RESUMED).set_params(max_epochs=2, checkpoint_dir=folder / "resumed").fit(X, groups=groups)
    processes = started(folder, 2, str(HERE / "several.py"), str(folder))
    try:
        ends = [process.wait(1200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    said = [(folder / f"said{rank}").read_text() for rank in (0, 1)]
    assert ends == [0, 9], "\n".join(said)
    return folder, [pickle.loads((folder / f"out{rank}.pickle").read_bytes()) for rank in (0, 1)], said


@cache
def of_one(name):
    return trained(ALL[name])


def near(got, wanted, message):
    scale = max(1.0, float(np.abs(wanted).max(initial=0)))
    assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * scale, err_msg=message)


# ------------------------------------------------------------------------------------- the law


@every
def test_the_gradient_of_a_batch_in_two_parts_is_that_of_the_batch(name, two):
    _, kept, _ = two
    wanted = of_one(name)["gradients"]
    largest = max(np.abs(g).max() for g in wanted.values())
    assert largest > 0
    for out in kept:
        assert out["all"][name]["gradients"].keys() == wanted.keys()
        for key, gradient in out["all"][name]["gradients"].items():
            assert_allclose(gradient, wanted[key], rtol=0, atol=1e-5 * largest, err_msg=key)


@every
def test_two_processes_write_down_the_losses_of_one(name, two):
    for out in two[1]:
        near(out["all"][name]["losses"], of_one(name)["losses"], name)


@every
def test_two_processes_end_with_the_weights_of_one(name, two):
    one = of_one(name)
    for out in two[1]:
        for key, tensor in out["all"][name]["state"].items():
            near(tensor, one["state"][key], key)
        near(out["all"][name]["said"], one["said"], "what is said of windows")


@every
def test_all_processes_have_the_same_weights_to_the_bit(name, two):
    one, other = (out["all"][name] for out in two[1])
    assert one["losses"] == other["losses"]
    for key, tensor in one["state"].items():
        assert_array_equal(tensor, other["state"][key])


def test_a_process_without_rows_takes_part(two):
    one = trained(clone(SIMCLR).set_params(batch_size=1))
    for out in two[1]:
        near(out["few"]["losses"], one["losses"], "losses")
        near(out["few"]["said"], one["said"], "embeddings")


# ------------------------------------------------------------------------------------- what each decides


def test_numbers_that_processes_write_down_become_their_mean_and_all_stop_together(two):
    """Of two numbers one rises and one falls; their mean rises, and after two such epochs all stop."""
    (history, embedded, seed), (other, embedded_too, seed_too) = (out["unlike"] for out in two[1])
    assert [epoch["own"] for epoch in history] == [1.0, 2.0, 3.0]
    assert history == other
    assert_array_equal(embedded, embedded_too)
    assert seed == seed_too, "a seed that nobody named is drawn by the first"


def test_a_schedule_that_watches_keeps_all_alike(two):
    one, other = (out["slowed"] for out in two[1])
    assert_array_equal(one, other)


def test_only_the_first_prints_and_writes(two):
    folder, _, said = two
    assert "epoch 3 of 3, train_loss" in said[0] and "A checkpoint was triggered" in said[0]
    assert said[1].strip() == ""
    assert list((folder / "rank 0" / "best").iterdir()) and not list((folder / "rank 1" / "best").iterdir())


# ------------------------------------------------------------------------------------- afterwards


def test_nothing_of_the_group_is_left_and_pickles_embed_the_same(two):
    for out in two[1]:
        assert out["left"] == (False, None)
        assert_array_equal(out["pickled"], out["slowed"])


def test_weights_are_saved_once_and_all_wait_for_them(two):
    folder, kept, _ = two
    for out in kept:
        assert_array_equal(out["saved"], out["slowed"])
    alone = SimCLREncoder.from_pretrained(folder / "by the first alone")
    assert_array_equal(alone.transform(X), kept[0]["slowed"])
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_what_the_first_may_not_write_is_an_error_of_all(two):
    first, other = (out["refused"][0] for out in two[1])
    assert "holds letter" in first and other.startswith("RuntimeError: The first process stopped: ValueError")


# ------------------------------------------------------------------------------------- taken up again


def test_training_goes_on_with_another_number_of_processes(two):
    """Two epochs in one process, two in two, and two in one, against six in one."""
    folder, kept, _ = two
    again = clone(RESUMED).set_params(max_epochs=6, checkpoint_dir=folder / "resumed").fit(X, groups=groups)
    whole = clone(RESUMED).set_params(max_epochs=6).fit(X, groups=groups)
    losses = [[epoch["train_loss"] for epoch in history] for history in (again.history_, whole.history_)]
    assert [len(out["resumed"]) for out in kept] == [4, 4] and len(losses[0]) == 6
    near(losses[0], losses[1], "losses")
    near(again.transform(X), whole.transform(X), "embeddings")


# ------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    "where", ["on_train_begin", "on_batch_begin", "forward", "on_grad_computed", "on_epoch_end", "on_train_end"]
)
def test_a_process_that_fails_stops_the_others_with_its_message(where, two):
    (first, *left), (second, *left_too) = (out[where] for out in two[1])
    assert first == f"RuntimeError: Process 1 of 2 stopped: ValueError: a disc was full in {where}"
    assert second == f"ValueError: a disc was full in {where}"
    assert left == left_too == [False, None], "and the next fit begins anew"


def test_processes_that_were_given_different_windows_say_so(two):
    for out in two[1]:
        assert "which were given different windows, groups or parameters" in out["other windows"][0]


def test_patience_has_an_end(two):
    for out in two[1]:
        assert re.search(r"Process \d of 2 lost the others.*did not answer for 3 s", out["late"][0])


def test_a_process_that_is_killed_stops_the_others(two):
    folder = two[0]
    died, *left = pickle.loads((folder / "died.pickle").read_bytes())
    assert died.startswith("RuntimeError: Process 0 of 2 lost the others: one was killed")
    assert left == [False, None]


# ------------------------------------------------------------------------------------- torchrun itself


def torchrun(folder, *arguments, n=2):
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(n)]
    process = subprocess.Popen(
        [*run, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said = process.communicate(timeout=1200)[0]
    finally:
        process.send_signal(signal.SIGTERM)
    return process.returncode, said


def test_the_example_pretrains_under_torchrun(tmp_path):
    script = HERE.parent / "examples" / "pretrain_relcon.py"
    small = ["--participants", 2, "--windows", 6, "--epochs", 1, "--threads", 1, "--device", "cpu"]
    code, said = torchrun(tmp_path, script, "synthetic", "--out", tmp_path / "weights", *small)
    assert code == 0, said
    assert said.count("12 windows of 2 participants") == said.count("wrote ") == 1, said
    from wearembed import RelConEncoder

    encoder = RelConEncoder.from_pretrained(tmp_path / "weights")
    assert encoder.verify() and encoder.training_["processes"] == 2


def test_the_command_pretrains_a_store_under_torchrun(tmp_path):
    store = WindowStore.create(tmp_path / "store", n_channels=3, n_times=256, sfreq=100, units="g")
    store.append(X, participant=groups)
    small = {"width": 4, "blocks": (1,), "kernels": (3,), "max_epochs": 2, "batch_size": 16}
    sets = [word for name, value in small.items() for word in ("--set", f"{name}={value}")]
    call = ["pretrain", "store", "-o", "weights", "--encoder", "SimCLREncoder", "--device", "cpu", *sets]
    code, said = torchrun(tmp_path, "-m", "wearembed", *call)
    assert code == 0, said
    assert said.count("wrote") == said.count("epoch 2 of 2") == 1, said
    encoder = SimCLREncoder.from_pretrained(tmp_path / "weights")
    assert encoder.verify() and encoder.training_["processes"] == 2


def test_torchrun_ends_with_the_message_of_who_failed(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        "import os\n"
        "from wearembed import SimCLREncoder, datasets\n"
        "X = datasets.make_motion(n_participants=2, n_windows=6, random_state=int(os.environ['RANK'])).data\n"
        "SimCLREncoder(4, (1,), (3,), max_epochs=1, device='cpu', random_state=0).fit(X)\n"
    )
    code, said = torchrun(tmp_path, script)
    assert code != 0 and "given different windows, groups or parameters" in said


# ------------------------------------------------------------------------------------- one process


def test_one_process_shares_with_nobody(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    x, share = torch.randn(4, 2), Share.of(torch.zeros(4))
    assert share.whole(x) is x and share.own(x) is x and share.weighed(x) is x
    assert distributed.is_first_process() and distributed.n_processes() == 1
    norm = BatchNorm1d(2)
    with whole_batch_norms(norm):
        assert "forward" not in vars(norm)


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch):
    from wearembed.training import find_device

    told = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)  # there is no such GPU here
    assert find_device("auto") == find_device("cuda") == "cuda:1" and find_device("cuda:0") == "cuda:0"
    assert not distributed.is_first_process()
