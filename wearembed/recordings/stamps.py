"""The time stamps of a table: which column, in which unit, in which order."""

import datetime
import re
import warnings

import numpy as np
import pandas as pd

from .clocks import rough_period
from .mapped import Growing, let_go, pieces, roomy
from .recording import EPOCH


def time_column(columns, time, path):
    """The name of the time column, or None; `columns` are what is known of each, by name."""
    if time is False:
        return None
    if time is not None:
        return named(list(columns), time, path)
    for name in columns:
        if any(re.search("time(?!zone)|stamp|epoch|^(t|ts|date|seconds|elapsed|millis)$", w) for w in words(name)):
            return name
    return next((name for name, column in columns.items() if column.tells_time), None)


def named(names, name, path):
    """A column by its name, or by its place, which may be written as text where no column is called so."""
    if name in names:
        return name
    place = int(name) if isinstance(name, int) or re.fullmatch("[0-9]+", name) else None
    if place is None:
        raise ValueError(f"Expected a column {name!r} in {path}, found {names}. Name one of these.")
    if -len(names) <= place < len(names):
        return names[place]
    raise ValueError(
        f"Expected a column {name!r} in {path}, by name or by place, counted from 0; found {len(names)}: {names}. Name "
        f"one of these."
    )


def words(name):
    return re.findall("[a-z]+", re.sub(r"[(\[].*?[)\]]", "", str(name)).lower())


# ---- gathered piece by piece

_YEARS = 1970, 2199  # of a device's clock, also of one that was never set
# "10:00:00:500" (GENEActiv), "10:00:00,500" and "... [Europe/London]" (UK Biobank tools) are ISO but for their ends.
_ENDS = (r"\s*\[.*\]$", ""), (r"(:\d\d)[:,](\d{3,})$", r"\1.\2")
_LOOK = 100  # rows that tell the ends of all: a look is quicker than a million changes


class Stamps:
    """The stamps of a time column, piece by piece: as numbers and, where there is text, as dates too.

    `ends` are those of `_ENDS` that are to be mended, by default those that the first piece has; `own_ends` are those
    that the column has.
    """

    def __init__(self, decimal=".", ends=None):
        self.decimal, self.ends = decimal, ends
        self.numbers, self.dates = _Numbers(), _Dates()
        self._head, self._n = [], 0

    def add(self, part):
        text = None if pd.api.types.is_numeric_dtype(part) and part.notna().any() else part.astype("string")
        if self._n < _LOOK and text is not None:
            self._head += text.head(_LOOK - self._n).tolist()
        self._n += len(part)
        if self.ends is None and text is not None:
            self.ends = self.own_ends
        self.numbers.add(in_numbers(part, self.decimal))
        self.dates.add(text, len(part), self.ends)

    @property
    def own_ends(self):
        text, found = pd.Series(self._head, dtype="string"), []
        for end in _ENDS:
            if text.str.contains(end[0].replace("(", "(?:")).any():
                text = text.str.replace(*end, regex=True)
                found.append(end)
        return found

    @property
    def as_dates(self):
        """Whether, if they are not numbers one and all, most of them are none."""
        return self.numbers.n_known < 0.5 * self._n


def in_numbers(part, decimal="."):
    """A piece of a column as numbers, NaN where there are none."""
    if pd.api.types.is_bool_dtype(part):
        return part.astype(np.float64)
    if pd.api.types.is_numeric_dtype(part):
        return part
    if decimal == "," and pd.api.types.is_string_dtype(part):
        part = part.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(part, errors="coerce")
    if numbers.dtype.kind in "iu":  # elsewhere in the column are others that are none, and it is read as floats
        numbers = pd.to_numeric(pd.concat([part.astype(object), pd.Series(["none"])]), errors="coerce").iloc[:-1]
    return numbers


class _Numbers:
    """Stamps as numbers, each less the first that is known."""

    def __init__(self):
        self.ticks, self.first, self.last = Growing(np.float64), None, None
        self.n_known, self.counts = 0, True

    def add(self, part):
        known = part.dropna()
        self.n_known += len(known)
        if not len(known):
            self.ticks.append(np.full(len(part), np.nan))
            return
        if self.counts:
            before = [] if self.last is None else [float(self.last)]
            self.counts = bool((np.diff(np.r_[before, known.to_numpy(np.float64)]) == 1).all())
        self.first = known.iloc[0] if self.first is None else self.first
        self.last = known.iloc[-1]
        # Differences first: nanoseconds since 1970 fill a float.
        self.ticks.append((part - self.first).to_numpy(np.float64))


