"""What is in a file."""

import gzip
import mmap
import zlib


def contents(path):
    """The bytes of a file, unpacked if it is gzipped."""
    if not path.exists():
        raise FileNotFoundError(f"Expected a recording at {path}, found nothing there. Check the path.")
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} is a gzip file that cannot be unpacked ({error}). Copy it again.") from error
    if not data.strip():
        raise ValueError(f"Expected a recording in {path}, got an empty file. Copy it again from the device.")
    return data


AXIVITY, GENEACTIV = b"MD", b"Device Identity"  # how their files begin


def device_contents(path):
    """The bytes of a device's file, of which none is read before it is wanted; None where it is no such file."""
    if not path.exists():
        return None
    with open(path, "rb") as file:
        of_device = file.read(16).startswith((AXIVITY, GENEACTIV))
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if of_device else None
