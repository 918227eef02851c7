"""Recordings: what a file held is what a window holds, at its time, or it is a gap."""

import gzip

import numpy as np
import pandas as pd
import pytest

from wearembed import signals
from wearembed.recordings import Recording, cut, read_recording

START = pd.Timestamp("2024-05-01 08:00:00")


def wrist(t, top=9.0):
    """Three axes in g, gravity and sines up to `top` hertz, at any times."""
    rng = np.random.default_rng(3)
    x = np.zeros((3, len(t)))
    x[2] = 1.0
    for hertz in np.append(rng.uniform(0.1, top, 9), top):
        x += 0.08 * rng.normal(size=(3, 1)) * np.sin(2 * np.pi * hertz * t + rng.uniform(0, 6))
    return x


def seconds(sfreq, length):
    return np.arange(round(sfreq * length)) / sfreq


def recorded(sfreq, length=60.0, **kwargs):
    return Recording(wrist(seconds(sfreq, length)), sfreq, kwargs.pop("participant", "P01"), "g", START, **kwargs)


def write(path, stamps, x, head=("time", "x", "y", "z"), sep=","):
    pd.DataFrame(dict(zip(head, [stamps, *x]))).to_csv(path, index=False, sep=sep, float_format="%.7g")
    return path


# --- a recording


def test_a_recording_knows_its_length_and_says_so():
    r = recorded(50, 10, name="day one")
    assert (r.duration, r.signal.dtype, r.channel_names) == (10.0, np.float32, ("x", "y", "z"))
    assert repr(r) == (
        "Recording('day one', participant='P01', 3 channels × 500 samples at 50 Hz, 'g', 10 s from 2024-05-01 08:00:00)"
    )


def test_a_recording_with_a_gap_is_as_long_as_its_clock_says():
    t = seconds(50, 10)
    t[250:] += 30
    assert recorded(50, 10, times=t + 5).duration == pytest.approx(40)
    assert recorded(50, 10, times=t + 5).start == START + pd.Timedelta("5s")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": np.zeros((6000, 3))}, r"\(n_channels, n_samples\), got \(6000, 3\)"),
        ({"signal": np.full((3, 100), np.inf)}, "Expected finite samples"),
        ({"sfreq": 0}, "Expected sfreq to be positive"),
        ({"times": np.arange(7.0)}, r"one time in seconds for each of 100 samples, got shape \(7,\)"),
        ({"times": np.zeros(100)}, "increase from sample to sample"),
        ({"channel_names": ("x", "y")}, "one channel name for each of 3 channels"),
    ],
)
def test_a_recording_that_cannot_be_is_refused(change, message):
    fields = {"signal": np.zeros((3, 100)), "sfreq": 50, "participant": "P01", "units": "g", **change}
    with pytest.raises(ValueError, match=message):
        Recording(**fields)


# --- windows


def test_the_same_rate_gives_the_samples_themselves():
    r = recorded(100)
    X, index = cut(r, seconds=2.56, sfreq=100, step=1.28)
    assert (X.shape, X.dtype) == ((45, 3, 256), np.float32)
    for k in (0, 7, 44):
        np.testing.assert_array_equal(X[k], r.signal[:, 128 * k : 128 * k + 256])
    assert (index["coverage"] == 1).all()
    assert index["start"][7] == START + pd.Timedelta(seconds=7 * 1.28)


@pytest.mark.parametrize("sfreq", [30, 50, 64, 98.3, 104, 125])
def test_the_rate_of_the_device_does_not_show_in_the_windows(sfreq):
    wanted, _ = cut(recorded(100), 5, 100)
    got, index = cut(recorded(sfreq), 5, 100)
    assert got.shape == wanted.shape
    assert (index["coverage"] == 1).all()
    assert np.abs(got - wanted)[1:-1].max() < 1e-3
    turn = (got * wanted).sum((1, 2)) / np.linalg.norm(got, axis=(1, 2)) / np.linalg.norm(wanted, axis=(1, 2))
    assert turn.min() > 0.999


