"""What is in a file."""

import gzip
import mmap
import zlib
from contextlib import contextmanager

BEGINNING = 65536  # bytes that tell what a file is


def contents(path):
    """The bytes of a file, unpacked if it is gzipped."""
    with _unpacked(path) as file:
        data = file.read()
    return data if data.strip() else _refuse_empty(path)


def beginning(path):
    """The first bytes of a file, unpacked if it is gzipped; an error if there is nothing in it."""
    with _unpacked(path) as file:
        start = file.read(BEGINNING)
        if not start.strip() and not any(block.strip() for block in iter(lambda: file.read(BEGINNING), b"")):
            _refuse_empty(path)
        return start


def _refuse_empty(path):
    raise ValueError(f"Expected a recording in {path}, got an empty file. Copy it again from the device.")


def line_blocks(path, size):
    """The bytes of a file, unpacked if it is gzipped, some at a time: about `size` and to the end of a line."""
    with _unpacked(path) as file:
        while block := file.read(size):
            yield block + file.readline()


@contextmanager
def _unpacked(path):
    if not path.exists():
        raise FileNotFoundError(f"Expected a recording at {path}, found nothing there. Check the path.")
    with open(path, "rb") as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            yield file
            return
        try:
            with gzip.open(file) as unpacked:
                yield unpacked
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a gzip file that cannot be unpacked ({error}). Copy it again.") from error


AXIVITY, GENEACTIV = b"MD", b"Device Identity"  # how their files begin


def device_contents(path):
    """The bytes of a device's file, of which none is read before it is wanted, unless it is gzipped."""
    with open(path, "rb") as file:
        if file.peek(2)[:2] == b"\x1f\x8b":
            return contents(path)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
