"""Files of devices: whole ones are read as they are, and of damaged ones what is whole."""

import sys

import numpy as np
import pandas as pd
import pytest
from measured import START, wrist

from wearembed.recordings import cut, read_recording

pytest.importorskip("skdh", reason="decodes them")


def write_cwa(path, samples, layout=0x32, scale=0, began=None):
    """The public format at 100 Hz, of samples (n_blocks, in a block, axes) in counts; a low nibble of 0 packs them."""
    data = bytearray(b"MD" + (1020).to_bytes(2, "little") + bytes(1020))
    for number, part in enumerate(samples):
        when = START + pd.Timedelta(seconds=number * len(samples[0]) / 100) if began is None else began[number]
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
    with pytest.warns(UserWarning, match=r"P01\.cwa: 5 of 60 blocks are damaged or out of order; about 600"):
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
    with pytest.warns(UserWarning, match=r"0 of 55 blocks .* about 400 samples are lost"):
        r = read_recording(tmp_path / "P01.cwa")
    steps = np.diff(r.times)
    assert np.flatnonzero(steps > 0.02).tolist() == [1599]
    assert steps.max() == pytest.approx(4.01, abs=1e-3)


@pytest.mark.parametrize(
    ("order", "left", "n_lost"),
    [([0, 1, 1, 1, 2, 3], [0, 1, 2, 3], 0), ([0, 2, 1, 3], [0, 2, 3], 80), ([1, 2, 3, 0], [1, 2, 3], 80)],
    ids=["repeated", "swapped", "the first at the end"],
)
def test_axivity_blocks_out_of_order_are_left_out(tmp_path, order, left, n_lost):
    samples = counts(4, 80)
    data = write_cwa(tmp_path / "P01.cwa", samples).read_bytes()
    (tmp_path / "P01.cwa").write_bytes(data[:1024] + b"".join(data[1024 + 512 * k : 1536 + 512 * k] for k in order))
    with pytest.warns(UserWarning, match=rf"{len(order) - len(left)} of {len(order)} blocks are damaged or out of"):
        r = read_recording(tmp_path / "P01.cwa")
    np.testing.assert_array_equal(r.signal, samples[left].reshape(-1, 3).T / np.float32(256))
    assert r.n_lost == n_lost
    assert abs(r.start - START - pd.Timedelta(seconds=0.8 * left[0])) < pd.Timedelta("1ms")
    times = np.arange(r.signal.shape[1]) / 100 if r.times is None else r.times
    np.testing.assert_allclose(times[::80], 0.8 * (np.array(left) - left[0]), atol=1e-3)


def test_an_axivity_block_may_be_half_full(tmp_path):
    samples = counts(6, 120)
    blocks = [samples[0], samples[1], samples[2][:50]]
    r = read_recording(write_cwa(tmp_path / "P01.cwa", blocks, 0x30))
    np.testing.assert_array_equal(r.signal, np.concatenate(blocks).T / np.float32(256))
    assert r.duration == pytest.approx(2.9, abs=1e-3)


def test_an_axivity_header_may_be_damaged(tmp_path):
    path = write_cwa(tmp_path / "P01.cwa", counts(5, 40, 6, 4096), 0x62, 4 << 13 | 2 << 10)
    whole = read_recording(path)
    data = path.read_bytes()
    path.write_bytes(data[:2] + np.random.default_rng(0).bytes(1022) + data[1024:])
    np.testing.assert_array_equal(read_recording(path).signal, whole.signal)


def test_what_decodes_them_is_an_extra(tmp_path, monkeypatch):
    path = write_cwa(tmp_path / "P01.cwa", counts(2, 80))
    monkeypatch.setitem(sys.modules, "skdh", None)
    with pytest.raises(ImportError, match=r'pip install "wearembed\[devices\]"'):
        read_recording(path)


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


def write_bin(path, samples, leave_out=(), began=None):
    """GENEActiv text at 50 Hz, of counts (n_pages, 300, 3) with gain 25000 and offsets 100, 0, -100."""
    gains = "".join(f"{a} gain:25000\n{a} offset:{o}\n" for a, o in zip("xyz", (100, 0, -100)))
    text = f"Device Identity\n\nCalibration Data\n{gains}\nMemory Status\nNumber of Pages:{len(samples)}\n\n"
    for number in np.setdiff1d(np.arange(len(samples)), leave_out):
        when = START + pd.Timedelta(seconds=6 * number.item()) if began is None else began[number]
        when = when.strftime("%Y-%m-%d %H:%M:%S:%f")[:-3]
        digits = "".join(f"{x & 4095:03X}{y & 4095:03X}{z & 4095:03X}ABC" for x, y, z in samples[number])
        text += f"Recorded Data\nSequence Number:{number}\nPage Time:{when}\nMeasurement Frequency:50.0\n{digits}\n"
    path.write_text(text)
    return path


def test_a_page_without_its_end_does_not_lend_its_time_to_the_next(tmp_path):
    samples = np.random.default_rng(0).integers(-900, 900, (4, 300, 3))
    file = write_bin(tmp_path / "a.bin", samples)
    data = file.read_bytes()
    end = data.index(b"Recorded Data", data.index(b"Recorded Data") + 1)
    file.write_bytes(data[: end - 13] + bytes(64) + data[end + 51 :])  # the page's last digits, and the next one's head
    with pytest.warns(UserWarning, match="2 pages are damaged"):
        recording = read_recording(file)
    assert recording.start == START + pd.Timedelta(seconds=12) and recording.signal.shape[1] == 600


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


def changed_page(how):
    """The third of eight pages, damaged."""
    number = "Sequence Number:2"
    return {
        "its time": lambda page: page.replace("08:00:12", "08:07:12"),
        "its number": lambda page: page.replace(number, "Sequence Number:6"),
        "its end": lambda page: page[: page.index("Measurement")],
        "its head": lambda page: page.replace(number, "Sequence N"),
        "its rate": lambda page: page.replace("50.0", "56.0"),
    }[how]


@pytest.mark.parametrize("how", ["its time", "its number", "its end", "its head", "its rate"])
def test_a_geneactiv_page_that_contradicts_itself_or_the_others_is_lost(tmp_path, how):
    samples = np.random.default_rng(0).integers(-900, 900, (8, 300, 3))
    path = write_bin(tmp_path / "P01.bin", samples)
    whole = read_recording(path)
    pages = path.read_text().split("Recorded Data")
    pages[3] = changed_page(how)(pages[3])
    path.write_text("Recorded Data".join(pages))
    with pytest.warns(UserWarning, match=r"1 pages are damaged or missing; 300 samples are lost"):
        r = read_recording(path)
    np.testing.assert_array_equal(r.signal, np.delete(whole.signal, np.arange(600, 900), axis=1))
    np.testing.assert_allclose(r.times[[0, 599, 600, -1]], [0, 11.98, 18, 47.98], atol=1e-6)


def test_geneactiv_pages_out_of_order_are_left_out(tmp_path):
    samples = np.random.default_rng(0).integers(-900, 900, (8, 300, 3))
    path = write_bin(tmp_path / "P01.bin", samples)
    whole = read_recording(path).signal
    head, *pages = path.read_text().split("Recorded Data")
    path.write_text("Recorded Data".join([head, *[pages[k] for k in (0, 1, 1, 2, 4, 3, 5, 6, 7)]]))
    with pytest.warns(UserWarning, match=r"2 pages .*; 300 samples are lost"):
        r = read_recording(path)
    np.testing.assert_array_equal(r.signal, np.delete(whole, np.arange(900, 1200), axis=1))
