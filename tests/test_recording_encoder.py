"""Whole recordings to embeddings: what `cut` and `transform` give, with gaps, clocks and memory seen to."""

import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from wearembed import RawWindows, Recording, RecordingEncoder, RelConEncoder, StreamEmbedder, cut, datasets
from wearembed.evaluation import linear_probe
from wearembed.recordings import grid

MOTION = datasets.make_motion(n_participants=1, n_windows=60, random_state=0)
RAW = RawWindows(16).fit(MOTION.data)  # 2.56 s at 100 Hz in g


def signal(n_windows=60):
    return np.tile(np.hstack(MOTION.data), -(-n_windows // 60))[:, : n_windows * 256].copy()


def recording(x=None, **params):
    given = {"sfreq": 100, "participant": "P01", "units": "g", "start": "2026-03-01 08:00", "name": "left"}
    return Recording(signal() if x is None else x, **{**given, **params})


def drifting():
    x = signal()[:, ::2]
    t = np.arange(x.shape[1]) / 50.3
    return recording(np.delete(x, slice(900, 1600), 1), sfreq=50.3, times=np.delete(t, slice(900, 1600)))


def with_gaps():
    x = signal()
    for gap in (slice(0, 20), slice(700, 790), slice(2000, 6000), slice(9000, 9600), slice(15000, 15360)):
        x[:, gap] = np.nan
    return recording(x)


KINDS = {
    "as it is": recording,
    "in m/s^2": lambda: recording(signal() * 9.80665, units="m/s^2"),
    "gaps": with_gaps,
    "another rate": lambda: recording(signal(), sfreq=73),
    "slow": lambda: recording(signal()[:, :4000], sfreq=31.25),
    "a drifting clock with a gap": drifting,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [None, 1.28, 7.0])
@pytest.mark.parametrize("at_once", [2**20, 1000])
def test_it_is_cut_and_transform(kind, step, at_once, monkeypatch):
    monkeypatch.setattr(grid, "AT_ONCE", at_once)
    one = KINDS[kind]()
    X, index = cut(one, 2.56, 100, step=step)
    expected = clone(RAW).set_params(units=one.units).fit(X).transform(X)
    table = RecordingEncoder(RAW, step).transform(one)
    whole = table.dropna()
    assert_allclose(whole.to_numpy(), expected, atol=2e-6)
    assert_array_equal(whole.index.get_level_values("start"), index["start"])
    assert_allclose(whole.index.get_level_values("coverage"), index["coverage"])
    assert len(table) == len(index) + index.attrs["n_left_out"]
    left_out = table[table.isna().any(axis=1)]
    assert left_out.isna().all(axis=None) and (left_out.index.get_level_values("coverage") < 0.8).all()


def test_a_foundation_model_embeds_a_recording_to_the_bit():
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    table = RecordingEncoder(encoder).transform([recording()])
    assert_array_equal(table.to_numpy(), encoder.transform(cut(recording(), 2.56, 100)[0]))
    assert table.columns.tolist() == encoder.get_feature_names_out().tolist()


def test_windows_are_at_even_steps_whether_covered_or_not():
    start = RecordingEncoder(RAW, 5).transform(with_gaps()).index.get_level_values("start")
    assert (np.diff(start) == np.timedelta64(5, "s")).all()


@pytest.mark.parametrize("pool", ["minute", "hour", "day"])
def test_pools_are_means_over_windows_that_start_in_them(pool):
    one = with_gaps()
    one.start = pd.Timestamp("2026-03-01 23:58:30")
    table = RecordingEncoder(RAW, 3).transform(one)
    start = table.index.get_level_values("start")
    begin = start.floor({"minute": "min", "hour": "h", "day": "D"}[pool])
    pooled = RecordingEncoder(RAW, 3, pool).transform(one)
    assert_allclose(pooled.to_numpy(), table.groupby(begin).mean().to_numpy(), atol=1e-6)
    assert_array_equal(pooled.index.get_level_values("start"), begin.unique())


def test_coverage_of_a_pool_is_the_recorded_share_of_its_time():
    one = recording(signal(), start="2026-03-01 08:00:30")  # 153.6 s: half a minute, two whole, 3.6 s
    coverage = RecordingEncoder(RAW, 1, "minute").transform(one).index.get_level_values("coverage")
    assert_allclose(coverage, [0.5, 1, 1, 3.6 / 60], atol=1e-6)
    x = signal()
    x[:, 3000:6000] = np.nan
    coverage = RecordingEncoder(RAW, 1, "hour").transform(recording(x)).index.get_level_values("coverage")
    assert_allclose(coverage, 153.6 / 3600 * 0.8, rtol=0.02)


def test_a_pool_without_a_covered_window_is_nan_and_not_covered():
    x = np.full((3, 30000), np.nan)
    x[:, :3000] = signal()[:, :3000]
    table = RecordingEncoder(RAW, pool="minute").transform(recording(x))
    assert_array_equal(table.isna().all(axis=1), [False, True, True, True, True])
    assert_array_equal(table.index.get_level_values("coverage")[1:], 0)


def hours(n, start):
    """Stillness, with a turn now and then; a sample every four seconds is enough for windows of ten minutes."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(3, n * 60)), 15, axis=1).astype(np.float32)
    return Recording(x, sfreq=0.25, participant="P", units="a.u.", start=start)


COARSE = RawWindows(4, sfreq=0.25, units="a.u.").fit(np.random.default_rng(0).normal(size=(4, 3, 150)))


def test_the_hour_that_comes_twice_has_two_rows():
    table = RecordingEncoder(COARSE, pool="hour").transform(
        hours(4, pd.Timestamp("2026-10-25 00:00", tz="Europe/London"))
    )
    start = table.index.get_level_values("start")
    assert [str(s) for s in start] == [
        "2026-10-25 00:00:00+01:00",
        "2026-10-25 01:00:00+01:00",
        "2026-10-25 01:00:00+00:00",
        "2026-10-25 02:00:00+00:00",
    ]


def test_the_hour_that_is_skipped_has_none_and_days_have_their_own_lengths():
    one = hours(48, pd.Timestamp("2026-03-28 12:00", tz="Europe/Berlin"))
    start = RecordingEncoder(COARSE, pool="hour").transform(one).index.get_level_values("start")
    assert "2026-03-29 01:00:00+01:00" in map(str, start) and len(start) == 48
    assert 2 not in start[start.normalize() == pd.Timestamp("2026-03-29", tz="Europe/Berlin")].hour
    days = RecordingEncoder(COARSE, pool="day").transform(one).index
    assert [str(s) for s in days.get_level_values("start")] == [
        "2026-03-28 00:00:00+01:00",
        "2026-03-29 00:00:00+01:00",
        "2026-03-30 00:00:00+02:00",
    ]
    assert_allclose(days.get_level_values("coverage"), [12 / 24, 1, 13 / 24], atol=1e-6)


def test_zones_half_an_hour_off_have_hours_of_their_own_clock():
    one = hours(2, pd.Timestamp("2026-05-01 10:30", tz="Asia/Kolkata"))
    start = RecordingEncoder(COARSE, pool="hour").transform(one).index.get_level_values("start")
    assert [str(s)[11:16] for s in start] == ["10:00", "11:00", "12:00"]


def people(n):
    motion = datasets.make_motion(n_participants=n, n_windows=20, random_state=0)
    for person in np.unique(motion.groups):
        x = np.hstack(motion.data[motion.groups == person])
        parts = x[:, :2560], x[:, 2560:]
        yield [recording(part, participant=person, name=f"{person}-{k}") for k, part in enumerate(parts)]


def test_a_participant_is_one_row_whatever_its_recordings():
    some = list(people(3))
    table = RecordingEncoder(RAW, pool="participant").transform(some)
    assert table.index.names == ["participant", "coverage"] and len(table) == 3
    windows = RecordingEncoder(RAW).transform(some)
    assert_allclose(table.to_numpy(), windows.groupby("participant").mean().to_numpy(), atol=1e-6)
    flat = [one for own in some for one in own]
    pd.testing.assert_frame_equal(RecordingEncoder(RAW, pool="participant").transform(flat), table)


def test_participants_go_through_a_pipeline():
    some, y = list(people(6)), [0, 1] * 3
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
    pipeline = make_pipeline(
        RecordingEncoder(encoder, pool="participant"), SimpleImputer(), LogisticRegression(max_iter=1000)
    )
    assert clone(pipeline).fit(some, y).predict(some).shape == (6,)
    assert cross_val_score(pipeline, some, y, cv=2).shape == (2,)


def test_files_are_read_one_by_one(tmp_path):
    files = []
    for k in range(2):
        files.append(tmp_path / f"P{k}.csv")
        x = signal(4)
        pd.DataFrame({"time": np.arange(x.shape[1]) / 100, **dict(zip("xyz", x))}).to_csv(files[-1], index=False)
    table = RecordingEncoder(RAW).transform(files)
    assert table.index.get_level_values("participant").tolist() == ["P0"] * 4 + ["P1"] * 4
    assert [len(part) for part in RecordingEncoder(RAW).parts(files)] == [4, 4]


def test_a_recording_that_is_too_short_has_no_rows():
    table = RecordingEncoder(RAW).transform([recording(signal()[:, :200]), recording()])
    assert len(table) == 60
    assert len(RecordingEncoder(RAW, pool="hour").transform(recording(signal()[:, :200]))) == 0


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({"pool": "week"}, ValueError, "pool is one of"),
        ({"step": 0}, ValueError, "step to be positive and finite, in s"),
        ({"min_coverage": 2}, ValueError, "min_coverage between 0 and 1, got 2"),
        ({"encoder": RelConEncoder()}, Exception, "fit"),
    ],
)
def test_parameters_are_checked(params, error, said):
    with pytest.raises(error, match=said):
        RecordingEncoder(**{"encoder": RAW, **params}).fit([recording()])


@pytest.mark.parametrize("bad", [[], [np.zeros((3, 900))], [3]])
def test_what_is_no_recording_is_refused(bad):
    with pytest.raises((ValueError, TypeError), match="Expected"):
        RecordingEncoder(RAW).transform(bad)


def test_units_that_gravity_belies_are_refused():
    with pytest.raises(ValueError, match="median"):
        RecordingEncoder(RAW).transform(recording(signal() * 9.80665))


# --- not worn


def test_time_in_which_it_was_not_worn_is_nan():
    pytest.importorskip("skdh")
    rate, rng = 20, np.random.default_rng(0)
    x = rng.normal(0, 0.3, (3, 10 * 3600 * rate)).astype(np.float32)
    x[2] += 1
    still = slice(5 * 3600 * rate, 8 * 3600 * rate)
    x[:, still] = np.array([[0], [0], [1]]) + rng.normal(0, 0.002, (3, 3 * 3600 * rate))
    one = recording(x, sfreq=rate, start="2026-03-01 00:00")
    hourly = RecordingEncoder(RAW, 60, "hour", nonwear=True).transform(one)
    # The method looks at an hour every quarter of one: its edges are not sharper than that.
    assert_array_equal(hourly.isna().all(axis=1), [h in (5, 6, 7) for h in range(10)])
    assert (hourly.index.get_level_values("coverage")[[0, 1, 2, 3, 4]] == 1).all()
    assert not RecordingEncoder(RAW, 60, "hour").transform(one).isna().any(axis=None)


def test_the_share_of_windows_in_stretches_is_measured():
    first, last = np.array([0.0, 5, 12, 20, 18]), np.array([10.0, 15, 18, 30, 32])
    share = grid.share(np.array([[10.0, 20.0], [30.0, 31.0]]), first, last)
    assert_allclose(share, [0, 0.5, 1, 0, 3 / 14])


# --- memory


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "AT_ONCE", 2**18)  # a block is shorter than either
    encoder, peaks = RecordingEncoder(RAW, 30, "hour"), []
    for n_hours in (2, 8):
        file = tmp_path / f"{n_hours}.npy"
        mapped = np.lib.format.open_memmap(file, "w+", np.float32, (3, n_hours * 360_000))
        mapped[:] = np.tile(signal(1407)[:, :360_000], n_hours)
        del mapped
        one = recording(np.load(file, mmap_mode="r"))
        encoder.transform(one)
        tracemalloc.start()
        encoder.transform(one)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 50e6


WEEK = """
    import sys
    import numpy as np
    from wearembed import Recording, RecordingEncoder, RelConEncoder
    from wearembed.datasets import make_motion
    file = sys.argv[1]
    day = np.hstack(make_motion(n_participants=1, n_windows=422, random_state=0).data)[:, :108_000]
    n = 7 * 86_400 * 100
    x = np.lib.format.open_memmap(file, "w+", np.float32, (3, n))
    for start in range(0, n, day.shape[1]):
        x[:, start : start + day.shape[1]] = day
    x.flush()
    del x
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # begin to measure the peak anew
    week = Recording(np.load(file, mmap_mode="r"), sfreq=100, participant="P", units="g", start="2026-03-23")
    encoder = RecordingEncoder(RelConEncoder.from_pretrained("wearembed/relcon-synthetic", device="cpu"), pool="minute")
    table = encoder.transform(week)
    status = open("/proc/self/status").read().splitlines()
    print(len(table), next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


def probed(name):
    return linear_probe(name, np.random.default_rng(0).normal(size=(4, 3, 8)), [0, 1, 0, 1], [1, 1, 2, 2], cv=2)


@pytest.mark.parametrize("take", [RecordingEncoder, StreamEmbedder, probed])
def test_a_name_is_no_encoder_and_the_error_says_how_it_becomes_one(take):
    with pytest.raises(TypeError, match=r"Weights are loaded by wearembed\.from_pretrained\(name\)"):
        made = take("wearembed/relcon-synthetic")
        made.transform([])


@pytest.mark.parametrize(
    "what", ["P01.csv", Path("P01.csv"), Recording(np.zeros(9), sfreq=3, participant="P", units="g")]
)
def test_an_encoder_of_windows_says_what_is_done_with_recordings(what):
    with pytest.raises(TypeError, match=r"Cut recordings by cut\(.*RecordingEncoder\(encoder\)"):
        RelConEncoder.from_pretrained("wearembed/relcon-synthetic").transform(what)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_week_at_100_hz_takes_less_than_a_gigabyte(tmp_path):
    assert peak_of(WEEK, tmp_path / "week.npy", n_rows=7 * 1440) < 1e9


def peak_of(script, file, n_rows):
    """Bytes resident at the most, once all is imported, in a process of its own; the file is deleted."""
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(file)], capture_output=True, text=True, check=True
    )
    file.unlink()
    n, peak = map(int, told.stdout.split())
    print(f"peak resident: {peak / 1024:.0f} MiB")
    assert n == n_rows
    return 1024 * peak


BEFORE = """
    import gzip
    import sys
    import numpy as np
    import pandas as pd
    import skdh.io
    from wearembed import RawWindows, RecordingEncoder, read_recording
    from wearembed.datasets import make_motion
    motion = make_motion(n_participants=1, n_windows=320, random_state=0).data
"""

AFTER = """
    encoder = RecordingEncoder(RawWindows(16).fit(motion), step=60, pool="hour")
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")
    table = encoder.transform(read_recording(sys.argv[1]))
    status = open("/proc/self/status").read().splitlines()
    print(len(table), next(line for line in status if line.startswith("VmHWM")).split()[1])
"""

WEEK_OF_BLOCKS = """
    x = np.round(np.hstack(motion)[:, :80_000] * 256).astype("<i2").T.reshape(1000, 240).view("<u2")
    n = 7 * 86_400 * 100 // 80
    with open(sys.argv[1], "wb") as file:  # the public format: a header, then blocks of 512 bytes whose words sum to 0
        file.write(b"MD" + (1020).to_bytes(2, "little") + bytes(1020))
        for first in range(0, n, 1000):
            number = np.arange(first, first + 1000)
            t = pd.Timestamp("2024-05-01") + pd.to_timedelta(number * 0.8 * 1.0001, unit="s")  # its clock is slow
            month, day, hour, minute, second = np.array([t.month, t.day, t.hour, t.minute, t.second], np.int64)
            minutes = 24 << 26 | month << 22 | day << 17 | hour << 12 | minute << 6 | second
            fraction = t.microsecond.to_numpy().astype(np.int64) * 32768 // 1_000_000
            block = np.zeros((1000, 256), "<u2")
            block[:, 0], block[:, 1], block[:, 2] = 0x5841, 508, 0x8000 | fraction
            block[:, 5], block[:, 6] = number & 0xFFFF, number >> 16
            block[:, 7], block[:, 8] = minutes & 0xFFFF, minutes >> 16
            block[:, 12], block[:, 13], block[:, 14] = 0x324A, -(fraction * 100 // 32768) & 0xFFFF, 80
            block[:, 15:255] = x
            block[:, 255] = -block.sum(1, dtype=np.uint16)
            file.write(block.tobytes())
"""


WEEK_OF_PAGES = """
    counts = np.round(np.hstack(motion)[:, :76_800] * 250).astype(int).T.reshape(256, 300, 3) & 4095
    digits = ["".join(f"{x:03X}{y:03X}{z:03X}000" for x, y, z in page) for page in counts]
    n = 7 * 86_400 * 100 // 300
    with open(sys.argv[1], "w") as file:
        gains = "".join(f"{axis} gain:25000\\n{axis} offset:0\\n" for axis in "xyz")
        file.write(f"Device Identity\\n\\nCalibration Data\\n{gains}\\nMemory Status\\nNumber of Pages:{n}\\n\\n")
        times = pd.date_range("2024-05-01", periods=n, freq="3s").strftime("%Y-%m-%d %H:%M:%S:000")
        for number, when in enumerate(times):
            file.write(f"Recorded Data\\nSequence Number:{number}\\nPage Time:{when}\\nMeasurement Frequency:100.0\\n")
            file.write(digits[number % 256] + "\\n")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_week_of_a_geneactiv_takes_less_than_a_gigabyte(tmp_path):
    pytest.importorskip("skdh")
    assert peak_of(BEFORE + WEEK_OF_PAGES + AFTER, tmp_path / "week.bin", n_rows=168) < 1e9


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_week_of_an_axivity_takes_less_than_a_gigabyte(tmp_path):
    pytest.importorskip("skdh")
    assert peak_of(BEFORE + WEEK_OF_BLOCKS + AFTER, tmp_path / "week.cwa", n_rows=169) < 1e9


WEEK_OF_TEXT = """
    x = np.hstack(motion)[:, :6000].T.reshape(60, 100, 3)
    seconds = [  # what follows the second of a stamp
        "".join(f"@.{n:02}{ZEROS},{a:.4f},{b:.4f},{c:.4f}\\n" for n, (a, b, c) in enumerate(second)) for second in x
    ]
    with (gzip.open(sys.argv[1], "wt", 1) if PACKED else open(sys.argv[1], "w")) as file:
        file.write("time,x,y,z\\n")
        for day in pd.date_range("2024-05-01", periods=7):
            when = pd.date_range(day, periods=86_400, freq="1s")
            for number, stamp in enumerate(STAMPS):
                file.write(seconds[number % 60].replace("@", stamp))
"""
NUMBERS, DATES = "(when.as_unit('s').asi8).astype(str)", "when.strftime('%Y-%m-%d %H:%M:%S')"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("name", "stamps", "zeros"),
    [("numbers.csv", NUMBERS, ""), ("dates.csv", DATES, "0"), ("packed.csv.gz", NUMBERS, "")],
)
def test_a_week_of_text_takes_less_than_a_gigabyte(name, stamps, zeros, tmp_path):
    week = WEEK_OF_TEXT.replace("{ZEROS}", zeros).replace("STAMPS", stamps)
    week = week.replace("PACKED", str(name.endswith(".gz")))
    assert peak_of(BEFORE + week + AFTER, tmp_path / name, n_rows=168) < 1e9
