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


def pieces(n: int, at_once: int | None = None) -> Iterator[slice]:
    """`n` samples, some at a time."""
    at_once = at_once or AT_ONCE
    for first in range(0, n, at_once):
        yield slice(first, min(first + at_once, n))


class Growing:
    """An array that grows at its end; what is more than some megabytes lies in a file without a name."""

    def __init__(self, dtype):
        self.dtype, self.parts, self.file, self.n, self.n_filed = np.dtype(dtype), [], None, 0, 0

    def append(self, part):
        self.parts.append(np.asarray(part).astype(self.dtype))  # a copy: what is around a part is not to be kept
        self.n += len(part)
        if (self.n - self.n_filed) * self.dtype.itemsize > LARGE // 16:
            self._file_parts()

    def whole(self) -> np.ndarray:
        """All of it; nothing can be appended any more."""
        if self.file is None:
            return np.concatenate([np.empty(0, self.dtype), *self.parts])
        self._file_parts()
        with self.file:
            return np.memmap(self.file, self.dtype, "r+", shape=(self.n,)).view(np.ndarray)

    def __del__(self):
        if self.file is not None:
            self.file.close()

    def _file_parts(self):
        self.file = self.file or tempfile.TemporaryFile()  # noqa: SIM115
        for part in self.parts:
            self.file.write(part)
        self.file.flush()
        self.parts, self.n_filed = [], self.n


def picked(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    """``array[places]``, some at a time."""
    out = roomy((len(places),), array.dtype)
    for some in pieces(len(places)):
        out[some] = array[places[some]]
        for mapped in (array, places, out):
            let_go(mapped)
    return out


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
