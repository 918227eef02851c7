"""SIGKILL at random moments, and before each change of a file: what is there is whole, and work goes on from it.

A further piece of work is a line in `WORK`: how to begin, what is done, what the result is, and what has to hold of
what a killed process left.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from harm import CAMPAIGN, KILLS, hidden, killed_after, killed_at, seconds_of, tell
from pulled import Pulled

import wearembed
from wearembed import Encoder, RelConEncoder, WindowStore, datasets, nets
from wearembed.__main__ import main

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
SMALL = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
MOTION = datasets.make_motion(n_participants=2, n_windows=4, random_state=0)
X = MOTION.data[..., ::4].copy()
NET = partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,))


@dataclass(frozen=True)
class Work:
    """Something that writes into a folder, may be killed, and is done anew."""

    begin: Callable[[Path], None]  # makes what was there before
    do: Callable[[Path], None]
    look: Callable[[Path], object]  # at what a killed process left: whole, old or new, or an error here
    result: Callable[[Path], bytes]  # of work that was not killed, equal to the bit
    next: Callable[[Path], None] = lambda folder: None  # whoever writes next sweeps


# --- training with checkpoints


def pretrain(folder):
    encoder = RelConEncoder(4, (1,), (3,), distance=small_distance(), mates=2, **{**SMALL, "max_epochs": 4})
    encoder.set_params(checkpoint_dir=folder / "state").fit(X, groups=MOTION.groups)
    np.save(folder / "Z.npy", encoder.transform(X))


def small_distance():
    return wearembed.RelConDistance(dim=8, kernel=5, bottleneck=2, **{**SMALL, "max_epochs": 3})


def state_is_whole(folder):
    for file in folder.rglob("checkpoint.pt"):
        torch.load(file, weights_only=True)


# --- the command line


def recording(folder):
    t = pd.Timestamp("2026-03-01 08:00") + pd.to_timedelta(np.arange(2560) / 100, unit="s")
    for name in ("anna", "bert"):
        frame = {"time": t, **dict(zip("xyz", np.tile(np.concatenate(list(MOTION.data), 1), 2)[:, :2560]))}
        pd.DataFrame(frame).to_csv(folder / f"{name}.csv", index=False)


def run(*call):
    """A command; an error where it said that it did not do it."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        code = main([*map(str, call), "--quiet", "--device", "cpu"])
    if code:
        raise RuntimeError(said.getvalue())


def embed(folder, out="out.parquet"):
    run("embed", folder / "anna.csv", folder / "bert.csv", "-o", folder / out)


def parts_are_whole(folder):
    for file in folder.glob("parts/*.parquet"):
        assert len(pd.read_parquet(file)) == 10


def rows_of(folder):
    table = pd.read_parquet(folder / "parts").sort_values(["recording", "start"])
    return table.filter(regex=r"^e\d+$").to_numpy(np.float32).tobytes()


def pretrain_by_command(folder):
    small = {"width": 4, "blocks": (1,), "kernels": (3,), **SMALL, "max_epochs": 4}
    sets = [word for name, value in small.items() if name != "device" for word in ("--set", f"{name}={value}")]
    run("pretrain", folder / "s", "-o", folder / "w", "--encoder", "SimCLREncoder", *sets)


def older_table(folder):
    recording(folder)
    pd.DataFrame({"e0": [1.0]}).to_parquet(folder / "out.parquet")


def table_is_whole(folder):
    assert len(pd.read_parquet(folder / "out.parquet")) in (1, 20)


# --- saving


@cache
def fitted(seed):
    encoder = Encoder(NET, Pulled, **{**SMALL, "random_state": seed}).fit(X, groups=MOTION.groups)
    return encoder, encoder.transform(X)


def save(folder, seed=1):
    fitted(seed)[0].save_pretrained(
        folder / "w",
        data=["a"],
        license="MIT",
        spent={"hours": 1.0},  # which is measured, and so differs from child to child
    )


def checkpoint_is_whole(folder):
    """From the first on, somebody's checkpoint is always there, old or new."""
    loaded = Encoder.from_pretrained(folder / "w", net=NET, objective=Pulled, device="cpu")
    loaded.verify()
    assert any(np.array_equal(loaded.transform(X), fitted(seed)[1]) for seed in (0, 1))


