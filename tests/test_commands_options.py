"""What a call may say of recordings, errors that speak of options, and what is told before anything slow is loaded."""

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import wearembed.commands.arguments
from wearembed import WindowStore, commands, datasets, encoders
from wearembed.__main__ import main
from wearembed.commands import store as store_command
from wearembed.commands.arguments import in_options, parser

SMALL = ["--encoder", "SimCLREncoder", "--set", "width=4", "--set", "blocks=(1,1)", "--set", "kernels=(3,3)"]
ODD = ["--columns", "chest_1,chest_2,chest_3", "--time", "when"]


@pytest.fixture
def odd(tmp_path):
    """A table whose columns nobody can guess, and its samples."""
    motion = datasets.make_motion(1, 6, random_state=0)
    signal = np.concatenate(list(motion.data), axis=1)
    table = pd.DataFrame(signal.T, columns=["chest_1", "chest_2", "chest_3"])
    table.insert(0, "when", pd.date_range("2026-03-01 08:00", periods=len(table), freq="10ms"))
    table.assign(temperature=20.5).to_csv(tmp_path / "odd.csv", index=False)
    return tmp_path / "odd.csv", signal


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("w")
    store = WindowStore.create(folder / "cohort", n_channels=3, n_times=256, sfreq=100, units="g")
    for seed in range(3):
        store.append(datasets.make_motion(1, 8, random_state=seed).data, participant=f"P{seed}")
    assert main(["pretrain", str(store.path), "-o", str(folder / "w"), *SMALL, "--set", "max_epochs=1", "--quiet"]) == 0
    return folder / "w"


