"""Recordings as devices leave them, read from files and cut into windows."""

import gzip
import io
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

from .signals import canonical_units, check_units, positive, sample_at

_BATCH = 2**18  # target samples that are cut at once
_EPOCH = pd.Timestamp(0)


@dataclass(eq=False, repr=False)
class Recording:
    """What one sensor measured on one participant, sample by sample, as the device stored it.

    Parameters
    ----------
    signal : array of shape (n_channels, n_samples)
        Kept as float32. One dimension is one channel. A sample that is NaN in any channel counts as missing.
    sfreq : float
        Samples per second, as measured by the time stamps where there are any.
    participant : str
        Who wore the device; windows of all recordings of one participant belong to one group.
    units : str
        Units of `signal`: "g", "mg", "m/s^2", or anything that is not an acceleration, such as "a.u.".
    start : pandas.Timestamp, optional
        When the first sample was taken. Without time zone unless the file names one; 1970-01-01 if it is not known.
    name : str, optional
        Name of the recording, by default the participant.
    channel_names : sequence of str, optional
        By default x, y, z for three channels, else 0, 1, ...
    times : array of shape (n_samples,), optional
        Seconds from `start`, increasing; for clocks that drift, and for recordings with gaps. None says that all
        samples follow one another at `sfreq`.
    n_lost : int, default=0
        Samples that the file should have held but that could not be read. They are gaps.

    Examples
    --------
    >>> Recording(np.zeros((3, 6000)), sfreq=100, participant="P01", units="g", start="2024-05-01 08:00")
    Recording('P01', participant='P01', 3 channels × 6000 samples at 100 Hz, 'g', 60 s from 2024-05-01 08:00:00)
    """

    signal: np.ndarray
    sfreq: float
    participant: str
    units: str
    start: pd.Timestamp = _EPOCH
    name: str = ""
    channel_names: tuple[str, ...] = ()
    times: np.ndarray | None = None
    n_lost: int = 0

    def __post_init__(self) -> None:
        self.signal = np.atleast_2d(np.asarray(self.signal, dtype=np.float32))
        self.sfreq = positive(self.sfreq, "sfreq", "Hz")
        self.participant, self.units = str(self.participant), canonical_units(self.units)
        self.start = pd.Timestamp(self.start)
        self.name = str(self.name) or self.participant
        n_channels, n_samples = _check_shape(self.signal)
        default = "xyz" if n_channels == 3 else map(str, range(n_channels))
        self.channel_names = tuple(map(str, self.channel_names or default))
        if len(self.channel_names) != n_channels:
            raise ValueError(
                f"Expected one channel name for each of {n_channels} channels, got {self.channel_names}. "
                f"Name them all, or none."
            )
        if self.times is not None:
            times = _check_times(self.times, n_samples)
            if n_samples and times[0] != 0:  # both clocks begin with the first sample
                self.start += pd.to_timedelta(times[0], unit="s")
                times = times - times[0]
            self.times = times

    @property
    def duration(self) -> float:
        """Seconds from the first sample to the end of the last, gaps included."""
        n_samples = self.signal.shape[1]
        if self.times is None or n_samples == 0:
            return n_samples / self.sfreq
        return float(self.times[-1] - self.times[0] + 1 / self.sfreq)

    def __repr__(self) -> str:
        n_channels, n_samples = self.signal.shape
        lost = f", {self.n_lost} samples lost" if self.n_lost else ""
        return (
            f"Recording({self.name!r}, participant={self.participant!r}, {n_channels} channels × {n_samples} samples "
            f"at {self.sfreq:.6g} Hz, {self.units!r}, {self.duration:.6g} s from {self.start}{lost})"
        )


def _check_shape(signal: np.ndarray) -> tuple[int, int]:
    if signal.ndim != 2 or signal.shape[0] > max(signal.shape[1], 16):
        raise ValueError(
            f"Expected a signal of shape (n_channels, n_samples), got {signal.shape}. "
            f"One recording has two dimensions, with time along the last: transpose it if it is the other way round."
        )
    if np.isinf(signal).any():
        raise ValueError("Expected finite samples, got infinite ones. Set samples that are missing to NaN.")
    return signal.shape


def _check_times(times, n_samples: int) -> np.ndarray:
    times = np.asarray(times, dtype=np.float64)
    if times.shape != (n_samples,):
        raise ValueError(
            f"Expected one time in seconds for each of {n_samples} samples, got shape {times.shape}. "
            f"Give all of them, or times=None for a regular clock."
        )
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ValueError(
            "Expected finite times that increase from sample to sample, got some that do not. "
            "Sort the samples by time, and leave repeated ones out."
        )
    return times


