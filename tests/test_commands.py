"""Every command as a person or a program calls it: what it prints, what it writes, how it fails."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from huggingface_hub import constants
from loopback_hub import OWNER, LoopbackHub

import wearembed
import wearembed.commands.arguments
from wearembed import (
    HandmadeFeatures,
    RecordingEncoder,
    RelConEncoder,
    WindowStore,
    commands,
    datasets,
    disk,
    read_recording,
)
from wearembed.__main__ import main
from wearembed.commands.arguments import ENCODERS, parser
from wearembed.commands.outcome import duration, plain, share, two_columns

SMALL = ["--encoder", "SimCLREncoder", "--set", "width=4", "--set", "blocks=(1,1)", "--set", "kernels=(3,3)"]
COMMANDS = ("embed", "store", "pretrain", "evaluate", "info", "push", "demo")


def write_csv(file, n_windows=12, seed=0, zone="", **made):
    """A recording of windows of 2.56 s as a table; returns its samples."""
    file.parent.mkdir(parents=True, exist_ok=True)
    motion = datasets.make_motion(n_participants=1, n_windows=n_windows, random_state=seed, **made)
    x, y, z = signal = np.concatenate(list(motion.data), axis=1)
    start = pd.Timestamp("2026-03-01 08:00" + zone) + pd.to_timedelta(np.arange(len(x)) / 100, unit="s")
    pd.DataFrame({"time": start.map(str), "x": x, "y": y, "z": z}).to_csv(file, index=False)
    return signal


@pytest.fixture
def small(weights, monkeypatch):
    """The little weights of this file as those that are taken by default."""
    monkeypatch.setattr(commands.arguments, "DEFAULT", str(weights))
    return wearembed.from_pretrained(weights, device="cpu")


@pytest.fixture
def study(tmp_path, small):
    """Three people, two of whose files have one name."""
    for seed, name in enumerate(("anna/wrist.csv", "bert/wrist.csv", "carl.csv")):
        write_csv(tmp_path / "study" / name, n_windows=4 + seed, seed=seed)
    return tmp_path / "study"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A store of six people, with a label and a number that a few windows lack."""
    store = WindowStore.create(
        tmp_path_factory.mktemp("store") / "cohort", n_channels=3, n_times=256, sfreq=100, units="g"
    )
    for seed in range(6):
        motion = datasets.make_motion(1, 8, activities=["rest", "running"], random_state=seed)
        number = np.where(np.arange(8) < 1, np.nan, np.arange(8) + 0.5)
        store.append(motion.data, participant=f"P{seed}", activity=motion.target, number=number)
    return store.path


