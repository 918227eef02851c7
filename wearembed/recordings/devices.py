"""Axivity (.cwa) and GENEActiv (.bin): files as the devices write them, decoded by scikit-digital-health.

It trusts what it reads: a damaged file stops the interpreter, or comes back with samples that nobody measured. So what
is damaged is left out here, and it gets files made of whole blocks; see docs/decisions/0006-device-files.md.
"""

import re
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from .clocks import block_clock
from .mapped import let_go, pieces, roomy
from .recording import fields

_AT_ONCE = 2**14  # blocks decoded at once: a recording of weeks goes through memory in parts

# ---- Axivity AX3 and AX6: a header of 1024 bytes, then blocks of 512 whose words sum to zero

_BLOCK = np.dtype(
    {
        "names": ["magic", "length", "fraction", "sequence", "rate", "layout", "count"],
        "formats": ["S2", "<u2", "<u2", "<u4", "u1", "u1", "<u2"],
        "offsets": [0, 2, 4, 10, 24, 25, 28],  # fraction: 15 bits of a second where the top bit is set
        "itemsize": 512,
    }
)
_CAPACITY = {0x30: 120, 0x32: 80, 0x62: 40, 0x92: 26}  # samples of a block, by its axes and packing
_AXES_IN_HEADER = {3: 0, 6: 1, 9: 0x11}


def read_axivity(data, path, sensor):
    if len(data) < 1536 or len(data) % 512:
        rest = f"; to read what is there, cut it to {len(data) // 512 * 512} bytes" if len(data) > 1536 else ""
        raise ValueError(
            f"Expected {path} to be an Axivity header of 1024 bytes and blocks of 512, got {len(data)} bytes: it was "
            f"cut off. Copy it again from the device{rest}."
        )
    raw = np.frombuffer(data, np.uint8, offset=1024).reshape(-1, 512)
    good = _good_blocks(raw)
    place = np.flatnonzero(good)
    if not len(place):
        raise ValueError(f"Expected data in {path}, got {len(good)} blocks of which none is whole. Copy it again.")
    blocks = _headers(raw, place)
    layout = int(blocks["layout"][0])
    _check_sensor(sensor, ["accelerometer", "gyroscope"] if layout >> 4 > 3 else ["accelerometer"], path)
    count = blocks["count"].astype(np.int64)
    signal, first, spacing, sfreq = _axivity_samples(raw, place, blocks, sensor, _CAPACITY[layout])
    began = _axivity_began(blocks, count, first, spacing, sfreq)
    keep = _forward(began, count / sfreq)
    place, count = place[keep], count[keep]
    n_left_out = len(good) - len(place)
    n_lost = _n_lost(place, blocks["sequence"][keep], len(good)) * int(np.median(count))
    if n_left_out or n_lost:
        _tell(
            path,
            f"{n_left_out} of {len(good)} blocks are damaged or out of order; "
            f"about {n_lost} samples are lost and left as gaps.",
        )
    seconds, true_sfreq = block_clock(began[keep] - began[keep][0], count, sfreq, 0.25 * _CAPACITY[layout] + 3)
    units = "g" if sensor == "accelerometer" else "deg/s"
    start = pd.Timestamp(began[keep][0], unit="s")
    signal = signal if keep.all() else _chosen(signal, np.repeat(keep, blocks["count"]))
    return fields(signal, true_sfreq, units, start, seconds, n_lost, "xyz")


def _axivity_samples(raw, place, blocks, sensor, size):
    """Samples (3, n), the time of each block's first, the time between its first two, and the nominal rate."""
    signal, n = roomy((3, int(blocks["count"].sum())), np.float32), 0
    first, spacing, sfreq = np.empty(len(place)), np.empty(len(place)), 0.0
    parts = range(0, len(place), _AT_ONCE)
    decoded = _decoded_parts("ReadCwa", ".cwa", _axivity_files(raw, place), sensor, size)
    for at, (x, time, rate) in zip(parts, decoded):
        rows = slice(at, at + len(x))
        taken = np.arange(size) < blocks["count"][rows, None]
        first[rows], spacing[rows] = time[:, 0], time[:, 1] - time[:, 0]
        signal[:, n : n + taken.sum()] = x[taken].T
        n, sfreq = n + int(taken.sum()), rate
        let_go(signal)
    return signal, first, spacing, sfreq


