"""The command line, run as a person would: in processes of its own, on files that the tests write."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import wearembed
from wearembed import datasets
from wearembed.__main__ import main


def write_csv(file, n_windows=12, seed=0, **columns):
    motion = datasets.make_motion(n_participants=1, n_windows=n_windows, random_state=seed)
    x, y, z = np.concatenate(list(motion.data), axis=1)
    time = pd.Timestamp("2026-03-01 08:00") + pd.to_timedelta(np.arange(len(x)) / 100, unit="s")
    pd.DataFrame({"time": time, "x": x, "y": y, "z": z, **columns}).to_csv(file, index=False)
    return motion


def test_files_become_one_row_a_window(tmp_path, capsys):
    motion = write_csv(tmp_path / "anna.csv")
    write_csv(tmp_path / "bert.csv", n_windows=5, seed=1)
    out = tmp_path / "out.parquet"
    assert main(["embed", str(tmp_path / "anna.csv"), str(tmp_path / "bert.csv"), "-o", str(out)]) == 0
    table = pd.read_parquet(out)
    assert list(table.columns[:4]) == ["participant", "recording", "start", "coverage"]
    assert table["participant"].tolist() == ["anna"] * 12 + ["bert"] * 5
    assert (table["coverage"] == 1).all() and table["start"][1] - table["start"][0] == pd.Timedelta(seconds=2.56)
    encoder = wearembed.from_pretrained("wearembed/relcon-synthetic", device="cpu")
    Z = table.loc[table["participant"] == "anna", [f"e{n}" for n in range(encoder.net_.dim)]]
    np.testing.assert_allclose(Z, encoder.transform(motion.data), rtol=1e-3, atol=1e-3)
    shown = capsys.readouterr()
    assert "2 embedded, 0 failed" in shown.out and "synthetic data only" in shown.out
    assert f"wrote        {out}: 17 rows, {encoder.net_.dim} numbers each" in shown.out
    assert "file" in shown.err, "a progress bar"


def test_a_broken_file_is_named_and_the_rest_is_done(tmp_path, capsys):
    write_csv(tmp_path / "good.csv")
    (tmp_path / "broken.csv").write_text("this is no recording\n")
    out = tmp_path / "out.csv"
    files = [str(tmp_path / name) for name in ("broken.csv", "good.csv", "gone.cwa")]
    assert main(["embed", *files, "-o", str(out), "--quiet"]) == 1
    assert len(pd.read_csv(out)) == 12
    shown = capsys.readouterr()
    assert "broken.csv" in shown.err and "gone.cwa" in shown.err and "good.csv" not in shown.err
    assert "1 embedded, 2 failed" in shown.out and "Traceback" not in shown.err


def test_if_nothing_can_be_done_nothing_is_written(tmp_path, capsys):
    (tmp_path / "broken.csv").write_text("")
    out = tmp_path / "out.parquet"
    out.write_bytes(b"an older result")
    assert main(["embed", str(tmp_path / "broken.csv"), "-o", str(out), "--quiet"]) == 1
    assert out.read_bytes() == b"an older result" and "wrote        nothing" in capsys.readouterr().out


def test_a_recording_shorter_than_a_window_is_named(tmp_path, capsys):
    write_csv(tmp_path / "short.csv", n_windows=1)
    lines = (tmp_path / "short.csv").read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(lines[:150]))
    assert main(["embed", str(tmp_path / "short.csv"), "-o", str(tmp_path / "o.csv"), "--quiet"]) == 1
    assert "no window of 2.56 s" in capsys.readouterr().err


def test_gaps_leave_windows_out_and_the_summary_counts_them(tmp_path, capsys):
    write_csv(tmp_path / "gap.csv")
    table = pd.read_csv(tmp_path / "gap.csv")
    table.drop(index=range(300, 1100)).to_csv(tmp_path / "gap.csv", index=False)
    assert main(["embed", str(tmp_path / "gap.csv"), "-o", str(tmp_path / "o.csv"), "--quiet"]) == 0
    rows = pd.read_csv(tmp_path / "o.csv")
    assert len(rows) < 12 and (rows["coverage"] >= 0.8).all() and "left out" in capsys.readouterr().out


def test_files_of_one_name_are_of_as_many_people_as_there_are_folders(tmp_path):
    files = [tmp_path / person / "wrist.csv" for person in ("P01", "P02")]
    for seed, file in enumerate(files):
        file.parent.mkdir()
        write_csv(file, n_windows=2, seed=seed)
    assert main(["embed", *map(str, files), "-o", str(tmp_path / "o.csv"), "--quiet"]) == 0
    assert pd.read_csv(tmp_path / "o.csv")["participant"].tolist() == ["P01/wrist"] * 2 + ["P02/wrist"] * 2


def test_weights_of_a_distance_embed_nothing(tmp_path, capsys):
    distance = wearembed.from_pretrained("wearembed/relcon-synthetic").distance_
    if distance is None:
        distance = wearembed.RelConDistance(dim=8, bottleneck=2, max_epochs=1).fit(datasets.make_motion(1, 4).data)
    distance.save_pretrained(tmp_path / "distance")
    write_csv(tmp_path / "a.csv", n_windows=2)
    call = ["embed", str(tmp_path / "a.csv"), "-o", str(tmp_path / "o.csv"), "--weights", str(tmp_path / "distance")]
    assert main(call) == 1 and "holds a RelConDistance, not a Encoder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (lambda t: t.assign(**{c: t[c] * 9.80665 for c in "xyz"}), ["--units", "m/s^2"]),
        (lambda t: t.drop(columns="time"), ["--sfreq", "100"]),
        (lambda t: t, ["--step", "1.28", "--participant", "P7"]),
    ],
    ids=["units", "rate", "step and participant"],
)
def test_what_a_file_does_not_say_can_be_said(tmp_path, change, more):
    write_csv(tmp_path / "a.csv")
    plain, changed = tmp_path / "plain.csv", tmp_path / "changed.csv"
    main(["embed", str(tmp_path / "a.csv"), "-o", str(plain), "--quiet"])
    change(pd.read_csv(tmp_path / "a.csv")).to_csv(tmp_path / "b.csv", index=False)
    assert main(["embed", str(tmp_path / "b.csv"), "-o", str(changed), "--quiet", *more]) == 0
    plain, changed = pd.read_csv(plain), pd.read_csv(changed)
    if "--step" in more:
        assert len(changed) == 23 and set(changed["participant"]) == {"P7"}
        changed = changed.iloc[::2].reset_index(drop=True)
    columns = [c for c in plain if c.startswith("e")]
    np.testing.assert_allclose(changed[columns], plain[columns], rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv", "-o", "out.xlsx"], r"ending in .parquet or .csv; got out.xlsx"),
        (["a.csv", "-o", "no/such/folder/out.csv"], "does not exist. Make it first"),
        (["a.csv", "-o", "out.csv", "--weights", "nowhere/at/all"], "No checkpoint at"),
        (["a.csv", "-o", "out.csv", "--device", "gpu"], "--device 'gpu' is not to be had"),
        (["a.csv", "-o", "a.csv"], "is one of the recordings, which it would replace"),
        (["a.csv", "./a.csv", "-o", "out.csv"], "named twice"),
    ],
    ids=["ending", "folder", "weights", "device", "output", "twice"],
)
def test_a_wrong_call_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "a.csv", n_windows=2)
    assert main(["embed", *arguments, "--quiet"]) == 1
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown


def test_a_call_without_files_or_output_is_a_usage_error(capsys):
    for call in ([], ["embed"], ["embed", "a.csv"]):
        with pytest.raises(SystemExit) as stopped:
            main(call)
        assert stopped.value.code == 2


def test_the_demo_ends_by_saying_what_it_wrote_and_where(tmp_path):
    run = [sys.executable, "-m", "wearembed", "demo", "--folder", "here"]
    done = subprocess.run(run, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1].startswith(f"wrote        here{os.sep}embeddings.parquet: 234 rows")
    assert len(pd.read_parquet(tmp_path / "here" / "embeddings.parquet")) == 234
    assert sorted(os.listdir(tmp_path / "here")) == ["embeddings.parquet", "recording.csv"]


def test_help_has_a_sentence_for_everything(capsys):
    for call in (["--help"], ["embed", "--help"], ["demo", "--help"]):
        with pytest.raises(SystemExit) as stopped:
            main(call)
        assert stopped.value.code == 0
    assert "min-coverage" in capsys.readouterr().out
