"""Labels of a table, joined to a store's windows by ``wearembed evaluate --labels``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wearembed import HandmadeFeatures, WindowStore, datasets
from wearembed.__main__ import main
from wearembed.commands.labels import join
from wearembed.commands.stretches import read_times
from wearembed.evaluation import linear_probe

SECONDS = 2.56
N = 8  # windows of each of six people


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """A store without labels of six people, each with two recordings that follow one another; what they did."""
    store = WindowStore.create(tmp_path_factory.mktemp("s") / "days", n_channels=3, n_times=256, sfreq=100, units="g")
    rows = []
    for person in range(6):
        motion = datasets.make_motion(1, N, activities=["rest", "running"], random_state=person)
        start = pd.Timestamp("2026-03-01 08:00") + pd.to_timedelta(np.arange(N) * SECONDS, unit="s")
        recording = [f"P{person}-{'a' if n < N // 2 else 'b'}" for n in range(N)]
        store.append(motion.data, participant=f"P{person}", recording=recording, start=start)
        rows.append(pd.DataFrame({"participant": f"P{person}", "recording": recording, "start": start}))
        rows[-1]["activity"] = motion.target
    return store.path, pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def weights(days, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "small"
    small = ["--encoder", "SimCLREncoder", "--set", "width=4", "--set", "blocks=(1,1)", "--set", "kernels=(3,3)"]
    assert main(["pretrain", str(days[0]), "-o", str(out), *small, "--set", "max_epochs=1", "--quiet"]) == 0
    return out


def diary_of(truth):
    """A row a stretch of one activity."""
    new = (truth["activity"] != truth["activity"].shift()) | (truth["participant"] != truth["participant"].shift())
    rows = truth.groupby(new.cumsum())
    table = rows[["participant", "start", "activity"]].first()
    return table.assign(stop=rows["start"].last() + pd.Timedelta(seconds=SECONDS))


def evaluated(days, weights, file, capsys, *more, target="activity"):
    call = ["evaluate", weights, days[0], "--labels", file, "--target", target, "--folds", "2", *more, "--json"]
    code = main([*map(str, call)])
    return code, json.loads(capsys.readouterr().out)


def refusal(days, weights, file, capsys, target="activity"):
    code, document = evaluated(days, weights, file, capsys, target=target)
    assert code == 1
    return document["error"]


def test_a_diary_gives_the_scores_of_the_labels_that_it_was_written_from(days, weights, tmp_path, capsys):
    path, truth = days
    diary_of(truth).to_csv(tmp_path / "diary.csv", index=False)
    code, document = evaluated(days, weights, tmp_path / "diary.csv", capsys)
    assert code == 0 and (document["n_windows"], document["n_without_label"]) == (48, 0)
    store = WindowStore(path)
    features = HandmadeFeatures().fit(store).transform(store[:])
    expected = linear_probe(None, features, truth["activity"], truth["participant"], cv=2, random_state=0)
    rows = {row["encoder"]: row["pooled"] for row in document["scores"] if row["score"] == "macro_f1"}
    assert rows["hand-made features"] == pytest.approx(expected.summary.loc["macro_f1", "pooled"])
    told = document["labels"]
    assert told["of_stretches"] is True and told["time_zone"] is False and told["participants_without"] == []


@pytest.mark.filterwarnings("ignore:Each participant has one label")
def test_one_label_a_participant_and_who_has_none_and_who_is_not_there(days, weights, tmp_path, capsys):
    file = tmp_path / "people.csv"
    file.write_text("participant;;;group\nP0;x;;a\nP1;;;b\n P2 ;;;a\nP3;;;b\n\nP4;;;\nP9;;;a\n")
    code, document = evaluated(days, weights, file, capsys, target="group")
    assert code == 0 and (document["n_windows"], document["n_without_label"]) == (32, 16)
    assert document["labels"] == {
        "file": str(file),
        "of": ["participant"],
        "of_stretches": False,
        "time_zone": None,
        "n_windows": 32,
        "participants_without": ["P4", "P5"],
        "not_in_store": ["P9"],
    }
    call = ["evaluate", weights, days[0], "--labels", file, "--target", "group", "--folds", "2"]
    assert main([*map(str, call)]) == 0
    shown = capsys.readouterr().out
    assert "32 windows of 4 participants in 2 folds, 16 without a label left out" in shown
    assert "one a participant, for 32 windows" in shown
    assert "no label     2 participants of the store: P4, P5" in shown
    assert "not in store 1 participant of the table: P9" in shown


def test_one_label_a_recording(days, tmp_path):
    index = WindowStore(days[0]).index
    names = sorted(set(index["recording"]))
    pd.DataFrame({"recording": names, "n": range(12)}).to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    labels = join(index, SECONDS, tmp_path / "a.tsv", "n")
    assert labels.values[labels.codes].tolist() == [names.index(name) for name in index["recording"]]
    both = index[["participant", "recording"]].drop_duplicates().assign(n=range(12))
    both.to_csv(tmp_path / "b.csv", index=False)
    np.testing.assert_array_equal(join(index, SECONDS, tmp_path / "b.csv", "n").codes, labels.codes)
    one = index.assign(recording="wrist")
    (tmp_path / "c.csv").write_text("recording,n\nwrist,1\n")
    with pytest.raises(ValueError, match="Recording 'wrist' is of 6 participants of the store. Add a column"):
        join(one, SECONDS, tmp_path / "c.csv", "n")


@pytest.mark.parametrize("seed", range(5))
def test_a_window_takes_the_label_that_covers_half_of_it(days, tmp_path, seed):
    """By counting hundredths of a second, one by one."""
    rng = np.random.default_rng(seed)
    index = WindowStore(days[0]).index
    own = index[index["participant"] == "P0"].reset_index(drop=True)
    begin = own["start"][0]
    edges = np.sort(rng.choice(np.arange(-200, 2400), 20, replace=False))
    kinds = rng.choice(["sit", "walk", ""], 19)
    hundredths = {t: kind for a, b, kind in zip(edges, edges[1:], kinds) for t in range(a, b)}
    times = [begin + pd.Timedelta(milliseconds=10 * int(t)) for t in edges]
    table = pd.DataFrame({"participant": "P0", "start": times[:-1], "stop": times[1:], "act": kinds})
    table.sample(frac=1, random_state=seed).to_csv(tmp_path / "d.csv", index=False)
    labels = join(own, SECONDS, tmp_path / "d.csv", "act")
    for n, code in enumerate(labels.codes):
        inside = [hundredths.get(t, "") for t in range(256 * n, 256 * (n + 1))]
        most = max(("sit", "walk"), key=inside.count)
        if inside.count("sit") != inside.count("walk"):
            assert (labels.values[code] if code >= 0 else "") == (most if 2 * inside.count(most) >= 256 else "")


def test_times_with_zones_and_numbers_and_recordings_of_many_zones(days, tmp_path):
    index = WindowStore(days[0]).index
    diary = diary_of(days[1])
    expected = days[1]["activity"].tolist()

    def told(index, table):
        table.to_csv(tmp_path / "t.csv", index=False)
        labels = join(index, SECONDS, tmp_path / "t.csv", "activity")
        return labels.values[labels.codes].tolist(), labels.zoned

    berlin = {name: diary[name].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin") for name in ("start", "stop")}
    tokyo = index.assign(start=index["start"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    assert told(tokyo, diary.assign(**berlin)) == (expected, True)
    mixed = tokyo["start"].astype(object)
    mixed[:N] = index["start"][:N].dt.tz_localize("UTC")
    assert told(index.assign(start=mixed), diary.assign(**berlin)) == (expected, True)
    numbers = {name: diary[name].astype("datetime64[ns]").astype("int64") / 1e9 for name in ("start", "stop")}
    assert told(index, diary.assign(**numbers)) == (expected, False)
    assert told(tokyo, diary.assign(**numbers)) == (expected, True)
    with pytest.raises(ValueError, match=r"windows of the store name a time zone, and the times of .* do not"):
        told(tokyo, diary)
    with pytest.raises(ValueError, match="name a time zone, and the windows of the store do not"):
        told(index, diary.assign(**berlin))
    with pytest.raises(ValueError, match="Some of the times of .* name a time zone and some do not"):
        told(index, diary.assign(start=berlin["start"]))
    some = mixed.copy()
    some[:N] = index["start"][:N]
    with pytest.raises(ValueError, match="Some of the windows of the store name a time zone"):
        told(index.assign(start=some), diary.assign(**berlin))
    with pytest.raises(ValueError, match=r"lie from 2026-03-01 08:00:00 to .* stretches from 2036-03-01 08:00:00"):
        told(index, diary.assign(**{name: diary[name] + pd.DateOffset(years=10) for name in ("start", "stop")}))


WRONG = {
    "whose": ("subject,activity\nP0,rest\n", "called participant or recording in .*; found subject, activity"),
    "misspelt key": ("Participants,activity\nP0,rest\n", "found Participants, activity. Rename Participants"),
    "misspelt label": ("participant,Activty\nP0,rest\n", "Expected a column 'activity' .* Did you mean Activty?"),
    "twice": ("participant,activity,activity\nP0,a,b\n", "has two columns called activity"),
    "start alone": ("participant,start,activity\nP0,2026-03-01,a\n", "has a column start alone"),
    "nobody": (
        "participant,activity\n1,a\ntime=5,b\n",
        "names '1', 'time=5', and the store has 'P0', 'P1', .* 'P4' and 1 more",
    ),
    "doubled": (
        "participant,activity\nP0,a\nP1,a\nP0,b\n",
        "has 2 labels of 'P0', 'a', 'b', on lines 2 and 4. Keep one",
    ),
    "nameless": ("participant,activity\nP0,a\n,b\n", "has no participant on line 3"),
    "empty": ("participant,activity\nP0,\nP1,NA\n", "has no label in column 'activity'"),
    "nothing": ("", "Expected a column 'activity' .*found none"),
    "uneven": (
        "participant,note,activity\nP0,a, b,c\nP1,a,c\n",
        "has 3 columns, and another number of cells on line 2",
    ),
    "open quotes": ('participant,activity\nP0,"a\nP1,b\nP2,a\n', "is damaged on line .* unexpected end"),
    "overlap": (
        "participant,start,stop,activity\nP0,2026-03-01 08:00,2026-03-01 09:00,a\n"
        "P0,2026-03-01 08:59,2026-03-01 10:00,b\n",
        "Two labels of .* overlap for 'P0': 'a' on line 2 and 'b' on line 3. Let one stop where the other starts",
    ),
    "backwards": (
        "participant,start,stop,activity\nP0,2026-03-01 08:00,2026-03-01 07:00,a\n",
        "stops before it starts, on line 2: 2026-03-01 08:00 to 2026-03-01 07:00",
    ),
    "no time": (
        "participant,start,stop,activity\nP0,1.3.2026 8 Uhr,2026-03-01 07:00,a\n",
        "Expected a time such as .* in start of .*, got '1.3.2026 8 Uhr' on line 2",
    ),
    "milliseconds": ("participant,start,stop,activity\nP0,1772352000000,1772352001000,a\n", "seconds since 1970"),
    "inside another": (
        "participant,start,stop,activity\nP0,2026-03-01 08:00,2026-03-01 08:02,a\n"
        "P0,2026-03-01 08:00:10,2026-03-01 08:00:20,a\nP0,2026-03-01 08:01,2026-03-01 08:01:30,time=5\n",
        "overlap for 'P0': 'a' on line 2 and 'time=5' on line 4",
    ),
    "now": ("participant,start,stop,activity\nP0,2026-03-01 08:00,now,a\n", "in stop of .*, got 'now' on line 2"),
    "a word": (
        "participant,activity\nP0,1\nP1,2\nP2,3\nP3,4\nP4,five\n",
        "Expected numbers in column 'activity' .* as most of it are, got 'five' on line 6.* --task classification",
    ),
    "thousands": (
        'participant,activity\nP0,"1,000"\nP1,2\nP2,3\nP3,4\nP4,5\n',
        "got '1,000' on line 2. Write a number",
    ),
    "open end": ("participant,start,stop,activity\nP0,2026-03-01 08:00,,a\n", "has no stop on line 2"),
    "one person": ("participant,activity\nP0,a\n", "got --folds 2 and 1 participant"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_table_is_said_with_its_line(days, weights, tmp_path, capsys, what):
    text, told = WRONG[what]
    (tmp_path / "wrong.csv").write_text(text)
    error = refusal(days, weights, tmp_path / "wrong.csv", capsys)
    assert pd.Series([error]).str.contains(told)[0], error


def test_no_table_and_no_text_and_labels_that_are_keys_are_told_of(days, weights, tmp_path, capsys):
    assert "found nothing there" in refusal(days, weights, tmp_path / "nowhere.csv", capsys)
    (tmp_path / "a.csv").write_bytes(b"participant,activity\nP0,M\xfcll\n")
    assert "is no text in UTF-8. Save the table as CSV in UTF-8" in refusal(days, weights, tmp_path / "a.csv", capsys)
    (tmp_path / "b.csv").write_text("participant,activity\nP0,a\n")
    assert "--target participant says whose" in refusal(days, weights, tmp_path / "b.csv", capsys, "participant")
    call = ["evaluate", str(weights), str(days[0]), "--target", "activity"]
    assert main(call) == 1
    assert "Labels that a table has are joined to the windows by --labels TABLE.csv" in capsys.readouterr().err
    diary_of(days[1]).to_csv(tmp_path / "diary.csv", index=False)
    assert main([*call, "--labels", str(tmp_path / "diary.csv"), "--folds", "7"]) == 1
    assert "6 have a 'activity'. Say --folds 6, which tests each alone" in capsys.readouterr().err


def test_windows_without_a_start_take_no_label_of_a_time(days, tmp_path):
    diary_of(days[1]).to_csv(tmp_path / "diary.csv", index=False)
    index = WindowStore(days[0]).index
    with pytest.raises(ValueError, match="no window of the store says when it began"):
        join(index.assign(start=np.nan), SECONDS, tmp_path / "diary.csv", "activity")
    some = index["start"].where(index["participant"] != "P0")
    labels = join(index.assign(start=some), SECONDS, tmp_path / "diary.csv", "activity")
    assert labels.without == ["P0"] and (labels.codes[N:] >= 0).all()


def test_stretches_of_one_label_that_overlap_or_touch_are_one(days, tmp_path):
    own = WindowStore(days[0]).index.iloc[:N]
    (tmp_path / "d.csv").write_text(
        "participant,start,stop,sick\n"
        "P0,2026-03-01 08:00:00,2026-03-01 08:00:01,True\n"
        "P0,2026-03-01 08:00:00.5,2026-03-01 08:00:01.3,True\n"
        "P0,2026-03-01 08:00:10,2026-03-01 08:00:11,False\n"
        "P0,2026-03-01 08:00:11,2026-03-01 08:00:12,False\n"
    )
    labels = join(own, SECONDS, tmp_path / "d.csv", "sick")
    told = ["" if code < 0 else str(labels.values[code]) for code in labels.codes]
    assert told == ["True", "", "", "", "False", "", "", ""]


def test_numbers_with_a_comma_and_words_that_look_like_none(days, tmp_path):
    index = WindowStore(days[0]).index
    (tmp_path / "a.csv").write_text('\ufeffparticipant;bmi;fall\nP0;21,5;None\nP1;30;"yes; once"\n', encoding="utf-8")
    assert join(index, SECONDS, tmp_path / "a.csv", "bmi").values.tolist() == [21.5, 30]
    assert join(index, SECONDS, tmp_path / "a.csv", "fall").values.tolist() == ["None", "yes; once"]


@pytest.mark.parametrize(
    ("text", "zoned"),
    [
        ("2026-03-02T0900+0100", True),
        ("20260302T080000Z", True),
        ("2026-03-02T08+01", True),
        ("2026-03-02 08:00:00.5 -03:30", True),
        ("2026-03-02 08:00:00", False),
        ("20260302T0800", False),
        ("2026-03-02", False),
    ],
)
def test_a_time_zone_is_seen_however_a_time_is_written(text, zoned):
    times = pd.Series([text], name="start")
    time, found = read_times(times, pd.Series([2]), Path("a.csv"))
    assert found.tolist() == [zoned] == [pd.Timestamp(text).tz is not None]
    stamp = pd.Timestamp(text)
    assert pd.Timestamp(time[0], unit="us") == (stamp.tz_convert(None) if zoned else stamp)


def test_a_column_of_times_beside_one_of_numbers_is_asked_for_its_zone(days, tmp_path):
    index = WindowStore(days[0]).index
    tokyo = index.assign(start=index["start"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"))
    head, row = "participant,start,stop,act\n", "P0,1772352000,2026-03-01 08:10{},sit\n"
    (tmp_path / "a.csv").write_text(head + row.format(""))
    with pytest.raises(ValueError, match="windows of the store name a time zone, and the times of .* do not"):
        join(tokyo, SECONDS, tmp_path / "a.csv", "act")
    (tmp_path / "a.csv").write_text(head + row.format("Z"))
    assert (join(tokyo, SECONDS, tmp_path / "a.csv", "act").codes == 0).sum() == N
    with pytest.raises(ValueError, match="name a time zone, and the windows of the store do not"):
        join(index, SECONDS, tmp_path / "a.csv", "act")


def test_stretches_may_begin_and_end_in_times_that_nobody_lives_in(days, tmp_path):
    index = WindowStore(days[0]).index
    (tmp_path / "a.csv").write_text("participant,start,stop,act\nP0,1600-01-01,9999-12-31 00:00,sit\n")
    assert (join(index, SECONDS, tmp_path / "a.csv", "act").codes == 0).sum() == N


def test_windows_of_others_and_clocks_without_names_are_not_told_of(days, tmp_path):
    index = WindowStore(days[0]).index
    far = index["start"].where(index["participant"] == "P0", index["start"] + pd.DateOffset(years=3))
    tokyo = index.assign(start=far.dt.tz_localize("Asia/Tokyo"))
    (tmp_path / "a.csv").write_text("participant,start,stop,act\nP0,2026-03-01 08:00Z,2026-03-01 09:00Z,sit\n")
    told = r"lie from 2026-02-28 23:00:00 UTC to 2026-02-28 23:00:2.* UTC, and .* from 2026-03-01 08:00:00 UTC"
    with pytest.raises(ValueError, match=told):
        join(tokyo, SECONDS, tmp_path / "a.csv", "act")
    with pytest.raises(ValueError, match=r"no window of the store says when it began, of those that it names"):
        join(index.assign(start=far.where(index["participant"] != "P0")), SECONDS, tmp_path / "a.csv", "act")


def test_missing_cells_and_decimal_commas_however_they_are_written(days, tmp_path):
    index, file = WindowStore(days[0]).index, tmp_path / "a.csv"

    def values(text):
        file.write_text(text)
        return join(index, SECONDS, file, "n").values.tolist()

    assert values("participant,n\nP0,n/a\nP1,#N/A\nP2,null\nP3,<NA>\nP4,1.5\nP5,None\n"[:-8]) == [1.5]
    assert values("participant,n\nP0,N/A\nP1,None\n") == ["None"]
    assert values("participant\tn\nP0\t1,5\nP1\t2\n") == [1.5, 2]
    assert values('participant,n\nP0,"1,5"\nP1,2\n') == [1.5, 2]
    assert values('participant,n\nP0,"1,500"\nP1,"2,25"\n') == [1.5, 2.25]


def test_lines_before_the_names_are_passed_over_and_counted(days, tmp_path):
    index, file = WindowStore(days[0]).index, tmp_path / "a.csv"
    file.write_text("sep=;\n\n;;\nparticipant;n\nP0;1\nP1;2\n")
    assert join(index, SECONDS, file, "n").values.tolist() == [1, 2]
    file.write_text("\nparticipant;n\nP0;1\nP0;2\n")
    with pytest.raises(ValueError, match="on lines 3 and 4"):
        join(index, SECONDS, file, "n")


def test_words_and_folders_are_refused_by_name(days, weights, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("participant,activity\nP0,1\nP1,sit\nP2,walk\n")
    code, document = evaluated(days, weights, tmp_path / "a.csv", capsys, "--task", "regression")
    assert code == 1 and "for a regression, got 'sit' on line 3. Write a number or an empty cell." in document["error"]
    assert "found a folder. Name a file in it" in refusal(days, weights, tmp_path, capsys)


@pytest.mark.filterwarnings("always:Each participant has one label")
def test_errors_and_warnings_of_the_library_speak_of_options(days, weights, tmp_path, capsys):
    store = WindowStore.create(tmp_path / "s", n_channels=3, n_times=256, sfreq=100, units="g")
    for person in range(4):
        data = datasets.make_motion(1, 4, random_state=person).data
        store.append(data, participant=f"P{person}", own=f"is{person}", half="ab"[person % 2])
    call = ["evaluate", str(weights), str(store.path), "--folds", "2", "--target"]
    assert main([*call, "own"]) == 1
    told = capsys.readouterr().err
    assert "Is the target the participant itself?" in told and "embedding_report" not in told
    assert '--task "regression"' in told
    assert main([*call, "own", "--task", "regression"]) == 1
    assert "column 'own' has words, such as 'is0'. Say --task classification" in capsys.readouterr().err
    assert main([*call, "half"]) == 0
    assert "by wearembed embed --pool participant" in capsys.readouterr().err
