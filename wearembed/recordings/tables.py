"""Tables as text: their channels, units and rows."""

import re
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..signals import check_units, positive
from .clocks import even_clock
from .columns import Column
from .layout import layout_of
from .mapped import Growing, let_go, picked, pieces, roomy
from .ranks import median
from .recording import EPOCH, fields
from .rows import Rows
from .stamps import Stamps, in_numbers, in_order, named, seconds_since, time_column, words


def read_table(path, beginning, sensor, units, sfreq, columns, time, time_unit):
    choose = partial(_choose, sensor=sensor, columns=columns, time=time, path=path)
    taken = _take(path, beginning, choose)
    names, clock = taken.choice.names, taken.choice.clock
    values = [channel.whole() for channel in taken.channels]
    if clock is None:
        if sfreq is None:
            raise ValueError(
                f"Expected a time column in {path}, found none among {list(taken.columns)}. "
                f"Name it with time=, or give the rate with sfreq= if the rows follow one another without a gap."
            )
        _check_lines(taken.rows, path)
        rate, start = positive(sfreq, "sfreq", "Hz"), EPOCH
        seconds, order = _seconds_of_rows(taken.rows.n, rate), None
    else:
        seconds, start = seconds_since(taken.stamps, taken.columns[clock].kind, time_unit, clock, path)
        taken.stamps = None  # what they take in a file is no longer needed
        order = in_order(seconds, values, path)
        seconds, rate = even_clock(picked(seconds, order))
        _check_rate(rate, sfreq, path)
    signal, seconds = _present(values, seconds, order)
    if not signal.shape[1]:
        raise ValueError(f"Expected numbers in columns {names} of {path}, got none. Name the channels with columns=.")
    units = _units(signal, rate, sensor, units, path)
    names = names if all(isinstance(name, str) for name in names) else ()
    return fields(signal, rate, units, start, seconds, taken.rows.n - signal.shape[1], names)


# ---- what is taken from a table while it goes by


class _Choice(NamedTuple):
    """The columns that are taken, what has to be read as what, and ends of dates that are mended."""

    clock: Any
    names: list
    dtypes: dict
    ends: list | None


class _Taken:
    """What is known of the columns of a table, and what was taken from those that were chosen."""

    def __init__(self, rows):
        self.rows, self.columns, self.choice = rows, {}, None

    def see(self, frame):
        for name in frame.columns:
            self.columns.setdefault(name, Column()).see(frame[name])

    def begin(self, choice):
        self.choice = choice
        if choice:
            self.stamps = Stamps(self.rows.layout.decimal, choice.ends)
            self.channels = [Growing(np.float32) for _ in choice.names]

    def take(self, frame):
        if not self.choice:
            return
        if self.choice.clock is not None:
            self.stamps.add(frame[self.choice.clock])
        decimal = self.rows.layout.decimal
        values = np.stack([in_numbers(frame[name], decimal).to_numpy(np.float32) for name in self.choice.names])
        values[:, ~np.isfinite(values).all(axis=0)] = np.nan
        for channel, row in zip(self.channels, values):
            channel.append(row)

    def goes_with(self, choice):
        """Whether what was taken is what is wanted; where stamps are no dates, their ends do not matter."""
        if not self.choice or self.choice[:3] != choice[:3]:
            return False
        return choice.ends is None or choice.ends == self.stamps.ends


def _take(path, beginning, choose):
    """What a table holds.

    All rows tell which columns are wanted and what is in them, and they are too many to be kept. So the first of them
    make a guess, by which all are taken; if all of them say something else, they are read again.
    """
    layout, choice = layout_of(beginning, path), None
    while True:
        taken = _pass(Rows(path, beginning, layout, choice.dtypes if choice else None), choice, choose)
        choice = choose(taken)
        if taken.goes_with(choice):
            return taken


def _pass(rows, choice, choose):
    """All rows once, and what is taken from them by a choice, or by what the first of them say."""
    taken = _Taken(rows)
    for frame in rows:
        taken.see(frame)
        if rows.n == len(frame):
            taken.begin(choice or _guess(choose, taken))
        taken.take(frame)
    return taken


def _guess(choose, taken):
    try:
        return choose(taken)
    except ValueError:  # all rows may know better
        return None