class _Dates:
    """Stamps as nanoseconds since 1970, and the zones and units that they are written in."""

    def __init__(self):
        self.nanoseconds, self.zones, self.units = Growing(np.int64), set(), set()
        self.first = None  # the first text, a list of one
        self.n_before = 0  # rows before the first text

    def add(self, text, n, ends):
        if text is None or not text.notna().any():
            if self.nanoseconds.n:
                self.nanoseconds.append(np.full(n, _NO_DATE))
            self.n_before += 0 if self.nanoseconds.n else n
            return
        if not self.nanoseconds.n:
            self.nanoseconds.append(np.full(self.n_before, _NO_DATE))
        for end in ends:
            text = text.str.replace(*end, regex=True)
        self.first = self.first or [pd.NA if self.n_before else text.iloc[0]]
        when = self._parsed(text)
        near = when.dt.year.between(_YEARS[0] - 1, _YEARS[1] + 1)  # pandas counts no nanoseconds from year 24
        when = when.where(near).dt.as_unit("ns")
        self.nanoseconds.append(when.to_numpy("datetime64[ns]").view(np.int64))

    def _parsed(self, text):
        try:
            when = pd.to_datetime(text, format="ISO8601", errors="coerce")
        except ValueError:  # offsets that change, as in the night of a clock change
            when = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
            self.zones.add(None)
        if when.notna().any():
            self.zones.add(when.dt.tz)
            self.units.add(when.dt.unit)
        return when

    @property
    def zone(self):
        """The zone that all are written in, or UTC where there are several."""
        return next(iter(self.zones)) if len(self.zones) == 1 else datetime.UTC


_NO_DATE = np.iinfo(np.int64).min  # NaT


# ---- once all are gathered

_SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def seconds_since(stamps, kind, unit, name, path):
    """Seconds of each row since `start`, NaN where there is none, and `start`; `kind` is that of the whole column."""
    if unit is not None and unit not in _SCALES:
        raise ValueError(f"Expected time_unit to be one of {list(_SCALES)}, got {unit!r}.")
    if kind == "text" and stamps.as_dates:
        return _seconds_of_dates(stamps.dates, name, path)
    numbers = stamps.numbers
    if not numbers.n_known:
        raise ValueError(f"Expected time stamps in column {name!r} of {path}, got none. Name another with time=.")
    first = numbers.first.item() if kind in ("int", "uint") else float(numbers.first)
    ticks = numbers.ticks.whole()
    step = rough_period(_finite_in_order(ticks))
    unit = unit or _unit(first, step, numbers.counts)
    if unit is None:
        raise ValueError(
            f"Expected a time column with steps of 2 to 2000 Hz in some unit, got steps of {step:g} in column "
            f"{name!r} of {path}. Say what it counts with time_unit=, or give time=False and sfreq=."
        )
    for some in pieces(len(ticks)):
        ticks[some] /= _SCALES[unit]
        let_go(ticks)
    return ticks, EPOCH + pd.Timedelta(first, unit=unit)


def _finite_in_order(ticks):
    """The finite of some numbers, from low to high."""
    growing = Growing(np.float64)
    for some in pieces(len(ticks)):
        growing.append(ticks[some][np.isfinite(ticks[some])])
        let_go(ticks)
    finite = growing.whole()
    if _n_steps_back(finite):
        finite.sort()
    return finite


def _n_steps_back(numbers):
    """How many numbers are lower than the one before."""
    n_back = 0
    for some in pieces(len(numbers) - 1):
        n_back += int((np.diff(numbers[some.start : some.stop + 1]) < 0).sum())
        let_go(numbers)
    return n_back


def _unit(first, step, counts):
    """The unit in which stamps are a date since 2001 and half a hertz or more, or else 2 to 2000 Hz."""
    for unit, scale in _SCALES.items():
        if 1e9 * scale <= first < 4e9 * scale and 0.5 <= scale / max(step, 1e-9) < 2000:
            return unit
    if counts:  # 0, 1, 2, ...: rows of any rate, seconds or milliseconds
        return None
    return next((unit for unit, scale in _SCALES.items() if step > 0 and 2 <= scale / step < 2000), None)


def _seconds_of_dates(dates, name, path):
    zone = dates.zone
    low, high = (pd.Timestamp(year, 1, 1, tz=zone).as_unit("ns").value for year in (_YEARS[0], _YEARS[1] + 1))
    when, first, n_known = dates.nanoseconds.whole(), 0, 0
    for some in pieces(len(when)):
        when[some][(when[some] < low) | (when[some] >= high)] = _NO_DATE  # a damaged one is none
        known = when[some][when[some] != _NO_DATE]
        first, n_known = (first if n_known or not len(known) else int(known[0])), n_known + len(known)
        let_go(when)
    if n_known < 0.5 * len(when) or not n_known:
        raise ValueError(
            f"Expected time stamps as 2024-05-31 10:00:00.000 or as numbers, got {(dates.first or [pd.NA])[0]!r} in "
            f"column {name!r} of {path}. Rewrite them with pandas.to_datetime, or name another column with time=."
        )
    unit = max(dates.units, key=list(_SCALES).index)
    seconds = roomy((len(when),), np.float64)
    for some in pieces(len(when)):
        # In the unit that they are written in: nanoseconds of a year are more than a float can count.
        ticks = (when[some] - first) // round(1e9 / _SCALES[unit])
        seconds[some] = np.where(when[some] == _NO_DATE, np.nan, ticks / _SCALES[unit])
        let_go(when)
        let_go(seconds)
    return seconds, pd.Timestamp(first, tz=datetime.UTC).tz_convert(zone).as_unit(unit)


