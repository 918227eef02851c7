"""The studies run from end to end, go on where they were, and tell the same twice; at sizes that teach nothing."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from wearembed import SimCLREncoder, WindowStore, evaluation, from_pretrained, read_embeddings, signals
from wearembed.datasets import make_ecg, make_motion, make_ppg_accel

EXAMPLES = Path(__file__).parent.parent / "examples"
TINY = {
    "heart_from_wrist.py": [
        *("simulated", "--participants", "12", "--windows", "4", "--epochs", "2", "--batch-size", "16"),
        *("--rows", "mean", "hand", "accel-masked", "from-masked", "supervised-0.1", "teacher-masked"),
        *("--work", "kept"),
    ],
    "participant_pairs.py": [
        *("--set", "ppg-simulated", "--participants", "8", "--windows", "6", "--epochs", "1", "--size", "18", "2"),
        *("--out", "kept.csv"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_study_runs_and_a_second_run_only_tells(name, tmp_path):
    command = [sys.executable, str(EXAMPLES / name), *TINY[name]]
    first, second = (
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    table = [line for line in first.splitlines() if line.startswith("|")]
    assert len(table) > 5
    assert [line for line in second.splitlines() if line.startswith("|")] == table
    assert len(second.splitlines()) < len(first.splitlines())  # nothing is computed again


@pytest.mark.slow
def test_motion_is_learnt_from_simulation_and_then_from_recordings(recorded, tmp_path):
    small = ("--participants", "4", "--windows", "12", "--epochs", "1", "--threads", "1")
    line = [sys.executable, str(EXAMPLES / "pretrain_relcon.py")]
    begun = ["synthetic", "--out", "begun", "--leave-out", "pockets"]
    ended = ["open", "--data", str(recorded), "--from", "begun", "--out", "ended", "--without", "spsw_watch"]
    for rest in (begun, ended):
        subprocess.run([*line, *rest, *small], cwd=tmp_path, check=True, capture_output=True)
    synthetic, opened = (from_pretrained(tmp_path / name) for name in ("begun", "ended"))
    assert synthetic.verify() and opened.verify()
    assert synthetic.training_["synthetic"] and not opened.training_["synthetic"]
    assert "hmp_wrist_adl" in opened.training_["data"] and "spsw_watch" not in opened.training_["data"]
    assert {row["license"] for row in opened.training_["attribution"]} == {"CC-BY-4.0", "MIT"}
    X = make_motion(1, 4, random_state=9).data
    assert opened.transform(X).shape == (4, 1024) and not np.allclose(opened.transform(X), synthetic.transform(X))


def test_the_gpu_benchmark_says_that_there_is_no_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run([sys.executable, str(EXAMPLES / "gpu_bench.py")], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "no GPU" in done.stderr


@pytest.mark.slow
def test_the_gpu_benchmark_runs_without_one(tmp_path):
    command = [sys.executable, str(EXAMPLES / "gpu_bench.py"), "--device", "cpu", "--small", "--out", "kept.md"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 + 2 + 4 and "Self CPU" in told
    assert (tmp_path / "kept.md").read_text() == told


# --- the show: windows of real sets, here of simulated people in their layout

PEOPLE = [f"{n:02}" for n in range(1, 7)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder of each set, as the real ones are laid out."""
    folder = tmp_path_factory.mktemp("recorded")
    for name, sfreq in [("hmp_wrist_adl", 32.0), ("spsw_watch", 104.0), ("wisdm_phone", 50.0)]:
        save_activities(folder / name, sfreq)
    save_minutes(folder / "stress_predict_e4")
    save_beats(folder / "mitdb_ecg")
    return folder


def save_activities(folder, sfreq):
    """Nine seconds of rest and eleven of walking, of each person, in one recording."""
    motion = make_motion(len(PEOPLE), 6, seconds=11, activities=["rest", "walking"], random_state=len(folder.name))
    for person, of in zip(PEOPLE, np.unique(motion.groups)):
        rest, walking = (motion.data[(motion.groups == of) & (motion.target == a)] for a in ("rest", "walking"))
        acc = signals.resample(np.concatenate([rest[0][:, :900], walking[0]], axis=1), motion.sfreq, sfreq).T
        label = np.where(np.arange(len(acc)) < 9 * sfreq, "rest", "walking")
        save(folder / person, acc=acc, label=label, sfreq=np.array([sfreq]), length=np.array([len(acc)]))