def cut(recordings, seconds, sfreq, step=None, min_coverage=0.8):
    """Windows of equal length and rate from recordings of any length and rate.

    Windows begin at the first sample of each recording and then every `step` seconds. Where the rate goes down, each
    stretch without gap is filtered against aliasing (see `signals.sample_at`); then it is read at the exact times of
    the window, so that neither an odd rate nor a drifting clock adds up. At the same rate and without drift the
    samples come back as they are. Values are in the units of the recordings.

    Parameters
    ----------
    recordings : Recording or iterable of Recording
        All in the same units, with the same number of channels. An iterable is read one by one.
    seconds : float
        Length of a window.
    sfreq : float
        Samples per second of the windows.
    step : float, optional
        Seconds from one window to the next, by default `seconds`: windows that overlap say the same thing twice.
    min_coverage : float, default=0.8
        Windows with a smaller share of real samples are left out. In those that stay, what is missing is bridged by
        straight lines: at 0.8 that is a fifth of a window at most, which leaves its rhythm to be seen.

    Returns
    -------
    X : array of shape (n_windows, n_channels, round(seconds * sfreq)), float32
    index : pandas.DataFrame
        One row a window: participant, recording, start (time stamp) and coverage (0 to 1).
        `index.attrs` holds n_left_out, the number of windows below `min_coverage`, and units, sfreq, channel_names.

    Examples
    --------
    >>> recording = Recording(np.arange(1000.0), sfreq=100, participant="P01", units="a.u.")
    >>> X, index = cut(recording, seconds=4, sfreq=50)
    >>> X.shape, list(index["coverage"])
    ((2, 1, 200), [1.0, 1.0])
    """
    seconds, sfreq = positive(seconds, "seconds", "s"), positive(sfreq, "sfreq", "Hz")
    step = seconds if step is None else positive(step, "step", "s")
    n_times = round(seconds * sfreq)
    if n_times == 0:
        raise ValueError(f"Expected windows of at least one sample, got {seconds:g} s at {sfreq:g} Hz. Lengthen them.")
    if not 0 <= min_coverage <= 1:
        raise ValueError(f"Expected min_coverage between 0 and 1, got {min_coverage!r}. It is a share of a window.")
    first, parts, rows, n_left_out = None, [], [], 0
    for recording in [recordings] if isinstance(recordings, Recording) else recordings:
        first = _check_alike(recording, first)
        windows, starts, coverage, n_windows = _cut_one(recording, seconds, sfreq, n_times, step, min_coverage)
        parts.append(windows)
        rows.append(_rows(recording, starts, coverage))
        n_left_out += n_windows - len(windows)
    if first is None:
        raise ValueError("Expected at least one recording, got none. Look whether the files were found.")
    index = _concat(rows)
    index.attrs = {
        "n_left_out": n_left_out,
        "units": first.units,
        "sfreq": sfreq,
        "channel_names": list(first.channel_names),
    }
    return parts[0] if len(parts) == 1 else np.concatenate(parts), index


def _check_alike(recording, first):
    """The first recording, after a look whether this one has its units and channels."""
    if not isinstance(recording, Recording):
        raise TypeError(
            f"Expected recordings, got {type(recording).__name__}. "
            f"Read a file with wearembed.read_recording(path), or make a wearembed.Recording of an array."
        )
    first = recording if first is None else first
    if recording.units != first.units or len(recording.channel_names) != len(first.channel_names):
        raise ValueError(
            f"Expected recordings of one kind, got {first.name!r} with {len(first.channel_names)} channels in "
            f"{first.units!r} and {recording.name!r} with {len(recording.channel_names)} in {recording.units!r}. "
            f"Convert units with wearembed.signals.convert_units, and cut each sensor by itself."
        )
    return first


def _rows(recording, starts, coverage):
    return pd.DataFrame(
        {
            "participant": pd.Series([recording.participant] * len(starts), dtype=object),
            "recording": pd.Series([recording.name] * len(starts), dtype=object),
            "start": recording.start + pd.to_timedelta(starts, unit="s"),
            "coverage": coverage,
        }
    )


def _concat(rows):
    """One table; an empty one has the columns and types of a full one."""
    return pd.concat([r for r in rows if len(r)] or rows[:1], ignore_index=True)


