"""Public sets: tiny archives in the published layouts, put into a folder or served from here."""

import contextlib
import dataclasses
import functools
import gzip
import http.server
import io
import pickle
import struct
import sys
import threading
import zipfile

import numpy as np
import pandas as pd
import pytest

from wearembed import cut, datasets
from wearembed.datasets import (
    capture24,
    fetch_capture24,
    fetch_hhar,
    fetch_hmp_wrist,
    fetch_motionsense,
    fetch_opportunity,
    fetch_pamap2,
    fetch_ppg_dalia,
    fetch_ptbxl,
    fetch_wesad,
    fetch_wisdm,
    hhar,
    hmp_wrist,
    make_ecg,
    make_motion,
    make_ppg_accel,
    motionsense,
    opportunity,
    pamap2,
    ppg_dalia,
    ptbxl,
    read_hhar,
    read_opportunity,
    read_pamap2,
    wesad,
    wisdm,
)
from wearembed.evaluation import haresamudram_windows, yuan_windows

GRAVITY = 9.80665


# --- archives in the published layouts


def zipped(files):
    """A zip archive of ``{name: bytes, text or files of an archive within}``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, zipped(content) if isinstance(content, dict) else content)
    return out.getvalue()


@functools.cache
def wrist(participant, seconds=16, sfreq=100):
    """Simulated motion in g, (n_times, 3), other for each participant."""
    motion = make_motion(participant + 1, 1, seconds=seconds, sfreq=sfreq, random_state=3)
    return motion.data[-1].T.astype(np.float64)


def as_text(table, sep=" ", form="%.5f"):
    out = io.StringIO()
    np.savetxt(out, table, fmt=form, delimiter=sep)
    return out.getvalue()


def pamap2_rows(participant, codes=(4, 0)):
    """Seconds, activity, heart rate, three sensors of 17 columns; half of the time each activity."""
    accel = wrist(participant)
    table = np.full((len(accel), 54), np.nan)
    table[:, 0] = 5.0 + np.arange(len(accel)) / 100
    table[:, 1] = np.repeat(codes, len(accel) // 2)
    for sensor, column in enumerate((4, 21, 38)):
        table[:, column : column + 3] = np.roll(accel, sensor, axis=1) * GRAVITY
        table[:, column + 3 : column + 6] = 0.0  # the sensor that saturates
    return table


def pamap2_archive():
    lossy = pamap2_rows(1)
    lossy[300:520, 3:20] = np.nan  # the radio lost the hand for 2.2 s
    inside = {
        "PAMAP2_Dataset/Protocol/subject101.dat": as_text(pamap2_rows(0)),
        "PAMAP2_Dataset/Protocol/subject102.dat": as_text(lossy),
        "PAMAP2_Dataset/Optional/subject101.dat": as_text(pamap2_rows(0, codes=(9, 10))),
        "__MACOSX/PAMAP2_Dataset/Protocol/._subject101.dat": b"\0\5\x16\7",
    }
    return zipped({"PAMAP2_Dataset.zip": inside, "readme.pdf": b"%PDF"})


def opportunity_archive():
    files = {}
    for person in (1, 2):
        accel = wrist(person, sfreq=30)
        table = np.zeros((len(accel), 250))
        table[:, 0] = np.round(np.arange(len(accel)) * 1000 / 30)
        table[:, 22:25] = np.round(accel * 1000)
        table[:, 31:34] = np.nan  # the left wrist was never connected
        table[:, 243] = np.repeat([2, 5], len(accel) // 2)
        table[:, 249] = 406516
        files[f"OpportunityUCIDataset/dataset/S{person}-ADL1.dat"] = as_text(table, form="%g")
    return zipped(files | {"OpportunityUCIDataset/dataset/column_names.txt": "Column: 1 MILLISEC"})


def hhar_rows(person, device, sfreq, began, accel, gt):
    """Rows of one recording; the device's clock counts from its own start, arrivals come in bursts."""
    n = np.arange(len(accel))
    rng = np.random.default_rng(1)
    made = np.int64(began * 1e9) + ((n + 0.2 * rng.uniform(-1, 1, len(n))) / sfreq * 1e9).astype(np.int64)
    arrived = 1_424_686_735_000 + np.int64(began * 1e3) + (n // 20 * 20 * 1000 / sfreq).astype(np.int64)
    axes = dict(zip("xyz", accel.T * GRAVITY))
    model = device.split("_")[0]
    about = {"User": person, "Model": model, "Device": device, "gt": gt}
    return pd.DataFrame({"Index": n, "Arrival_Time": arrived, "Creation_Time": made, **axes, **about})


@functools.cache
def hhar_archive():
    gear, lg = wrist(0), wrist(1, sfreq=200)
    half = len(gear) // 2
    rows = [
        hhar_rows("a", "gear_1", 100, 100, gear[:half], "walk"),
        hhar_rows("a", "gear_1", 100, 300, gear[half:], "null"),
        hhar_rows("b", "lgwatch_2", 200, 50, lg, "sit"),
        hhar_rows("b", "lgwatch_2", 200, 2, lg, "bike"),  # the watch was started anew: its clock too
    ]
    rows[3]["Arrival_Time"] += 3_600_000
    table = pd.concat(rows).to_csv(index=False)
    phones = hhar_rows("a", "nexus4_1", 200, 10, lg, "stand").to_csv(index=False)
    inside = {
        "Activity recognition exp/Watch_accelerometer.csv": table,
        "Activity recognition exp/Phones_accelerometer.csv": phones,
    }
    return zipped({"Activity recognition exp.zip": inside, "Still exp.zip": {"Still exp/none.csv": "0"}})


def motionsense_archive():
    files = {}
    for folder, person in (("wlk_7", 1), ("wlk_7", 2), ("sit_5", 2), ("jog_9", 10)):
        table = pd.DataFrame(wrist(person, sfreq=50), columns=list("xyz"))
        files[f"B_Accelerometer_data/{folder}/sub_{person}.csv"] = table.to_csv()
    return zipped(files)


def wisdm_archive():
    files = {"wisdm-dataset/activity_key.txt": "walking = A\n"}
    for person in (1600, 1601):
        lines = []
        for count, activity in enumerate("AD"):
            for i, (x, y, z) in enumerate(wrist(person - 1600, sfreq=20) * GRAVITY):
                stamp = 90_426_708_196_641 - count * 10**12 + round(i / 20 * 1e9)  # later activities may have less
                lines.append(f"{person},{activity},{stamp},{x:.6f},{y:.6f},{z:.6f};")
        files[f"wisdm-dataset/raw/watch/accel/data_{person}_accel_watch.txt"] = "\n".join(lines) + "\n"
    return zipped({"wisdm-dataset.zip": files})


def hmp_wrist_archive():
    counts = np.round((wrist(0, sfreq=32).clip(-1.5, 1.5) + 1.5) * 21)
    files = {}
    for activity, person in (("walk", "f1"), ("walk", "m2"), ("climb_stairs", "m2")):
        name = f"Accelerometer-2011-05-30-08-32-58-{activity}-{person}.txt"
        files[f"HMP_Dataset/{activity.capitalize()}/{name}"] = as_text(counts, form="%d")
        files[f"HMP_Dataset/{activity.capitalize()}_MODEL/{name}"] = as_text(counts, form="%d")
    return zipped(files)


def capture24_archive():
    words = pd.DataFrame(
        {
            "annotation": ["7030 sleeping;MET 0.95", "home activity, miscellaneous;walking;17150;MET 2.0"],
            "label:Walmsley2020": ["sleep", "light"],
            "label:Willetts2018": ["sleep", "walking"],
        }
    )
    files = {"capture24/annotation-label-dictionary.csv": words.to_csv(index=False)}
    for person in (1, 2):
        accel = wrist(person)
        table = pd.DataFrame(accel, columns=list("xyz"))
        stamps = pd.Timestamp("2016-11-13 02:18") + pd.to_timedelta(np.arange(len(accel)) * 10, unit="ms")
        table.insert(0, "time", stamps.strftime("%Y-%m-%d %H:%M:%S.%f"))
        table["annotation"] = np.repeat([words["annotation"][0], words["annotation"][1]], len(accel) // 2)
        table.loc[: len(accel) // 4, "annotation"] = np.nan  # the camera was off
        files[f"capture24/P00{person}.csv.gz"] = gzip.compress(table.to_csv(index=False).encode())
    return zipped(files)


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as the strings of Python 2, as the published files have them."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_old(self, text):
        raw = text.encode("latin-1") if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_old


def python2_pickle(content):
    out = io.BytesIO()
    Python2Pickler(out, protocol=2).dump(content)
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@functools.cache
def subject(seconds):
    """Light at 64 Hz and motion at 32 Hz of one simulated person: (n, 1), (n, 3)."""
    heart = make_ppg_accel(1, 1, seconds=seconds, sfreq=64, random_state=5)
    motion = make_motion(1, 1, seconds=seconds, sfreq=32, random_state=5)
    return heart.ppg[0, :1].T.astype(np.float64), motion.data[0].T.astype(np.float64)


def ppg_dalia_subject(name, seconds=40):
    ppg, accel = subject(seconds)
    chest = {"ECG": np.zeros((7, 1)), "ACC": np.zeros((7, 3))}
    return {
        "subject": name,
        "signal": {"wrist": {"BVP": ppg, "ACC": accel}, "chest": chest},
        "label": 60.0 + np.arange((seconds - 8) // 2 + 1),
        "activity": np.repeat([[1.0], [7.0]], 4 * seconds // 2, axis=0),
        "rpeaks": np.arange(5, dtype=np.int32),
        "questionnaire": {"AGE": 34, "Gender": " m"},
    }


def ppg_dalia_archive():
    inside = {}
    for name in ("S2", "S10"):
        inside[f"PPG_FieldStudy/{name}/{name}.pkl"] = python2_pickle(ppg_dalia_subject(name))
        inside[f"PPG_FieldStudy/{name}/{name}_E4.zip"] = {"ACC.csv": "1, 1, 1"}
        inside[f"PPG_FieldStudy/{name}/{name}_RespiBAN.h5"] = b"\x89HDF"
    return zipped({"data.zip": inside, "readme.pdf": b"%PDF"})


def wesad_subject(name, seconds=240):
    ppg, accel = subject(seconds)
    labels = np.repeat(np.array([1, 0, 2, 7], np.int32), [700 * n for n in (70, 40, 80, 50)])
    wrist_ = {"BVP": ppg, "ACC": np.asfortranarray(np.round(accel * 64))}  # counts of 1/64 g
    return {"subject": name, "signal": {"wrist": wrist_, "chest": {}}, "label": labels}


def wesad_archive():
    files = {}
    for name in ("S2", "S3"):
        files[f"WESAD/{name}/{name}.pkl"] = python2_pickle(wesad_subject(name))
        files[f"WESAD/{name}/{name}_E4_Data.zip"] = {"ACC.csv": "1, 1, 1"}
    return zipped(files)


LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@functools.cache
def ecg(sfreq):
    """Counts of a microvolt, (12, n_times): lead I simulated, the others shares of it."""
    lead = make_ecg(1, 1, seconds=10, sfreq=sfreq, random_state=1).data[0, 0]
    return np.round(1000 * lead[None] * np.linspace(1, 0.3, 12)[:, None]).astype("<i2")


def ptbxl_record(name, sfreq):
    counts = ecg(sfreq)
    lines = [f"{name} 12 {sfreq} {counts.shape[1]}"]
    for lead, row in zip(LEADS, counts):
        lines.append(f"{name}.dat 16 1000.0(0)/mV 16 0 {row[0]} {int(row.sum(dtype=int)) % 2**16} 0 {lead}")
    return {f"{name}.hea": "\n".join(lines) + "\n", f"{name}.dat": counts.T.tobytes()}


def ptbxl_archive(top="ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3/"):
    statements = pd.DataFrame(
        {
            "diagnostic": [1.0, 1.0, np.nan, 1.0],
            "diagnostic_class": ["NORM", "MI", np.nan, "HYP"],
        },
        index=["NORM", "IMI", "SR", "LVH"],
    )
    table = pd.DataFrame(
        {
            "ecg_id": [1, 2],
            "patient_id": [15709.0, 13243.0],
            "age": [56.0, 300.0],
            "sex": [1, 0],
            "recording_date": ["1984-11-09 09:17:34", "1984-11-14 12:55:37"],
            "scp_codes": ["{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 0.0, 'LVH': 50.0}"],
            "strat_fold": [3, 10],
            "filename_lr": ["records100/00000/00001_lr", "records100/00000/00002_lr"],
            "filename_hr": ["records500/00000/00001_hr", "records500/00000/00002_hr"],
        }
    )
    files = {"ptbxl_database.csv": table.to_csv(index=False), "scp_statements.csv": statements.to_csv()}
    for number in (1, 2):
        for folder, end, sfreq in (("records100", "lr", 100), ("records500", "hr", 500)):
            record = ptbxl_record(f"{number:05d}_{end}", sfreq)
            files |= {f"{folder}/00000/{name}": content for name, content in record.items()}
    return zipped({top + name: content for name, content in files.items()})


SETS = {  # module, fetcher, archive, participants, labels
    "pamap2": (pamap2, fetch_pamap2, pamap2_archive, ["101", "102"], {"walking", "watching tv", "computer work"}),
    "opportunity": (opportunity, fetch_opportunity, opportunity_archive, ["S1", "S2"], {"walking", "lying"}),
    "hhar": (hhar, fetch_hhar, hhar_archive, ["a", "b"], {"walk", "sit", "bike"}),
    "motionsense": (
        motionsense,
        fetch_motionsense,
        motionsense_archive,
        ["1", "10", "2"],
        {"walking", "sitting", "jogging"},
    ),
    "wisdm": (wisdm, fetch_wisdm, wisdm_archive, ["1600", "1601"], {"walking", "sitting"}),
    "hmp_wrist": (hmp_wrist, fetch_hmp_wrist, hmp_wrist_archive, ["f1", "m2"], {"walk", "climb_stairs"}),
    "capture24": (capture24, fetch_capture24, capture24_archive, ["P001", "P002"], {"sleep", "light"}),
    "ppg_dalia": (ppg_dalia, fetch_ppg_dalia, ppg_dalia_archive, ["S10", "S2"], None),
    "wesad": (wesad, fetch_wesad, wesad_archive, ["S2", "S3"], {"baseline", "stress"}),
    "ptbxl": (ptbxl, fetch_ptbxl, ptbxl_archive, ["13243", "15709"], None),
}
MOTION = [name for name in SETS if name not in ("ppg_dalia", "wesad", "ptbxl")]


def put(name, home, archive=None):
    """Put a set's archive into the data home, under the name that it is published by."""
    module, _, make, *_ = SETS[name]
    path = home / name / module._SOURCE.archive
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make() if archive is None else archive)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data home with every set's archive in it."""
    folder = tmp_path_factory.mktemp("data")
    for name in SETS:
        put(name, folder)
    return folder


@pytest.fixture
def server(monkeypatch):
    """Serves the archive of PAMAP2 as ``answer`` says, and counts."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.n_asked += 1
            status, length, body = self.server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.n_asked = 0
        body = pamap2_archive()
        running.answer = 200, len(body), body
        url = f"http://127.0.0.1:{running.server_port}/pamap2.zip"
        monkeypatch.setattr(pamap2, "_SOURCE", dataclasses.replace(pamap2._SOURCE, url=url))
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


# --- what every set gives


@pytest.mark.parametrize("name", SETS)
def test_an_archive_in_the_folder_is_read_without_a_network(name, home):
    _, fetch, _, participants, labels = SETS[name]
    found = fetch(data_home=home, download_if_missing=False)
    assert found.data.dtype == np.float32 and found.data.ndim == 3 and len(found.data)
    assert np.isfinite(found.data).all()
    assert sorted(set(found.groups)) == participants
    assert len(found.target) == len(found.groups) == len(found.session) == len(found.start) == len(found.data)
    assert labels is None or set(found.target) == set(found.target_names) == labels
    assert found.data.shape[1] == len(found.channel_names)
    assert found.license in found.DESCR and found.url.startswith("https://")


@pytest.mark.parametrize("name", MOTION)
def test_motion_comes_in_g_at_the_rate_that_was_asked_for(name, home):
    found = SETS[name][1](data_home=home, seconds=2, sfreq=50)
    assert found.data.shape[1:] == (3, 100) and found.sfreq == 50 and found.units == "g"
    assert 0.5 < np.median(np.linalg.norm(found.data, axis=1)) < 2  # simulated motion, with gravity


@pytest.mark.parametrize("name", SETS)
def test_data_and_target_alone_and_some_participants_alone(name, home):
    _, fetch, _, participants, _ = SETS[name]
    X, y = fetch(data_home=home, return_X_y=True, participants=participants[1:2])
    whole = fetch(data_home=home)
    mine = whole.groups == participants[1]
    assert 0 < mine.sum() < len(mine)
    assert np.array_equal(X, whole.data[mine]) and np.array_equal(y, whole.target[mine])


@pytest.mark.parametrize("name", SETS)
def test_a_participant_who_is_not_there_is_said(name, home):
    with pytest.raises(ValueError, match="participants="):
        SETS[name][1](data_home=home, participants=["nobody"])


# --- fetching


def test_a_set_is_fetched_once_and_its_licence_said_once(server, tmp_path, capsys):
    first = fetch_pamap2(data_home=tmp_path)
    assert "CC BY 4.0" in capsys.readouterr().out
    again = fetch_pamap2(data_home=tmp_path, download_if_missing=False)
    assert server.n_asked == 1 and "CC BY" not in capsys.readouterr().out
    assert np.array_equal(first.data, again.data)
    record = next((tmp_path / "pamap2").glob("*.sha256")).read_text()
    assert len(record.split()[0]) == 64


def test_the_variable_names_the_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WEAREMBED_DATA", str(tmp_path / "sets"))
    fetch_pamap2()
    assert (tmp_path / "sets" / "pamap2").is_dir()


def test_without_a_folder_the_cache_is_used(monkeypatch):
    import pooch

    monkeypatch.delenv("WEAREMBED_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=str(pooch.os_cache("wearembed") / "pamap2")):
        monkeypatch.setattr(pamap2, "_SOURCE", dataclasses.replace(pamap2._SOURCE, holds="no/such file"))
        fetch_pamap2(download_if_missing=False)


@pytest.mark.parametrize("name", SETS)
def test_a_missing_set_names_folder_and_address(name, tmp_path):
    module, fetch, *_ = SETS[name]
    with pytest.raises(OSError) as error:
        fetch(data_home=tmp_path, download_if_missing=False)
    assert str(tmp_path / name) in str(error.value) and module._SOURCE.url in str(error.value)
    assert not any(tmp_path.iterdir())


def test_another_file_than_the_publisher_says_is_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pamap2, "_SOURCE", dataclasses.replace(pamap2._SOURCE, sha256="0" * 64))
    with pytest.raises(ValueError, match="Nothing was kept"):
        fetch_pamap2(data_home=tmp_path)
    assert not list((tmp_path / "pamap2").iterdir())


def test_another_file_than_at_first_is_not_kept(server, tmp_path):
    fetch_pamap2(data_home=tmp_path)
    folder = tmp_path / "pamap2"
    archive = next(folder.glob("*.zip"))
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.suffix != ".sha256":
            path.unlink() if path.is_file() else path.rmdir()
    body = zipped({"PAMAP2_Dataset/Protocol/subject101.dat": "0"})
    server.answer = 200, len(body), body
    with pytest.raises(ValueError, match=r"remove .*\.sha256 to accept"):
        fetch_pamap2(data_home=tmp_path)
    assert [path.name for path in folder.iterdir()] == [archive.name + ".sha256"]


@pytest.mark.parametrize("answer", [(404, 4, b"none"), (200, 10_000, b"cut off")], ids=["no such page", "broken off"])
def test_a_download_that_fails_leaves_nothing(server, tmp_path, answer):
    server.answer = answer
    with pytest.raises(OSError, match=r"fetch it by other means and put it at .*pamap2"):
        fetch_pamap2(data_home=tmp_path)
    assert not list((tmp_path / "pamap2").iterdir())


def test_without_pooch_a_folder_still_works(home, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert len(fetch_pamap2(data_home=home).data)
    with pytest.raises(ImportError, match=r"wearembed\[data\]"):
        fetch_pamap2(data_home=tmp_path)


# --- archives that lie or broke


def test_an_archive_that_changed_after_its_first_use_is_refused(tmp_path):
    path = put("motionsense", tmp_path)
    fetch_motionsense(data_home=tmp_path)
    (tmp_path / "motionsense" / "unpacked").rename(tmp_path / "elsewhere")
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="Expected .* with SHA-256"):
        fetch_motionsense(data_home=tmp_path)


@pytest.mark.parametrize("evil", ["../../evil.csv", "/tmp/evil.csv", "C:/evil.csv", "..\\evil.csv"])
def test_a_path_out_of_the_folder_is_refused(tmp_path, evil):
    put("motionsense", tmp_path, zipped({"B_Accelerometer_data/wlk_7/sub_1.csv": "x,y,z\n", evil: "x,y,z\n"}))
    with pytest.raises(ValueError, match="outside of its own folder"):
        fetch_motionsense(data_home=tmp_path)
    assert not list(tmp_path.rglob("*.csv")) and not (tmp_path.parent / "evil.csv").exists()


def test_a_path_out_of_the_folder_is_refused_in_an_archive_within(tmp_path):
    put("pamap2", tmp_path, zipped({"PAMAP2_Dataset.zip": {"../../../evil.dat": "0"}}))
    with pytest.raises(ValueError, match="outside of its own folder"):
        fetch_pamap2(data_home=tmp_path)
    assert not list(tmp_path.rglob("*.dat"))


def test_a_link_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("B_Accelerometer_data/wlk_7/sub_1.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    put("motionsense", tmp_path, out.getvalue())
    with pytest.raises(ValueError, match="or a link"):
        fetch_motionsense(data_home=tmp_path)


def damaged(kind):
    body = bytearray(motionsense_archive())
    if kind == "cut off":
        return bytes(body[: len(body) // 2])
    if kind == "not a zip":
        return b"<html>Sign in</html>"
    body[200:260] = bytes(60)
    return bytes(body)


@pytest.mark.parametrize("kind", ["cut off", "not a zip", "overwritten"])
def test_a_damaged_archive_is_said_and_leaves_no_folder(tmp_path, kind):
    put("motionsense", tmp_path, damaged(kind))
    with pytest.raises(ValueError, match="damaged and cannot be unpacked"):
        fetch_motionsense(data_home=tmp_path)
    assert not any(path.is_dir() for path in (tmp_path / "motionsense").iterdir())


def test_an_archive_of_something_else_is_said(tmp_path):
    put("motionsense", tmp_path, zipped({"readme.txt": "moved"}))
    with pytest.raises(ValueError, match=r"found no such file"):
        fetch_motionsense(data_home=tmp_path)


def test_an_unpacked_folder_is_found_under_its_own_name(tmp_path):
    with zipfile.ZipFile(io.BytesIO(motionsense_archive())) as archive:
        archive.extractall(tmp_path)
    assert (tmp_path / "B_Accelerometer_data").is_dir()
    assert len(fetch_motionsense(data_home=tmp_path, download_if_missing=False).data)
    assert not (tmp_path / "motionsense").exists()


def test_what_is_not_needed_is_not_unpacked(home):
    fetch_ppg_dalia(data_home=home)
    kinds = {path.suffix for path in (home / "ppg_dalia" / "unpacked").rglob("*") if path.is_file()}
    assert kinds == {".pkl", ".pdf"}


# --- labels and clocks of each set


def test_windows_of_two_labels_go_by_purity(home):
    strict = fetch_pamap2(data_home=home, participants=["101"], seconds=3, purity=1.0)
    loose = fetch_pamap2(data_home=home, participants=["101"], seconds=3, purity=0.6)
    # Protocol: 8 s of walking, then 8 s without label; Optional: 8 s of television, then 8 s at a computer
    assert strict.target.tolist() == ["walking"] * 2 + ["watching tv"] * 2 + ["computer work"] * 2
    assert loose.target.tolist() == ["walking"] * 3 + ["watching tv"] * 3 + ["computer work"] * 2
    assert strict.n_mixed == loose.n_mixed + 2


@pytest.mark.parametrize("placement", ["hand", "chest", "ankle"])
def test_pamap2_reads_the_wide_range_sensor_of_the_placement(home, placement):
    recording, labels = next(read_pamap2(data_home=home, placement=placement))
    turned = np.roll(wrist(0), ["hand", "chest", "ankle"].index(placement), axis=1)
    assert np.allclose(recording.signal, turned.T, atol=1e-5)
    assert recording.sfreq == pytest.approx(100) and recording.name == "101-protocol"
    assert labels[0] == "walking" and pd.isna(labels[-1])


def test_pamap2_windows_of_lost_samples_are_left_out(home):
    hand = fetch_pamap2(data_home=home, participants=["102"], seconds=2, purity=1)
    chest = fetch_pamap2(data_home=home, participants=["102"], seconds=2, purity=1, placement="chest")
    assert len(chest.data) == 4 and chest.n_left_out == 0
    assert len(hand.data) == 2 and hand.n_left_out == 2  # 3.0 to 5.2 s spoils those from 2 and 4 s, not that from 6
    begins = pd.to_datetime(hand.start) - pd.Timestamp(0)
    assert np.allclose(begins.total_seconds(), [5, 11])


def test_opportunity_measures_its_rate_and_knows_gestures(home):
    recording, _ = next(read_opportunity(data_home=home))
    assert recording.sfreq == pytest.approx(30, rel=1e-3)
    assert set(fetch_opportunity(data_home=home, labels="gesture").target) == {"open door 1"}


def test_a_sensor_that_was_never_connected_gives_no_windows(home):
    found = fetch_opportunity(data_home=home, placement="left wrist")
    assert len(found.data) == 0


def test_hhar_splits_where_a_clock_jumps_and_measures_rates(home):
    recordings = {recording.name: recording for recording, _ in read_hhar(data_home=home)}
    assert sorted(recordings) == ["a-gear_1-0", "a-gear_1-1", "b-lgwatch_2-0", "b-lgwatch_2-1"]
    assert recordings["a-gear_1-0"].sfreq == pytest.approx(100, rel=0.01)
    assert recordings["b-lgwatch_2-1"].sfreq == pytest.approx(200, rel=0.01)
    found = fetch_hhar(data_home=home)
    assert set(zip(found.groups, found.device)) == {("a", "gear_1"), ("b", "lgwatch_2")}
    assert fetch_hhar(data_home=home, device="phone").target_names == ["stand"]


def test_hmp_wrist_reads_counts_dates_and_no_copies(home):
    found = fetch_hmp_wrist(data_home=home, seconds=4)
    assert len(set(found.session)) == 3
    assert found.start.min() == np.datetime64("2011-05-30T08:32:58")
    recording = next(iter(datasets.read_hmp_wrist(data_home=home)))[0]
    assert np.abs(recording.signal - wrist(0, sfreq=32).T.clip(-1.5, 1.5)).max() <= 1.5 / 63 + 1e-6


def test_capture24_sums_annotations_up_by_the_scheme_asked_for(home):
    found = fetch_capture24(data_home=home, labels="Willetts2018", seconds=2, participants=["P001"])
    # of 16 s: 4 without annotation, 4 asleep, 8 walking
    assert found.target.tolist() == ["sleep"] * 2 + ["walking"] * 4
    assert found.start[0] == np.datetime64("2016-11-13T02:18:04")


@pytest.mark.parametrize(
    ("fetch", "wrong"),
    [
        (fetch_pamap2, {"placement": "wrist"}),
        (fetch_opportunity, {"labels": "objects"}),
        (fetch_hhar, {"device": "car"}),
        (fetch_pamap2, {"purity": 0}),
        (fetch_wesad, {"purity": 1.5}),
        (fetch_capture24, {"labels": "mine"}),
        (fetch_ppg_dalia, {"seconds": 4}),
    ],
)
def test_a_wrong_choice_says_what_there_is(home, fetch, wrong):
    with pytest.raises(ValueError, match="Expected"):
        fetch(data_home=home, **wrong)


# --- light, heart rates, conditions


def test_ppg_dalia_gives_each_window_the_heart_rates_within(home):
    found = fetch_ppg_dalia(data_home=home, seconds=12, step=4)
    mine = found.groups == "S2"
    rates = 60.0 + np.arange(17)  # one for each stretch from 2 i to 2 i + 8 s
    within = [[r for i, r in enumerate(rates) if t <= 2 * i <= t + 12 - 8] for t in range(0, 29, 4)]
    assert found.target[mine].tolist() == [np.mean(some) for some in within]
    assert found.activity[mine].tolist() == ["sitting"] * 4 + ["walking"] * 4
    assert found.data.shape[1:] == (1, 768) and found.accel.shape[1:] == (3, 768)


def test_ppg_dalia_is_the_signal_of_the_file(home):
    found = fetch_ppg_dalia(data_home=home, participants=["S10"])
    ppg, accel = subject(40)
    assert np.allclose(np.hstack(found.data)[0], ppg[:, 0], atol=1e-5)
    assert np.abs(np.hstack(found.accel)[:, ::2] - accel.T).max() < 0.02


def test_wesad_gives_conditions_and_turns_counts_into_g(home):
    found = fetch_wesad(data_home=home, seconds=30, participants=["S3"])
    # 70 s of baseline, 40 s of nothing, 80 s of stress, 50 s to be ignored
    assert found.target.tolist() == ["baseline", "baseline", "stress", "stress"]
    begins = (pd.to_datetime(found.start) - pd.Timestamp(0)).total_seconds()
    assert begins.tolist() == [0, 30, 120, 150] and found.n_mixed == 4
    truth = subject(240)[1].T[:, : 30 * 32]
    assert np.abs(found.accel[0][:, ::2] - truth).max() <= 0.5 / 64 + 1e-6


class Evil:
    def __reduce__(self):
        import os

        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "content",
    [
        {"signal": Evil()},
        {"signal": np.array([Evil()], dtype=object)},
        {"signal": functools.partial(print, "evil")},
        {"signal": pd.Series([1.0])},
    ],
    ids=["call", "array of calls", "function", "class"],
)
def test_a_pickle_that_asks_for_more_than_arrays_is_refused_and_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    put("wesad", tmp_path, zipped({"WESAD/S2/S2.pkl": pickle.dumps(content, protocol=2)}))
    with pytest.raises(ValueError, match=r"(asks for|not a whole pickle)"):
        fetch_wesad(data_home=tmp_path)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_pickle_that_was_cut_off_is_said(tmp_path, share):
    whole = python2_pickle(wesad_subject("S2"))
    put("wesad", tmp_path, zipped({"WESAD/S2/S2.pkl": whole[: int(share * len(whole))]}))
    with pytest.raises(ValueError, match="not a whole pickle of arrays"):
        fetch_wesad(data_home=tmp_path)


def test_pickles_of_python_3_are_read_too(tmp_path):
    put("wesad", tmp_path, zipped({"WESAD/S2/S2.pkl": pickle.dumps(wesad_subject("S2"), protocol=2)}))
    assert set(fetch_wesad(data_home=tmp_path, seconds=30).target) == {"baseline", "stress"}


def test_a_pickle_that_unfolds_without_end_is_held_in_check(tmp_path):
    from wearembed.datasets._arrays import read_arrays

    wide, round_and_round = [0.0], []
    for _ in range(15):
        wide = [wide, wide, wide, wide]  # four to the fifteenth, if each were made anew
    round_and_round.append(round_and_round)
    path = tmp_path / "wide.pkl"
    path.write_bytes(pickle.dumps(wide, protocol=2))
    found = read_arrays(path)
    assert found[0] is found[3] and found[1][2] is found[2][1]
    path.write_bytes(pickle.dumps(round_and_round, protocol=2))
    with pytest.raises(ValueError, match="deep"):
        read_arrays(path)


def test_noise_in_a_pickle_never_gets_past_the_reader(tmp_path):
    """Bytes turned at random either give arrays, or a ValueError."""
    from wearembed.datasets._arrays import read_arrays

    whole = python2_pickle({"label": np.arange(20.0), "n": np.float64(2), "of": [1, "two", (3,)]})
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.pkl"
    for _ in range(300):
        body = bytearray(whole)
        for at in rng.integers(len(body), size=3):
            body[at] = rng.integers(256)
        path.write_bytes(body)
        with contextlib.suppress(ValueError):
            read_arrays(path)


# --- electrocardiograms


def test_ptbxl_gives_millivolts_classes_folds_and_people(home):
    found = fetch_ptbxl(data_home=home, leads=LEADS)
    assert found.data.shape == (2, 12, 1000) and found.units == "mV"
    assert np.allclose(found.data[0], ecg(100) / 1000, atol=1e-6)
    assert [dict(zip(found.target_names, row)) for row in found.target] == [
        {"NORM": 1, "MI": 0, "STTC": 0, "CD": 0, "HYP": 0},
        {"NORM": 0, "MI": 1, "STTC": 0, "CD": 0, "HYP": 1},
    ]
    assert found.groups.tolist() == ["15709", "13243"] and found.fold.tolist() == [3, 10]
    assert found.sex.tolist() == ["F", "M"] and found.age.tolist() == [56, 300]


@pytest.mark.parametrize("sfreq", [128, 500])
def test_ptbxl_above_100_hz_comes_from_the_files_at_500(home, sfreq):
    found = fetch_ptbxl(data_home=home, sfreq=sfreq)
    truth = ecg(500)[0] / 1000
    assert found.data.shape == (2, 1, 10 * sfreq)
    at = np.arange(10 * sfreq) / sfreq * 500
    inside = slice(sfreq, -sfreq)
    smooth = np.interp(at, np.arange(len(truth)), truth)
    assert np.corrcoef(found.data[0, 0][inside], smooth[inside])[0, 1] > 0.98


@pytest.mark.parametrize("harm", ["a count", "the end", "the header"])
def test_a_record_that_does_not_agree_with_its_header_is_said(tmp_path, harm):
    put("ptbxl", tmp_path)
    fetch_ptbxl(data_home=tmp_path)
    data = next((tmp_path / "ptbxl").rglob("00002_lr.dat"))
    body = bytearray(data.read_bytes())
    if harm == "a count":
        body[24] ^= 1  # the second sample of lead I
        data.write_bytes(body)
    elif harm == "the end":
        data.write_bytes(body[:-24])
    else:
        header = data.with_suffix(".hea")
        header.write_text(header.read_text().replace("/mV", "/uV"))
    with pytest.raises(ValueError, match=r"00002_lr"):
        fetch_ptbxl(data_home=tmp_path)


def test_a_lead_that_is_not_there_is_said(home):
    with pytest.raises(ValueError, match="Expected leads"):
        fetch_ptbxl(data_home=home, leads=["V9"])


def test_whole_recordings_are_cut_as_any_others(home):
    recordings = [recording for recording, _ in read_pamap2(data_home=home, participants=["101"])]
    X, index = cut(recordings, seconds=2, sfreq=100)
    assert len(X) == 16 and set(index["recording"]) == {"101-protocol", "101-optional"}


def test_the_protocols_take_recordings_as_they_are_read(home):
    windows = yuan_windows(read_opportunity(data_home=home), seconds=4)
    assert windows.data.shape[1:] == (3, 120) and set(windows.groups) == {"S1", "S2"}
    watches = haresamudram_windows(read_hhar(data_home=home), ["sit", "bike"], seconds=2)
    assert watches.data.shape[1:] == (3, 200) and set(watches.groups) == {"b"}
    assert set(watches.target) == {"sit", "bike"}
