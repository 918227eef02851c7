"""Damaged recordings: each sample that comes back is true and at its time, or a gap, a warning or an error says so."""

import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from harm import harms, tell
from hypothesis import given
from hypothesis import strategies as st
from measured import START
from test_recordings_devices import write_bin, write_cwa

from wearembed.recordings import read_recording

RNG = np.random.default_rng(11)


@dataclass(repr=False)
class Whole:
    """A good file, what is in it, and what damage to it can and cannot be known.

    `blind` are the first bytes, whose damage no reader could know. A changed byte may spoil `spoils` samples where
    there is no checksum. Samples may be out of place by `late` seconds.
    """

    name: str
    data: bytes
    signal: np.ndarray  # (3, n_samples), no two samples alike
    sfreq: float
    blind: int
    spoils: int
    late: float
    start: pd.Timestamp = START
    told: dict = field(default_factory=dict)


def of_axivity(folder):
    samples = 4 * RNG.integers(-120, 120, (30, 120, 3))
    samples[..., 2] += 4 * 64
    data = write_cwa(folder / "a.cwa", samples, 0x30).read_bytes()
    return Whole("a.cwa", data, samples.reshape(-1, 3).T / 256, 100, 0, 0, 0.005)


def of_geneactiv(folder):
    samples = RNG.integers(-900, 900, (12, 300, 3))
    data = write_bin(folder / "a.bin", samples).read_bytes()
    signal = (samples.reshape(-1, 3) * 100 - [100, 0, -100]).T / 25000
    return Whole("a.bin", data, signal, 50, data.index(b"Recorded Data"), 2, 0.005)


def of_table(folder):
    signal = unlike(3000)
    t = START + pd.to_timedelta(np.arange(3000) / 50, unit="s")
    pd.DataFrame({"time": t, **dict(zip("xyz", signal))}).to_csv(folder / "a.csv", index=False)
    return Whole("a.csv", (folder / "a.csv").read_bytes(), signal, 50, 0, 2, 0.031)


def of_rows(folder):
    signal = unlike(3000)
    pd.DataFrame(dict(zip("xyz", signal))).to_csv(folder / "a.csv", index=False)
    return Whole("a.csv", (folder / "a.csv").read_bytes(), signal, 50, 6, 2, 0.001, pd.Timestamp(0), {"sfreq": 50})


def of_empatica(folder):
    signal = np.unique(RNG.integers(-60, 60, (4000, 3)), axis=0)[:2560]
    signal = RNG.permutation(signal).T
    head = f"{START.timestamp():.6f}, {START.timestamp():.6f}, {START.timestamp():.6f}\n32.0, 32.0, 32.0\n"
    data = (head + "\n".join(",".join(map(str, row)) for row in signal.T) + "\n").encode()
    return Whole("ACC.csv", data, signal / 64, 32, len(head), 2, 0.001)


def unlike(n):
    """Samples near 1 g, no two alike."""
    x = RNG.normal(0, 0.2, (3, n))
    x[2] += 1
    return x.round(5)


KINDS = {"Axivity": of_axivity, "GENEActiv": of_geneactiv, "table": of_table, "Empatica": of_empatica}
KINDS["table without time"] = of_rows
NO_CLOCK = ("Empatica", "table without time")  # rows are the clock: what goes missing as whole rows is not to be seen


@cache
def whole_file(kind):
    with TemporaryDirectory() as folder:
        return KINDS[kind](Path(folder))


@pytest.mark.parametrize("kind", KINDS)
@given(harm=harms())
def test_a_damaged_file_gives_true_samples_or_says_what_it_is(kind, harm):
    if kind in ("Axivity", "GENEActiv"):
        pytest.importorskip("skdh", reason="decodes them")
    whole = whole_file(kind)
    harm.first = whole.blind
    damaged = harm(whole.data)
    with TemporaryDirectory() as folder:
        (Path(folder) / whole.name).write_bytes(damaged)
        recording, told = read(Path(folder) / whole.name, **whole.told)
    if recording is None:
        tell(f"{kind}: {harm.kind}", "refused with a sentence")
        return
    moved = kind in NO_CLOCK and harm.kind in ("remove", "double")
    n_wrong = wrong_samples(recording, whole, np.inf if moved else whole.late)
    assert n_wrong <= spoilt_at_most(whole, harm), f"{n_wrong} samples are not what was measured; told: {told}"
    missing = whole.signal.shape[1] - recording.signal.shape[1]
    if damaged == whole.data:
        assert not missing and not told
    outcome = "a sample spoilt, as no reader can know" if n_wrong else "all samples true"
    outcome = "rows moved, as no reader can know" if moved and not n_wrong else outcome
    tell(f"{kind}: {harm.kind}", outcome)