def save_minutes(folder):
    """Three minutes of each person, the second one under stress; the first one has no labels."""
    pulse = make_ppg_accel(len(PEOPLE), 3, n_ppg_channels=1, random_state=0)
    for person, of in zip(PEOPLE, np.unique(pulse.groups)):
        mine = pulse.groups == of
        seconds = np.arange(180.0)
        labelled = seconds if person != PEOPLE[0] else seconds[:0]
        save(
            folder / f"S{person}",
            bvp=np.concatenate(pulse.ppg[mine][:, 0]),
            acc=np.concatenate(pulse.accel[mine], axis=1)[:, ::2].T,
            hr=np.repeat(pulse.heart_rate[mine], 60)[10:],
            t_hr=seconds[10:],
            x_label=((labelled >= 60) & (labelled < 120)).astype(int),
            x_t_label=labelled,
        )


def save_beats(folder):
    """Two minutes of each person; a ventricular beat at 10 s and a fused one on the last sample of the third window."""
    ecg = make_ecg(len(PEOPLE), 4, random_state=0)
    for person, of in zip(PEOPLE, np.unique(ecg.groups)):
        x = signals.resample(np.concatenate(ecg.data[ecg.groups == of][:, 0]), ecg.sfreq, 360.0)
        beat, symbol = np.array([3600, 90 * 360 - 1, 90 * 360]), np.array(["V", "F", "A"])
        save(folder / person, ecg_uv=(1000 * x).astype(np.int16), sfreq=np.array(360.0), beat=beat, symbol=symbol)


def save(path, **arrays):
    path.parent.mkdir(exist_ok=True)
    np.savez(path.with_suffix(".npz"), **arrays)