def _headers(raw, place):
    """What the blocks say of themselves, without their samples."""
    names, parts = ["fraction", "sequence", "rate", "layout", "count"], []
    for some in pieces(len(place), _AT_ONCE):
        blocks = raw[place[some]].view(_BLOCK)[:, 0]
        parts.append([blocks[name].copy() for name in names])
        let_go(raw)
    return dict(zip(names, map(np.concatenate, zip(*parts))))


def _chosen(signal, keep):
    """Samples that are kept, some at a time."""
    out, n = roomy((len(signal), int(keep.sum())), signal.dtype), 0
    for some in pieces(signal.shape[1]):
        part = signal[:, some][:, keep[some]]
        out[:, n : n + part.shape[1]] = part
        n += part.shape[1]
        let_go(signal)
        let_go(out)
    return out


def _good_blocks(raw):
    """Which blocks hold what was written; blank ones at the end do not count."""
    told = [_block_by_block(raw[some]) for some in pieces(len(raw), _AT_ONCE)]
    blank, good, rate, layout, count = (np.concatenate(part) for part in zip(*told))
    n_written = len(raw) - int(np.argmin(blank[::-1])) if not blank.all() else 0
    good, rate, layout, count = good[:n_written], rate[:n_written], layout[:n_written], count[:n_written]
    for field in (rate, layout):  # one recording has one rate and one layout
        if good.any():
            good &= field == np.bincount(field[good]).argmax()
    return good & (count <= np.array([_CAPACITY.get(layout, 0) for layout in range(256)])[layout])


def _block_by_block(raw):
    """What can be said of each block by itself: whether it is blank or good, its rate, layout and count."""
    words, blocks = raw.view("<u2"), raw.view(_BLOCK)[:, 0]
    blank = (words == words[:, :1]).all(axis=1) & np.isin(words[:, 0], [0, 0xFFFF])
    good = (blocks["magic"] == b"AX") & (blocks["length"] == 508) & (words.sum(axis=1, dtype=np.uint16) == 0)
    good &= (blocks["rate"] & 15 > 0) & (blocks["count"] > 0) & np.isin(blocks["layout"], list(_CAPACITY))
    told = blank, good, blocks["rate"].copy(), blocks["layout"].copy(), blocks["count"].copy()
    let_go(raw)
    return told


def _axivity_files(raw, place):
    """Files of the blocks at `place` numbered from zero, and how many blocks are in each."""
    for some in pieces(len(place), _AT_ONCE):
        part = raw[place[some]]
        let_go(raw)
        # skdh writes one value beyond the last block, and asks the first for its size: a first block that is full and
        # is written over by the next gives it the room and the size.
        part = np.concatenate([part[:1], part])
        blocks, words = part.view(_BLOCK)[:, 0], part.view("<u2")
        layout = int(blocks["layout"][0])
        blocks["count"][0] = _CAPACITY[layout]
        blocks["sequence"] = np.r_[0, np.arange(len(part) - 1)]
        words[:, 255] = 0
        words[:, 255] = -words.sum(axis=1, dtype=np.uint16)
        header = bytearray(b"MD" + bytes(1022))
        header[35], header[36] = _AXES_IN_HEADER[layout >> 4], int(blocks["rate"][0])
        yield bytes(header) + part.tobytes(), len(part) - 1


def _axivity_began(blocks, count, first, spacing, sfreq):
    """When each block began.

    skdh lays the samples of a block between the end of the one before, where that is less than a second away, and its
    own end. Only its end is what the block says; and what the block says of less than a sample is left out there.
    """
    end = first + count * spacing
    fraction = np.where(blocks["fraction"] >> 15, (blocks["fraction"] & 0x7FFF) / 32768, 0)
    return end - count / sfreq + fraction * sfreq % 1 / sfreq


# ---- GENEActiv: text; pages of 300 samples as hexadecimal digits, without a sum that would tell what is damaged