def test_what_a_lower_rate_cannot_hold_is_filtered_away():
    t = seconds(100, 60)
    hum = Recording(np.sin(2 * np.pi * 30 * t), 100, "P01", "a.u.")
    X, _ = cut(hum, 10, 32)
    assert np.abs(X[1:-1]).max() < 1e-3


def test_a_long_recording_is_cut_as_if_at_once():
    x = np.random.default_rng(0).normal(size=(1, 360_000)).astype(np.float32)
    X, _ = cut(Recording(x, 100, "P01", "a.u."), 10, 80)
    whole = signals.resample(x, 100, 80).reshape(-1, 1, 800)
    np.testing.assert_allclose(X, whole, atol=1e-5)


def test_an_unsteady_clock_is_followed():
    t = seconds(64, 60)
    t = t + 0.3 * np.sin(2 * np.pi * t / 60)  # up to 3 % fast, then slow
    X, _ = cut(Recording(wrist(t), 64, "P01", "g", times=t), 5, 100)
    for k in (1, 5, 10):
        np.testing.assert_allclose(X[k], wrist(5 * k + seconds(100, 5)), atol=2e-3)


def test_samples_taken_at_odd_times_are_put_in_their_place():
    t = seconds(100, 60)
    t[1:] += np.random.default_rng(0).uniform(-0.3, 0.3, len(t) - 1) / 100
    X, _ = cut(Recording(wrist(t), 100, "P01", "g", times=t), 5, 100)
    np.testing.assert_allclose(X[4], wrist(20 + seconds(100, 5)), atol=1e-3)


def test_a_gap_lowers_coverage_is_bridged_and_invents_no_window():
    t = seconds(50, 60)
    t[1000:] += 21  # silent from 20 s to 41 s
    r = Recording(wrist(t), 50, "P01", "g", START, times=t)
    X, index = cut(r, seconds=6, sfreq=100, min_coverage=0.8)
    starts = (index["start"] - START).dt.total_seconds().tolist()
    assert starts == [0, 6, 12, 42, 48, 54, 60, 66, 72]
    assert (index["coverage"] == 1).all()
    assert index.attrs["n_left_out"] == 4
    X, index = cut(r, seconds=6, sfreq=100, min_coverage=0.3)
    partly = index[index["coverage"] < 1]
    assert partly["coverage"].tolist() == pytest.approx([1 / 3], abs=0.002)
    bridge = X[partly.index[0]][:, 210:]
    np.testing.assert_allclose(np.diff(bridge, 2, axis=1), 0, atol=1e-6)
    assert np.isfinite(X).all()


def test_samples_that_are_nan_are_a_gap():
    r = recorded(100, 20)
    r.signal[1, 500:700] = np.nan
    X, index = cut(r, 10, 100)
    assert index["coverage"].tolist() == pytest.approx([0.8, 1.0])
    assert np.isfinite(X).all()
    assert cut(r, 1, 100, min_coverage=0)[1].attrs["n_left_out"] == 2  # windows of nothing stay out at any rate


def test_a_filter_does_not_carry_one_side_of_a_gap_to_the_other():
    t = seconds(100, 40)
    x = np.where(t < 20, 1.0, -1.0)
    t = np.where(t < 20, t, t + 10)
    X, _ = cut(Recording(x, 100, "P01", "a.u.", times=t), 10, 30)
    np.testing.assert_allclose(X[:2], 1, atol=1e-6)
    np.testing.assert_allclose(X[2:], -1, atol=1e-6)


def test_recordings_of_many_people_come_in_one_table():
    people = (recorded(f, 20, participant=p) for p, f in [("a", 50), ("b", 64), ("c", 100)])
    X, index = cut(people, 5, 50)
    assert len(X) == len(index) == 12
    assert index["participant"].tolist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    assert list(index.columns) == ["participant", "recording", "start", "coverage"]
    assert index.index.tolist() == list(range(12))


@pytest.mark.parametrize("length", [0, 0.02, 4.9])
def test_a_recording_shorter_than_a_window_gives_none(length):
    X, index = cut([recorded(50, length)], 5, 100)
    assert (X.shape, X.dtype, len(index)) == ((0, 3, 500), np.float32, 0)
    full = cut(recorded(50, 6), 5, 100)[1]
    assert index.dtypes["coverage"] == full.dtypes["coverage"]
    assert index.dtypes["start"].kind == "M"