def _cut_one(recording, seconds, sfreq, n_times, step, min_coverage):
    """Windows of one recording, their starts in seconds, their coverage, and how many there were before choosing."""
    t, x = _present(recording)
    period = 1 / recording.sfreq
    # Half a sample of grace: a rate measured as 100.002 Hz shall not cost the last window.
    slack = recording.duration + period / 2 - seconds
    n_windows = int(slack / step) + 1 if slack >= 0 and len(t) else 0
    all_starts = np.arange(n_windows) * step
    stretches = _stretches(t, period)
    parts, kept = [np.empty((0, len(x), n_times), np.float32)], [np.empty((0, 2))]
    for begin in range(0, n_windows, max(1, _BATCH // n_times)):
        starts = all_starts[begin : begin + max(1, _BATCH // n_times)]
        at = starts[:, None] + np.arange(n_times) / sfreq  # (windows, n_times)
        owner, real = _covered(t, stretches, at, period)
        coverage = real.mean(axis=1)
        keep = (coverage >= min_coverage) & (coverage > 0)
        parts.append(_values(t, x, stretches, at[keep], owner[keep], real[keep], period, sfreq * period))
        kept.append(np.column_stack([starts[keep], coverage[keep]]))
    starts, coverage = np.concatenate(kept).T
    return np.concatenate(parts), starts, coverage, n_windows


def _present(recording):
    """Times and values of the samples that are there."""
    t, x = recording.times, recording.signal
    if t is None:
        t = np.arange(x.shape[1]) / recording.sfreq
    present = ~np.isnan(x).any(axis=0)
    return (t, x) if present.all() else (t[present], x[:, present])


def _stretches(t, period):
    """Where stretches without gap begin, and where the last ends: indices (n_stretches + 1,)."""
    steps = np.diff(t)
    return np.r_[0, np.flatnonzero(steps > _longest_step(steps, period)) + 1, len(t)]


def _longest_step(steps, period, grain=0.0):
    """The longest step between neighbours: half a period late, plus rounding and the usual jitter."""
    jitter = np.median(np.abs(steps - np.median(steps))) if len(steps) else 0.0
    return 1.5 * period + grain + 4 * jitter


def _covered(t, stretches, at, period):
    """For each target time the stretch that it may belong to, and whether it does."""
    hair = 0.05 * period  # clocks are known no better
    first, end = t[stretches[:-1]] - hair, t[stretches[1:] - 1] + period - hair  # a sample stands for its period
    owner = np.maximum(np.searchsorted(first, at, side="right") - 1, 0)
    return owner, (at >= first[owner]) & (at < end[owner])


def _values(t, x, stretches, at, owner, real, period, band):
    """Values at the target times `at` (windows, n_times), as windows (windows, n_channels, n_times)."""
    out = np.empty((len(x), *at.shape), dtype=np.float32)
    if at.size == 0:
        return out.swapaxes(0, 1)
    if not real.all():
        near = slice(*_around(t, at.min(), at.max(), 2))
        for channel in range(len(x)):
            out[channel] = np.interp(at, t[near], x[channel, near])
    margin = 64 + int(64 / min(band, 1))  # farther than any filter looks
    for stretch in np.unique(owner[real]):
        mine = real & (owner == stretch)
        low, high = _around(t, at[mine].min(), at[mine].max(), margin)
        part = slice(max(low, stretches[stretch]), min(high, stretches[stretch + 1]))
        out[:, mine] = _along(t[part], x[:, part], at[mine], period, min(band, 1))
    return out.swapaxes(0, 1)


def _around(t, low, high, margin):
    return max(0, np.searchsorted(t, low) - margin), np.searchsorted(t, high) + margin


def _along(t, x, at, period, band):
    """Values of one stretch without gap."""
    steps = np.diff(t)
    if len(t) > 3 and np.abs(steps / period - 1).max() > 0.1:  # taken unevenly: first onto an even grid
        grid = np.arange(t[0], t[-1] + period / 2, period)
        t, x = grid, CubicSpline(t, x, axis=1)(np.minimum(grid, t[-1])).astype(np.float32)
    beyond = 2 * period
    knots = np.r_[t[0] - beyond, t, t[-1] + beyond]
    positions = np.interp(at, knots, np.r_[-2, np.arange(len(t)), len(t) + 1])
    return sample_at(x, positions, band)


def read_recording(
    path,
    *,
    participant=None,
    sensor="accelerometer",
    units=None,
    sfreq=None,
    columns=None,
    time=None,
    time_unit=None,
):
    """Read one recording from a file or folder as the device or its software left it.

    What the file is, is told by its content: Axivity AX3 and AX6 (`.cwa`), GENEActiv (`.bin`), an Empatica E4 export
    (the folder, or one of its files), or a table as text with commas, semicolons or tabs. Any of them may be gzipped.
    Samples stay as they are, and so does their clock: nothing is resampled or filled in.

    - A block of a `.cwa` or a page of a `.bin` that is damaged becomes a gap, and a warning says how many there were.
    - Rows of a table with a missing value become gaps. Rows out of order are put in order and rows with the time
      stamp of another are left out, with a warning that counts them.
    - Where time stamps are rounded or jitter about an even clock, the even clock is used: a line through them, stretch
      by stretch between gaps. Rounding to milliseconds or seconds therefore does not change the rate.

    Parameters
    ----------
    path : str or path
    participant : str, optional
        By default the name of the file without its ending; for an E4 export the name of the folder.
    sensor : str, default="accelerometer"
        Also "gyroscope" (AX6, tables); "bvp", "eda", "temperature" (E4). In a table, any other name looks for a
        column of that name.
    units : str, optional
        Of a table. An accelerometer with gravity in it is recognised as g, m/s^2 or mg by its magnitude, and what is
        declared is checked against that; any other sensor is "a.u.". Device files know theirs.
    sfreq : float, optional
        Samples per second of a table without time stamps. With them it has to agree, to 5 %.
    columns : sequence of str or int, optional
        Channels of a table, by default its x, y and z of the accelerometer, or the three numeric columns left.
    time : str, int or False, optional
        Time column of a table, by default found by its name or because it alone increases. False: look for none.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Of a numeric time column, by default the one that makes a rate of 2 to 2000 Hz. Since 1970 or since the
        start, whichever the numbers say.

    Returns
    -------
    Recording
        `start` has a time zone only where the file writes one; seconds since 1970 are read as UTC.

    Raises
    ------
    FileNotFoundError
    ValueError
        The file is empty, cut off, of another kind, or does not say enough; the message says what would help.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> rows = pd.DataFrame({"time": np.arange(500) / 50, "x": 0.0, "y": 0.0, "z": 1.0})
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "P07.csv"
    >>> rows.to_csv(file, index=False)
    >>> read_recording(file)
    Recording('P07', participant='P07', 3 channels × 500 samples at 50 Hz, 'g', 10 s from 1970-01-01 00:00:00)
    """
    path = Path(path)
    table = {"units": units, "sfreq": sfreq, "columns": columns, "time": time, "time_unit": time_unit}
    if path.is_dir():
        found = _read_e4(path, sensor)
        name = path.resolve().name
    else:
        data = _bytes(path)
        name = re.sub(r"\.gz$", "", path.name).rsplit(".", 1)[0]
        if data[:2] == b"MD":
            found = _read_cwa(data, path, sensor)
        elif data.startswith(b"Device Identity"):
            found = _read_geneactiv(data, path, sensor)
        elif path.name in _E4_NAMES and _looks_like_e4(data):
            found, name = _read_e4(path.parent, sensor, path.name), path.resolve().parent.name
        else:
            found, table = _read_table(data, path, sensor, **table), {}
    given = [key for key, value in table.items() if value is not None]
    if given and (given != ["units"] or canonical_units(units) != found["units"]):
        raise ValueError(
            f"Expected {', '.join(given)} for tables only: {path.name} knows its own rate and holds "
            f"{found['units']!r}. Leave them out; to convert, use wearembed.signals.convert_units."
        )
    return Recording(participant=name if participant is None else participant, name=name, **found)


def _bytes(path):
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


def _found(signal, sfreq, units, start, seconds=None, n_lost=0, names=()):
    """Fields of a Recording; the clock is left out where it is even to a hundredth of a period."""
    if seconds is not None:
        start, seconds = start + pd.to_timedelta(seconds[0], unit="s"), seconds - seconds[0]
        if np.abs(seconds * sfreq - np.arange(len(seconds))).max() < 0.01:
            seconds = None
    return {
        "signal": np.ascontiguousarray(signal, dtype=np.float32),
        "sfreq": sfreq,
        "units": units,
        "start": start,
        "times": seconds,
        "n_lost": int(n_lost),
        "channel_names": tuple(names),
    }


def _tell(path, message):
    warnings.warn(f"{path.name}: {message}", UserWarning, stacklevel=4)


# ---- clocks


def _even_clock(stamps):
    """The clock behind rounded or jittered time stamps: seconds of every sample, and samples per second.

    Where several samples share a stamp it was rounded down, and only the first of them is known to a period. The
    others are laid evenly between. A stretch whose stamps stray from a line by more than 1.5 periods keeps them.
    """
    moved = np.flatnonzero(np.diff(stamps, prepend=-np.inf) > 0)
    steps = np.diff(stamps[moved])
    period = _rough_period(stamps)
    grain = next((g for g in (1.0, 0.1, 0.01, 0.001) if np.abs(stamps / g - np.round(stamps / g)).max() < 1e-3), 0.0)
    begin = np.r_[0, moved[1:][steps > _longest_step(steps, period, grain)]]
    shared = len(moved) < 0.9 * len(stamps)
    known = np.setdiff1d(moved, begin) if shared else moved  # a stretch may begin in the middle of a stamp
    period = _slope(known, stamps[known], np.searchsorted(begin, known, side="right"), period)
    times = np.empty(len(stamps))
    for first, end in zip(begin, np.r_[begin[1:], len(stamps)]):
        knots = known[slice(*np.searchsorted(known, [first, end]))]
        times[first:end] = _evenly(np.arange(first, end), knots if len(knots) else np.array([first]), stamps, period)
    if abs(times[0] - stamps[0]) < period / 2:  # the first stamp is as good as the line, and is what the file says
        times += stamps[0] - times[0]
    return (times if (np.diff(times) > 0).all() else stamps), 1 / period


def _rough_period(stamps):
    """Seconds per sample, to some per cent; gaps and rounding do no harm."""
    moved = np.flatnonzero(np.diff(stamps, prepend=-np.inf) > 0)
    return np.median(np.diff(stamps[moved])) / np.median(np.diff(moved)) if len(moved) > 1 else 0.0


def _evenly(index, knots, stamps, period):
    away = stamps[knots] - period * knots
    if np.quantile(np.abs(away - np.median(away)), 0.99) <= 1.5 * period:
        return np.median(away) + period * index
    ends = stamps[knots[[0, -1]]] + period * (index[[0, -1]] - knots[[0, -1]])
    return np.interp(
        index, np.r_[index[0] - 1, knots, index[-1] + 1], np.r_[ends[0] - period, stamps[knots], ends[1] + period]
    )


def _slope(index, stamps, stretch, otherwise):
    """Seconds per sample: one slope through all stretches, each with its own offset, outliers left out."""
    keep = np.ones(len(index), dtype=bool)
    for _ in range(3):
        n = np.maximum(np.bincount(stretch, keep), 1)
        i = index - (np.bincount(stretch, keep * index) / n)[stretch]
        t = stamps - (np.bincount(stretch, keep * stamps) / n)[stretch]
        spread = (keep * i * i).sum()
        if spread == 0:
            return otherwise
        slope = (keep * i * t).sum() / spread
        off = np.abs(t - slope * i)
        keep = off <= 6 * np.median(off) + 1e-9
    return slope


def _only_forward(seconds):
    """Which samples come later than all before them."""
    return seconds > np.r_[-np.inf, np.maximum.accumulate(seconds)[:-1]]


# ---- tables


def _read_table(data, path, sensor, units, sfreq, columns, time, time_unit):
    frame = _frame(data, path)
    clock = _time_column(frame, time, path)
    names = _channels(frame, sensor, columns, clock, path)
    values = np.stack([pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float32) for name in names])
    values[:, ~np.isfinite(values).all(axis=0)] = np.nan
    if clock is None:
        if sfreq is None:
            raise ValueError(
                f"Expected a time column in {path}, found none among {list(frame.columns)}. "
                f"Name it with time=, or give the rate with sfreq= if the rows follow one another without a gap."
            )
        rate, start = positive(sfreq, "sfreq", "Hz"), _EPOCH
        seconds = np.arange(len(frame)) / rate
    else:
        seconds, start = _stamps(frame[clock], time_unit, path)
        order = _in_order(seconds, values, path)
        values = values[:, order]
        seconds, rate = _even_clock(seconds[order])
        _check_rate(rate, sfreq, path)
    present = ~np.isnan(values).any(axis=0)
    if not present.any():
        raise ValueError(f"Expected numbers in columns {names} of {path}, got none. Name the channels with columns=.")
    units = _units(values[:, present], rate, sensor, units, path)
    names = names if all(isinstance(name, str) for name in names) else ()
    return _found(values[:, present], rate, units, start, seconds[present], len(frame) - present.sum(), names)


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
    named = any(re.match(r"[^\W\d]", cell.strip(" \"'")) for cell in _cells(lines[first], delimiter))
    named = named or lines[first].split(delimiter) == ["", *map(str, range(width))]  # as pandas writes an array
    comma = delimiter == ";" and re.search(r"\d,\d", lines[-1]) and not re.search(r"\d\.\d+;", lines[-1] + ";")
    try:
        return pd.read_csv(
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


def _cells(line, delimiter):
    return [cell for cell in line.split(delimiter) if cell.strip().lower() not in ("nan", "na", "null", "none")]


def _time_column(frame, time, path):
    """The name of the time column, or None."""
    if time is False:
        return None
    if time is not None:
        return _named(frame, time, path)
    for name in frame.columns:
        if any(re.search("time(?!zone)|stamp|epoch|^(t|ts|date|seconds|elapsed|millis)$", w) for w in _words(name)):
            return name
    return next((name for name in frame.columns if _tells_time(frame[name])), None)


def _named(frame, name, path):
    """A column by its name, or by its place."""
    if name in frame.columns:
        return name
    if isinstance(name, int) and -len(frame.columns) <= name < len(frame.columns):
        return frame.columns[name]
    raise ValueError(f"Expected a column {name!r} in {path}, found {list(frame.columns)}. Name one of these.")


def _words(name):
    return re.findall("[a-z]+", re.sub(r"[(\[].*?[)\]]", "", str(name)).lower())


def _tells_time(column):
    if not pd.api.types.is_numeric_dtype(column):
        return bool(column.astype(str).str.match(r"\d{4}-\d\d-\d\d[T ]\d\d:").all())
    steps = np.diff(column.to_numpy(np.float64))
    return len(steps) > 1 and bool((steps >= 0).all()) and column.iloc[-1] > column.iloc[0] and not _counts(column)


def _counts(column):
    """Whether a column merely numbers the rows."""
    return pd.api.types.is_numeric_dtype(column) and bool((np.diff(column.to_numpy(np.float64)) == 1).all())


def _channels(frame, sensor, columns, clock, path):
    if columns is not None:
        return [_named(frame, name, path) for name in ([columns] if isinstance(columns, (str, int)) else columns)]
    rest = [name for name in frame.columns if name != clock]
    three = sensor in _AXES
    found = _axes(rest, sensor) if three else [name for name in rest if sensor.lower() in str(name).lower()]
    if not found:
        found = [n for n in rest if pd.api.types.is_numeric_dtype(frame[n]) and not _counts(frame[n])]
    if len(found) != (3 if three else 1):
        wanted = "the three axes of the" if three else "one column of"
        raise ValueError(
            f"Expected {wanted} {sensor} in {path}, cannot choose among {rest}. Name the channels with columns=."
        )
    return found


_AXES = {"accelerometer": "a|.*acc.*", "gyroscope": "g|w|.*gyr.*|.*rot.*"}  # what stands before x, y and z


def _axes(names, sensor):
    """Columns of the x, y and z axes, named in one of the usual ways; bare x, y and z if none is named for it."""
    # "acc_x_mg" and "Accelerometer X (mg)" are accx and accelerometerx
    plain = {n: re.sub("axis|raw|value|(?<=[xyz])(m?g|ms?)", "", "".join(_words(n))) for n in names}
    for before in (_AXES[sensor], ""):
        found = [n for axis in "xyz" for n in names if re.fullmatch(f"(?:{before}){axis}", plain[n])]
        if found:
            return found
    return []


_SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def _stamps(column, unit, path):
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
    step = _rough_period(np.sort(ticks[np.isfinite(ticks)]))
    fitting = [u for u, scale in _SCALES.items() if step > 0 and 2 <= scale / step < 2000]
    if _counts(known) and known.iloc[0] < 1e9:  # 0, 1, 2, ...: rows of any rate, seconds or milliseconds
        fitting = []
    unit = unit or (fitting[0] if fitting else None)
    if unit is None:
        raise ValueError(
            f"Expected a time column with steps of 2 to 2000 Hz in some unit, got steps of {step:g} in column "
            f"{column.name!r} of {path}. Say what it counts with time_unit=, or give time=False and sfreq=."
        )
    return ticks / _SCALES[unit], _EPOCH + pd.Timedelta(known.iloc[0].item(), unit=unit)


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
    if when.notna().mean() < 0.5:
        raise ValueError(
            f"Expected time stamps as 2024-05-31 10:00:00.000 or as numbers, got {text.iloc[0]!r} in column "
            f"{column.name!r} of {path}. Rewrite them with pandas.to_datetime, or name another column with time=."
        )
    start = when.dropna().iloc[0]
    return ((when - start) / pd.Timedelta(seconds=1)).to_numpy(np.float64), start


def _in_order(seconds, values, path):
    """Rows in order of time, each stamp that should be single once; a warning says what was done."""
    order = np.argsort(seconds, kind="stable")[: np.isfinite(seconds).sum()]
    jumps = int((np.diff(order) < 0).sum())
    if jumps > 2 + 0.02 * len(order) and jumps < len(order) - 1:
        raise ValueError(
            f"Expected rows of {path} in order of time, got two clocks that overlap or rows at random ({jumps} jumps). "
            f"If the clock was set back, cut the file there; if rows were shuffled, sort them first."
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


# ---- Empatica E4: a file a sensor; its first row is when it began, its second the rate

_E4 = {  # sensor: file, what one count is, units, channels
    "accelerometer": ("ACC.csv", 1 / 64, "g", ("x", "y", "z")),
    "bvp": ("BVP.csv", 1.0, "a.u.", ("bvp",)),
    "eda": ("EDA.csv", 1.0, "uS", ("eda",)),
    "temperature": ("TEMP.csv", 1.0, "degC", ("temperature",)),
}
_E4_NAMES = {file: sensor for sensor, (file, *_) in _E4.items()}


def _looks_like_e4(data):
    rows = [line.split(b",") for line in data[:256].splitlines()[:2]]
    try:
        began, rate = ({float(cell) for cell in row} for row in rows)
    except ValueError:
        return False
    return len(began) == len(rate) == 1 and began.pop() > 1e9 and rate.pop() <= 1000


def _read_e4(folder, sensor, name=None):
    if sensor not in _E4:
        raise ValueError(f"Expected a sensor of the Empatica E4, one of {list(_E4)}, got {sensor!r}.")
    file, unit, units, channels = _E4[_E4_NAMES[name] if name and sensor == "accelerometer" else sensor]
    if name and file != name:
        raise ValueError(f"Expected {file} for sensor={sensor!r}, got {name}. Give the folder, or leave sensor out.")
    path = next((folder / f for f in (file, file + ".gz") if (folder / f).exists()), None)
    if path is None:
        there = sorted(entry.name for entry in folder.iterdir())[:8]
        raise FileNotFoundError(
            f"Expected an Empatica E4 export with {file} in {folder}, found {there}. "
            f"Give the folder that the export was unpacked to, or the file of another device itself."
        )
    data = _bytes(path)
    if not _looks_like_e4(data):
        raise ValueError(
            f"Expected the start and then the rate in the first two rows of {path}, got {data[:60]!r}. "
            f"Give the file as Empatica exported it."
        )
    table = pd.read_csv(io.BytesIO(data), header=None, low_memory=False).apply(pd.to_numeric, errors="coerce")
    if table.shape[1] != len(channels) or len(table) < 3:
        raise ValueError(f"Expected rows of {channels} in {path}, got a table of shape {table.shape}. Export it again.")
    sfreq = float(table.iloc[1, 0])
    values = table.iloc[2:].to_numpy(np.float32).T * np.float32(unit)
    present = np.isfinite(values).all(axis=0)
    start = pd.Timestamp(float(table.iloc[0, 0]), unit="s")
    seconds = np.flatnonzero(present) / sfreq
    return _found(values[:, present], sfreq, units, start, seconds, (~present).sum(), channels)


# ---- Axivity AX3 and AX6: a header of 1024 bytes, then blocks of 512 whose words sum to zero

_CWA_BLOCK = np.dtype(
    [
        ("magic", "S2"),
        ("length", "<u2"),
        ("fraction", "<u2"),  # top bit set: 15 bits of a second
        ("session", "<u4"),
        ("sequence", "<u4"),
        ("stamp", "<u4"),
        ("scale", "<u2"),  # 3 bits accelerometer, 3 bits gyroscope, 10 bits light
        ("temperature", "<u2"),
        ("events", "u1"),
        ("battery", "u1"),
        ("rate", "u1"),
        ("layout", "u1"),  # axes, then packing
        ("offset", "<i2"),  # the sample at which the whole second of the stamp began
        ("count", "<u2"),
        ("samples", "u1", 480),
        ("sum", "<u2"),
    ]
)


def _read_cwa(data, path, sensor):
    if len(data) < 1536 or len(data) % 512:
        rest = f"; to read what is there, cut it to {len(data) // 512 * 512} bytes" if len(data) > 1536 else ""
        raise ValueError(
            f"Expected {path} to be an Axivity header of 1024 bytes and blocks of 512, got {len(data)} bytes: it was "
            f"cut off. Copy it again from the device{rest}."
        )
    blocks = np.frombuffer(data, _CWA_BLOCK, offset=1024)
    good = _good_blocks(blocks)
    n_blocks, n_bad = len(good), int((~good).sum())
    blocks = blocks[:n_blocks][good]
    if not len(blocks):
        raise ValueError(f"Expected data in {path}, got {n_blocks} blocks of which none is whole. Copy it again.")
    n_lost = int(n_bad * np.median(blocks["count"]))
    if n_bad:
        _tell(
            path,
            f"{n_bad} of {n_blocks} blocks are damaged, the first is block {int(np.argmin(good))}; "
            f"about {n_lost} samples are lost and left as gaps.",
        )
    signal, there = _cwa_samples(blocks, sensor, path)
    seconds, start, sfreq = _cwa_times(blocks)
    forward = _only_forward(seconds)
    if not forward.all():
        _tell(path, f"{int((~forward).sum())} samples lie before others in time and are left out.")
    there[there] = forward
    if not there.all():
        signal, seconds = signal[:, there.ravel()], seconds[forward]
    units = "g" if sensor == "accelerometer" else "deg/s"
    return _found(signal, sfreq, units, start, seconds, n_lost + int((~forward).sum()), "xyz")


def _good_blocks(blocks):
    """Which blocks hold what was written; blank ones at the end do not count."""
    words = blocks.view("<u2").reshape(-1, 256)
    blank = (words == words[:, :1]).all(axis=1) & np.isin(words[:, 0], [0, 0xFFFF])
    n_written = len(blocks) - int(np.argmin(blank[::-1])) if not blank.all() else 0
    blocks, words = blocks[:n_written], words[:n_written]
    good = (blocks["magic"] == b"AX") & (blocks["length"] == 508) & (words.sum(axis=1, dtype=np.uint16) == 0)
    good &= np.isfinite(_cwa_seconds(blocks["stamp"])) & (blocks["rate"] & 15 > 0) & (blocks["count"] > 0)
    good &= (blocks["count"] <= _capacity(blocks["layout"])) & np.isin(blocks["layout"], [0x30, 0x32, 0x62, 0x92])
    for field in ("rate", "layout"):  # one recording has one rate and one layout
        if good.any():
            good &= blocks[field] == np.bincount(blocks[field][good]).argmax()
    return good


def _capacity(layout):
    return np.where(layout & 15 == 0, 120, 240 // np.maximum(layout >> 4, 1))


def _cwa_samples(blocks, sensor, path):
    """Samples (3, n_blocks * capacity) in g or degrees per second, and which of them were taken."""
    layout = int(blocks["layout"][0])
    n_axes, capacity = layout >> 4, int(_capacity(layout))
    if sensor not in ("accelerometer", "gyroscope") or (sensor == "gyroscope" and n_axes == 3):
        has = "an accelerometer" + (" and a gyroscope" if n_axes > 3 else "")
        raise ValueError(f"Expected a sensor that {path} holds, {has}, got sensor={sensor!r}.")
    raw = np.ascontiguousarray(blocks["samples"])
    if layout & 15 == 0:  # 3 × 10 bits, and 2 bits that say how far to shift them
        word = raw.view("<u4")
        values = np.empty((3, *word.shape), dtype=np.float32)
        for axis in range(3):
            ten = ((word >> 10 * axis) & 1023).astype(np.int16)
            values[axis] = ((ten ^ 512) - 512 << (word >> 30).astype(np.int16)) / np.float32(256)
    else:
        first = 0 if sensor == "gyroscope" or n_axes == 3 else 3
        counts = raw.view("<i2")[:, : capacity * n_axes].reshape(-1, capacity, n_axes)[..., first : first + 3]
        scale = blocks["scale"].astype(np.int32)
        one = 0.5 ** (8 + (scale >> 13)) if sensor == "accelerometer" else 0.5 ** (scale >> 10 & 7) * 8000 / 32768
        values = np.moveaxis(counts, 2, 0) * one[:, None].astype(np.float32)
    return values.reshape(3, -1), np.arange(capacity) < blocks["count"][:, None]


def _cwa_times(blocks):
    """Seconds of every sample, when they count from, and samples per second."""
    nominal = 3200 / 2.0 ** (15 - (int(blocks["rate"][0]) & 15))
    fraction = np.where(blocks["fraction"] >> 15, (blocks["fraction"] & 0x7FFF) / 32768, 0)
    # The device moved the offset back by the fraction, for readers that know whole seconds only.
    at_stamp = blocks["offset"] + np.floor(fraction * nominal)
    whole = _cwa_seconds(blocks["stamp"])
    began = whole - whole[0] + fraction - at_stamp / nominal
    count = blocks["count"].astype(np.int64)
    index = np.cumsum(count) - count
    late = np.diff(began) - count[:-1] / nominal
    new = np.abs(late) > (0.25 * count[:-1] + 3) / nominal
    period = _slope(index, began, np.r_[0, np.cumsum(new)], 1 / nominal)
    last = np.flatnonzero(np.r_[new, True] & (count > 1))  # a stretch ends with its block
    knots = np.r_[index, index[last] + count[last] - 1]
    stamps = np.r_[began, began[last] + period * (count[last] - 1)]
    order = np.argsort(knots)
    return np.interp(np.arange(count.sum()), knots[order], stamps[order]), pd.Timestamp(whole[0], unit="s"), 1 / period


def _cwa_seconds(stamp):
    """Seconds since 1970 of packed dates, NaN where there is no such date."""
    stamp = stamp.astype(np.int64)
    year, month, day = 2000 + (stamp >> 26), stamp >> 22 & 15, stamp >> 17 & 31
    hour, minute, second = stamp >> 12 & 31, stamp >> 6 & 63, stamp & 63
    first_of_month = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]").astype("datetime64[D]")
    seconds = ((first_of_month.astype(np.int64) + day - 1) * 24 + hour) * 3600 + minute * 60 + second
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    return np.where(exists, seconds.astype(np.float64), np.nan)


# ---- GENEActiv: text; pages of 300 samples, each 48 bits as hexadecimal digits


def _read_geneactiv(data, path, sensor):
    header, *pages = re.split(rb"Recorded Data\r?\n", data)
    gains = [
        re.search(rb"\b%s %s:\s*(-?\d+)" % (axis, what), header)
        for what in (b"gain", b"offset")
        for axis in (b"x", b"y", b"z")
    ]
    if sensor != "accelerometer" or not all(gains):
        raise ValueError(
            f"Expected a GENEActiv file with its calibration and sensor='accelerometer', got sensor={sensor!r} and "
            f"{sum(map(bool, gains))} of 6 calibration values in {path}. Copy the file again from the device."
        )
    calibration = np.array([float(gain[1]) for gain in gains if gain]).reshape(2, 3, 1)
    stated = re.search(rb"Number of Pages:\s*(\d+)", header)
    found = [_page(page) for page in pages]
    if not pages or len(pages[-1].strip().rsplit(b"\n", 1)[-1].strip()) < 3600:
        raise ValueError(
            f"Expected whole pages of 300 samples in {path}, got an end in the middle of page {len(pages)}: it was cut "
            f"off. Copy it again; to read what is there, remove what follows the last whole page."
        )
    good = [page for page in found if page]
    if not good:
        raise ValueError(
            f"Expected pages of samples in {path}, got {len(pages)} of which none is whole. Copy it again."
        )
    missing = max(len(pages), int(stated[1]) if stated else 0) - len(good)
    if missing:
        _tell(path, f"{missing} pages are damaged or missing; {300 * missing} samples are lost and left as gaps.")
    when = pd.to_datetime([time for time, _, _ in good], format="%Y-%m-%d %H:%M:%S:%f")
    sfreq = float(np.median([rate for _, rate, _ in good]))
    began = ((when - when[0]) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    seconds = (began[:, None] + np.arange(300) / sfreq).ravel()
    forward = _only_forward(seconds)
    signal = (_geneactiv_counts(b"".join(bits for _, _, bits in good)) * 100 - calibration[1]) / calibration[0]
    n_lost = 300 * missing + int((~forward).sum())
    stretch = np.r_[0, np.cumsum(np.abs(np.diff(began) * sfreq - 300) > 1)]
    sfreq = 1 / _slope(300 * np.arange(len(good)), began, stretch, 1 / sfreq)
    return _found(signal[:, forward], sfreq, "g", when[0], seconds[forward], n_lost, "xyz")


def _page(page):
    """Time, rate and bits of a page, or None where it is damaged."""
    head, _, digits = page.strip().rpartition(b"\n")
    time = re.search(rb"Page Time:\s*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3})", head)
    rate = re.search(rb"Measurement Frequency:\s*([\d.]+)", head)
    if not (time and rate and re.fullmatch(rb"[0-9A-Fa-f]{3600}", digits)):
        return None
    return time[1].decode(), float(rate[1]), bytes.fromhex(digits.decode())


def _geneactiv_counts(bits):
    """12 bits each of x, y and z from every 6 bytes; the rest is light and a button."""
    b = np.frombuffer(bits, np.uint8).reshape(-1, 6).T.astype(np.int32)
    counts = np.stack([b[0] << 4 | b[1] >> 4, (b[1] & 15) << 8 | b[2], b[3] << 4 | b[4] >> 4])
    return (counts ^ 2048) - 2048