_IN_PAGE, _DIGITS = 300, 3600
_PAGES_AT_ONCE = 2**12
_CALIBRATION = [(axis, what) for axis in (b"x", b"y", b"z") for what in (b"gain", b"offset")]
_PAGE = re.compile(
    rb"Sequence Number:(\d{1,9})\r?\n"
    rb"Page Time:(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3})\r?\n"
    rb"(?:(?!.*Recorded Data|Sequence Number|Page Time|Measurement)[^\n]{0,99}\n){0,4}?"  # never into the next page
    rb"Measurement Frequency:([1-9]\d*(?:\.\d+)?)\r?\n"
    rb"([\dA-Fa-f]{3600})(?!\S)"
)


def read_geneactiv(data, path, sensor):
    _check_sensor(sensor, ["accelerometer"], path)
    begins = data.find(b"Recorded Data")
    header = data[: begins if begins >= 0 else 2**16]
    calibration = [re.search(rb"\b%s %s:\s*(-?\d+)" % axis_and_what, header) for axis_and_what in _CALIBRATION]
    if not all(calibration):
        raise ValueError(
            f"Expected a GENEActiv file with its calibration, got {sum(map(bool, calibration))} of 6 values in {path}. "
            f"Copy the file again from the device."
        )
    n_pages = sum(1 for _ in _found(rb"Recorded Data", data))
    if n_pages == 0 or len(data[-8192:].rstrip().rsplit(b"\n", 1)[-1]) < _DIGITS:
        raise ValueError(
            f"Expected whole pages of 300 samples in {path}, got an end in the middle of page {n_pages}: it was cut "
            f"off. Copy it again; to read what is there, remove what follows the last whole page."
        )
    pages = [_Page(int(page[1]), page[2], page[3], page.start(4)) for page in _found(_PAGE, data)]
    usual = Counter(page.rate for page in pages).most_common(1)
    pages = [page for page in pages if page.rate == usual[0][0]]
    sequence = np.array([page.number for page in pages])
    if pages:
        files = _geneactiv_files(data, pages, [int(value[1]) for value in calibration if value])
        signal, began, sfreq = _geneactiv_samples(files, len(pages), sensor)
        keep = _in_step(began * sfreq - sequence * _IN_PAGE)
        keep[keep] = _forward(began[keep], _IN_PAGE / sfreq)
    if not pages or not keep.any():
        raise ValueError(f"Expected pages of samples in {path}, got {n_pages} of which none is whole. Copy it again.")
    stated = re.search(rb"Number of Pages:\s*(\d+)", header)
    n_written = max(int(stated[1]) if stated else n_pages, sequence[keep][-1] + 1)
    n_lost = _IN_PAGE * _n_lost(sequence[keep], sequence[keep], n_written)
    n_left_out = max(n_written, n_pages) - keep.sum()
    if n_left_out:
        _tell(path, f"{n_left_out} pages are damaged or missing; {n_lost} samples are lost and left as gaps.")
    began = began[keep]
    count = np.full(len(began), _IN_PAGE)
    if len(began) > 1:  # the clock may be some per cent slower than it says, and that is no gap after each page
        sfreq = 1 / np.median(np.diff(began) / np.diff(sequence[keep])) * _IN_PAGE
    seconds, true_sfreq = block_clock(began - began[0], count, sfreq, slack=1)
    start = pd.Timestamp(began[0], unit="s")
    signal = signal if keep.all() else _chosen(signal, np.repeat(keep, _IN_PAGE))
    return fields(signal, true_sfreq, "g", start, seconds, n_lost, "xyz")


class _Page(NamedTuple):
    """What a page says of itself, and where in the file its digits begin."""

    number: int
    time: bytes
    rate: bytes
    digits: int


def _found(pattern, data):
    """Where a pattern is in a file, of which little is held in memory meanwhile."""
    for n, match in enumerate(re.finditer(pattern, data), 1):
        yield match
        if n % _PAGES_AT_ONCE == 0:
            let_go(data)
    let_go(data)


