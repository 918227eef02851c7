"""Labels of stretches of time, from when until when: a window takes the one that covers at least half of it."""

from pathlib import Path

import numpy as np
import pandas as pd

A_DATE = r"\d{4}"  # begins with its year; "now" and "today", which pandas takes too, are none
AN_OFFSET = r"[T ]\d[\d:.]* *(?:Z|[+-]\d[\d:]*)$"  # behind a time of the day
SECOND = 10**6  # microseconds, of which a whole number holds all years that are written
LATEST = 9e9  # seconds since 1970; larger numbers are milliseconds, or something else


def by_time(
    start: pd.Series, seconds: float, own: pd.Series, table: pd.DataFrame, values: np.ndarray, file: Path
) -> np.ndarray:
    """Labels of windows.

    Parameters
    ----------
    start : Series of shape (n_windows,)
        When each window began.
    seconds : float
        Of a window.
    own : Series of shape (n_windows,)
        Whose each window is.
    table : DataFrame
        A row a stretch: start and stop as text, whose it is, the code of its label, and on which line it stands.
    values : array
    file : Path

    Returns
    -------
    array of shape (n_windows,)
        Which of `values` a window has; -1 is none.
    """
    meant = (start.notna() & own.isin(table["whose"])).to_numpy()
    if not meant.any():
        raise ValueError(
            f"{file} has labels of stretches of time, and no window of the store says when it began, of those that it "
            f"names. Label them by participant or recording, without start and stop."
        )
    begun, zoned = instants(start)
    begin, begin_zoned = read_times(table["start"], table["line"], file)
    end, end_zoned = read_times(table["stop"], table["line"], file)
    check_order(begin, end, table, file)
    written = [one for one in (begin_zoned, end_zoned) if one is not None]
    if written:
        check_zones(zoned[meant], np.concatenate(written), file)
    codes, length = np.full(len(own), -1), round(seconds * SECOND)
    stretches = table[["whose", "code", "line"]].assign(begin=begin, end=end)
    rows = own[start.notna()].groupby(own).groups
    for name, some in stretches.groupby("whose"):
        at = rows.get(name, pd.Index([], dtype=int)).to_numpy()
        some = apart(some.sort_values(["begin", "end"], kind="stable"), str(name), values, file)
        codes[at] = covering(begun[at], begun[at] + length, *(some[c].to_numpy() for c in ("begin", "end", "code")))
    if (codes < 0).all():
        utc = bool(zoned[meant].any())
        windows = period(begun[meant].min(), begun[meant].max() + length, utc)
        raise ValueError(
            f"No stretch of {file} covers half of a window: the windows of whom it names lie {windows}, and the "
            f"stretches {period(begin.min(), end.max(), utc)}. Do both clocks tell the same time?"
        )
    return codes


# --------------------------------------------------------------------------------- times


