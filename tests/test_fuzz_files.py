"""Damaged recordings: each sample that comes back is true and at its time, or a gap, a warning or an error says so."""

import multiprocessing
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

from wearembed.recordings import cut, read_recording

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
    assert n_wrong <= whole.spoils * n_harmed(harm), f"{n_wrong} samples are not what was measured; told: {told}"
    missing = whole.signal.shape[1] - recording.signal.shape[1]
    if damaged == whole.data:
        assert not missing and not told
    outcome = "a sample spoilt, as no reader can know" if n_wrong else "all samples true"
    outcome = "rows moved, as no reader can know" if moved and not n_wrong else outcome
    tell(f"{kind}: {harm.kind}", outcome)


def n_harmed(harm):
    """Places at which something was changed, or bytes where each counts."""
    return len(harm.where) * (1 if harm.kind != "empty" else 2)


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
