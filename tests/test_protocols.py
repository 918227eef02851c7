"""The published comparisons' windows and folds, against slow readings of them; and the leak of one, replayed."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from wearembed import Recording
from wearembed.datasets import make_motion
from wearembed.evaluation import ChannelScaler, haresamudram_folds, haresamudram_windows, yuan_folds, yuan_windows


def motion(n_times, sfreq, participant="P01", name="", lost=()):
    """A simulated recording in g with some samples lost."""
    found = make_motion(1, 1, seconds=n_times / sfreq, sfreq=sfreq, random_state=7)
    signal = found.data[0].copy()
    signal[:, list(lost)] = np.nan
    return Recording(signal, sfreq, participant, "g", name=name)


def labels(*runs):
    """``("walk", 30), (None, 10), ...``: a label for each sample."""
    said = [name for name, length in runs for _ in range(length)]
    return pd.Categorical(said, categories=["lie", "sit", "walk"])


GROUPS = np.repeat(["d", "a", "c", "b", "e", "f", "g", "h", "i"], [4, 2, 6, 3, 5, 2, 2, 3, 1])


# --- folds


@pytest.mark.parametrize("folds_of", [yuan_folds, haresamudram_folds])
def test_participants_are_apart_and_every_window_has_a_place(folds_of):
    folds = folds_of(GROUPS)
    for fold in folds:
        people = [set(GROUPS[rows]) for rows in fold]
        assert all(people) and not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
        assert sorted(np.concatenate(fold)) == list(range(len(GROUPS)))
        assert sorted(fold.rest) == sorted([*fold.train, *fold.validation])
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(GROUPS)))


def test_yuans_folds_leave_one_out_and_validate_on_the_first_of_the_others():
    people = sorted(set(GROUPS))
    for person, fold in zip(people, yuan_folds(GROUPS)):
        assert set(GROUPS[fold.test]) == {person}
        assert set(GROUPS[fold.validation]) == {next(other for other in people if other != person)}


@pytest.mark.parametrize(("n_people", "sizes"), [(9, [2, 2, 2, 2, 1]), (24, [5, 5, 5, 5, 4]), (10, [2, 2, 2, 2, 2])])
def test_haresamudrams_folds_have_the_published_sizes(n_people, sizes):
    groups = np.repeat(np.arange(n_people), 3)
    folds = haresamudram_folds(groups)
    assert [len(set(groups[fold.test])) for fold in folds] == sizes
    left = [n_people - size for size in sizes]
    assert [len(set(groups[fold.validation])) for fold in folds] == [-(-n // 5) for n in left]


def test_haresamudrams_folds_are_the_same_each_time_and_for_each_order_of_windows():
    shuffled = np.random.default_rng(0).permutation(GROUPS)
    for first, again, other in zip(
        haresamudram_folds(GROUPS), haresamudram_folds(GROUPS), haresamudram_folds(shuffled)
    ):
        assert all(np.array_equal(a, b) for a, b in zip(first, again))
        assert [set(GROUPS[rows]) for rows in first] == [set(shuffled[rows]) for rows in other]
    other = haresamudram_folds(GROUPS, random_state=1)
    assert any(not np.array_equal(a.test, b.test) for a, b in zip(other, haresamudram_folds(GROUPS)))


def test_too_few_participants_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        yuan_folds(["a", "b", "b"])
    with pytest.raises(ValueError, match="the last would be empty"):
        haresamudram_folds(range(6))


# --- windows


def yuan_by_hand(recording, said, seconds):
    """Rows that are there, tiled twice; the label by counting."""
    rows = [i for i in range(recording.signal.shape[1]) if np.isfinite(recording.signal[:, i]).all()]
    n = int(seconds * recording.sfreq)
    tilings = [range(0, len(rows) - n + 1, n), range(n // 2, len(rows) - n + 1, n)]
    windows, names = [], []
    for start in [s for tiling in tilings for s in tiling]:
        mine = rows[start : start + n]
        carried = ["none" if pd.isna(said[i]) else said[i] for i in mine]
        best = max(["none", "lie", "sit", "walk"], key=carried.count)  # the first of those that tie
        if best != "none" and carried.count("none") <= n / 2:
            windows.append(recording.signal[:, mine].clip(-3, 3))
            names.append(best)
    return np.array(windows), names


def test_yuans_windows_are_tiled_twice_over_the_rows_that_are_there():
    recording = motion(330, 30, lost=range(40, 50))
    said = labels(("walk", 100), (None, 90), ("sit", 140))
    found = yuan_windows([(recording, said)], seconds=2, sfreq=30)
    data, names = yuan_by_hand(recording, said, 2)
    assert found.target.tolist() == names and set(names) == {"walk", "sit"}
    assert np.array_equal(found.data, data)


def test_yuans_windows_at_another_rate_lie_on_straight_lines():
    recording = motion(1000, 100)
    found = yuan_windows([(recording, labels(("sit", 1000)))], sfreq=30, clip=100)
    for channel, line in zip(recording.signal, found.data[0]):
        assert np.allclose(line, np.interp(np.arange(300) / 30, np.arange(1000) / 100, channel), atol=1e-5)


def test_yuans_windows_of_other_labels_and_beyond_the_clip_are_cut():
    recording = motion(1200, 30)
    recording.signal *= 100
    found = yuan_windows([(recording, labels(("walk", 600), ("sit", 600)))], labels=["sit"], sfreq=30)
    assert set(found.target) == {"sit"} and np.abs(found.data).max() == 3


def test_haresamudrams_windows_run_over_recordings_of_a_person_and_lose_the_last():
    pairs = [
        (motion(250, 100, "P01", "one"), labels(("walk", 150), (None, 100))),
        (motion(100, 100, "P02", "two"), labels(("lie", 100))),
        (motion(250, 100, "P01", "three"), labels(("sit", 250))),
    ]
    found = haresamudram_windows(pairs, seconds=1)
    rows = np.hstack([pairs[0][0].signal[:, :150], pairs[2][0].signal])
    # 400 rows of P01: three windows and a last one that is lost though it is whole; of P02 nothing is left
    assert found.groups.tolist() == ["P01"] * 3
    assert np.array_equal(found.data, np.stack([rows[:, start : start + 100] for start in (0, 100, 200)]))
    assert found.target[0] == "walk" and found.target[2] == "sit"


def test_haresamudrams_windows_bridge_what_is_lost():
    recording = motion(301, 100, lost=[*range(10), 50, 51, 300])
    whole = motion(301, 100).signal
    found = haresamudram_windows([(recording, labels(("walk", 301)))], seconds=1)
    one = found.data[0]
    assert np.array_equal(one[:, :10], np.repeat(whole[:, 10:11], 10, axis=1))
    assert np.allclose(one[:, 50], whole[:, 49] + (whole[:, 52] - whole[:, 49]) / 3, atol=1e-6)


@pytest.mark.parametrize("sfreq", [50, 200])
def test_haresamudrams_windows_come_at_one_rate(sfreq):
    recording = motion(sfreq * 4, sfreq)
    found = haresamudram_windows([(recording, labels(("walk", sfreq * 2), ("sit", sfreq * 2)))], seconds=1)
    every = recording.signal[:, ::2] if sfreq == 200 else recording.signal
    step = 1 if sfreq == 200 else 2
    assert np.allclose(found.data[0][:, ::step], every[:, : 100 // step], atol=1e-5)
    assert found.target.tolist() == ["walk", "walk", "sit"]


def test_without_recordings_the_windows_say_so():
    for windows_of in (yuan_windows, haresamudram_windows):
        with pytest.raises(ValueError, match="got none"):
            windows_of([])


# --- within a fold


def test_channels_are_scaled_by_the_training_windows_alone():
    rng = np.random.default_rng(0)
    train, test = rng.normal([[3], [0]], [[2], [5]], (40, 2, 30)), rng.normal(size=(10, 2, 30))
    scaler = ChannelScaler().fit(train)
    for channel in (0, 1):
        samples = np.concatenate([window[channel] for window in train])
        wanted = (test[:, channel] - samples.mean()) / samples.std()
        assert np.allclose(scaler.transform(test)[:, channel], wanted)
    with pytest.raises(ValueError, match="shape"):
        scaler.fit(train[0])


def test_folds_serve_as_cv_of_scikit_learn():
    found = make_motion(9, 10, random_state=0)
    cv = [(fold.rest, fold.test) for fold in haresamudram_folds(found.groups)]
    spread = found.data.std(axis=2)
    scores = cross_val_score(make_pipeline(LogisticRegression(max_iter=200)), spread, found.target, cv=cv)
    assert scores.shape == (5,) and np.isfinite(scores).all()