def instants(times: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since 1970, in UTC where a zone is named, and whether it is."""
    if times.dtype == object:  # of recordings with zones of many kinds
        zoned = np.array([getattr(time, "tzinfo", None) is not None for time in times])
        times = pd.to_datetime(times.astype(str), utc=True, format="ISO8601", errors="coerce")
    else:
        zoned = np.full(len(times), times.dt.tz is not None)
    return microseconds(times), zoned


def microseconds(times: pd.Series) -> np.ndarray:
    """Since 1970; what is no time is the least of numbers."""
    times = times if times.dt.tz is None else times.dt.tz_convert(None)
    return times.dt.as_unit("us").astype("int64").to_numpy()


def period(first: int, last: int, zoned: bool) -> str:
    """In words."""
    ends = [f"{pd.Timestamp(int(time), unit='us')}{' UTC' if zoned else ''}" for time in (first, last)]
    return f"from {ends[0]} to {ends[1]}"


def read_times(text: pd.Series, line: pd.Series, file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Times as microseconds since 1970, and which name a zone; None of numbers, which are seconds in UTC."""
    numbers = pd.to_numeric(text, errors="coerce")
    if (numbers.abs() < LATEST).all():
        return (numbers * SECOND).round().astype("int64").to_numpy(), None
    times = pd.to_datetime(text.where(text.str.match(A_DATE)), format="ISO8601", utc=True, errors="coerce")
    if times.isna().any():
        first = int(np.argmax(times.isna()))
        raise ValueError(
            f"Expected a time such as 2026-03-01 08:00:00, or seconds since 1970, in {text.name} of {file}, got "
            f"{text.iloc[first]!r} on line {line.iloc[first]}. Write all of them in one of these ways."
        )
    return microseconds(times), text.str.contains(AN_OFFSET).to_numpy(dtype=bool)


def check_order(begin: np.ndarray, end: np.ndarray, table: pd.DataFrame, file: Path):
    back = np.flatnonzero(end <= begin)
    if len(back):
        row = table.iloc[back[0]]
        raise ValueError(
            f"A stretch of {file} stops before it starts, on line {row['line']}: {row['start']} to {row['stop']}. Mend "
            f"it, or delete the row."
        )


def check_zones(windows: np.ndarray, stretches: np.ndarray, file: Path):
    """An error unless both windows and stretches name time zones, or neither does."""
    whose = {f"the times of {file}": stretches, "the windows of the store": windows}
    for name, zoned in whose.items():
        if zoned.any() != zoned.all():
            raise ValueError(
                f"Some of {name} name a time zone and some do not. Give those that do a table of labels of their own, "
                f"with offsets, such as 2026-03-01 08:00+01:00."
            )
    if stretches.any() and not windows.all():
        raise ValueError(
            f"The times of {file} name a time zone, and the windows of the store do not. Write the times without one, "
            f"as the clock of the device showed them."
        )
    if windows.any() and not stretches.all():
        raise ValueError(
            f"The windows of the store name a time zone, and the times of {file} do not. Write them with their offset, "
            f"such as 2026-03-01 08:00+01:00."
        )


# --------------------------------------------------------------------------------- stretches and windows


def apart(stretches: pd.DataFrame, name: str, values, file: Path) -> pd.DataFrame:
    """The stretches of one, those of one label that overlap as one; an error where two labels do."""
    begin, end, code = (stretches[column].to_numpy() for column in ("begin", "end", "code"))
    on = np.r_[False, begin[1:] < np.maximum.accumulate(end)[:-1]]  # each begins before one before it has ended
    both = np.flatnonzero(on & (code != np.r_[-1, code[:-1]]))
    if len(both):
        within = int(np.argmax(end[: both[0]]))  # of those before it, the one that ends last
        told = [f"{str(values[code[n]])!r} on line {stretches['line'].iloc[n]}" for n in (within, int(both[0]))]
        raise ValueError(
            f"Two labels of {file} overlap for {name!r}: {told[0]} and {told[1]}. Let one stop where the other starts."
        )
    first = np.flatnonzero(~on)
    return pd.DataFrame({"begin": begin[first], "end": np.maximum.reduceat(end, first), "code": code[first]})


def covering(start, stop, begin, end, code) -> np.ndarray:
    """Which label covers at least half of each window, -1 for none; stretches are in order and do not overlap."""
    first = np.searchsorted(end, start, side="right")
    n = np.maximum(np.searchsorted(begin, stop, side="left") - first, 0)
    window = np.repeat(np.arange(len(start)), n)
    stretch = np.arange(n.sum()) - np.repeat(n.cumsum() - n, n) + np.repeat(first, n)
    shared = np.minimum(stop[window], end[stretch]) - np.maximum(start[window], begin[stretch])
    cover = pd.DataFrame({"window": window, "code": code[stretch], "shared": shared})
    cover = cover.groupby(["window", "code"], sort=False)["shared"].sum().reset_index()
    # of two halves, the first
    cover = cover[2 * cover["shared"] >= (stop - start)[cover["window"]]].drop_duplicates("window")
    codes = np.full(len(start), -1)
    codes[cover["window"]] = cover["code"]
    return codes
