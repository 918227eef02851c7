"""Tables as text: their channels, units and rows."""

import io
import re

import numpy as np
import pandas as pd

from ..signals import check_units, positive
from .clocks import even_clock
from .recording import EPOCH, fields
from .stamps import in_order, named, numbers_rows, seconds_since, time_column, words


def read_table(data, path, sensor, units, sfreq, columns, time, time_unit):
    frame = _frame(data, path)
    clock = time_column(frame, time, path)
    names = _channels(frame, sensor, columns, clock, path)
    values = np.stack([pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float32) for name in names])
    values[:, ~np.isfinite(values).all(axis=0)] = np.nan
    if clock is None:
        if sfreq is None:
            raise ValueError(
                f"Expected a time column in {path}, found none among {list(frame.columns)}. "
                f"Name it with time=, or give the rate with sfreq= if the rows follow one another without a gap."
            )
        _check_lines(data, frame, path)
        rate, start = positive(sfreq, "sfreq", "Hz"), EPOCH
        seconds = np.arange(len(frame)) / rate
    else:
        seconds, start = seconds_since(frame[clock], time_unit, path)
        order = in_order(seconds, values, path)
        values = values[:, order]
        seconds, rate = even_clock(seconds[order])
        _check_rate(rate, sfreq, path)
    present = ~np.isnan(values).any(axis=0)
    if not present.any():
        raise ValueError(f"Expected numbers in columns {names} of {path}, got none. Name the channels with columns=.")
    units = _units(values[:, present], rate, sensor, units, path)
    names = names if all(isinstance(name, str) for name in names) else ()
    return fields(values[:, present], rate, units, start, seconds[present], len(frame) - present.sum(), names)


def _frame(data, path):
    """The table, whatever its delimiter, with or without a header, after any lines of preamble."""
    try:
        lines = data[:65536].decode("utf-8-sig", errors="strict" if len(data) < 65536 else "ignore").splitlines()
    except UnicodeDecodeError:
        lines = []
    if not lines or "\0" in "".join(lines) or path.suffix.lower() in (".cwa", ".bin", ".gt3x", ".zip", ".avro"):
        raise ValueError(
            f"Expected in {path} an Axivity .cwa, a GENEActiv .bin, an Empatica E4 folder or a table as text (each may "
            f"be gzipped), got something else that begins with {data[:12]!r}. Export it as CSV with its own software."
        )
    lines = lines[:200]
    # A comma may be a decimal one, so the others are asked first.
    delimiter = next((mark for mark in ";\t" if np.median([line.count(mark) for line in lines[-20:]]) >= 1), ",")
    widths = [line.count(delimiter) for line in lines]
    width = max(set(widths[-20:]), key=widths[-20:].count)
    first = widths.index(width)
    cells = [cell.strip(" \"'") for cell in _cells(lines[first], delimiter)]
    measured = any(re.fullmatch(r"[-+]?\d*[.,]\d+(?:[eE][-+]?\d+)?", cell) for cell in cells)  # is no name
    named = any(re.match(r"[^\W\d]", cell) for cell in cells) and not measured
    named = named or lines[first].split(delimiter) == ["", *map(str, range(width))]  # as pandas writes an array
    comma = delimiter == ";" and re.search(r"\d,\d", lines[-1]) and not re.search(r"\d\.\d+;", lines[-1] + ";")
    try:
        frame = pd.read_csv(
            io.BytesIO(data),
            sep=delimiter,
            header=0 if named else None,
            skiprows=first,
            decimal="," if comma else ".",
            encoding="utf-8-sig",
            low_memory=False,
            skipinitialspace=True,
        ).rename(columns=lambda name: name.strip() if isinstance(name, str) else name)
    except ValueError as error:  # pandas' own errors are ValueErrors
        raise ValueError(
            f"Expected a table with rows of equal length in {path}: {str(error).strip()}. Mend them."
        ) from error
    frame.attrs["n_lines_before"] = first + named
    return frame


def _check_lines(data, frame, path):
    """An error unless each line is a row, where rows are the clock."""
    n_lines = len(re.findall(rb"\r\n|\n|\r", data.rstrip())) + 1
    if b"\0" in data or n_lines != frame.attrs["n_lines_before"] + len(frame):
        raise ValueError(
            f"Expected a row on each line of {path}, got {len(frame)} rows on {n_lines} lines, or bytes of no text. "
            f"Without time stamps, nothing tells when the rows behind a lost one were taken. Mend the file, or cut it."
        )


def _cells(line, delimiter):
    return [cell for cell in line.split(delimiter) if cell.strip().lower() not in ("nan", "na", "null", "none")]


def _channels(frame, sensor, columns, clock, path):
    if columns is not None:
        return [named(frame, name, path) for name in ([columns] if isinstance(columns, (str, int)) else columns)]
    rest = [name for name in frame.columns if name != clock]
    three = sensor in _AXES
    found = _axes(rest, sensor) if three else [name for name in rest if sensor.lower() in str(name).lower()]
    if not found:
        found = [n for n in rest if pd.api.types.is_numeric_dtype(frame[n]) and not numbers_rows(frame[n])]
    if len(found) != (3 if three else 1):
        wanted = "the three axes of the" if three else "one column of"
        cure = f"cannot choose among {rest}. Name the channels with columns=."
        if not rest:
            cure = f"found a table of {len(frame.columns)} column{'s' * (len(frame.columns) != 1)}. Is it a recording?"
        raise ValueError(f"Expected {wanted} {sensor} in {path}, {cure}")
    return found


_AXES = {"accelerometer": "a|.*acc.*", "gyroscope": "g|w|.*gyr.*|.*rot.*"}  # what stands before x, y and z


def _axes(names, sensor):
    """Columns of the x, y and z axes, named in one of the usual ways; bare x, y and z if none is named for it."""
    # "acc_x_mg" and "Accelerometer X (mg)" are accx and accelerometerx
    plain = {n: re.sub("axis|raw|value|(?<=[xyz])(m?g|ms?)", "", "".join(words(n))) for n in names}
    for before in (_AXES[sensor], ""):
        found = [n for axis in "xyz" for n in names if re.fullmatch(f"(?:{before}){axis}", plain[n])]
        if found:
            return found
    return []


def _check_rate(rate, sfreq, path):
    if sfreq is not None and abs(rate / positive(sfreq, "sfreq", "Hz") - 1) > 0.05:
        raise ValueError(
            f"{path} was expected at sfreq={sfreq:g} Hz, but its time stamps say {rate:.4g} Hz. "
            f"Leave sfreq out to believe the stamps, or give time=False to believe sfreq."
        )


def _units(values, sfreq, sensor, units, path):
    """Declared units, checked, or what gravity says."""
    if sensor != "accelerometer":
        return units or "a.u."
    length = max(1, min(values.shape[1], round(10 * sfreq)))
    windows = values[:, : values.shape[1] // length * length].reshape(len(values), -1, length).swapaxes(0, 1)
    if units is not None:
        check_units(windows, units)
        return units
    magnitude = float(np.median(np.linalg.norm(windows, axis=1)))
    for name, gravity in (("g", 1.0), ("m/s^2", 9.81), ("mg", 1000.0)):
        if len(values) == 3 and 0.7 <= magnitude / gravity <= 1.3:
            return name
    raise ValueError(
        f"Expected gravity in the accelerometer of {path}, near 1 g, 9.81 m/s^2 or 1000 mg, got a median magnitude of "
        f"{magnitude:.4g}. Declare what it is in with units=."
    )