def spoilt_at_most(whole, harm):
    """Samples that no reader could know to be wrong; several flips may cancel in a sum of 16 bits."""
    n_places = len(harm.where) * (1 if harm.kind != "empty" else 2)
    return n_places * (whole.spoils or int(n_places > 1 and harm.kind == "flip"))


def read(path, **told_of_it):
    """The recording and its warnings, or None and why not."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            recording = read_recording(path, participant="P", **told_of_it)
        except ValueError as error:
            assert len(str(error)) > 40, f"no sentence: {error}"
            assert path.name in str(error) or "times" in str(error), f"names no file: {error}"
            return None, [str(error)]
    assert not [w for w in told if w.category is not UserWarning], [str(w.message) for w in told]
    return recording, [str(w.message) for w in told]


def wrong_samples(recording, whole, late):
    """How many of the samples are not those that were measured then."""
    times = recording.times if recording.times is not None else np.arange(recording.signal.shape[1]) / recording.sfreq
    since = (recording.start - whole.start) / pd.Timedelta(seconds=1) + times
    known = {sample.tobytes(): n / whole.sfreq for n, sample in enumerate(whole.signal.T.astype(np.float32).round(4))}
    wrong = 0
    for sample, at in zip(recording.signal.T.round(4), since):
        measured = known.get(sample.tobytes())
        wrong += measured is None or abs(measured - at) > late
    return wrong


# --- clocks


def table(path, stamps, signal, head=("time", "x", "y", "z")):
    pd.DataFrame(dict(zip(head, [stamps, *signal]))).to_csv(path, index=False)
    return path


@given(at=st.integers(200, 2800), step=st.floats(-70, 70).filter(lambda s: abs(s) > 0.03))
def test_a_clock_that_was_set_is_a_gap_or_refused_and_never_woven(at, step):
    signal, t = unlike(3000), np.arange(3000) / 50
    t[at:] += step
    with TemporaryDirectory() as folder:
        recording, told = read(table(Path(folder) / "a.csv", START + pd.to_timedelta(t, unit="s"), signal))
    if recording is None:
        assert step < 0 and "clock was set back" in told[0]
        tell("a clock that was set", "refused with a sentence")
        return
    times = np.arange(recording.signal.shape[1]) / recording.sfreq if recording.times is None else recording.times
    since = (recording.start - START) / pd.Timedelta(seconds=1) + times
    order = np.argsort(t, kind="stable")
    assert step > 0 or told
    assert step > 0 or step < -(at / 50) or (np.diff(order) < 0).sum() <= 4, "two clocks were woven into one"
    assert len(order) - len(since) <= (0 if step > 0 else 4)
    assert np.abs(np.interp(t[order], since, since) - t[order]).max() < 0.05
    tell("a clock that was set", "all samples at the times that their stamps say")


@pytest.mark.parametrize(("day", "shift"), [("2024-03-31", 1), ("2024-10-27", -1)], ids=["spring", "autumn"])
def test_the_night_of_a_clock_change_is_read_where_offsets_are_written_and_refused_where_hours_come_twice(
    day, shift, tmp_path
):
    hours = pd.date_range(f"{day} 00:30", periods=5 * 3600, freq="1s", tz="UTC").tz_convert("Europe/Berlin")
    signal = unlike(len(hours))
    recording, told = read(table(tmp_path / "a.csv", hours.map(str), signal), time="time")
    assert not told and recording.times is None and recording.duration == len(hours)
    np.testing.assert_allclose(recording.signal, signal, atol=1e-6)
    recording, told = read(table(tmp_path / "a.csv", hours.tz_localize(None), signal), time="time")
    if shift < 0:
        assert "clock was set back" in told[0]
    else:  # what a clock without a zone shows: an hour that nobody recorded
        assert np.diff(recording.times).max() == pytest.approx(3601)
    tell("clock changes", "read, or refused with a sentence", 2)


def test_a_clock_set_back_in_a_recording_of_a_week_is_not_woven_either(tmp_path):
    t = np.arange(0, 7 * 24 * 3600, 30.0)  # an hour is less than a hundredth of it
    t[len(t) // 2 :] -= 3600
    recording, told = read(table(tmp_path / "a.csv", START + pd.to_timedelta(t, unit="s"), unlike(len(t))), sensor="x")
    assert recording is None and "clock was set back" in told[0]


@pytest.mark.parametrize("off", [0.96, 0.99, 1.01, 1.04])
@pytest.mark.parametrize("kind", ["Axivity", "GENEActiv", "table", "declared table"])
def test_a_rate_that_is_off_is_found_and_no_sample_is_late(kind, off, tmp_path):
    if kind in ("Axivity", "GENEActiv"):
        pytest.importorskip("skdh", reason="decodes them")
    size, nominal = {"Axivity": (80, 100), "GENEActiv": (300, 50)}.get(kind, (1, 50))
    began = START + pd.to_timedelta(np.arange(3000 // size) * size / (nominal * off), unit="s")
    told = {}
    if kind == "Axivity":
        samples = 4 * RNG.integers(-120, 120, (len(began), 80, 3))
        write_cwa(tmp_path / "a.cwa", samples, began=began)
        signal, path = samples.reshape(-1, 3).T / 256, tmp_path / "a.cwa"
    elif kind == "GENEActiv":
        samples = RNG.integers(-900, 900, (len(began), 300, 3))
        path = write_bin(tmp_path / "a.bin", samples, began=began)
        signal = (samples.reshape(-1, 3) * 100 - [100, 0, -100]).T / 25000
    else:
        signal = unlike(len(began))
        path, told = table(tmp_path / "a.csv", began, signal), {"sfreq": 50} if kind == "declared table" else {}
    recording, _ = read(path, **told)
    assert recording.sfreq == pytest.approx(nominal * off, rel=2e-3)
    assert recording.duration == pytest.approx(signal.shape[1] / (nominal * off), rel=2e-3)
    np.testing.assert_allclose(recording.signal, signal, atol=1e-4)
    times = np.arange(signal.shape[1]) / recording.sfreq if recording.times is None else recording.times
    np.testing.assert_allclose(times, np.arange(signal.shape[1]) / (nominal * off), atol=0.06)
    assert np.diff(times).max() < 1.5 / nominal, "a gap where there is none"
    tell("rates off by up to 4 %", "found")


@given(order=st.permutations([0, 1, 2, 3]), kind=st.sampled_from(["s", "iso"]))
def test_columns_that_changed_places_are_noticed_where_time_is_among_them(order, kind):
    signal, t = unlike(2000), np.arange(2000) / 50
    stamps = START + pd.to_timedelta(t, unit="s") if kind == "iso" else t
    columns = [stamps, *signal]
    with TemporaryDirectory() as folder:
        path = table(Path(folder) / "a.csv", columns[order[0]], [columns[n] for n in order[1:]])
        recording, _ = read(path)
    if order[0] == 0:
        assert sorted(row[0] for row in recording.signal.round(5)) == sorted(np.float32(signal[:, 0]).round(5))
        tell("columns that changed places", "x, y and z as they are named")
    else:
        assert recording is None, "accepted with a column of samples as its clock"
        tell("columns that changed places", "refused with a sentence")


# --- whatever the file


@given(
    data=st.binary(max_size=3000), head=st.sampled_from([b"", b"MD", b"Device Identity", b"time,x,y,z\n", b"\x1f\x8b"])
)
def test_anything_at_all_is_no_recording_and_says_so(data, head):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.dat"
        path.write_bytes(head + data)
        recording, _ = read(path)
    tell("files of random bytes", "refused with a sentence" if recording is None else "read")