@pytest.fixture(scope="module")
def weights(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "small"
    call = ["pretrain", str(cohort), "-o", str(out), *SMALL, "--set", "max_epochs=2", "--quiet"]
    assert main([*call, "--license", "mit", "--data", "make_motion", "--synthetic"]) == 0
    return out


def told(capsys, *call, code=0):
    """What a call with --json prints, which is one document whatever happens."""
    assert main([*map(str, call), "--json"]) == code
    return json.loads(capsys.readouterr().out)


# --------------------------------------------------------------------------------- store


def test_recordings_become_a_store_and_the_same_line_does_the_rest(study, tmp_path, capsys):
    (study / "broken.csv").write_text("nothing")
    call = ["store", study, "-o", tmp_path / "cohort", "--quiet"]
    document = told(capsys, *call, code=1)
    assert [one["recording"] for one in document["failed"]] == [str(study / "broken.csv")]
    store = WindowStore(tmp_path / "cohort")
    signal = write_csv(study / "dora.csv", n_windows=5, seed=9)
    (study / "broken.csv").unlink()
    before = {file.name: file.stat().st_mtime_ns for file in store.path.glob("*.npy")}
    document = told(capsys, *call)
    assert (document["n_windows"], document["n_participants"], document["failed"]) == (20, 4, [])
    store = WindowStore(tmp_path / "cohort")
    dora = store[np.flatnonzero(store.groups == "dora")]
    np.testing.assert_allclose(np.concatenate(list(dora), axis=1), signal, atol=1e-4)
    after = {file.name: file.stat().st_mtime_ns for file in store.path.glob("*.npy")}
    assert before.items() <= after.items(), "what is there is left as it is"
    main([*map(str, call), "--rate", "50"])
    assert "has windows of 256 samples at --rate 100, not of 128 at 50" in capsys.readouterr().err
    main([*map(str, call), "--int16"])
    assert "is kept in float32, which --int16 does not change" in capsys.readouterr().err
    odd = ["store", study, "-o", tmp_path / "odd", "--seconds", 2.56, "--rate", 32]  # 81.92 samples
    assert told(capsys, *odd)["n_windows"] == told(capsys, *odd)["n_windows"] > 0


def test_a_store_of_other_windows_in_half_the_room(study, tmp_path, capsys):
    document = told(
        capsys, "store", study, "-o", tmp_path / "c", "--seconds", 5, "--rate", 40, "--int16", "--by-folder"
    )
    assert (document["n_channels"], document["n_times"], document["sfreq"], document["units"]) == (3, 200, 40.0, "g")
    assert set(WindowStore(tmp_path / "c").groups) == {"anna", "bert", "study"}
    assert np.load(tmp_path / "c" / "000000.npy", mmap_mode="r").dtype == np.int16


# --------------------------------------------------------------------------------- help, errors, exit codes


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", ["72", "100"])
def test_help_is_sentences_with_an_example_that_can_be_read(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    examples = [line.split()[1:] for line in shown.splitlines() if line.startswith("  wearembed ")]
    assert examples
    for example in examples:
        assert parser("").parse_args(example).command == command
    own = parser("")._subparsers._group_actions[0].choices[command]
    assert own.description.endswith(".")
    assert all(action.help for action in own._actions), "a word on everything"
    wrapped = [line for line in shown.splitlines() if not line.startswith("  wearembed ")]
    assert max(map(len, wrapped)) <= int(columns)


def test_the_first_help_names_all_commands_and_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS) and "Exit codes: 0" in shown and "130" in shown


@pytest.mark.parametrize("call", [["--help"], ["embed", "--help"], ["--version"], ["embed", "a.csv"]], ids=" ".join)
def test_nobody_waits_for_torch_to_be_told_how_to_call(call):
    code = "import sys\nfrom wearembed.__main__ import main\ntry:\n    main(sys.argv[1:])\n"
    code += "finally:\n    assert not {'torch', 'sklearn', 'pandas'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *call], capture_output=True, text=True)
    assert done.returncode == (2 if call[-1] == "a.csv" else 0), done.stderr


def test_commands_are_the_files_of_the_room():
    for name in COMMANDS:
        assert callable(__import__(f"wearembed.commands.{name}", fromlist=["run"]).run)
    assert commands.__doc__


def test_encoders_that_are_offered_exist():
    assert all(hasattr(getattr(wearembed, name), "fit") for name in ENCODERS)


@pytest.mark.parametrize(
    "call",
    [
        ["embed", "nowhere.csv", "-o", "out.parquet"],
        ["store", "nowhere.csv", "-o", "out"],
        ["pretrain", "nowhere", "-o", "out"],
        ["evaluate", "nowhere/at/all", "nowhere", "--target", "activity"],
        ["info", "nowhere/at/all"],
        ["push", "nowhere/at/all", "user/name"],
        ["demo", "--weights", "nowhere/at/all"],
    ],
    ids=COMMANDS,
)
def test_an_error_is_one_line_for_people_and_a_document_for_programs(call, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*call, "--quiet"]) == 1
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line]
    assert 1 <= len(lines) <= 2 and "Traceback" not in shown.err and "nowhere" in shown.err
    document = told(capsys, *call, "--quiet", code=1)
    assert document["code"] == 1 and "nowhere" in json.dumps(document)
    main([*call, "--quiet", "--debug"])
    assert "Traceback" in capsys.readouterr().err
    assert not any(path.name.startswith("out") for path in tmp_path.iterdir())


def test_a_call_that_cannot_be_read_ends_with_2_and_still_one_document(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["embed", "a.csv", "--json"])
    shown = capsys.readouterr()
    assert stopped.value.code == 2 and json.loads(shown.out)["code"] == 2 and "usage" in shown.err