def _choose(taken, sensor, columns, time, path):
    clock = time_column(taken.columns, time, path)
    names = _channels(taken.columns, sensor, columns, clock, path, taken.rows.layout.cure)
    told = taken.choice is not None and taken.choice.clock == clock and clock is not None
    dates = told and taken.columns[clock].kind == "text" and taken.stamps.as_dates
    dtypes = dict(taken.choice.dtypes) if taken.choice else {}
    for name in names if clock is None else [clock, *names]:
        dtype = taken.columns[name].read_as(dates and name == clock)
        dtypes.update({name: dtype} if dtype else {})
    return _Choice(clock, names, dtypes, taken.stamps.own_ends if dates else None)


def _check_lines(rows, path):
    """An error unless each line is a row, where rows are the clock."""
    if not rows.row_a_line:
        raise ValueError(
            f"Expected a row on each line of {path}, got {rows.n} rows on {rows.n_lines} lines, or bytes of no text. "
            f"Without time stamps, nothing tells when the rows behind a lost one were taken. Mend the file, or cut it."
        )


def _seconds_of_rows(n, rate):
    seconds = roomy((n,), np.float64)
    for some in pieces(n):
        seconds[some] = np.arange(some.start, some.stop) / rate
        let_go(seconds)
    return seconds


def _present(values, seconds, order):
    """Samples that are there, in order, and their seconds."""
    n = len(seconds)

    def looked_at():
        for some in pieces(n):
            rows = some if order is None else order[some].copy()
            yield some, rows, ~np.isnan(values[0][rows])  # one that is missing in a channel is so in all
            for array in (seconds, order, *values):
                let_go(array)

    n_there, end = sum(int(there.sum()) for *_, there in looked_at()), 0
    signal = roomy((len(values), n_there), np.float32)
    times = roomy((n_there,), np.float64) if n_there < n else seconds
    for some, rows, there in looked_at():
        first, end = end, end + int(there.sum())
        for channel, row in zip(signal, values):
            channel[first:end] = row[rows][there]
        if n_there < n:
            times[first:end] = seconds[some][there]
        let_go(signal)
        let_go(times)
    return signal, times


# ---- channels and units


def _channels(known, sensor, columns, clock, path, cure):
    if columns is not None:
        return [named(list(known), name, path) for name in ([columns] if isinstance(columns, (str, int)) else columns)]
    rest = [name for name in known if name != clock]
    three = sensor in _AXES
    found = _axes(rest, sensor) if three else [name for name in rest if sensor.lower() in str(name).lower()]
    if not found:
        found = [name for name in rest if known[name].numeric and not known[name].numbers_rows]
    if len(found) != (3 if three else 1):
        wanted = "the three axes of the" if three else "one column of"
        found = f"cannot choose among {rest}. {cure}"
        if not rest:
            cure = "Is it a recording?" if "columns=" in cure else cure
            found = f"found a table of {len(known)} column{'s' * (len(known) != 1)}. {cure}"
        raise ValueError(f"Expected {wanted} {sensor} in {path}, {found}")
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
            f"Leave sfreq= out to believe the stamps, or give time=False to believe sfreq=."
        )


def _units(values, sfreq, sensor, units, path):
    """Declared units, checked, or what gravity says."""
    if sensor != "accelerometer":
        return units or "a.u."
    length = max(1, min(values.shape[1], round(10 * sfreq)))
    n = values.shape[1] // length * length
    if units is not None:
        check_units(values[:, :n].reshape(len(values), -1, length).swapaxes(0, 1), units)
        let_go(values)
        return units

    def magnitudes(some):
        found = np.linalg.norm(values[:, some], axis=0)
        let_go(values)
        return found

    magnitude = float(median(n, magnitudes))
    for name, gravity in (("g", 1.0), ("m/s^2", 9.81), ("mg", 1000.0)):
        if len(values) == 3 and 0.7 <= magnitude / gravity <= 1.3:
            return name
    raise ValueError(
        f"Expected gravity in the accelerometer of {path}, near 1 g, 9.81 m/s^2 or 1000 mg, got a median magnitude of "
        f"{magnitude:.4g}. Declare what it is in with units=."
    )