def test_a_short_recording_among_others_does_no_harm():
    X, index = cut([recorded(50, 1), recorded(50, 10, participant="P02")], 5, 100)
    assert index["participant"].tolist() == ["P02", "P02"]
    assert len(X) == 2


def test_recordings_of_different_kinds_are_not_mixed():
    other = Recording(np.zeros((3, 500)), 50, "P02", "m/s²")
    with pytest.raises(ValueError, match=r"'P01' with 3 channels in 'g' and 'P02' with 3 in 'm/s\^2'"):
        cut([recorded(50, 10), other], 5, 50)
    with pytest.raises(ValueError, match="'P02' with 1 in 'g'"):
        cut([recorded(50, 10), Recording(np.zeros(500), 50, "P02", "g")], 5, 50)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(TypeError, match=r"got str. Read a file with wearembed.read_recording"):
        cut(["P01.cwa"], 5, 50)
    with pytest.raises(ValueError, match="at least one recording, got none"):
        cut([], 5, 50)
    with pytest.raises(ValueError, match="Expected seconds to be positive"):
        cut(recorded(50), -5, 50)
    with pytest.raises(ValueError, match="min_coverage between 0 and 1, got 80"):
        cut(recorded(50), 5, 50, min_coverage=80)


# --- tables


@pytest.mark.parametrize(
    ("stamp", "start"),
    [
        (lambda t: t, pd.Timestamp(0)),
        (lambda t: np.round(t * 1e3).astype(int), pd.Timestamp(0)),
        (lambda t: np.round(t * 1e6).astype(int), pd.Timestamp(0)),
        (lambda t: 1714550400 + np.round(t, 4), START),
        (lambda t: 1714550400_000 + np.round(t * 1e3).astype(int), START),
        (lambda t: 1714550400_000_000_000 + np.round(t * 1e9).astype(int), START),
        (lambda t: START + pd.to_timedelta(t, unit="s"), START),
        (lambda t: START.tz_localize("+02:00") + pd.to_timedelta(t, unit="s"), START.tz_localize("+02:00")),
    ],
    ids=["s", "ms", "us", "epoch s", "epoch ms", "epoch ns", "iso", "iso with offset"],
)
def test_time_is_understood_in_every_usual_way(tmp_path, stamp, start):
    t = seconds(50, 30)
    column = stamp(t) if not isinstance(stamp(t), np.ndarray) or stamp(t).dtype != float else stamp(t).astype(object)
    r = read_recording(write(tmp_path / "P07.csv", column, wrist(t)))
    assert (r.participant, r.units, r.times) == ("P07", "g", None)
    assert r.sfreq == pytest.approx(50, abs=1e-3)
    assert abs(r.start - start) < pd.Timedelta("1ms")
    np.testing.assert_allclose(r.signal, wrist(t), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sfreq", [80.0, 80.4, 31.9])
@pytest.mark.parametrize("grain", ["1s", "1ms"])
def test_rounded_time_stamps_keep_the_true_rate(tmp_path, sfreq, grain):
    t = seconds(sfreq, 60)
    stamps = (START + pd.to_timedelta(0.4 + t, unit="s")).floor(grain).strftime("%Y-%m-%d %H:%M:%S.%f")
    r = read_recording(write(tmp_path / "a.csv", stamps, wrist(t)))
    assert r.sfreq == pytest.approx(sfreq, abs=0.01)
    assert abs(r.start - START - pd.Timedelta("0.4s")) < pd.Timedelta(seconds=1 / sfreq)


def test_a_clock_that_is_two_per_cent_off_and_jitters_is_found(tmp_path):
    t = seconds(102, 60)
    late = np.random.default_rng(0).normal(scale=0.002, size=len(t)).clip(-0.004, 0.004)
    r = read_recording(write(tmp_path / "a.csv", t + late + 1, wrist(t)))
    assert r.sfreq == pytest.approx(102, abs=0.01)
    X, _ = cut(r, 5, 100)
    assert np.abs(X[5] - wrist(25 + seconds(100, 5))).max() < 0.05


def test_gaps_between_stamps_and_rows_with_missing_values_are_gaps(tmp_path):
    t = seconds(50, 40)
    x = wrist(t)
    x[1, 600:650] = np.nan
    t[1000:] += 15
    r = read_recording(write(tmp_path / "a.csv", t, x))
    assert (r.signal.shape, r.n_lost) == ((3, 1950), 50)
    steps = np.diff(r.times)
    assert r.sfreq == pytest.approx(50, abs=1e-3)
    np.testing.assert_allclose(steps[steps > 0.03], [1.02, 15.02], atol=1e-3)


def test_rows_out_of_order_and_repeated_rows_are_mended_with_a_warning(tmp_path):
    t = seconds(50, 20)
    x = wrist(t)
    rows = np.r_[500:1000, 0:300, 299, 300:500]
    with pytest.warns(UserWarning, match="out of order in 1 places.* 1 rows with a repeated time stamp"):
        r = read_recording(write(tmp_path / "a.csv", t[rows], x[:, rows]))
    assert r.times is None
    np.testing.assert_allclose(r.signal, x, rtol=1e-6, atol=1e-6)


def test_a_clock_that_was_set_back_is_not_woven_into_itself(tmp_path):
    t = seconds(50, 40)
    t[1000:] -= 10
    with pytest.raises(ValueError, match="two clocks that overlap"):
        read_recording(write(tmp_path / "a.csv", t, wrist(t)))


@pytest.mark.parametrize(("factor", "units"), [(1, "g"), (9.80665, "m/s^2"), (1000, "mg")])
def test_gravity_tells_the_units_of_a_table(tmp_path, factor, units):
    t = seconds(50, 20)
    path = write(tmp_path / "a.csv", t, factor * wrist(t), ("Timestamp (s)", "accX", "accY", "accZ"))
    assert read_recording(path).units == units
    wrong = {"g": "m/s^2", "m/s^2": "g", "mg": "g"}[units]
    with pytest.raises(ValueError, match=rf"declared in '{wrong[0]}.*units='{units[0]}"):
        read_recording(path, units=wrong)


def test_axes_are_found_by_name_whatever_their_order_and_company(tmp_path):
    t = seconds(50, 20)
    x = wrist(t)
    frame = pd.DataFrame({"z": x[2], "gyro_x": 9.0, "y": x[1], "gyro_y": 9.0, "gyro_z": 9.0, "x": x[0], "time": t})
    frame.to_csv(tmp_path / "a.csv.gz")
    r = read_recording(tmp_path / "a.csv.gz")
    np.testing.assert_allclose(r.signal, x, atol=1e-6)
    assert r.participant == "a"
    assert (read_recording(tmp_path / "a.csv.gz", sensor="gyroscope").signal == 9).all()


@pytest.mark.parametrize(("sep", "comma"), [(",", False), (";", False), (";", True), ("\t", False)])
@pytest.mark.parametrize("head", [True, False])
def test_any_delimiter_is_read_with_or_without_a_header(tmp_path, sep, comma, head):
    t = seconds(50, 20)
    frame = pd.DataFrame({"time": t, **dict(zip("xyz", wrist(t)))})
    frame.to_csv(tmp_path / "a.txt", sep=sep, decimal="," if comma else ".", header=head, index=False)
    r = read_recording(tmp_path / "a.txt")
    assert r.sfreq == pytest.approx(50)
    np.testing.assert_allclose(r.signal, wrist(t), atol=1e-6)


def test_a_table_without_time_needs_a_rate(tmp_path):
    pd.DataFrame(wrist(seconds(50, 20)).T).to_csv(tmp_path / "a.csv")  # its first column numbers the rows
    with pytest.raises(ValueError, match=r"Expected a time column .* give the rate with sfreq="):
        read_recording(tmp_path / "a.csv")
    r = read_recording(tmp_path / "a.csv", sfreq=50, columns=["0", "1", "2"])
    assert (r.duration, r.sfreq) == (20, 50)


def test_a_declared_rate_that_the_stamps_deny_is_refused(tmp_path):
    t = seconds(50, 20)
    path = write(tmp_path / "a.csv", t, wrist(t))
    with pytest.raises(ValueError, match=r"sfreq=100 Hz, but its time stamps say 50 Hz"):
        read_recording(path, sfreq=100)
    assert read_recording(path, sfreq=100, time=False).duration == 10


def test_other_sensors_are_found_by_their_name(tmp_path):
    t = seconds(64, 20)
    path = write(tmp_path / "a.csv", t, [np.sin(t), np.cos(t)], ("time", "ppg_green", "ambient"))
    r = read_recording(path, sensor="ppg", participant=7)
    assert (r.channel_names, r.units, r.participant) == (("ppg_green",), "a.u.", "7")
    with pytest.raises(ValueError, match=r"cannot choose among \['ppg_green', 'ambient'\]. Name the channels"):
        read_recording(path, sensor="ecg")


# --- files that are none


@pytest.mark.parametrize("name", ["a.csv", "a.cwa", "a.bin"])
def test_missing_empty_and_foreign_files_are_named(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match=name):
        read_recording(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{name}, got an empty file"):
        read_recording(path)
    path.write_bytes(b"PK\x03\x04" + bytes(range(256)) * 9)
    with pytest.raises(ValueError, match=rf"{name} an Axivity .cwa, a GENEActiv .bin, .* got something else"):
        read_recording(path)


def test_a_gzip_file_that_was_cut_off_is_named(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"time,x,y,z\n" * 900)[:30])
    with pytest.raises(ValueError, match=r"a\.csv\.gz is a gzip file that cannot be unpacked"):
        read_recording(tmp_path / "a.csv.gz")


# --- devices


def write_e4(folder, sensor, values, rate):
    rows = [[1714550400.0] * len(values), [float(rate)] * len(values), *values.T.tolist()]
    folder.mkdir(exist_ok=True)
    (folder / sensor).write_text("\n".join(",".join(map(str, row)) for row in rows))


def test_an_empatica_export_is_read_in_g_and_by_its_own_clock(tmp_path):
    counts = np.round(64 * wrist(seconds(32, 20)))
    write_e4(tmp_path / "S02", "ACC.csv", counts.astype(int), 32)
    write_e4(tmp_path / "S02", "BVP.csv", np.arange(640.0)[None], 64)
    r = read_recording(tmp_path / "S02")
    assert (r.participant, r.units, r.sfreq, r.start, r.times) == ("S02", "g", 32, START, None)
    np.testing.assert_array_equal(r.signal, (counts / 64).astype(np.float32))
    pulse = read_recording(tmp_path / "S02", sensor="bvp")
    assert (pulse.sfreq, pulse.duration, pulse.signal[0, 3]) == (64, 10, 3)
    assert read_recording(tmp_path / "S02" / "ACC.csv").participant == "S02"
    with pytest.raises(FileNotFoundError, match=r"with EDA\.csv in .*found \['ACC\.csv', 'BVP\.csv'\]"):
        read_recording(tmp_path / "S02", sensor="eda")
    with pytest.raises(ValueError, match="Expected sfreq for tables only"):
        read_recording(tmp_path / "S02", sfreq=50)


def write_cwa(path, samples, layout=0x32, scale=0):
    """The public format at 100 Hz, of samples (n_blocks, in a block, axes) in counts; a low nibble of 0 packs them."""
    data = bytearray(b"MD" + (1020).to_bytes(2, "little") + bytes(1020))
    for number, part in enumerate(samples):
        when = START + pd.Timedelta(seconds=number * len(samples[0]) / 100)
        minutes = (when.year - 2000) << 26 | when.month << 22 | when.day << 17 | when.hour << 12 | when.minute << 6
        fraction = when.microsecond * 32768 // 1_000_000
        words = np.zeros(256, "<u2")
        words[:3] = 0x5841, 508, 0x8000 | fraction
        words[5], words[7:9] = number, ((minutes | when.second) & 0xFFFF, (minutes | when.second) >> 16)
        words[9], words[12] = scale, 0x4A | layout << 8
        words[13], words[14] = -(fraction * 100 // 32768) & 0xFFFF, len(part)
        if layout & 15:
            raw = part.astype("<i2").view("<u2").ravel()
        else:  # 10 bits each and an exponent of 2, which loses nothing of multiples of 4
            x, y, z = (part.T // 4).astype(np.int64) & 1023
            raw = (x | y << 10 | z << 20 | 2 << 30).astype("<u4").view("<u2")
        words[15 : 15 + len(raw)] = raw
        words[255] = -int(words.sum()) & 0xFFFF
        data += words.tobytes()
    path.write_bytes(data)
    return path


def counts(n_blocks, in_block, n_axes=3, one_g=256):
    """Counts of a wrist, in multiples of 4, and of a gyroscope before it where there are six axes."""
    x = 4 * np.round(one_g / 4 * wrist(np.arange(n_blocks * in_block) / 100)).T
    x = np.hstack([np.full_like(x, 1000), x])[:, -n_axes:]
    return x.reshape(n_blocks, in_block, n_axes).astype(int)


@pytest.mark.parametrize(
    ("layout", "in_block", "scale", "one_g"),
    [(0x30, 120, 0, 256), (0x32, 80, 0, 256), (0x32, 80, 3 << 13, 2048), (0x62, 40, 4 << 13 | 2 << 10, 4096)],
    ids=["AX3 packed", "AX3 unpacked", "16 bits at 16 g", "AX6 at 8 g"],
)
def test_an_axivity_file_is_read_in_g_on_its_own_clock(tmp_path, layout, in_block, scale, one_g):
    samples = counts(50, in_block, layout >> 4, one_g)
    r = read_recording(write_cwa(tmp_path / "P01.cwa", samples, layout, scale))
    np.testing.assert_array_equal(r.signal, samples.reshape(-1, layout >> 4)[:, -3:].T / np.float32(one_g))
    assert (r.participant, r.units, r.n_lost) == ("P01", "g", 0)
    assert abs(r.start - START) < pd.Timedelta("1ms")
    assert r.sfreq == pytest.approx(100, abs=0.001)
    assert r.duration == pytest.approx(50 * in_block / 100, abs=0.001)


def test_the_gyroscope_is_another_sensor_of_the_same_file(tmp_path):
    path = write_cwa(tmp_path / "P01.cwa", counts(5, 40, 6, 4096), 0x62, 4 << 13 | 2 << 10)
    gyroscope = read_recording(path, sensor="gyroscope")
    assert gyroscope.units == "deg/s"
    np.testing.assert_allclose(gyroscope.signal, 1000 * 2000 / 32768)
    plain = write_cwa(tmp_path / "P02.cwa", counts(5, 80))
    with pytest.raises(ValueError, match="holds, an accelerometer, got sensor='gyroscope'"):
        read_recording(plain, sensor="gyroscope")


def test_damaged_axivity_blocks_are_gaps_and_the_others_are_right(tmp_path):
    samples = counts(60, 120)
    path = write_cwa(tmp_path / "P01.cwa", samples, 0x30)
    data = bytearray(path.read_bytes())
    bad = [0, 13, 14, 30, 59]
    for block in bad[:3]:
        data[1024 + 512 * block + 200] ^= 0xFF  # one byte off: the sum tells
    data[1024 + 512 * 30 : 1024 + 512 * 31] = bytes(512)
    data[1024 + 512 * 59 : 1024 + 512 * 59 + 2] = b"??"
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"P01\.cwa: 5 of 60 blocks are damaged, the first is block 0; about 600"):
        r = read_recording(path)
    good = np.setdiff1d(np.arange(60), bad)
    np.testing.assert_array_equal(r.signal, samples[good].reshape(-1, 3).T / np.float32(256))
    wanted = ((good[:, None] - 1) * 120 + np.arange(120)).ravel() / 100
    np.testing.assert_allclose(r.times, wanted, atol=1e-4)
    assert r.n_lost == 600
    X, index = cut(r, 1.2, 100, min_coverage=1)
    assert index.attrs["n_left_out"] == 3
    np.testing.assert_allclose(X[12], samples[15].T / 256, atol=2e-3)


def test_an_axivity_file_without_some_blocks_has_gaps(tmp_path):
    samples = counts(60, 80)
    data = write_cwa(tmp_path / "P01.cwa", samples).read_bytes()
    (tmp_path / "P01.cwa").write_bytes(data[: 1024 + 512 * 20] + data[1024 + 512 * 25 :] + b"\xff" * 512 * 4)
    r = read_recording(tmp_path / "P01.cwa")
    steps = np.diff(r.times)
    assert np.flatnonzero(steps > 0.02).tolist() == [1599]
    assert steps.max() == pytest.approx(4.01, abs=1e-3)


def test_an_axivity_file_that_was_cut_off_says_how_to_read_the_rest(tmp_path):
    path = write_cwa(tmp_path / "P01.cwa", counts(10, 80))
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(ValueError, match=rf"P01\.cwa .*cut off.* cut it to {len(data) - 512} bytes"):
        read_recording(path)
    path.write_bytes(data[:700])
    with pytest.raises(ValueError, match=r"700 bytes: it was cut off. Copy it again"):
        read_recording(path)
    path.write_bytes(data[:1024] + bytes(range(256)) * 8)
    with pytest.raises(ValueError, match="4 blocks of which none is whole"):
        read_recording(path)


def write_bin(path, samples, leave_out=()):
    """GENEActiv text at 50 Hz, of counts (n_pages, 300, 3) with gain 25000 and offsets 100, 0, -100."""
    gains = "".join(f"{a} gain:25000\n{a} offset:{o}\n" for a, o in zip("xyz", (100, 0, -100)))
    text = f"Device Identity\n\nCalibration Data\n{gains}\nMemory Status\nNumber of Pages:{len(samples)}\n\n"
    for number in np.setdiff1d(np.arange(len(samples)), leave_out):
        when = (START + pd.Timedelta(seconds=6 * number.item())).strftime("%Y-%m-%d %H:%M:%S:000")
        digits = "".join(f"{x & 4095:03X}{y & 4095:03X}{z & 4095:03X}ABC" for x, y, z in samples[number])
        text += f"Recorded Data\nSequence Number:{number}\nPage Time:{when}\nMeasurement Frequency:50.0\n{digits}\n"
    path.write_text(text)
    return path


def test_a_geneactiv_file_is_calibrated_and_its_lost_pages_are_gaps(tmp_path):
    samples = np.round(250 * wrist(np.arange(3000) / 50)).astype(int).T.reshape(10, 300, 3)
    wanted = (samples.reshape(-1, 3) * 100 - [100, 0, -100]).T / 25000
    r = read_recording(write_bin(tmp_path / "P01.bin", samples))
    np.testing.assert_allclose(r.signal, wanted, atol=1e-6)
    assert (r.sfreq, r.start, r.times, r.units) == (50, START, None, "g")
    with pytest.warns(UserWarning, match=r"P01\.bin: 2 pages are damaged or missing; 600 samples"):
        r = read_recording(write_bin(tmp_path / "P01.bin", samples, leave_out=[3, 4]))
    np.testing.assert_allclose(r.signal, np.delete(wanted, np.arange(900, 1500), axis=1), atol=1e-6)
    assert np.diff(r.times).max() == pytest.approx(12.02)
    assert r.n_lost == 600


def test_a_geneactiv_page_with_foreign_digits_is_lost_and_a_cut_file_is_refused(tmp_path):
    path = write_bin(tmp_path / "P01.bin", np.full((4, 300, 3), 144))
    text = path.read_text()
    pages = text.split("Recorded Data")
    path.write_text("Recorded Data".join([*pages[:2], pages[2].replace("090090", "09?090", 1), *pages[3:]]))
    with pytest.warns(UserWarning, match="1 pages are damaged"):
        assert read_recording(path).signal.shape == (3, 900)
    path.write_text(text[:-500])
    with pytest.raises(ValueError, match="in the middle of page 4: it was cut off"):
        read_recording(path)