def test_what_nobody_foresaw_is_called_so(monkeypatch, capsys):
    def broken(args):
        raise KeyError("x")

    monkeypatch.setattr("wearembed.commands.info.run", broken)
    assert main(["info", "x"]) == 1
    assert capsys.readouterr().err.startswith("wearembed: KeyError: 'x'. This was not foreseen: --debug shows")


def test_ctrl_c_ends_with_130_and_a_sentence_and_nothing_half_written(study, small, tmp_path, monkeypatch, capsys):
    calls = []

    def pressed(self, X):
        calls.append(len(X))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return np.zeros((len(X), small.net_.dim), np.float32)

    monkeypatch.setattr(wearembed.Encoder, "transform", pressed)
    before = sorted(os.listdir(tmp_path))
    assert main(["embed", str(study), "-o", str(tmp_path / "out.parquet"), "--quiet"]) == 130
    assert "stopped" in capsys.readouterr().err and sorted(os.listdir(tmp_path)) == before
    calls.clear()
    assert main(["embed", str(study), "-o", str(tmp_path / "parts"), "--quiet"]) == 130
    files = [path.name for path in (tmp_path / "parts").rglob("*") if path.is_file()]
    assert sorted(files) == ["_run.json", "carl.csv.parquet"], "the first is done, and nothing of the second is there"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_in_a_process_of_its_own(weights, tmp_path):
    """In the middle of a recording that takes far longer than we wait."""
    file = tmp_path / "long.csv"
    write_csv(file, n_windows=2000)
    run = [
        sys.executable,
        "-m",
        "wearembed",
        "embed",
        str(file),
        "-o",
        str(tmp_path / "out.parquet"),
        "--step",
        "0.005",
    ]
    listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background is born deaf to it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(run, **pipes, preexec_fn=listens)
    while not (tmp_path / ".out.parquet.parts").exists():
        time.sleep(0.05)
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and "stopped" in err and "Traceback" not in err and not out
    assert os.listdir(tmp_path) == ["long.csv"]