@pytest.fixture
def examples(monkeypatch):
    """Imports a file of the examples."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


@pytest.fixture
def show(examples, monkeypatch):
    """The example, which here does not search how strongly a probe is penalised."""
    module = examples("show")
    monkeypatch.setattr(module, "PENALTIES", {"classification": (10.0,), "regression": (10.0,)})
    return module


def told_by(show, capsys, *arguments):
    show.main([str(argument) for argument in arguments])
    return capsys.readouterr().out.splitlines()


def tables_of(lines):
    return [line for line in lines if line.startswith("|")]


def test_a_window_in_whose_middle_the_activity_changes_has_no_label(examples, recorded):
    windows = examples("real_sets").activities(recorded, "hmp_wrist_adl")
    assert windows.data.shape == (len(PEOPLE) * 6, 3, 256) and (windows.sfreq, windows.units) == (100.0, "g")
    # Of seven windows in 20 s, the fourth has its middle from 7.935 to 9.985 s, and the change is at 9 s.
    assert dict(zip(*np.unique(windows.target, return_counts=True))) == {"rest": 18, "walking": 18}


def test_minutes_are_those_of_the_device_with_what_went_on_for_most_of_them(examples, recorded):
    tasks = examples("real_sets").TASKS
    rates, states = (tasks[name].read(recorded) for name in ("heart rate by PPG", "stress by motion"))
    truth = make_ppg_accel(len(PEOPLE), 3, n_ppg_channels=1, random_state=0).heart_rate.reshape(len(PEOPLE), 3)
    for person, of in zip(PEOPLE, truth):
        between = (of[:-1] + of[1:]) / 2  # minutes are 30 s apart
        mine = rates.target[rates.groups == f"S{person}"]
        assert np.allclose(mine, [of[0], between[0], of[1], between[1], of[2]], rtol=0.1)
        assert np.allclose(mine[[0, 2, 3, 4]], [of[0], of[1], between[1], of[2]])
    assert rates.data.shape == (30, 1, 3840) and states.data.shape == (25, 3, 3840)
    assert states.target[:5].tolist() == ["baseline", "baseline", "task", "baseline", "baseline"]


def test_thirty_seconds_are_ventricular_by_the_beats_within_them(examples, recorded):
    windows = examples("real_sets").TASKS["ventricular beats"].read(recorded)
    assert windows.data.shape == (24, 1, 3840)
    assert windows.target[:4].tolist() == ["ventricular", "none", "ventricular", "none"]


def test_the_show_answers_every_question_and_a_second_run_only_tells(show, recorded, tmp_path, capsys):
    asked = ["--data", recorded, "--out", tmp_path / "kept", "--encoders", "wearembed/relcon-synthetic"]
    asked += ["--untrained", 1, "--rows", "untrained", "spectra"]
    first, second = (told_by(show, capsys, *asked) for _ in range(2))
    assert tables_of(first) == tables_of(second) and len(second) < len(first)
    head, _, *rows = tables_of(second)
    assert all(f"| {question}, " in head for question in show.TASKS)
    assert {"| wearembed/relcon-synthetic ", "| wearembed/relcon-synthetic, untrained "} <= {
        r[: r.index("|", 1)] for r in rows
    }
    kept = pd.read_csv(tmp_path / "kept" / "hmp_wrist_adl.csv").query("score == 'macro_f1'").set_index("encoder")
    windows = show.TASKS["hmp_wrist_adl"].read(recorded)
    alone = evaluation.linear_probe(
        show.Spectra(),
        windows.data,
        windows.target,
        windows.groups,
        scoring="macro_f1",
        penalties=show.PENALTIES["classification"],
        random_state=0,
    ).summary.loc["macro_f1"]
    same = kept.loc["spectra, linear", list(alone.index)].astype(float)
    assert np.allclose(same, alone)


def test_other_weights_of_the_same_name_are_answered_for_anew(show, recorded, tmp_path, capsys):
    source = tmp_path / "weights"
    asked = ["--data", recorded, "--out", tmp_path / "kept", "--only", "spsw_watch", "--rows", "--encoders", source]
    said = []
    for seed in (0, 0, 1):
        small_encoder(seed).save_pretrained(source, data=["nothing"], synthetic=True)
        said.append([line for line in told_by(show, capsys, *asked) if line.startswith("spsw_watch: ")])
    assert [len(lines) for lines in said] == [1, 0, 1]


def test_what_was_trained_on_a_set_is_marked_there_or_replaced(show, recorded, tmp_path, capsys):
    source = tmp_path / "both"
    small_encoder(0).save_pretrained(source, data=["spsw_watch", "wisdm_phone"], synthetic=True)
    small_encoder(1).save_pretrained(tmp_path / "without-spsw_watch", data=["wisdm_phone"], synthetic=True)
    asked = ["--data", recorded, "--out", tmp_path / "kept", "--rows", "--encoders", source, "--only", "spsw_watch"]
    with pytest.warns(UserWarning, match="both WAS PRETRAINED ON spsw_watch"):
        lines = told_by(show, capsys, *asked)
    assert any(line.startswith(f"| {source} ") and " * |" in line for line in lines)
    stand_in = ["--instead", f"{source}={tmp_path}/without-{{set}}"]
    lines = told_by(show, capsys, *asked, *stand_in)
    assert any("without-spsw_watch" in line for line in lines) and not any(" * |" in line for line in lines)
    with pytest.raises(SystemExit, match="was trained on wisdm_phone, and --instead names .* is not there"):
        show.main([str(argument) for argument in [*asked, "wisdm_phone", *stand_in]])


def test_few_labels_have_a_table_and_a_curve(show, recorded, tmp_path, capsys):
    asked = ["--data", recorded, "--out", tmp_path, "--encoders", "--only", "spsw_watch"]
    asked += ["--rows", "linear", "--few-labels", "--repeats", 2]
    first, second = (told_by(show, capsys, *asked) for _ in range(2))
    assert tables_of(first) == tables_of(second) and len(second) < len(first)
    head = next(line for line in first if "by labelled participants" in line)
    assert head.endswith("| 1 | 2 |")  # of the five who train, at four at least
    assert (tmp_path / "few-labels.png").stat().st_size > 1000


def small_encoder(seed):
    return SimCLREncoder(width=8, blocks=(1,), kernels=(3,)).untrained(seed, n_channels=3, n_times=256)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "library"), [("cohort_on_ray.py", "ray.data"), ("cohort_on_spark.py", "pyspark")])
def test_other_clusters_embed_a_store_part_by_part(name, library, tmp_path):
    pytest.importorskip(library, reason="not in an extra of ours")
    store = WindowStore.create(tmp_path / "store", n_channels=3, n_times=256, sfreq=100, units="g")
    for person in range(3):
        store.append(make_motion(1, 4, random_state=person).data, participant=f"P{person}")
    here = {**os.environ, "PYSPARK_PYTHON": sys.executable, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, str(EXAMPLES / name), str(store.path), str(tmp_path / "out")]
    first, second = (
        subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    encoder = from_pretrained("wearembed/relcon-synthetic")
    assert first.splitlines()[-1] == second.splitlines()[-1] == str((12, 6 + len(encoder.get_feature_names_out())))
    Z = read_embeddings(tmp_path / "out")[list(encoder.get_feature_names_out())]
    np.testing.assert_array_equal(Z, encoder.transform(store))
