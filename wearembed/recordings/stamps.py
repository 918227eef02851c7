"""The time stamps of a table: which column, in which unit, in which order."""

import re
import warnings

import numpy as np
import pandas as pd

from .clocks import rough_period
from .recording import EPOCH


def time_column(frame, time, path):
    """The name of the time column, or None."""
    if time is False:
        return None
    if time is not None:
        return named(frame, time, path)
    for name in frame.columns:
        if any(re.search("time(?!zone)|stamp|epoch|^(t|ts|date|seconds|elapsed|millis)$", w) for w in words(name)):
            return name
    return next((name for name in frame.columns if _tells_time(frame[name])), None)


def named(frame, name, path):
    """A column by its name, or by its place."""
    if name in frame.columns:
        return name
    if isinstance(name, int) and -len(frame.columns) <= name < len(frame.columns):
        return frame.columns[name]
    raise ValueError(f"Expected a column {name!r} in {path}, found {list(frame.columns)}. Name one of these.")


def words(name):
    return re.findall("[a-z]+", re.sub(r"[(\[].*?[)\]]", "", str(name)).lower())


def _tells_time(column):
    if not pd.api.types.is_numeric_dtype(column):
        return bool(column.astype(str).str.match(r"\d{4}-\d\d-\d\d[T ]\d\d:").all())
    steps = np.diff(column.to_numpy(np.float64))
    return len(steps) > 1 and bool((steps >= 0).all()) and column.iloc[-1] > column.iloc[0] and not numbers_rows(column)


def numbers_rows(column):
    """Whether a column merely numbers the rows."""
    return pd.api.types.is_numeric_dtype(column) and bool((np.diff(column.to_numpy(np.float64)) == 1).all())


_YEARS = 1970, 2199  # of a device's clock, also of one that was never set
_SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def seconds_since(column, unit, path):
    """Seconds of each row since `start`, NaN where there is none, and `start`."""
    if unit is not None and unit not in _SCALES:
        raise ValueError(f"Expected time_unit to be one of {list(_SCALES)}, got {unit!r}.")
    if not pd.api.types.is_numeric_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce")
        if numbers.notna().mean() < 0.5:
            return _dates(column, path)
        column = numbers
    known = column.dropna()
    if known.empty:
        raise ValueError(
            f"Expected time stamps in column {column.name!r} of {path}, got none. Name another with time=."
        )
    ticks = (column - known.iloc[0]).to_numpy(np.float64)  # differences first: nanoseconds since 1970 fill a float
    step = rough_period(np.sort(ticks[np.isfinite(ticks)]))
    unit = unit or _unit(known, step)
    if unit is None:
        raise ValueError(
            f"Expected a time column with steps of 2 to 2000 Hz in some unit, got steps of {step:g} in column "
            f"{column.name!r} of {path}. Say what it counts with time_unit=, or give time=False and sfreq=."
        )
    return ticks / _SCALES[unit], EPOCH + pd.Timedelta(known.iloc[0].item(), unit=unit)


def _unit(known, step):
    """The unit in which stamps are a date since 2001 and half a hertz or more, or else 2 to 2000 Hz."""
    for unit, scale in _SCALES.items():
        if 1e9 * scale <= known.iloc[0] < 4e9 * scale and 0.5 <= scale / max(step, 1e-9) < 2000:
            return unit
    if numbers_rows(known):  # 0, 1, 2, ...: rows of any rate, seconds or milliseconds
        return None
    return next((unit for unit, scale in _SCALES.items() if step > 0 and 2 <= scale / step < 2000), None)


def _dates(column, path):
    # "10:00:00:500" (GENEActiv) and "... [Europe/London]" (UK Biobank tools) are ISO but for their ends.
    text = column.astype("string")
    for end, instead in ((r"\s*\[.*\]$", ""), (r"(:\d\d):(\d{3,})$", r"\1.\2")):
        if text.head(100).str.contains(end.replace("(", "(?:")).any():  # a look is quicker than a million changes
            text = text.str.replace(end, instead, regex=True)
    try:
        when = pd.to_datetime(text, format="ISO8601", errors="coerce")
    except ValueError:  # offsets that change, as in the night of a clock change
        when = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    when = when.where(when.dt.year.between(*_YEARS))  # a damaged one is none; and pandas cannot count from year 24
    if when.notna().mean() < 0.5:
        raise ValueError(
            f"Expected time stamps as 2024-05-31 10:00:00.000 or as numbers, got {text.iloc[0]!r} in column "
            f"{column.name!r} of {path}. Rewrite them with pandas.to_datetime, or name another column with time=."
        )
    start = when.dropna().iloc[0]
    return ((when - start) / pd.Timedelta(seconds=1)).to_numpy(np.float64), start


def in_order(seconds, values, path):
    """Rows in order of time, each stamp that should be single once; a warning says what was done."""
    order = np.argsort(seconds, kind="stable")[: np.isfinite(seconds).sum()]
    jumps = int((np.diff(order) < 0).sum())
    breaks = int((np.diff(seconds[np.isfinite(seconds)]) < 0).sum())  # where the file goes back in time
    woven = jumps > 2 * breaks + 2  # a block or row out of its place makes one or two, an hour that comes twice many
    if woven or (jumps > 2 + 0.02 * len(order) and jumps < len(order) - 1):
        raise ValueError(
            f"Expected rows of {path} in order of time, got two clocks that overlap or rows at random ({jumps} jumps). "
            f"If the clock was set back, as in the night of a clock change, cut the file there, or write stamps with "
            f"their offset from UTC; if rows were shuffled, sort them first."
        )
    same = np.diff(seconds[order], prepend=-np.inf) == 0
    twice = same & (values[:, order] == np.roll(values[:, order], 1, axis=1)).all(axis=0)
    copies = twice.sum() == same.sum() and _moves(values[:, order[~same]])
    drop = same & (same.mean() < 0.05 or copies)  # otherwise stamps are shared because they were rounded
    no_stamp = len(seconds) - len(order)
    if jumps or drop.any() or no_stamp:
        _tell_rows(path, jumps, int(drop.sum()), no_stamp)
    order = order[~drop]
    if len(np.unique(seconds[order])) < 2:
        raise ValueError(
            f"Expected time stamps that move on in {path}, got {len(order)} rows at one time. "
            f"Name another time column with time=, or give time=False and sfreq=."
        )
    return order


def _moves(values):
    """Whether most samples differ from the one before; then equal neighbours are copies."""
    return (np.diff(values, axis=1) != 0).any(axis=0).mean() > 0.5 if values.shape[1] > 1 else False


def _tell_rows(path, jumps, repeated, no_stamp):
    warnings.warn(
        f"{path.name}: rows out of order in {jumps} places, put in order; {repeated} rows with a repeated time stamp "
        f"and {no_stamp} without one, left out.",
        UserWarning,
        stacklevel=5,
    )
