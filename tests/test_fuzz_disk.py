"""Full disks, folders that may not be written to, and two processes at once: a clear error, and nothing old is lost."""

import errno
import os
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from harm import CAMPAIGN, as_nobody, ended, forked, hidden, no_room_at, tell
from pulled import Pulled
from test_fuzz_kills import NET, WORK, X, embed, fitted, pretrain, save, stride

import wearembed
from wearembed import Encoder, WindowStore, disk

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
WRITERS = ["fit with checkpoint_dir", "wearembed embed", "save_pretrained", "WindowStore.append"]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "error", [errno.ENOSPC, pytest.param(errno.EIO, marks=pytest.mark.slow)], ids=["full", "broken"]
)
def test_a_disk_that_fails_at_any_change_leaves_what_was_there_and_no_scratch(name, error, tmp_path):
    work, n, whole = WORK[name], 1, tmp_path / "whole"
    whole.mkdir()
    work.begin(whole)
    work.do(whole)
    while True:
        folder = tmp_path / f"full {n}"
        folder.mkdir()
        work.begin(folder)
        said = None
        with no_room_at(n, error) as done:
            try:
                work.do(folder)
            except (OSError, RuntimeError) as failure:  # a command says it and ends with 1
                said = str(failure)
        if done[0] < n:
            break
        work.look(folder)
        if said is not None:
            assert os.strerror(error) in said
            assert not hidden(folder), f"left behind: {hidden(folder)}"
        if n % 4 == 1:  # with room again it goes on as if nothing had been
            work.do(folder)
            assert work.result(folder) == work.result(whole)
        tell(f"{os.strerror(error)}: {name}", "old content whole, no scratch")
        shutil.rmtree(folder)
        n += stride(name)
    assert n > 3


