"""Memory that stays with the process while it is wanted again and again."""

import ctypes
import threading
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # glibc, malloc.h
holders: list[object] = []
lock = threading.Lock()


@contextmanager
def kept_memory(device: str = "cpu"):
    """Inside, what torch frees is handed out again and not given back to the kernel; at the end all of it is.

    A step on a CPU takes and frees tensors of tens of megabytes, which glibc maps anew each time, and the kernel fills
    them with zeros page by page (``nox -s bench -- -k step`` has a row without). Nothing happens on a GPU, or where
    the C library is another. The setting is the whole process's; afterwards it is what glibc itself arrives at once
    large blocks have been freed.
    """
    libc = glibc() if device.startswith("cpu") else None
    if libc is None:
        yield
        return
    holder = object()
    with lock:
        holders.append(holder)
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        with lock:
            holders.remove(holder)
            if not holders:
                libc.mallopt(MMAP_MAX, 2**16)
                libc.mallopt(MMAP_THRESHOLD, 2**25)
                libc.mallopt(TRIM_THRESHOLD, 2**26)
                libc.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.gnu_get_libc_version and libc.mallopt and libc.malloc_trim else None
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return None