def shown(capsys, *call, code=0):
    assert main([*map(str, call), "--quiet"]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


# --------------------------------------------------------------------------------- the same for all


@pytest.mark.parametrize(
    "said", [ODD, ["--columns", "1,2,3", "--time", "0"], [*ODD[:2], "--no-time", "--sfreq", "100"]]
)
def test_columns_that_nobody_can_guess_are_named_from_the_shell(odd, weights, tmp_path, monkeypatch, capsys, said):
    monkeypatch.setattr(commands.arguments, "DEFAULT", str(weights))
    file, signal = odd
    shown(capsys, "embed", file, "-o", tmp_path / "o.csv", *said)
    assert len(pd.read_csv(tmp_path / "o.csv")) == 6
    shown(capsys, "store", file, "-o", tmp_path / "store", *said)
    np.testing.assert_allclose(np.concatenate(list(WindowStore(tmp_path / "store")[:]), axis=1), signal, atol=1e-5)
    assert "3 channels (chest_1, chest_2, chest_3) in g" in shown(capsys, "info", file, *said)


def test_a_sensor_and_a_unit_of_time_from_the_shell(tmp_path, capsys):
    rows = pd.DataFrame({"t": np.arange(6400) * 1000 / 64, "bvp": np.sin(np.arange(6400) / 9)})
    rows.to_csv(tmp_path / "p.csv", index=False)
    call = ["store", tmp_path / "p.csv", "-o", tmp_path / "s", "--sensor", "bvp", "--time-unit", "ms", "--rate", "64"]
    assert "39 of 2.5625 s" in shown(capsys, *call)
    assert (WindowStore(tmp_path / "s").n_channels, WindowStore(tmp_path / "s").units) == (1, "a.u.")
    with pytest.raises(SystemExit):
        main([*map(str, call[:-4]), "--time-unit", "minutes"])


def test_parts_of_other_columns_are_not_mixed(odd, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands.arguments, "DEFAULT", str(weights))
    call = ["embed", odd[0], "-o", tmp_path / "parts"]
    shown(capsys, *call, *ODD)
    assert "parts of another run (--columns: chest_1,chest_2,chest_3, now 3,2,1;" in shown(
        capsys, *call, "--columns", "3,2,1", code=1
    )
    assert "chest_3, now not said; --time: when, now no)" in shown(capsys, *call, "--no-time", code=1)


def test_what_is_said_of_a_recording_is_not_said_of_something_else(weights, capsys):
    told = shown(capsys, "info", weights, "--time-unit", "ms", "--no-time", code=1)
    assert "of which alone --time, --time-unit could say something" in told
    for said in (["--columns", "x"], ["--sfreq", "3"]):
        assert f"A recording is named with {said[0]}, which" in shown(capsys, "info", *said, code=1)


# --------------------------------------------------------------------------------- errors name options


def test_errors_of_readers_name_options(odd, tmp_path, capsys):
    out = ["-o", tmp_path / "out"]
    assert "Name the channels with --columns." in shown(capsys, "info", odd[0], code=1)
    assert "Name the channels with --columns." in shown(capsys, "store", odd[0], *out, code=1)
    told = shown(capsys, "info", odd[0], "--columns", "1,2,3", "--no-time", code=1)
    assert "Name it with --time, or give the rate with --sfreq if the rows" in told
    told = shown(capsys, "store", odd[0], *out, *ODD, "--sfreq", 50, code=1)
    assert "was expected at --sfreq 50 Hz" in told and "Leave --sfreq out to believe the stamps" in told
    assert "or give --no-time to believe --sfreq." in told
    assert "Declare --units 'g', or convert" in shown(capsys, "info", odd[0], *ODD, "--units", "mg", code=1)


def test_errors_of_single_files_name_options_in_lines_and_documents(odd, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands.arguments, "DEFAULT", str(weights))
    call = ["embed", str(odd[0]), "-o", str(tmp_path / "parts"), "--json"]
    assert main(call) == 1
    document, err = (text for text in capsys.readouterr())
    for told in (json.loads(document)["failed"][0]["error"], err, (tmp_path / "parts" / "_failures.csv").read_text()):
        assert "Name the channels with --columns." in told and "columns=" not in told


def test_only_parameters_that_are_options_become_options():
    def said(text, *call):
        return in_options(text, parser("").parse_args(call))

    store = ("store", "a.csv", "-o", "s")
    assert said("Say time_unit= or time=False and sfreq=.", *store) == "Say --time-unit or --no-time and --sfreq."
    assert said("cut with step=2.5, not 1", *store) == "cut with --step 2.5, not 1"
    assert said("nonwear=True needs x", *store) == "--nonwear needs x"
    assert said("Say pool='day'.", *store) == "Say pool='day'."
    assert said("Say units='m/s^2'.", "info") == "Say --units 'm/s^2'."
    assert said("Say units='g'.", "push", "a", "b/c") == "Say units='g'."
    for same in (
        "Pass cut(recordings, seconds=2.56, sfreq=100), or set_params(units='g', step=f(1)).",
        "in /data/sfreq=64/a.csv and sfreq=64/a.csv and time=1.csv and 'columns=2'",
        "n_times=4",
        "'time=5' on line 3",
    ):
        assert said(same, *store) == same
    began = time.perf_counter()
    assert said("a" * 100_000, *store) == "a" * 100_000
    assert time.perf_counter() - began < 2


def test_words_of_the_call_stay_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "found nothing at time=3" in shown(capsys, "embed", "time=3", "-o", "o", code=1)


def test_numbers_that_are_none_are_told_of_in_words(capsys):
    for call in (["--sfreq", "abc"], ["--min-coverage", "much"]):
        with pytest.raises(SystemExit):
            main(["store", "a.csv", "-o", "s", *call])
        assert f"expected a number, got '{call[1]}'" in capsys.readouterr().err


def test_names_of_columns_come_before_places_and_may_have_commas(tmp_path, capsys):
    motion = datasets.make_motion(1, 6, random_state=0)
    signal = np.concatenate(list(motion.data), axis=1)
    table = pd.DataFrame({"clock": np.arange(signal.shape[1]) * 10.0, "noise": 7.0})
    table[["7", "1", "acc, z"]] = signal.T
    table.to_csv(tmp_path / "a.csv", index=False)
    call = ["info", tmp_path / "a.csv", "--time", "0", "--time-unit", "ms", "--columns"]
    assert "3 channels (7, 1, acc, z) in g" in shown(capsys, *call, '7,1,"acc, z"')
    assert "3 channels (7, 1, acc, z) in g" in shown(capsys, *call, "2,3,4")
    assert "'9' in" in (told := shown(capsys, *call, "7,1,9", code=1)) and "by name or by place" in told


def test_a_file_that_is_in_a_store_is_not_read_in_another_way(odd, tmp_path, capsys):
    call = ["store", odd[0], "-o", tmp_path / "s"]
    shown(capsys, *call, *ODD)
    told = shown(capsys, *call, "--columns", "3,2,1", "--time", "when", code=1)
    assert "as it was read with --columns ['chest_1', 'chest_2', 'chest_3'], not ['3', '2', '1']. Read it" in told
    assert "1 in the store, 0 failed" in shown(capsys, *call, *ODD)
    assert len(WindowStore(tmp_path / "s")) == 6


@pytest.mark.filterwarnings("ignore:.*the net stays untrained")
def test_other_seeds_and_no_epochs_are_told_of_as_they_are(weights, tmp_path, capsys):
    call = ["pretrain", weights.parent / "cohort", "-o", tmp_path / "w", *SMALL]
    told = shown(capsys, *call, "--set", "max_epochs=0")
    assert "trained" in told and "complete" not in told
    shown(capsys, *call, "--set", "max_epochs=1")
    told = shown(capsys, *call, "--set", "max_epochs=1", "--seed", "1", code=1)
    assert "Name another folder with -o, or delete that one" in told and "checkpoint_dir" not in told


# --------------------------------------------------------------------------------- at once, and once


def test_a_missing_extra_is_told_of_once_and_before_anything(odd, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skdh.preprocessing", None)
    for command in ("embed", "store"):
        told = shown(capsys, command, odd[0], "nowhere.csv", "-o", tmp_path / "o", "--nonwear", code=1)
        assert told == 'wearembed: --nonwear needs scikit-digital-health. pip install "wearembed[devices]".\n'
    assert not (tmp_path / "o").exists()


WRONG = {  # a call, and what its error says
    "embed a.csv -o o.xlsx": "ending in .parquet or .csv",
    "embed a.csv -o o --participant A --by-folder": "Leave one out",
    "embed a.csv b.csv -o o": "found nothing at a.csv, b.csv.",
    "embed empty -o o": "no recordings in empty",
    "store a.csv -o o": "no recording can be read",
    "pretrain nowhere -o o": "No store at",
    "evaluate w nowhere --target a": "No store at",
    "evaluate w nowhere --target a -o o.txt": "ending in .csv or .json",
    "info empty": "is a folder of something else",
    "info --verify": "--verify looks at one thing",
}


def test_nobody_waits_for_torch_to_be_told_what_is_wrong(tmp_path):
    (tmp_path / "empty").mkdir()
    code = "import sys\nfrom wearembed.__main__ import main\n"
    code += "codes = [main(call.split()) for call in sys.argv[1:]]\nprint(codes, 'torch' in sys.modules)"
    run = [sys.executable, "-c", code, *WRONG]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == f"{[1] * len(WRONG)} False\n"
    lines = [line for line in done.stderr.splitlines() if line.startswith("wearembed: ")]
    assert all(told in line for told, line in zip(WRONG.values(), lines, strict=True))


def test_a_store_reads_each_recording_once(odd, tmp_path, monkeypatch, capsys):
    read, once = [], store_command.read_recording
    monkeypatch.setattr(store_command, "read_recording", lambda path, **said: read.append(path) or once(path, **said))
    (tmp_path / "other.csv").write_bytes(odd[0].read_bytes())
    shown(capsys, "store", odd[0], tmp_path / "other.csv", "-o", tmp_path / "s", *ODD)
    assert read == [odd[0], tmp_path / "other.csv"]


def test_pretraining_that_is_complete_says_so_and_writes_nothing(weights, capsys):
    call = ["pretrain", weights.parent / "cohort", "-o", weights, *SMALL, "--set", "max_epochs=1"]
    before = {file: file.stat().st_mtime_ns for file in weights.parent.rglob("*") if file.is_file()}
    told = shown(capsys, *call)
    assert "complete     before this call: SimCLREncoder, 1 epoch in" in told and "unchanged" in told
    assert main([*map(str, call), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["complete_before"], document["written"]) == (True, False)
    assert before == {file: file.stat().st_mtime_ns for file in weights.parent.rglob("*") if file.is_file()}


def test_complete_weights_that_are_gone_or_to_be_described_anew_are_written(weights, tmp_path, capsys):
    out = tmp_path / "w"
    call = ["pretrain", weights.parent / "cohort", "-o", out, *SMALL, "--set", "max_epochs=1"]
    assert "trained" in shown(capsys, *call)
    told = shown(capsys, *call, "--license", "mit")
    assert "complete" in told and "wrote" in told
    saved = encoders.from_pretrained(out, device="cpu")
    assert saved.training_["license"] == "mit" and "--quiet" not in saved.training_["description"]
    for file in out.iterdir():
        file.unlink()
    assert "wrote" in shown(capsys, *call) and "trained" in shown(capsys, *call, "--set", "max_epochs=2")
    for file in out.glob("model*"):
        file.write_bytes(b"damaged")
    assert "wrote" in shown(capsys, *call, "--set", "max_epochs=2")
    assert encoders.from_pretrained(out, device="cpu").net_


@pytest.mark.parametrize("columns", [60, 120])
def test_a_card_is_as_wide_as_the_terminal(weights, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(capsys, "info", weights).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("card "))
    card = [lines[first], *(line for line in lines[first + 1 :] if line.startswith(" "))]
    assert all(len(line) < columns or len(line.split()) == 1 for line in card[1:])  # a path is not broken
    assert len(card[0]) < columns and all(line.startswith(" " * 13) for line in card[1:])
    assert " ".join(" ".join(card).split()[1:]) == wearembed.from_pretrained(weights).training_["description"]


def test_every_command_that_reads_recordings_takes_the_same():
    said = {
        "columns": ["a", "2", "b,c"],
        "time": False,
        "time_unit": "ms",
        "sfreq": 5.0,
        "units": "mg",
        "sensor": "bvp",
    }
    words = [
        "--columns",
        'a,2,"b,c"',
        "--no-time",
        "--time-unit",
        "ms",
        "--sfreq",
        "5",
        "--units",
        "mg",
        "--sensor",
        "bvp",
    ]
    for call in (["embed", "a", "-o", "b"], ["store", "a", "-o", "b"], ["info", "a"]):
        args = parser("").parse_args([*call, *words])
        assert commands.arguments.said_of_recordings(args) == said
    assert commands.arguments.said_of_recordings(SimpleNamespace(**dict.fromkeys(said))) == {}
    for wrong in (["--columns", ""], ["--columns", "a,,b"], ["--time", " "], ["--time", "a", "--no-time"]):
        with pytest.raises(SystemExit):
            parser("").parse_args(["info", "a", *wrong])
