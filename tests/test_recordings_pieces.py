"""Tables that are read piece by piece: what comes is what comes of reading all of them at once."""

import gzip
import warnings

import numpy as np
import pandas as pd
import pytest
from measured import START, seconds, wrist

from wearembed.recordings import clocks, mapped, read_recording, rows
from wearembed.recordings.ranks import median, quantile, totals

N = 400
T = seconds(50, 8)
RNG = np.random.default_rng(5)


def lines_of(stamps, x=None, head="time,x,y,z", sep=",", **cells):
    """Lines of a table; `cells` are texts to be put in, by row and column as in ``r233_1="oops"``."""
    x = wrist(T).round(5) if x is None else x
    table = [[*map(str, row)] for row in zip(stamps, *x)]
    for place, text in cells.items():
        row, column = map(int, place[1:].split("_"))
        table[row][column] = text
    return [head] * bool(head) + [sep.join(row) for row in table]


def dates(zone="", unit="%f"):
    return (START + pd.to_timedelta(T, unit="s")).strftime(f"%Y-%m-%d %H:%M:%S.{unit}{zone}")


def nanoseconds():
    return START.as_unit("ns").value + (T * 1e9).round().astype(np.int64)


def missing(n):
    x = wrist(T).round(5).astype(object)
    x[1, RNG.choice(N, n)] = ""
    return x


def jittered():
    return np.sort(T + RNG.normal(0, 0.004, N)).round(4)


def autumn():
    return (pd.Timestamp("2024-10-27 00:59:50", tz="UTC") + pd.to_timedelta(T, unit="s")).tz_convert("Europe/Berlin")


def moved(lines):
    return [lines[0], *lines[150:300], *lines[1:150], *lines[300:]]


WHOLE = np.round(wrist(T) * 1000).astype(int)
TABLES = {
    "numbers": lambda: lines_of(T),
    "numbers since 1970": lambda: lines_of(nanoseconds()),
    "large numbers and one that is missing": lambda: lines_of(nanoseconds(), r300_0=""),
    "large numbers and one that is larger": lambda: lines_of(nanoseconds(), r300_0="17145504000000000000"),
    "large numbers, and many missing": lambda: lines_of(nanoseconds(), **{f"r{n}_0": "" for n in range(100, 200)}),
    "large numbers and one that is none": lambda: lines_of(nanoseconds(), r300_0="oops"),
    "dates": lambda: lines_of(dates()),
    "dates in a zone": lambda: lines_of(dates("+02:00")),
    "dates to the nanosecond, later on": lambda: lines_of(dates(), r300_0=dates()[300] + "123"),
    "offsets that change": lambda: lines_of(autumn()),
    "a zone that comes later": lambda: lines_of([*dates()[:300], *dates("Z")[300:]]),
    "dates of a GENEActiv": lambda: lines_of([stamp[:-7] + ":" + stamp[-6:-3] for stamp in dates()]),
    "dates of the UK Biobank": lambda: lines_of([f"{stamp}+0100 [Europe/London]" for stamp in dates()]),
    "an odd end that comes late, yet early": lambda: lines_of(dates(), r60_0=dates()[60] + " [Europe/London]"),
    "an odd end that comes too late": lambda: lines_of(dates(), r200_0=dates()[200] + " [Europe/London]"),
    "dates and a number": lambda: lines_of(dates(), **{f"r{n}_0": "20240501" for n in range(233, 240)}),
    "dates without a first": lambda: lines_of(dates(), **{f"r{n}_0": "" for n in range(30)}),
    "a date of another age": lambda: lines_of(dates(), r233_0="0024-05-01 10:00:00"),
    "missing cells": lambda: lines_of(T, missing(15)),
    "whole numbers and missing cells": lambda: lines_of(T, WHOLE, r300_2="", r20_1="NA"),
    "cells that are no numbers": lambda: lines_of(T, r300_2="oops", r20_1="inf", r301_3="1e400"),
    "yes among numbers": lambda: lines_of(T, r300_2="True", r20_1="False"),
    "a column of yes and no": lambda: lines_of(T, [*wrist(T), np.arange(N) % 3 == 0], "time,x,y,z,worn"),
    "a gap and jitter": lambda: lines_of(jittered() + 60 * (T > 4)),
    "stamps to the second": lambda: lines_of(np.floor(T).astype(int)),
    "stamps to the tenth": lambda: lines_of(np.floor(T * 10) / 10),
    "a clock that drifts and stops": lambda: lines_of((T * 1.01 + 30 * (T > 2.5) + T**2 / 900).round(4)),
    "rows out of order": lambda: moved(lines_of(T)),
    "rows that come twice": lambda: lines_of(T)[:300] + lines_of(T)[298:],
    "all rows twice": lambda: [line for line in lines_of(T) for _ in (1, 2)][1:],
    "no header": lambda: lines_of(T, head=""),
    "no header, and a first column that rises at first": lambda: lines_of([*T[:200], *T[:200]], head=""),
    "no header, and dates in the last column": lambda: [
        ",".join(line.split(",")[::-1]) for line in lines_of(dates(), head="")
    ],
    "words where there were numbers": lambda: lines_of(T, [*wrist(T), ["1"] * 300 + ["walk"] * 100], "t,a,b,c,what"),
    "a preamble": lambda: ["Device: 7", "", *lines_of(T)],
    "blank lines": lambda: [part for line in lines_of(T) for part in ([line, ""] if "1,0" in line else [line])],
    "a line that goes on": lambda: lines_of(T, [*wrist(T), ["walk"] * N], "time,x,y,z,what", r233_4='"a\nb\n\nc"'),
    "a quote that does not end": lambda: lines_of(T, r233_2='"0.5'),
    "a row that is too long": lambda: lines_of(T, r233_2="0.5,0.5"),
    "rows that are too short": lambda: [line.rpartition(",")[0] if "3.0" in line else line for line in lines_of(T)],
    "semicolons": lambda: lines_of(T, sep=";", head="time;x;y;z"),
    "decimal commas": lambda: [
        line.replace(".", ",") for line in lines_of(T, sep=";", head="time;x;y;z", r233_1="oops")
    ],
    "two clocks": lambda: lines_of([*T[:200], *T[100:300]]),
    "rows at random": lambda: lines_of(RNG.permutation(T)),
    "one time": lambda: lines_of(np.zeros(N, int)),
    "only a header": lambda: lines_of([]),
}