def test_a_file_system_without_room_is_an_error_and_no_loss(tmp_path):
    """A real one, of 600 kB, where this may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        store = WindowStore.create(folder / "s", n_channels=3, n_times=64, sfreq=25, units="g")
        store.append(X, participant="old")
        save(folder, seed=0)
        (folder / "fill").write_bytes(bytes(300_000))
        with pytest.raises(OSError, match="No space left"):
            store.append(np.ones((600, 3, 64), np.float32), participant="new")
        filling(folder)
        with pytest.raises(OSError, match="No space left"):
            save(folder, seed=1)
        assert np.array_equal(WindowStore(folder / "s").verify()[:], X)
        WORK["save_pretrained"].look(folder)
        assert not hidden(folder)
        tell("a file system without room", "old content whole, no scratch", 2)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def filling(folder):
    """Write until there is no room."""
    with open(folder / "fill more", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


@pytest.fixture
def for_all_to_read():
    """pytest's own folders are for one user alone."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def opened(folder):
    """Let everybody read all of it, and nobody but us write."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become nobody")
@pytest.mark.parametrize("name", ["fit", "embed", "save", "append", "create"])
def test_folders_that_may_not_be_written_to_are_said(name, for_all_to_read):
    folder = for_all_to_read
    begin = {"embed": "wearembed embed", "save": "save_pretrained", "append": "WindowStore.append"}
    if name in begin:
        WORK[begin[name]].begin(folder)
    (folder / "out").mkdir()
    if name == "embed":
        WORK[begin[name]].do(folder)  # what is imported on the way may be for one user alone too
    opened(folder)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    fitted(1)
    work = {
        "fit": partial(pretrain, folder),
        "embed": partial(embed, folder, out="out/out.parquet"),  # in a folder of its own
        "save": partial(save, folder),
        "append": partial(append_one, folder / "s"),
        "create": partial(WindowStore.create, folder / "t", n_channels=3, n_times=64, sfreq=25, units="g"),
    }[name]
    said = as_nobody(work)
    assert said and "Permission denied" in said and str(folder) in said
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before
    tell("folders without permission", "refused with a sentence")


def append_one(folder):
    WindowStore(folder).append(X[:1], participant="nobody")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become nobody")
def test_what_may_be_read_is_read_in_folders_that_may_not_be_written_to(for_all_to_read):
    folder = for_all_to_read
    WORK["WindowStore.append"].begin(folder)
    save(folder)
    opened(folder)

    def look():
        assert np.array_equal(WindowStore(folder / "s").verify()[:], X)
        wearembed.from_pretrained("wearembed/relcon-synthetic", device="cpu").verify()
        WORK["save_pretrained"].look(folder)

    assert as_nobody(look) is None


# --- two at once


def refused_or_done(work):
    """Work in a child that may also end with a clear error: another is at it."""

    def may_be_refused():
        try:
            work()
        except (RuntimeError, FileExistsError) as error:
            assert "nother process" in str(error) or "not empty" in str(error)

    return forked(may_be_refused)


@pytest.mark.parametrize("name", [*WRITERS[:3], "WindowStore.create"])
def test_three_processes_at_the_same_folder_leave_it_whole(name, tmp_path):
    work, whole = WORK[name], tmp_path / "whole"
    whole.mkdir()
    work.begin(whole)
    work.do(whole)
    for n in range(2 if CAMPAIGN is None else 20):
        folder = tmp_path / f"both {n}"
        folder.mkdir()
        work.begin(folder)
        children = [refused_or_done(partial(work.do, folder)) for _ in range(3)]
        assert [ended(child) for child in children] == [0, 0, 0]
        assert work.result(folder) == work.result(whole)
        work.look(folder)
        assert not hidden(folder)
        tell(f"three processes at once: {name}", "result whole, equal to the bit")


def test_of_three_processes_that_append_each_does_it_whole_or_is_refused(tmp_path):
    WORK["WindowStore.append"].begin(tmp_path)

    def add(n):
        try:
            WindowStore(tmp_path / "s").append((n + 2) * X, participant=str(n))
        except RuntimeError as error:
            assert "Another process is writing" in str(error)
            raise

    children = [forked(partial(add, n)) for n in range(3)]
    done = [ended(child) == 0 for child in children]
    store = WindowStore(tmp_path / "s").verify()
    assert any(done) and len(store) == len(X) * (1 + sum(done))
    for n in np.flatnonzero(done):
        assert np.array_equal(store.rows(store.groups == str(n))[:], np.float32(n + 2) * X)
    tell("three processes at once: WindowStore.append", "each whole or refused")


def test_who_loads_while_another_saves_has_the_old_or_the_new(tmp_path):
    save(tmp_path, seed=0)

    def saving():
        for n in range(12):
            save(tmp_path, seed=n % 2)

    child = forked(saving)
    for _ in range(25):
        loaded = Encoder.from_pretrained(tmp_path / "w", net=NET, objective=Pulled, device="cpu")
        assert any(np.array_equal(loaded.transform(X), fitted(seed)[1]) for seed in (0, 1))
        tell("loading while another saves", "old or new")
    assert ended(child) == 0


def test_a_lock_that_a_starting_process_holds_for_a_moment_is_waited_for(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    parent = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(parent, fcntl.LOCK_EX)
    gone = threading.Timer(disk.MOMENT / 5, os.close, [parent])
    gone.start()
    with disk.alone(tmp_path):
        gone.join()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_scratch_that_another_swept_before_it_was_locked_is_made_anew(make, tmp_path):
    made = []

    def and_lose(path):
        make(path)
        made.append(path)
        if len(made) == 1:
            disk.sweep(tmp_path / "file")

    with disk.scratch(tmp_path / "file", and_lose) as own:
        disk.sweep(tmp_path / "file")
        assert own.exists() and len(made) == 2, "nobody else's while it is held"


def test_a_fleeting_folder_is_empty_and_its_owners_alone_until_it_goes(tmp_path):
    folder = tmp_path / "fleeting"
    folder.mkdir()
    (folder / "left").write_text("by a process that was killed")
    with disk.fleeting(folder, "it is mine"):
        assert not list(folder.iterdir())
        (folder / "part").mkdir()
        with pytest.raises(RuntimeError, match="it is mine"), disk.fleeting(folder, "it is mine"):
            pass
        assert (folder / "part").exists()
    assert not folder.exists()


def test_a_folder_that_its_owner_deletes_while_another_waits_for_it_is_made_anew(tmp_path, monkeypatch):
    folder, locked, seen = tmp_path / "fleeting", disk.locked, []

    def late(path, seconds):
        handle = locked(path, seconds)
        seen.append(handle)
        if len(seen) == 1:
            path.rmdir()
        return handle

    monkeypatch.setattr(disk, "locked", late)
    with disk.fleeting(folder, "it is mine"):
        assert folder.exists() and len(seen) == 2


def test_a_second_run_in_a_folder_of_checkpoints_is_refused_while_the_first_is_at_work(tmp_path):
    with disk.alone(tmp_path), pytest.raises(RuntimeError, match="Another process is writing to"):
        fresh = fitted(0)[0]
        Encoder(**{**fresh.get_params(deep=False), "checkpoint_dir": tmp_path}).fit(X)