@pytest.mark.skipif(os.name != "posix", reason="a shell's pipe")
@pytest.mark.parametrize("what", ["info wearembed/relcon-synthetic", "embed --help"])
def test_nobody_has_to_read_to_the_end(what):
    read, write = os.pipe()
    os.close(read)
    run = [sys.executable, "-m", "wearembed", *what.split()]
    done = subprocess.run(run, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 0 and not done.stderr


def test_lines_of_a_narrow_terminal_go_on_below_their_word():
    said = two_columns("card", "one two three four five six seven eight nine ten", 41)
    assert said.splitlines() == ["card         one two three four five six", "             seven eight nine ten"]
    assert two_columns("card", "one two", 0) == "card         one two"
    assert two_columns("sha256", "7" * 64, 41).split() == ["sha256", "7" * 64], "a hash is copied whole"


def test_what_is_no_number_is_null_and_what_is_not_all_is_not_called_all():
    document = plain({"a": np.float32("nan"), "b": np.arange(2), "c": (1, None), "d": pd.Timestamp("2026-01-01")})
    assert document == {"a": None, "b": [0, 1], "c": [1, None], "d": "2026-01-01T00:00:00"}
    assert [share(x) for x in (1, 0.99999, 0.5, float("nan"))] == ["100.0%", ">99.9%", "50.0%", "–"]
    assert [duration(x) for x in (2.56, 600, 7200, 864000)] == ["2.56 s", "10.0 minutes", "2.0 hours", "10.0 days"]


# --------------------------------------------------------------------------------- embed


def columns_of(table):
    return table[[name for name in table if name[0] == "e" and name[1:].isdigit()]].to_numpy()


def test_a_folder_of_recordings_becomes_a_folder_of_parts_that_reads_as_one_table(study, small, tmp_path, capsys):
    out = tmp_path / "out"
    document = told(capsys, "embed", study, "-o", out)
    assert [one["name"] for one in document["recordings"]] == ["carl.csv", "anna/wrist.csv", "bert/wrist.csv"]
    assert document["n_rows"] == 4 + 5 + 6 and document["failed"] == [] and document["synthetic"] is True
    whole = pd.read_parquet(out)
    assert sorted(whole["participant"].unique()) == ["anna/wrist", "bert/wrist", "carl"]
    for name, rows in {"carl": 6, "anna/wrist": 4}.items():
        part = pd.read_parquet(out / f"{name}.csv.parquet")
        expected = RecordingEncoder(small).transform([read_recording(study / f"{name}.csv")])
        np.testing.assert_array_equal(columns_of(part), expected.to_numpy())
        assert len(part) == rows and list(part["start"]) == list(expected.index.get_level_values("start"))


def test_a_second_run_does_what_is_left_and_what_was_changed(study, tmp_path, capsys):
    out, call = tmp_path / "out", ["embed", study, "-o", tmp_path / "out"]
    (study / "broken.csv").write_text("no recording\n")
    first = told(capsys, *call, code=1)
    assert [one["recording"] for one in first["failed"]] == [str(study / "broken.csv")]
    assert pd.read_csv(out / "_failures.csv")["recording"].tolist() == [str(study / "broken.csv")]
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    write_csv(study / "broken.csv", n_windows=2)
    write_csv(study / "carl.csv", n_windows=3, seed=9)
    second = told(capsys, *call)
    assert second["n_kept"] == 2 and second["n_rows"] == 4 + 5 + 2 + 3 and not (out / "_failures.csv").exists()
    kept = [path for path, stamp in stamps.items() if path.stat().st_mtime_ns == stamp]
    assert sorted(path.parent.name for path in kept) == ["anna", "bert"]


def test_parts_made_otherwise_are_not_mixed(study, tmp_path, capsys):
    call = ["embed", str(study / "carl.csv"), "-o", str(tmp_path / "out"), "--quiet"]
    assert main(call) == 0
    assert main([*call, "--pool", "minute"]) == 1
    assert "holds parts of another run (--pool: not said, now minute)" in capsys.readouterr().err
    other = tmp_path / "elsewhere" / "carl.csv"
    write_csv(other, n_windows=2, seed=5)
    assert main(["embed", str(other), *call[2:]]) == 1
    assert "is the part of another recording" in capsys.readouterr().err
    strange = tmp_path / "strange"
    strange.mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(strange / "mine.parquet")
    assert main([*call[:3], str(strange), "--quiet"]) == 1
    assert "holds Parquet files of something else" in capsys.readouterr().err


def test_recordings_that_were_moved_keep_their_parts(study, tmp_path, capsys):
    told(capsys, "embed", study, "-o", tmp_path / "out")
    study.rename(tmp_path / "moved")
    again = told(capsys, "embed", tmp_path / "moved", "-o", tmp_path / "out")
    assert again["n_kept"] == 3


def test_a_damaged_part_is_made_anew_and_scratch_is_swept(study, tmp_path, capsys):
    out = tmp_path / "out"
    told(capsys, "embed", study, "-o", out)
    (out / "carl.csv.parquet").write_bytes(b"PAR1 and then nothing")
    (out / ".carl.csv.parquet.scratch").write_bytes(b"a killed run's")
    again = told(capsys, "embed", study, "-o", out)
    assert again["n_kept"] == 2 and len(pd.read_parquet(out)) == 15
    assert not list(out.rglob(".*"))


def test_two_processes_do_not_write_one_folder(study, tmp_path, capsys):
    fcntl = pytest.importorskip("fcntl")
    out = tmp_path / "out"
    told(capsys, "embed", study, "-o", out)
    with open(out / "_run.json", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["embed", str(study), "-o", str(out), "--quiet"]) == 1
    assert "Another process is writing" in capsys.readouterr().err
    parts = tmp_path / ".table.csv.parts"
    with disk.fleeting(parts, "it is mine"):  # of a process that has just begun: nothing lies in it yet
        assert main(["embed", str(study), "-o", str(tmp_path / "table.csv"), "--quiet"]) == 1
        assert "Another process is writing" in capsys.readouterr().err and parts.exists()
    parts.mkdir()
    (parts / "_run.json").write_text("left by a process that was killed")
    assert main(["embed", str(study), "-o", str(tmp_path / "table.csv"), "--quiet"]) == 0 and not parts.exists()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_table_is_the_parts_joined(study, tmp_path, ending, capsys):
    out = tmp_path / f"out.{ending}"
    told(capsys, "embed", study, "-o", out)
    table = pd.read_parquet(out) if ending == "parquet" else pd.read_csv(out, parse_dates=["start"])
    told(capsys, "embed", study, "-o", tmp_path / "parts")
    for person, own in table.groupby("participant"):
        part = pd.read_parquet(tmp_path / "parts" / f"{person}.csv.parquet")
        np.testing.assert_allclose(columns_of(own), columns_of(part), rtol=1e-6, atol=1e-7)
        assert (own["start"].to_numpy() == part["start"].to_numpy()).all()
    assert sorted(os.listdir(tmp_path)) == sorted([f"out.{ending}", "parts", "study"])


def test_participants_are_means_over_all_their_windows(study, small, tmp_path, capsys):
    write_csv(study / "anna" / "later.csv", n_windows=3, seed=7)
    out = tmp_path / "people.parquet"
    document = told(capsys, "embed", study / "anna", study / "bert", "-o", out, "--pool", "participant", "--by-folder")
    table = pd.read_parquet(out).set_index("participant")
    assert document["n_rows"] == 2 and sorted(table.index) == ["anna", "bert"]
    encoder = RecordingEncoder(small, pool="participant")
    files = sorted((study / "anna").iterdir())
    expected = encoder.transform([read_recording(file, participant="anna") for file in files])
    np.testing.assert_allclose(columns_of(table.loc[["anna"]]), expected.to_numpy(), rtol=1e-5, atol=1e-5)
    assert table.loc["anna", "coverage"] == expected.index[0][1]


def test_minutes_are_those_of_recording_encoder_and_gaps_may_be_kept(small, tmp_path, capsys):
    file = tmp_path / "gap.csv"
    write_csv(file, n_windows=120)
    table = pd.read_csv(file)
    table.drop(index=range(6000, 18000)).to_csv(file, index=False)  # two minutes of five
    expected = RecordingEncoder(small, pool="minute").transform(file)
    whole, some = tmp_path / "whole.parquet", tmp_path / "some.parquet"
    document = told(capsys, "embed", file, "-o", whole, "--pool", "minute", "--keep-gaps")
    np.testing.assert_array_equal(columns_of(pd.read_parquet(whole)), expected.to_numpy())
    left_out = int(expected.isna().all(axis=1).sum())
    assert left_out >= 1 and document["n_left_out"] == left_out and document["n_rows"] == len(expected)
    document = told(capsys, "embed", file, "-o", some, "--pool", "minute")
    assert document["n_rows"] == len(expected) - left_out and document["recordings"][0]["n_gaps"] == 1
    assert document["recordings"][0]["recorded"] == pytest.approx(1 - 12000 / 30720, abs=0.01)


def test_the_walk_takes_what_is_known_and_e4_folders_and_not_what_it_writes(study, tmp_path, capsys):
    e4 = study / "dora"
    e4.mkdir()
    signal = write_csv(study / "x.csv")
    (study / "x.csv").unlink()
    rows = np.round(signal[:, ::3].T * 64).astype(int)
    lines = ["1772352000.0, 1772352000.0, 1772352000.0", "32.0, 32.0, 32.0", *(",".join(map(str, row)) for row in rows)]
    (e4 / "ACC.csv").write_text("\n".join(lines) + "\n")
    (e4 / "BVP.csv").write_text("1772352000.0\n64.0\n0\n0\n")
    (study / "notes.md").write_text("no recording")
    (study / ".hidden.csv").write_text("no recording")
    call = ["embed", study, "-o", study / "out"]
    document = told(capsys, *call)
    assert [one["name"] for one in document["recordings"]] == ["carl.csv", "anna/wrist.csv", "bert/wrist.csv", "dora"]
    (study / "out" / "mine.csv").write_text("not read")
    assert told(capsys, *call)["n_kept"] == 4
    only = told(capsys, "embed", study, "-o", tmp_path / "o.csv", "--only", "w*.csv")
    assert [one["name"] for one in only["recordings"]] == ["anna/wrist.csv", "bert/wrist.csv"]
    assert main(["embed", str(study), "-o", str(tmp_path / "p"), "--only", "*.cwa", "--quiet"]) == 1
    assert "looked for a file like *.cwa" in capsys.readouterr().err


def test_a_table_does_not_mix_time_stamps_with_and_without_a_zone_and_parts_may(small, tmp_path, capsys):
    write_csv(tmp_path / "a.csv", n_windows=2)
    write_csv(tmp_path / "b.csv", n_windows=2, zone="+01:00")
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    document = told(capsys, "embed", *files, "-o", tmp_path / "o.parquet", code=1)
    assert "time zone" in document["failed"][0]["error"] and document["n_rows"] == 2
    document = told(capsys, "embed", *files, "-o", tmp_path / "out")
    assert document["n_rows"] == 4
    assert pd.read_parquet(tmp_path / "out" / "b.csv.parquet")["start"][0] == pd.Timestamp("2026-03-01 08:00+01:00")


def test_a_full_disk_stops_the_run_and_leaves_what_was_there(study, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.parquet"
    told(capsys, "embed", study, "-o", out)
    before = out.read_bytes()

    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa.parquet.ParquetWriter, "write_table", full)
    assert main(["embed", str(study), "-o", str(out), "--quiet"]) == 1
    shown = capsys.readouterr()
    assert "No space left on device" in shown.err and "wrote" not in shown.out
    assert out.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["out.parquet", "study"]


# --------------------------------------------------------------------------------- pretrain, evaluate, info, push


def test_pretrain_is_the_same_as_fit_and_the_same_line_goes_on(cohort, weights, tmp_path, capsys):
    store = WindowStore(cohort)
    same = wearembed.SimCLREncoder(
        width=4, blocks=(1, 1), kernels=(3, 3), max_epochs=2, random_state=0, device="cpu"
    ).fit(store)
    loaded = wearembed.from_pretrained(weights, device="cpu")
    np.testing.assert_array_equal(loaded.transform(store[:5]), same.transform(store[:5]))
    assert loaded.training_["license"] == "mit" and loaded.training_["synthetic"] and loaded.drift_reference()
    assert loaded.training_["data"] == ["make_motion"] and "wearembed pretrain" in loaded.training_["description"]
    checkpoints = weights.with_name("small-training")
    assert (checkpoints / "checkpoint.pt").exists()
    call = [
        "pretrain",
        cohort,
        "-o",
        weights.with_name("small"),
        *SMALL,
        "--license",
        "mit",
        "--synthetic",
        "--data",
        "make_motion",
    ]
    document = told(capsys, *call, "--set", "max_epochs=3")
    assert document["epochs"] == 3 and len(document["history"]) == 3
    assert document["history"][0]["train_loss"] == same.history_[0]["train_loss"], "it went on, and did not begin anew"


def test_pretrain_sets_parameters_of_the_distance_too(cohort, tmp_path, capsys):
    small = ["width=4", "blocks=(1,1)", "kernels=(3,3)", "mates=2", "max_epochs=1", "batch_size=16"]
    small += ["distance__dim=4", "distance__bottleneck=2", "distance__max_epochs=1"]
    sets = [word for one in small for word in ("--set", one)]
    document = told(capsys, "pretrain", cohort, "-o", tmp_path / "enc", *sets)
    assert document["epochs"] == 1 and document["n_participants"] == 6
    assert RelConEncoder.from_pretrained(tmp_path / "enc").distance_.get_params()["dim"] == 4
    assert main(["pretrain", str(cohort), "-o", str(tmp_path / "b"), "--set", "widht=4"]) == 1
    assert "Did you mean width?" in capsys.readouterr().err


def test_pretrain_looks_where_it_will_write_before_it_trains(cohort, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    assert main(["pretrain", str(cohort), "-o", str(tmp_path / "full"), *SMALL]) == 1
    assert "thesis.tex" in capsys.readouterr().err and not (tmp_path / "full-training").exists()


def test_evaluate_has_the_rows_that_a_claim_needs(cohort, weights, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    assert main(["evaluate", str(weights), str(cohort), "--target", "activity", "--folds", "3", "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    table = pd.read_csv(out)
    names = [str(weights), f"{weights}, untrained", "hand-made features", "majority or mean"]
    assert table["encoder"].unique().tolist() == names
    assert all(any(line.startswith(name) for line in shown.splitlines()) for name in names)
    own = table[(table["score"] == "macro_f1") & (table["encoder"] == "hand-made features")].iloc[0]
    assert f"{own['pooled']:.3f} ({own['low']:.3f} to {own['high']:.3f})" in shown
    assert "pretrained on synthetic data only" in shown and "48 windows of 6 participants in 3 folds" in shown


def test_evaluate_of_a_number_leaves_windows_without_it_out(cohort, weights, tmp_path, capsys):
    out = tmp_path / "scores.json"
    call = ["evaluate", weights, cohort, "--target", "number", "--folds", "2", "-o", out]
    document = told(capsys, *call)
    assert document["n_windows"] == 42 and document["n_without_label"] == 6
    assert {row["score"] for row in document["scores"]} >= {"mae", "pearson"}
    assert len(json.loads(out.read_text())) == len(document["scores"])
    assert main(["evaluate", str(weights), str(cohort), "--target", "age"]) == 1
    assert "has no column 'age'" in capsys.readouterr().err


def test_info_of_weights_says_contract_origin_and_card(capsys):
    document = told(capsys, "info", "wearembed/relcon-synthetic", "--verify")
    encoder = wearembed.from_pretrained("wearembed/relcon-synthetic")
    assert document["contract"] == {**encoder.contract_.to_dict(), "seconds": 2.56}
    assert document["n_parameters"] == sum(p.numel() for p in encoder.net_.parameters())
    assert document["synthetic"] is True and document["verified"] is True and document["kind"] == "weights"
    main(["info", "wearembed/relcon-synthetic"])
    assert "SYNTHETIC DATA ONLY" in capsys.readouterr().out


def test_info_without_a_name_lists_what_comes_with_the_package(capsys):
    names = [row["weights"] for row in told(capsys, "info")["bundled"]]
    assert names == wearembed.hub.bundled()
    assert main(["info"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == names


def test_info_of_what_embed_wrote_says_whose_rows_and_by_which_weights(study, tmp_path, small, capsys):
    main(["embed", str(study), "-o", str(tmp_path / "parts"), "--quiet"])
    main(["embed", str(study / "carl.csv"), "-o", str(tmp_path / "carl.parquet"), "--quiet"])
    capsys.readouterr()
    document = told(capsys, "info", tmp_path / "parts")
    assert (document["kind"], document["n_rows"], document["n_parts"], document["dim"]) == ("embeddings", 15, 3, 8)
    assert document["participants"] == ["anna/wrist", "bert/wrist", "carl"]
    assert document["about"]["weights"] == small._read().config["model_sha256"]
    document = told(capsys, "info", tmp_path / "carl.parquet")
    assert (document["n_rows"], document["n_parts"], document["participants"]) == (6, None, ["carl"])
    assert told(capsys, "info", tmp_path / "parts", "--verify")["verified"] is True
    part = tmp_path / "parts" / "carl.csv.parquet"
    data = bytearray(part.read_bytes())
    page = pa.parquet.ParquetFile(part).metadata.row_group(0).column(4)
    data[page.data_page_offset + page.total_compressed_size - 1] ^= 1
    part.write_bytes(data)
    assert main(["info", str(tmp_path / "parts"), "--verify"]) == 1
    assert "carl.csv.parquet is no Parquet table, or is damaged" in capsys.readouterr().err
    (tmp_path / "carl.parquet").write_bytes(b"PAR1 no more")
    assert main(["info", str(tmp_path / "carl.parquet")]) == 1
    assert "is no Parquet table, or is damaged" in capsys.readouterr().err
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    assert main(["info", str(tmp_path / "other.parquet")]) == 1
    assert "a table of something else" in capsys.readouterr().err
    for call in (["info", "--verify"], ["info", str(study / "carl.csv"), "--verify"]):
        assert main(call) == 1 and "--verify" in capsys.readouterr().err
    (tmp_path / "parts" / "_run.json").write_bytes(b"")
    assert main(["info", str(tmp_path / "parts")]) == 1
    assert "_run.json is damaged or empty" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["nowhere.parquet", "nowhere"])
def test_info_of_nothing_says_so(what, capsys):
    assert main(["info", what]) == 1
    assert f"No checkpoint at '{what}'" in capsys.readouterr().err


def test_info_of_an_embedded_store_says_what_is_missing(cohort, tmp_path, small, capsys):
    wearembed.embed_store(WindowStore(cohort), small, tmp_path / "out", n_jobs=1)
    document = told(capsys, "info", tmp_path / "out")
    assert document["n_rows"] == 48 and document["n_parts_missing"] == 0 and document["about"]["store"] == str(cohort)
    next((tmp_path / "out").glob("part*.parquet")).unlink()
    assert told(capsys, "info", tmp_path / "out")["n_parts_missing"] == 1
    wearembed.embed_store(WindowStore(cohort), HandmadeFeatures().fit(WindowStore(cohort)), tmp_path / "hand")
    document = told(capsys, "info", tmp_path / "hand")
    assert document["dim"] == len(HandmadeFeatures().fit(WindowStore(cohort)).get_feature_names_out())
    assert "participant" in document["columns"] and len(document["columns"]) < 12


def test_info_of_a_store_says_whose_windows_and_finds_damage(cohort, tmp_path, capsys):
    document = told(capsys, "info", cohort, "--verify")
    assert document["n_windows"] == 48 and document["participants"] == {f"P{n}": 8 for n in range(6)}
    assert set(document["columns"]["activity"]["counts"]) == {"rest", "running"} and document["verified"] is True
    assert document["columns"]["number"] == {"n_kinds": 7, "missing": 6, "low": 1.5, "high": 7.5}
    copy = WindowStore.create(tmp_path / "copy", n_channels=3, n_times=256, sfreq=100, units="g")
    copy.append(WindowStore(cohort), participant="one")
    shard = tmp_path / "copy" / "000000.npy"
    shard.write_bytes(shard.read_bytes()[:-4] + b"\0\1\2\3")
    assert main(["info", str(copy.path)]) == 0
    assert main(["info", str(copy.path), "--verify"]) == 1
    assert "000000.npy" in capsys.readouterr().err


def test_info_of_a_recording_says_rate_length_and_gaps(tmp_path, capsys):
    write_csv(tmp_path / "a.csv")
    pd.read_csv(tmp_path / "a.csv").drop(index=range(300, 1100)).to_csv(tmp_path / "a.csv", index=False)
    document = told(capsys, "info", tmp_path / "a.csv")
    assert document["sfreq"] == pytest.approx(100) and document["n_gaps"] == 1 and document["units"] == "g"
    assert document["seconds"] == pytest.approx(30.72) and document["recorded"] == pytest.approx(
        1 - 8 / 30.72, abs=0.01
    )
    (tmp_path / "empty").mkdir()
    assert main(["info", str(tmp_path / "empty")]) == 1
    assert "is a folder of something else" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:httpx2", "ignore:Use 'content=:DeprecationWarning")
def test_push_shows_first_and_then_sends_what_it_showed(weights, tmp_path, monkeypatch, capsys):
    with LoopbackHub().open() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", OWNER)
        document = told(capsys, "push", weights, "user/motion", "--dry-run")
        assert not server.asked and document["url"] is None and "# SimCLREncoder" in document["card"]
        sent = told(capsys, "push", weights, "user/motion", "--message", "first")
        assert "user/motion" in sent["url"]
        repository = server.repositories["user/motion"]
        files = repository.commits[repository.branches["main"]]
        assert {name: len(data) for name, data in files.items()} == document["sizes"]
        assert repository.messages[-1] == "first"


def test_push_without_licence_is_refused(cohort, tmp_path, capsys):
    assert main(["pretrain", str(cohort), "-o", str(tmp_path / "w"), *SMALL, "--set", "max_epochs=1", "--quiet"]) == 0
    assert main(["push", str(tmp_path / "w"), "user/motion", "--dry-run"]) == 1
    shown = capsys.readouterr().err
    assert "license" in shown and "data" in shown