def read(path, **told):
    """All that is told of a recording: its fields and warnings, or the error."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            recording = read_recording(path, **told)
        except ValueError as error:
            return str(error)
    times = None if recording.times is None else recording.times.tobytes()
    fields = {**vars(recording), "signal": recording.signal.tobytes(), "times": times}
    return fields, str(recording.start), [str(warning.message) for warning in said]


@pytest.mark.parametrize("size", [100, 1000])
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_in_pieces_is_the_table_as_a_whole(kind, size, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("\n".join(TABLES[kind]()))
    told = [{}, {"sfreq": 50, "time": False}]
    expected = [read(tmp_path / "a.csv", **some) for some in told]
    monkeypatch.setattr(rows, "AT_ONCE", size)  # bytes: some lines
    monkeypatch.setattr(mapped, "AT_ONCE", size // 10)
    monkeypatch.setattr(mapped, "LARGE", 1)
    assert [read(tmp_path / "a.csv", **some) for some in told] == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_end_in_any_way_and_may_be_packed(end, pack, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("\n".join(lines_of(T)))
    expected = read(tmp_path / "a.csv", sfreq=50)
    (tmp_path / "a.csv").write_bytes(pack((end.join(lines_of(T)) + end * 3).encode("utf-8-sig")))
    monkeypatch.setattr(rows, "AT_ONCE", 500)
    assert read(tmp_path / "a.csv", sfreq=50) == expected


def test_the_line_of_a_row_that_is_too_long_is_that_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("\n".join(["Device: 7", *lines_of(T, r233_2="0.5,0.5")]))
    monkeypatch.setattr(rows, "AT_ONCE", 500)
    with pytest.raises(ValueError, match="Expected 4 fields in line 236, saw 5"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_packed_table_that_is_damaged_after_many_rows_is_refused(harm, tmp_path, monkeypatch):
    packed = bytearray(gzip.compress("\n".join(lines_of(T)).encode()))
    if harm == "cut":
        del packed[-100:]
    else:
        packed[-6] ^= 1  # of the sum of all
    (tmp_path / "a.csv.gz").write_bytes(packed)
    monkeypatch.setattr(rows, "AT_ONCE", 500)
    with pytest.raises(ValueError, match="is a gzip file that cannot be unpacked"):
        read_recording(tmp_path / "a.csv.gz")


# --- of which it is made


SAMPLES = {
    "normal": RNG.normal(size=5000),
    "few": RNG.integers(0, 5, 5001) * 0.1,
    "one": np.ones(4000),
    "rising": np.arange(5001),
    "late": np.r_[np.zeros(4000), RNG.normal(size=1001)],
    "single precision": RNG.normal(size=5000).astype(np.float32),
}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("at_once", [100, 2000])
def test_medians_and_sums_of_pieces_are_those_of_numpy_to_the_bit(kind, at_once, monkeypatch):
    monkeypatch.setattr(mapped, "AT_ONCE", at_once)
    x = SAMPLES[kind]
    assert median(len(x), x.__getitem__) == np.median(x)
    if x.dtype == np.float64:
        assert [quantile(len(x), x.__getitem__, q) for q in (0.01, 0.5, 0.99, 1)] == [
            *np.quantile(x, [0.01, 0.5, 0.99, 1])
        ]
        assert totals(len(x), lambda some: (x[some],)) == x.sum()


@pytest.mark.parametrize("grain", [0, 0.1, 1])
def test_a_clock_in_pieces_is_the_clock_as_a_whole(grain, monkeypatch):
    stamps = jittered() + 60 * (T > 4)
    stamps = np.floor(stamps / grain) * grain if grain else stamps
    expected = clocks.even_clock(stamps)
    monkeypatch.setattr(mapped, "AT_ONCE", 50)
    times, sfreq = clocks.even_clock(stamps)
    np.testing.assert_array_equal(times, expected[0])
    assert sfreq == expected[1]
