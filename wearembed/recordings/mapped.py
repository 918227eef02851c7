"""Arrays that lie in files and not in memory: weeks of samples."""

import mmap
import tempfile
from collections.abc import Iterator

import numpy as np

LARGE = 2**26  # bytes from which on an array is better in a file
AT_ONCE = 2**20  # samples that are looked at at once: a week has 60 million


def roomy(shape: tuple[int, ...], dtype) -> np.ndarray:
    """An array to be filled; a large one lies in a file without a name, which goes when the array does."""
    if np.prod(shape) * np.dtype(dtype).itemsize < LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, "w+", shape=shape).view(np.ndarray)


def pieces(n: int, at_once: int = AT_ONCE) -> Iterator[slice]:
    """`n` samples, some at a time."""
    for first in range(0, n, at_once):
        yield slice(first, min(first + at_once, n))


def let_go(array: np.ndarray | mmap.mmap | bytes | None):
    """Let the kernel take back what was read or written of a mapped file; it is read again where it must.

    A mapping whose changes are its own, and not the file's, would lose them and is left alone.
    """
    owner, lossless = array, not (isinstance(array, np.ndarray) and array.flags.writeable)
    while isinstance(owner, np.ndarray) and owner.base is not None:
        if isinstance(owner, np.memmap):
            lossless = owner.mode != "c"
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    if lossless and isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
