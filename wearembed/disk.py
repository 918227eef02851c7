"""Files written whole or not at all, and folders that one process has for itself.

What is being written has another name until it is whole. A lock ends with its process, so that of a killed one is free.
"""

import glob
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, so nothing of others is swept; two writers are the user's to avoid
    fcntl = None  # type: ignore[assignment]

MOMENT = 0.5  # seconds; a process that is just being started holds what its parent had open, locks and all


def write(file: Path, data: bytes):
    """Write a file so that a reader sees the old one or the new one, whole, however many write it at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with scratch(file) as own:
        with open(own, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(own, file)


def write_pieces(file: Path, pieces: Iterable[Any], head: Callable[[], bytes] | None = None) -> str:
    """Write a file of any length, whose only writer this is, whole; its SHA-256.

    `head` is asked when all pieces are written, and goes over the beginning of the first.
    """
    own, digest = file.with_name(f".{file.name}.scratch"), hashlib.sha256()
    try:
        with open(own, "wb") as f:
            for piece in pieces:
                if head is None:
                    digest.update(piece)
                f.write(piece)
            if head is not None:
                f.seek(0)
                f.write(head())
            f.flush()
            os.fsync(f.fileno())
        told = digest.hexdigest() if head is None else sha256_of(own)
        os.replace(own, file)
    finally:
        own.unlink(missing_ok=True)
    return told


def sha256_of(file: Path) -> str:
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def sync_folder(path: Path):
    """Have names of new files survive a power cut, where folders can be opened."""
    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def scratch(file: Path, make: Callable[[Path], None] = Path.touch) -> Iterator[Path]:
    """A file (or a folder, with ``make=Path.mkdir``) beside `file`; what is left of it at the end is deleted.

    It is locked for as long as it is in use, so what a killed process left is known by its lock being free.
    """
    sweep(file)
    while True:
        own = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
        make(own)
        handle = locked(own)
        if own.exists():  # else somebody took it for left behind before it was locked
            break
        if handle is not None:
            os.close(handle)
    try:
        yield own
    finally:
        delete(own)
        if handle is not None:
            os.close(handle)


def sweep(file: Path):
    """Delete the scratch of processes that were killed while they wrote `file`."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*.new"):
        handle = locked(left, seconds=0)
        if handle is not None:
            delete(left)
            os.close(handle)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until nobody else is in here with the same folder, which exists."""
    handle = locked(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one in here with a folder, which is made where it is missing.

    Raises
    ------
    RuntimeError
        Another process is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = locked(folder, MOMENT)
    if handle is None and fcntl is not None and os.access(folder, os.R_OK):
        raise RuntimeError(busy(folder))
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def fleeting(folder: Path, otherwise: str) -> Iterator[None]:
    """Be the only one in here with a folder, which is empty at first and is deleted at the end.

    Raises
    ------
    RuntimeError
        Another process is, and `otherwise` says so.
    """
    handle = claimed(folder, otherwise)
    try:
        for left in folder.iterdir():  # by a process that was killed
            delete(left)
        yield
    finally:
        delete(folder)
        if handle is not None:
            os.close(handle)


def claimed(folder: Path, otherwise: str) -> int | None:
    """The locked handle of a folder that is made where it is missing, also where another deletes its own just now."""
    while True:
        folder.mkdir(exist_ok=True)
        handle = locked(folder, MOMENT)
        if handle is None and fcntl is not None and os.access(folder, os.R_OK):
            raise RuntimeError(otherwise)
        if handle is None and folder.exists():  # nothing is locked there
            return None
        if handle is not None:
            if is_of(handle, folder):
                return handle
            os.close(handle)


def is_of(handle: int, path: Path) -> bool:
    """Whether a handle is of what has this name now."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def lock(file, otherwise: str):
    """Keep others out for as long as an open file is open: they get an error that says `otherwise`."""
    if not held(file.fileno(), MOMENT):
        raise RuntimeError(otherwise)


def busy(path: Path) -> str:
    return f"Another process is writing to {path}. Wait for it, or name another place."


def locked(path: Path, seconds: float | None = None) -> int | None:
    """An open handle whose lock nobody else has, waited for so long; None where that cannot be had."""
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    if not held(handle, seconds):
        os.close(handle)
        return None
    return handle


def held(handle: int, seconds: float | None) -> bool:
    """Whether the lock of an open file could be had within so many seconds; None waits for ever."""
    if fcntl is None:
        return True
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if until is None else fcntl.LOCK_NB))
            return True
        except OSError:
            if until is None or time.monotonic() >= until:  # some file systems know no locks
                return False
            time.sleep(MOMENT / 20)


def delete(path: Path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