# --- stores


def make_store(folder):
    store = WindowStore.create(folder / "s", n_channels=3, n_times=64, sfreq=25, units="g")
    store.append(X, participant="old")


def append(folder):
    store = WindowStore(folder / "s")
    if len(store) == len(X):
        store.append(2 * X, participant="new")


def more(folder):
    WindowStore(folder / "s").append(X[:1], participant="next")


def store_is_whole(folder):
    store = WindowStore(folder / "s").verify()
    assert len(store) in (len(X), 2 * len(X))
    assert np.array_equal(store[: len(X)], X) and np.array_equal(store[len(X) :], 2 * X[: len(store) - len(X)])


def create(folder):
    if not (folder / "s" / "store.json").exists():
        WindowStore.create(folder / "s", n_channels=3, n_times=64, sfreq=25, units="g")


WORK = {
    "fit with checkpoint_dir": Work(lambda _: None, pretrain, state_is_whole, lambda f: (f / "Z.npy").read_bytes()),
    "wearembed embed": Work(older_table, embed, table_is_whole, lambda f: (f / "out.parquet").read_bytes()),
    "wearembed embed, to parts": Work(recording, partial(embed, out="parts"), parts_are_whole, rows_of),
    "wearembed pretrain": Work(
        make_store, pretrain_by_command, state_is_whole, lambda f: (f / "w" / "model.safetensors").read_bytes()
    ),
    "save_pretrained": Work(partial(save, seed=0), save, checkpoint_is_whole, lambda f: files_of(f / "w")),
    "WindowStore.append": Work(make_store, append, store_is_whole, lambda f: WindowStore(f / "s")[:].tobytes(), more),
    "WindowStore.create": Work(lambda _: None, create, lambda _: None, lambda f: files_of(f / "s")),
}


def files_of(folder):
    return b"".join(file.name.encode() + file.read_bytes() for file in sorted(folder.iterdir()))


@pytest.mark.parametrize("name", WORK)
def test_work_that_is_killed_at_random_moments_ends_as_if_it_had_not_been(name, tmp_path):
    work, rng = WORK[name], np.random.default_rng(list(name.encode()))
    whole = tmp_path / "whole"
    whole.mkdir()
    work.begin(whole)
    took = seconds_of(partial(work.do, whole))
    killed = n = 0
    while killed < KILLS and n < 20 * KILLS:
        folder = tmp_path / f"killed {n}"
        folder.mkdir()
        work.begin(folder)
        for _ in range(rng.integers(1, 4)):  # some are killed again when they go on
            died = killed_after(rng.uniform(0, 1.1 * took), partial(work.do, folder)) != 0
            work.look(folder)
            killed += died
        finish(work, folder, whole)
        n += 1
    tell(f"SIGKILL of {name}, at a random moment", "result equal to the bit", killed)


@pytest.mark.parametrize("name", WORK)
def test_work_that_is_killed_before_any_change_of_a_file_ends_as_if_it_had_not_been(name, tmp_path):
    work = WORK[name]
    whole = tmp_path / "whole"
    whole.mkdir()
    work.begin(whole)
    work.do(whole)
    n = 1
    while True:
        folder = tmp_path / f"killed {n}"
        folder.mkdir()
        work.begin(folder)
        if killed_at(n, partial(work.do, folder)) == 0:
            break
        work.look(folder)
        finish(work, folder, whole)
        tell(f"SIGKILL of {name}, before each change of a file", "result equal to the bit")
        n += stride(name)
    assert n > 3


def stride(name):
    """Of changes of files at which there is harm; some work makes sixty of them, all of which are a campaign's."""
    many = name in ("fit with checkpoint_dir", "save_pretrained") or name.startswith("wearembed")
    return 11 if many and CAMPAIGN is None else 1


def finish(work, folder, whole):
    """The same once more, to its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work.do(folder)
    assert work.result(folder) == work.result(whole)
    work.next(folder)
    assert not hidden(folder), f"left behind: {hidden(folder)}"
