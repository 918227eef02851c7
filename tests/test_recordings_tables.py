"""Recordings as text: their channels, units and clock, and files that are none."""

import gzip

import numpy as np
import pandas as pd
import pytest
from measured import START, seconds, wrist

from wearembed.recordings import cut, read_recording


def write(path, stamps, x, head=("time", "x", "y", "z"), sep=","):
    pd.DataFrame(dict(zip(head, [stamps, *x]))).to_csv(path, index=False, sep=sep, float_format="%.7g")
    return path


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


def test_a_stamp_of_another_age_is_none(tmp_path):
    t = seconds(50, 30)
    stamps = (START + pd.to_timedelta(t, unit="s")).strftime("%Y-%m-%d %H:%M:%S.%f").to_numpy(dtype=object)
    stamps[700] = "0024" + stamps[700][4:]
    file = write(tmp_path / "a.csv", stamps, wrist(t))
    with pytest.warns(UserWarning, match="1 without one, left out"):
        r = read_recording(file)
    assert r.signal.shape[1] == len(t) - 1 and abs(r.start - START) < pd.Timedelta("21ms")


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


def test_seconds_since_1970_may_be_as_slow_as_a_heart_rate(tmp_path):
    stamps = 1714550400 + np.arange(60)
    r = read_recording(write(tmp_path / "a.csv", stamps, [60 + np.arange(60) % 7], ("time", "hr")), sensor="hr")
    assert (r.sfreq, r.start, r.duration) == (1, START, 60)


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


def with_commas(path, sep, quote, stamp, head=True):
    """A table with decimal commas, whose last rows happen to be whole numbers."""
    t = seconds(50, 20)
    x = wrist(t).round(4)
    x[:, 190:200] = x[:, -10:] = np.array([[0], [0], [1]])
    quoted = (lambda text: f'"{text}"') if quote else str
    rows = [sep.join([stamp(s), *(quoted(f"{v:g}".replace(".", ",")) for v in row)]) for s, row in zip(t, x.T)]
    path.write_text("\n".join([sep.join(["time", "x", "y", "z"])] * head + rows))
    return x


@pytest.mark.parametrize(("sep", "quote"), [(";", False), (";", True), ("\t", False), (",", True)])
@pytest.mark.parametrize(
    "stamp",
    [
        lambda t: f'"{t:.2f}"'.replace(".", ","),
        lambda t: f"{t:.2f}",
        lambda t: str(round(1714550400_000 + t * 1000)),
        lambda t: str(START + pd.Timedelta(t, unit="s")),
    ],
    ids=["comma", "point", "whole", "date"],
)
@pytest.mark.parametrize("head", [True, False])
def test_decimal_commas_are_read_where_they_are_apart_from_other_commas(tmp_path, sep, quote, stamp, head):
    x = with_commas(tmp_path / "a.csv", sep, quote, stamp, head)
    r = read_recording(tmp_path / "a.csv", time=0, columns=[1, 2, 3])
    assert r.sfreq == pytest.approx(50, abs=0.01) and r.n_lost == 0
    np.testing.assert_allclose(r.signal, x, atol=1e-6)


def test_a_remark_with_a_comma_makes_no_decimal_commas(tmp_path):
    t = seconds(50, 20)
    frame = pd.DataFrame({"t": t, **dict(zip("abc", wrist(t))), "remark": "3,5"})
    frame.to_csv(tmp_path / "a.csv", sep=";", index=False)
    np.testing.assert_allclose(read_recording(tmp_path / "a.csv").signal, wrist(t), atol=1e-6)


def test_a_damaged_cell_among_decimal_commas_is_one_gap(tmp_path):
    x = with_commas(tmp_path / "a.csv", ";", False, lambda t: f"{t:.2f}".replace(".", ","))
    text = (tmp_path / "a.csv").read_text().split("\n")
    text[301] = text[301].replace(";", ";o", 1)
    (tmp_path / "a.csv").write_text("\n".join(text))
    r = read_recording(tmp_path / "a.csv")
    assert r.n_lost == 1
    np.testing.assert_allclose(r.signal, np.delete(x, 300, axis=1), atol=1e-6)


def test_stamps_may_have_a_comma_before_their_fraction(tmp_path):
    t = seconds(50, 20)
    stamps = [str(START + pd.Timedelta(s, unit="s") + pd.Timedelta("1ms"))[:23].replace(".", ",") for s in t]
    r = read_recording(write(tmp_path / "a.csv", stamps, wrist(t), sep=";"))
    assert r.times is None and r.sfreq == pytest.approx(50)


@pytest.mark.parametrize("head", [True, False])
def test_commas_in_numbers_and_between_them_are_refused_with_a_cure(tmp_path, head):
    with_commas(tmp_path / "a.csv", ";", False, lambda t: f"{t:.2f}".replace(".", ","), head)
    rows = [row for row in (tmp_path / "a.csv").read_text().split("\n") if row.count(",") in (0, 4)]
    (tmp_path / "a.csv").write_text("\n".join(rows).replace(";", ","))
    with pytest.raises(ValueError, match=r"or if commas are in its numbers as well as between them, write semicolons"):
        read_recording(tmp_path / "a.csv")


@pytest.mark.parametrize("decimal", [",", "."])
def test_cells_that_are_apart_by_spaces_are_refused_with_a_cure(tmp_path, decimal):
    t = seconds(50, 20)
    frame = pd.DataFrame({"time": t, **dict(zip("xyz", wrist(t).round(4)))})
    frame.to_csv(tmp_path / "a.csv", sep=" ", decimal=decimal, index=False)
    with pytest.raises(ValueError, match="apart by spaces: write commas, semicolons or tabs between them"):
        read_recording(tmp_path / "a.csv")


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


# --- an export of the Empatica E4


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


def test_words_among_measured_numbers_make_no_header(tmp_path):
    rows = pd.DataFrame({"t": np.arange(500) / 50, "x": 0.25, "y": -0.5, "z": 0.8125, "what": "walking"})
    rows.to_csv(tmp_path / "a.csv", index=False, header=False)
    recording = read_recording(tmp_path / "a.csv")
    assert recording.signal.shape == (3, 500), "the first sample is one"
    np.testing.assert_array_equal(recording.signal[:, 0], [0.25, -0.5, 0.8125])