def in_order(seconds, values, path):
    """Rows in order of time, each stamp that should be single once; a warning says what was done.

    `values` are arrays of one number a row, one for each channel.
    """
    order, n_rows = _order(seconds), len(seconds)
    jumps = _n_steps_back(order)
    breaks = _n_steps_back(seconds[np.isfinite(seconds)]) if jumps else 0  # where the file goes back in time
    woven = jumps > 2 * breaks + 2  # a block or row out of its place makes one or two, an hour that comes twice many
    if woven or (jumps > 2 + 0.02 * len(order) and jumps < len(order) - 1):
        raise ValueError(
            f"Expected rows of {path} in order of time, got two clocks that overlap or rows at random ({jumps} jumps). "
            f"If the clock was set back, as in the night of a clock change, cut the file there, or write stamps with "
            f"their offset from UTC; if rows were shuffled, sort them first."
        )
    order, n_repeated = _single(order, seconds, values)
    n_no_stamp = n_rows - len(order) - n_repeated
    if jumps or n_repeated or n_no_stamp:
        _tell_rows(path, jumps, n_repeated, n_no_stamp)
    if not len(order) or seconds[order[0]] == seconds[order[-1]]:
        raise ValueError(
            f"Expected time stamps that move on in {path}, got {len(order)} rows at one time. "
            f"Name another time column with time=, or give time=False and sfreq=."
        )
    return order


def _order(seconds):
    """Places of the rows with a finite stamp in order of time."""
    there, last, back, n_finite = Growing(np.int64), -np.inf, False, 0
    for some in pieces(len(seconds)):
        part = seconds[some]
        known = np.flatnonzero(~np.isnan(part))
        n_finite += int(np.isfinite(part).sum())
        there.append(known + some.start)
        back = back or bool((np.diff(part[known], prepend=last) < 0).any())
        last = part[known[-1]] if len(known) else last
        let_go(seconds)
    return (np.argsort(seconds, kind="stable") if back else there.whole())[:n_finite]


def _single(order, seconds, values):
    """Places of the rows whose stamp comes once, and how many rows were left out for a stamp that comes again."""
    n_same, n_twice = 0, 0
    for some in pieces(len(order)):
        _, same, twice = _compared(order, some, seconds, values)
        n_same, n_twice = n_same + int(same.sum()), n_twice + int(twice.sum())
    if not n_same:
        return order, 0
    if n_same / len(order) >= 0.05 and not (n_twice == n_same and _moves(order, seconds, values)):
        return order, 0  # stamps are shared because they were rounded
    single = Growing(np.int64)
    for some in pieces(len(order)):
        rows, same, _ = _compared(order, some, seconds, values)
        single.append(rows[~same])
    return single.whole(), n_same


def _compared(order, some, seconds, values):
    """Some rows, which have the stamp of the row before, and which all of the row before."""
    first = max(0, some.start - 1)
    rows = order[first : some.stop]
    same = np.diff(seconds[rows]) == 0
    twice = same.copy()
    if same.any():
        for channel in values:
            sample = channel[rows]
            twice &= sample[1:] == sample[:-1]
    if not some.start:
        same, twice = np.r_[False, same], np.r_[False, twice]
    _let_go_of(order, seconds, values)
    return order[some], same, twice


def _let_go_of(order, seconds, values):
    for array in (order, seconds, *values):
        let_go(array)


def _moves(order, seconds, values):
    """Whether most samples differ from the one before; then equal neighbours are copies."""
    last, n_moved, n_single = None, 0, 0
    for some in pieces(len(order)):
        rows, same, _ = _compared(order, some, seconds, values)
        rows = rows[~same]
        n_single += len(rows)
        rows = rows if last is None else np.r_[last, rows]
        n_moved += int(np.any([np.diff(channel[rows]) != 0 for channel in values], axis=0).sum())
        last = rows[-1]
    return n_single > 1 and n_moved / (n_single - 1) > 0.5


def _tell_rows(path, jumps, repeated, no_stamp):
    warnings.warn(
        f"{path.name}: rows out of order in {jumps} places, put in order; {repeated} rows with a repeated time stamp "
        f"and {no_stamp} without one, left out.",
        UserWarning,
        stacklevel=5,
    )
