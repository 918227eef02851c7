"""Scratch beside what is to be written: nobody else's while it is held, and swept when a killed process left it."""

import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, so nothing of others is swept
    fcntl = None  # type: ignore[assignment]


@contextmanager
def scratch(file: Path, make: Callable[[Path], None] = Path.touch) -> Iterator[Path]:
    """A file (or a folder, with ``make=Path.mkdir``) beside `file`; what is left of it at the end is deleted.

    It is locked for as long as it is in use, and the lock ends with the process. So what others left is known by its
    lock being free.
    """
    sweep(file)
    while True:
        own = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
        make(own)
        handle = locked(own)
        if handle is None or own.exists():  # else somebody took it for left behind before it was locked
            break
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
        handle = locked(left, wait=False)
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
    handle = locked(folder, wait=False)
    if handle is None and fcntl is not None and os.access(folder, os.R_OK):
        raise RuntimeError(f"Another process is at work in {folder}. Wait for it, or name another folder.")
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def locked(path: Path, wait: bool = True) -> int | None:
    """An open handle whose lock nobody else has; None where that cannot be had."""
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    return handle


def delete(path: Path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