def _geneactiv_samples(files, n_pages, sensor):
    """Samples (3, n), the time of each page's first, and the nominal rate."""
    signal, began, sfreq, n = roomy((3, n_pages * _IN_PAGE), np.float32), np.empty(n_pages), 0.0, 0
    for x, time, rate in _decoded_parts("ReadBin", ".bin", files, sensor, _IN_PAGE):
        signal[:, n * _IN_PAGE : (n + len(x)) * _IN_PAGE] = x.reshape(-1, 3).T
        began[n : n + len(x)] = time[:, 0]
        n, sfreq = n + len(x), rate
        let_go(signal)
    return signal, began, sfreq


def _in_step(late):
    """Which pages have a number and a time that go together, `late` in samples.

    A page that is early or late all by itself has a damaged number or time. The first and the last have one neighbour
    only, and between pages the clock may pause for some samples.
    """
    allowed = np.full(len(late), 2.0)
    allowed[[0, -1]] = _IN_PAGE / 4
    return np.abs(late - median_filter(late, 3, mode="mirror")) <= allowed if len(late) > 1 else np.array([True])


def _geneactiv_files(data, pages, calibration):
    """Files of whole pages numbered from zero, and how many pages are in each; every line where skdh looks for it."""
    lines = [b""] * 59
    lines[19] = b"Measurement Frequency:%d Hz" % float(pages[0].rate)
    lines[46] = b"Calibration Data"  # skdh looks for it, without end
    for line, value, (axis, what) in zip(range(47, 53), calibration, _CALIBRATION):
        lines[line] = b"%s %s:%d" % (axis, what, value)
    lines[53:55] = b"Volts:1", b"Lux:1"
    for some in pieces(len(pages), _PAGES_AT_ONCE):
        part = pages[some]
        lines[57] = b"Number of Pages:%d" % len(part)
        text = [
            b"Recorded Data\n\nSequence Number:%d\nPage Time:%s\n\n\n\n\nMeasurement Frequency:%s\n%s"
            % (number, page.time, page.rate, data[page.digits : page.digits + _DIGITS])
            for number, page in enumerate(part)
        ]
        let_go(data)
        yield b"\n".join([*lines, *text, b""]), len(part)


# ---- what both have in common


def _check_sensor(sensor, held, path):
    if sensor not in held:
        has = " and a ".join(held).replace("accelerometer", "an accelerometer")
        raise ValueError(f"Expected a sensor that {path} holds, {has}, got sensor={sensor!r}.")


def _decoded_parts(reader, ending, files, sensor, size):
    """Samples (n_blocks, size, 3), their times (n_blocks, size) and their nominal rate, file by file."""
    key = "accel" if sensor == "accelerometer" else "gyro"
    read = getattr(_skdh(), reader)().predict
    with tempfile.TemporaryDirectory() as folder:
        for content, n_blocks in files:
            file = Path(folder) / ("part" + ending)
            file.write_bytes(content)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of time zones, which these files do not name
                found = read(file=str(file))
            x, time = found[key][: n_blocks * size], found["time"][: n_blocks * size]
            yield x.astype(np.float32).reshape(-1, size, 3), time.reshape(-1, size), float(found["fs"])


def _skdh():
    try:
        from skdh import io
    except ImportError as error:
        raise ImportError(
            'Expected scikit-digital-health, which reads Axivity and GENEActiv files. pip install "wearembed[devices]".'
        ) from error
    return io


def _forward(began, length):
    """Which blocks begin later than all before them; half a block of `length` seconds is left to an unsteady clock."""
    return began > np.r_[-np.inf, np.maximum.accumulate(began + length / 2)[:-1]]


def _n_lost(place, sequence, n_blocks):
    """Blocks that were there once: what the numbers leap over, or else the places, and what is not at both ends."""
    leaps = np.diff(sequence.astype(np.int64))
    leaps = np.where(leaps > 0, leaps, np.diff(place))
    return int((leaps - 1).sum() + place[0] + n_blocks - 1 - place[-1])


def _tell(path, message):
    warnings.warn(f"{path.name}: {message}", UserWarning, stacklevel=4)
