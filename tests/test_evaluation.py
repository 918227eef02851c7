"""Evaluation: each number against a loop that computes it again, and a refusal of every way to score too well."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm, t
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from wearembed import AccelMaskedEncoder, FineTunedClassifier, RelConEncoder, datasets
from wearembed.evaluation import (
    bootstrap_participants,
    compare,
    comparison_table,
    embedding_report,
    fine_tune,
    label_efficiency,
    linear_probe,
    mlp_probe,
    to_markdown,
)
from wearembed.metrics.checks import generator

BUNDLED = "wearembed/relcon-synthetic"
QUICK = {"n_bootstraps": 50, "random_state": 0}
FIXED = QUICK | {"penalties": [10.0]}  # where it does not matter which
PENALTIES = (1.0, 10.0, 100.0, 1000.0)


def some_people(n_participants=9, n_windows=30, n_classes=3, dim=6, seed=0):
    """Embeddings in which classes and people differ, the classes' names and the people's."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"P{i:02d}" for i in range(n_participants)], n_windows)
    y = rng.integers(n_classes, size=len(groups))
    person = np.repeat(rng.normal(size=(n_participants, dim)), n_windows, axis=0)
    Z = rng.normal(size=(n_classes, dim))[y] + 0.7 * person + rng.normal(size=(len(groups), dim))
    return Z, np.array(["rest", "run", "walk"])[y], groups


Z, y, groups = some_people()
MINUTES = Z @ np.arange(1.0, 7.0) + np.random.default_rng(1).normal(size=len(Z)) * 4 + 60.5
MOTION = datasets.make_motion(4, 20, activities=["rest", "running"], random_state=0)


def macro_f1(y_true, y_pred):
    return f1_score(y_true, y_pred, labels=np.unique(y_true), average="macro", zero_division=0)


# --- the probe is a nested cross-validation


def probed_by_the_book(Z, y, groups, folds, fitted, score):
    """Every fold, every penalty, every inner fold, one after the other."""
    said, chosen = np.empty(len(y), dtype=y.dtype), []
    for train, test in folds:
        worth = []
        for penalty in PENALTIES:
            inner = GroupKFold(3).split(train, groups=groups[train])
            worth.append(
                np.mean(
                    [
                        score(y[train[b]], fitted(penalty, Z[train[a]], y[train[a]]).predict(Z[train[b]]))
                        for a, b in inner
                    ]
                )
            )
        chosen.append(PENALTIES[int(np.argmax(worth))])
        said[test] = fitted(chosen[-1], Z[train], y[train]).predict(Z[test])
    return said, chosen


def logistic(penalty, Z, y):
    model = LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=1000, tol=1e-3)
    return make_pipeline(StandardScaler(), model).fit(Z, y)


def ridge(penalty, Z, y):
    return make_pipeline(StandardScaler(), Ridge(alpha=penalty)).fit(Z, y)


def test_a_probe_of_classes_is_a_nested_cross_validation_by_participants():
    folds = list(GroupKFold(4, shuffle=True, random_state=3).split(Z, y, groups))
    said, chosen = probed_by_the_book(Z, y, groups, folds, logistic, macro_f1)
    result = linear_probe(None, Z, y, groups, cv=4, n_bootstraps=20, random_state=3)
    table = result.predictions.sort_values("window")
    assert_array_equal(table["y_pred"], said)
    assert_array_equal(table["y_true"], y)
    assert_array_equal(table["participant"], groups)
    assert result.scores["penalty"].tolist() == chosen
    by_fold = [macro_f1(y[test], said[test]) for _, test in folds]
    assert_allclose(result.scores["macro_f1"], by_fold)
    assert_allclose(result.summary.loc["macro_f1", ["mean", "sd"]], [np.mean(by_fold), np.std(by_fold)])
    assert_allclose(result.summary.loc["macro_f1", "pooled"], macro_f1(y, said))


def test_a_probe_of_numbers_is_a_nested_cross_validation_by_participants():
    folds = list(GroupKFold(3).split(Z, MINUTES, groups))
    said, chosen = probed_by_the_book(Z, MINUTES, groups, folds, ridge, lambda *pair: -mean_absolute_error(*pair))
    result = linear_probe(None, Z, MINUTES, groups, cv=3, n_bootstraps=20)
    assert result.task == "regression" and result.scores["penalty"].tolist() == chosen
    assert_allclose(result.predictions.sort_values("window")["y_pred"], said)
    pooled = result.summary["pooled"]
    assert_allclose(pooled["mae"], mean_absolute_error(MINUTES, said))
    assert_allclose(pooled["rmse"], root_mean_squared_error(MINUTES, said))
    assert_allclose(pooled["r2"], r2_score(MINUTES, said))
    assert_allclose(result.scores["pearson"], [np.corrcoef(MINUTES[b], said[b])[0, 1] for _, b in folds])


def test_participant_tests_each_of_them_alone():
    result = linear_probe(None, Z, y, groups, cv="participant", **FIXED)
    assert result.scores["n_test_participants"].tolist() == [1] * 9
    by_fold = result.predictions.groupby("fold")["participant"].unique()
    assert sorted(name for names in by_fold for name in names) == sorted(set(groups))


def test_splitters_masks_and_folds_with_validation_are_taken_as_they_are():
    whole = linear_probe(None, Z, y, groups, cv=LeaveOneGroupOut(), **FIXED)
    folds = list(LeaveOneGroupOut().split(Z, y, groups))
    masks = [(np.isin(np.arange(len(y)), a), np.isin(np.arange(len(y)), b)) for a, b in folds]
    for cv in (folds, masks, iter(folds)):
        again = linear_probe(None, Z, y, groups, cv=cv, **FIXED)
        pd.testing.assert_frame_equal(again.predictions, whole.predictions)
    first, second, third = (np.flatnonzero(np.isin(groups, names)) for names in (["P00", "P01"], ["P02"], ["P03"]))
    result = linear_probe(None, Z, y, groups, cv=[(first, second, third)], **FIXED)
    assert result.scores["n_train"].tolist() == [60] and set(result.predictions["participant"]) == {"P03"}


def test_a_seed_decides_folds_and_intervals_and_no_global_generator_moves(generators_untouched):
    once, again, other = (linear_probe(None, Z, y, groups, **FIXED | {"random_state": seed}) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(once.summary, again.summary)
    assert not once.predictions["window"].equals(other.predictions["window"])
    assert "270 windows of 9 participants" in repr(once)


def test_strings_objects_truth_values_and_few_whole_numbers_are_classes():
    expected = linear_probe(None, Z, y, groups, **FIXED).summary["pooled"]
    for labels in (y.astype(object), pd.Series(y), np.unique(y, return_inverse=True)[1]):
        assert_allclose(linear_probe(None, Z, labels, groups, **FIXED).summary["pooled"], expected)
    assert linear_probe(None, Z, y == "rest", groups, **FIXED).task == "classification"
    with pytest.raises(ValueError, match="27 different whole numbers"):
        linear_probe(None, Z, np.arange(270) // 10, groups)
    assert linear_probe(None, Z, np.arange(270) // 10, groups, task="regression", **FIXED).task == "regression"


# --- what an encoder is allowed to see


class Witness(TransformerMixin, BaseEstimator):
    """Remembers whom it was fitted on; the first column of `X` names the window."""

    seen = []

    def __init__(self, fitted=False):
        self.fitted = fitted

    def fit(self, X, y=None, groups=None):
        assert y is None
        Witness.seen.append(("fit", X[:, 0].astype(int), groups))
        self.fitted_ = True
        return self

    def transform(self, X):
        Witness.seen.append(("transform", X[:, 0].astype(int), None))
        return X[:, 1:]

    def __sklearn_is_fitted__(self):
        return self.fitted or hasattr(self, "fitted_")


@pytest.fixture
def witness():
    Witness.seen = []
    return Witness


NUMBERED = np.column_stack([np.arange(len(Z)), Z])


def test_a_fitted_encoder_embeds_once_and_is_not_fitted(witness):
    result = linear_probe(witness(fitted=True), NUMBERED, y, groups, cv=3, **FIXED)
    assert [verb for verb, *_ in witness.seen] == ["transform"]
    assert result.summary.equals(linear_probe(None, Z, y, groups, cv=3, **FIXED).summary)
    assert result.seconds_per_window > 0


def test_an_encoder_that_learns_sees_the_training_participants_alone_and_no_label(witness):
    encoder = witness()
    linear_probe(encoder, NUMBERED, y, groups, cv=3, **FIXED)
    assert not hasattr(encoder, "fitted_"), "the one that was passed in stays as it was"
    fits = [(rows, told) for verb, rows, told in witness.seen if verb == "fit"]
    tests = [rows for verb, rows, _ in witness.seen[2::3]]
    assert len(fits) == 3
    for (rows, told), tested in zip(fits, tests):
        assert_array_equal(told, groups[rows])
        assert not set(groups[rows]) & set(groups[tested])


def test_a_scaler_over_all_windows_would_have_seen_the_test(witness):
    """The pitfall of docs/pitfalls.md: what is not fitted is fitted within the fold."""
    shifted = Z + 100.0 * (groups == "P00")[:, None]
    within = linear_probe(StandardScaler(), shifted, y, groups, cv="participant", **FIXED)
    for fold, (train, test) in enumerate(LeaveOneGroupOut().split(Z, y, groups)):
        scale = StandardScaler().fit(shifted[train])
        only = linear_probe(None, scale.transform(shifted), y, groups, cv=[(train, test)], **FIXED)
        own = within.predictions[within.predictions["fold"] == fold]
        assert_array_equal(own["y_pred"], only.predictions["y_pred"])


def test_weights_of_a_package_are_probed_with_their_time_and_size():
    encoder = RelConEncoder.from_pretrained(BUNDLED, device="cpu")
    result = linear_probe(encoder, MOTION.data, MOTION.target, MOTION.groups, cv=2, **FIXED)
    direct = linear_probe(None, encoder.transform(MOTION.data), MOTION.target, MOTION.groups, cv=2, **FIXED)
    pd.testing.assert_frame_equal(result.predictions, direct.predictions)
    assert result.n_parameters == sum(p.numel() for p in encoder.net_.parameters())
    assert result.n_bytes >= 4 * result.n_parameters and result.seconds_per_window > 0
    piped = linear_probe(make_pipeline(encoder, FunctionTransformer()), *MOTION_TUPLE, cv=2, **FIXED)
    assert piped.n_parameters == result.n_parameters


MOTION_TUPLE = (MOTION.data, MOTION.target, MOTION.groups)


# --- ways to score too well


@pytest.mark.parametrize("cv", [KFold(3, shuffle=True, random_state=0), [(np.arange(0, 200), np.arange(195, 270))]])
def test_a_participant_on_both_sides_is_refused_by_name(cv):
    with pytest.raises(ValueError, match="on both sides: P0"):
        linear_probe(None, Z, y, groups, cv=cv)


def test_a_validation_participant_in_the_test_is_refused():
    rows = [np.flatnonzero(groups == name) for name in ("P00", "P01", "P01")]
    with pytest.raises(ValueError, match="on both sides: P01"):
        linear_probe(None, Z, y, groups, cv=[tuple(rows)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"groups": None}, "groups is missing"),
        ({"groups": np.full(270, "ann")}, "ann alone"),
        ({"groups": groups[:5]}, "participant of each of 270 windows"),
        ({"cv": 10}, "which is 9, got 10"),
        ({"cv": 1}, "from 2 to the number of participants"),
        ({"cv": "person"}, '"participant"'),
        ({"cv": []}, "at least one fold"),
        ({"cv": [(np.arange(30), np.arange(400, 500))]}, "row numbers below 270"),
        ({"cv": [(np.arange(30), np.arange(0))]}, "it takes both"),
        ({"y": y[:7]}, "a label for each of 270"),
        ({"y": np.full(270, "rest")}, "one class only"),
        ({"y": np.where(np.arange(270) == 3, np.nan, MINUTES), "task": "regression"}, "1 missing labels"),
        ({"y": np.stack([MINUTES, MINUTES], 1), "task": "regression"}, "one target at a time"),
        ({"y": y, "task": "regression"}, "Expected numbers in y"),
        ({"task": "ranking"}, "Expected task"),
        ({"scoring": "loveliness"}, "macro_f1, balanced_accuracy"),
        ({"scoring": []}, "at least one score"),
        ({"penalties": (0.0, 1.0)}, "positive numbers"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"n_bootstraps": 1}, "at least 2"),
        ({"X": np.zeros((270, 3, 40))}, "encoder=None, X holds embeddings"),
        ({"X": np.where(np.arange(270)[:, None] == 3, np.nan, Z)}, "1 of 270 rows"),
    ],
)
def test_what_cannot_be_evaluated_says_why(change, words):
    arguments = {"X": Z, "y": y, "groups": groups} | change
    with pytest.raises(ValueError, match=words):
        linear_probe(None, **arguments)


def test_a_window_given_to_two_people_is_warned_of():
    twice, whose = np.concatenate([Z, Z[:1]]), np.append(groups, "P05")
    with pytest.warns(UserWarning, match=r"2 windows of different participants .*P00 and P05"):
        linear_probe(None, twice, np.append(y, y[0]), whose, **FIXED)


def spread(X):
    return X.std(-1)


def test_windows_of_two_people_that_overlap_are_warned_of():
    signal = np.concatenate(list(MOTION.data[:20]), axis=1)  # one person's, end to end
    shifted = np.stack([signal[:, start : start + 256] for start in range(100, 4000, 256)])
    X = np.concatenate([MOTION.data, shifted])
    labels = np.concatenate([MOTION.target, MOTION.target[: len(shifted)]])
    whose = np.concatenate([MOTION.groups, np.full(len(shifted), "guest")])
    with pytest.warns(UserWarning, match="P0000 and guest"):
        linear_probe(FunctionTransformer(spread), X, labels, whose, cv=2, **FIXED)


def test_people_who_lie_still_or_overlap_with_themselves_are_no_cause_for_warning():
    still = MOTION.data.copy()
    still[:, :, 40:200] = np.float32(0.5)
    own = np.concatenate([still, still])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels, whose = (np.concatenate([column, column]) for column in (MOTION.target, MOTION.groups))
        linear_probe(FunctionTransformer(spread), own, labels, whose, cv=2, **FIXED)


def test_a_class_of_one_participant_is_warned_of():
    odd = np.where((groups == "P00") & (np.arange(270) < 9), "swim", y)
    with pytest.warns(UserWarning, match="windows of swim are of one participant"):
        linear_probe(None, Z, odd, groups, **FIXED)
    with pytest.raises(ValueError, match="Is y the participant itself.*evaluation.embedding_report"):
        linear_probe(None, Z, groups, groups, **FIXED)


# --- scores and their intervals


def times_of(n_participants, n_bootstraps, seed):
    """The draws of participants that a seed gives."""
    return generator(seed).multinomial(n_participants, np.full(n_participants, 1 / n_participants), size=n_bootstraps)


def interval_by_the_book(values, n_participants, confidence=0.95):
    """Percentiles as far out as Student's t would have them."""
    values = [value for value in values if not np.isnan(value)]
    reach = t.ppf(0.5 + confidence / 2, n_participants - 1) * np.sqrt(n_participants / (n_participants - 1))
    return np.quantile(values, [norm.cdf(-reach), norm.cdf(reach)])


def auc_by_the_book(y_true, y_score, classes):
    areas = [
        roc_auc_score(y_true == name, column)
        for name, column in zip(classes, y_score.T)
        if 0 < (y_true == name).sum() < len(y_true)
    ]
    return np.mean(areas) if areas else np.nan


CLASSES = {
    "macro_f1": lambda a, b, p: macro_f1(a, b),
    "balanced_accuracy": lambda a, b, p: np.mean([(b[a == c] == c).mean() for c in np.unique(a)]),
    "kappa": lambda a, b, p: cohen_kappa_score(a, b),
    "auc": lambda a, b, p: auc_by_the_book(a, p, np.unique(y)),
    "accuracy": lambda a, b, p: np.mean(a == b),
}
NUMBERS = {
    "mae": lambda a, b, p: mean_absolute_error(a, b),
    "rmse": lambda a, b, p: root_mean_squared_error(a, b),
    "pearson": lambda a, b, p: np.corrcoef(a, b)[0, 1],
    "r2": lambda a, b, p: r2_score(a, b),
}


@pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
def test_intervals_are_a_loop_over_draws_of_participants(name):
    rng = np.random.default_rng(5)
    likely = (rng.random((270, 3)) + 1.2 * (y[:, None] == np.unique(y))).round(1)  # with ties
    truth, said = (y, np.unique(y)[likely.argmax(1)]) if name in CLASSES else (MINUTES, MINUTES + rng.normal(0, 9, 270))
    score = (CLASSES | NUMBERS)[name]
    values = []
    for times in times_of(9, 40, 7):
        people = [who for who, n in zip(np.unique(groups), times) for _ in range(n)]
        rows = np.concatenate([np.flatnonzero(groups == who) for who in people])
        values.append(score(truth[rows], said[rows], likely[rows]))
    table = bootstrap_participants(
        truth,
        said,
        groups,
        y_score=likely if name in CLASSES else None,
        scoring=name,
        n_bootstraps=40,
        random_state=7,
    )
    assert_allclose(table.loc[name, "pooled"], score(truth, said, likely))
    assert_allclose(table.loc[name, ["low", "high"]].astype(float), interval_by_the_book(values, 9))


def test_balanced_accuracy_and_auc_are_those_of_scikit_learn():
    result = linear_probe(None, Z, y, groups, cv=3, **FIXED)
    for fold, table in result.predictions.groupby("fold"):
        row = result.scores.loc[fold]
        likely = table[[f"p_{name}" for name in np.unique(y)]]
        assert_allclose(row["auc"], roc_auc_score(table["y_true"], likely, multi_class="ovr"))
        assert_allclose(row["balanced_accuracy"], balanced_accuracy_score(table["y_true"], table["y_pred"]))


def test_scorers_of_scikit_learn_and_callables_do_as_well():
    ours = linear_probe(None, Z, y, groups, scoring=["accuracy", "auc"], cv=3, **FIXED)
    theirs = linear_probe(None, Z, y, groups, scoring={"right": "accuracy", "area": "roc_auc_ovr"}, cv=3, **FIXED)
    assert list(theirs.summary.index) == ["right", "area"]
    assert_allclose(theirs.summary.loc["right"], ours.summary.loc["accuracy"])
    assert_allclose(theirs.summary.loc["area", ["mean", "sd"]], ours.summary.loc["auc", ["mean", "sd"]])
    bias = linear_probe(None, Z, MINUTES, groups, scoring=lambda e, X, y: np.mean(e.predict(X) - y), cv=3, **FIXED)
    said = bias.predictions
    assert_allclose(bias.summary["pooled"], (said["y_pred"] - said["y_true"]).mean())


def test_answers_that_look_at_nothing_score_as_chance_though_folds_differ():
    """Pooled over folds, training shares run against those of the test, and a blind AUC is below one half."""
    shares = np.random.default_rng(0).random(9)
    label = np.random.default_rng(1).random(270) < np.repeat(shares, 30)
    prior = DummyClassifier(strategy="prior")
    result = fine_tune(prior, Z, label, groups, cv=3, **QUICK)
    assert_allclose(result.summary.loc["auc", "pooled"], 0.5)
    naive = roc_auc_score(result.predictions["y_true"], result.predictions["p_True"])
    assert naive < 0.45
    mean = fine_tune(clone(Ridge(alpha=1e12)), np.zeros((270, 1)), MINUTES, groups, cv=3, **QUICK)
    assert np.isnan(mean.summary.loc["pearson", "pooled"])


def coverage(n_simulations, n_participants, n_bootstraps, seed=0):
    """How often the interval holds what all people would give; people differ in how well they are recognised."""
    rng = np.random.default_rng(seed)
    truth = np.tile([0, 1], 15)
    ability = lambda n: rng.beta(4, 2, size=n)  # noqa: E731
    population = bootstrap_of(truth, ability(20_000), rng, None)
    held = 0
    for simulation in range(n_simulations):
        row = bootstrap_of(truth, ability(n_participants), rng, (n_bootstraps, simulation))
        held += row["low"] <= population["pooled"] <= row["high"]
    return held / n_simulations


def bootstrap_of(truth, abilities, rng, draws):
    y_true = np.tile(truth, len(abilities))
    groups = np.repeat(np.arange(len(abilities)), len(truth))
    right = rng.random(len(y_true)) < abilities[groups]
    n_bootstraps, seed = draws or (2, 0)
    said = np.where(right, y_true, 1 - y_true)
    asked = {"scoring": "macro_f1", "n_bootstraps": n_bootstraps, "random_state": seed}
    return bootstrap_participants(y_true, said, groups, **asked).loc["macro_f1"]


def test_95_percent_intervals_of_ten_people_hold_the_truth_95_times_in_100():
    assert 0.91 <= coverage(300, 10, 400) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("n_participants", "least"), [(5, 0.88), (8, 0.92), (15, 0.93), (40, 0.93)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(n_participants, least):
    """Measured: 0.905, 0.932, 0.949, 0.945. Of five people there are 126 resamples, and nothing lies beyond them."""
    assert least <= coverage(2000, n_participants, 1000) <= 0.97


# --- networks and fine-tuning


def test_a_network_reads_what_no_line_tells_apart():
    rng = np.random.default_rng(0)
    flat, whose = rng.normal(size=(400, 2)), np.repeat(np.arange(8), 50)
    label = np.where(flat.prod(1) > 0, "alike", "unlike")
    curved = mlp_probe(None, flat, label, whose, cv=2, hidden=32, **QUICK)
    straight = linear_probe(None, flat, label, whose, cv=3, **FIXED)
    assert straight.summary.loc["macro_f1", "pooled"] < 0.65 < 0.85 < curved.summary.loc["macro_f1", "pooled"]
    assert curved.scores["epochs"].between(1, 100).all()
    again = mlp_probe(None, flat, label, whose, cv=2, hidden=32, **QUICK)
    pd.testing.assert_frame_equal(curved.summary, again.summary)


def test_a_network_predicts_numbers_in_their_own_scale():
    result = mlp_probe(None, Z, 1000 + MINUTES, groups, cv=3, hidden=16, max_epochs=20, **QUICK)
    assert result.summary.loc["r2", "pooled"] > 0.5


def test_a_network_stops_by_people_who_are_held_out():
    """A column that names the person helps on the same people and misleads on others: few epochs are best."""
    rng = np.random.default_rng(0)
    whose = np.repeat(np.arange(12), 30)
    label = np.repeat(rng.integers(2, size=12), 30)  # a coin for each person
    named = np.repeat(rng.normal(size=(12, 24)), 30, axis=0) + 0.1 * rng.normal(size=(360, 24))
    with pytest.warns(UserWarning, match="these are 12 observations, and not 360.*Pool the windows"):
        result = mlp_probe(None, named, label, whose, cv=[(np.arange(300), np.arange(300, 360))], hidden=32, **QUICK)
    assert result.scores["epochs"].max() < 30


def test_fine_tuning_is_a_cross_validation_of_whatever_classifies():
    model = KNeighborsClassifier(3)
    folds = list(GroupKFold(3).split(Z, y, groups))
    result = fine_tune(model, Z, y, groups, cv=3, n_bootstraps=20)
    for table, (train, test) in zip((part for _, part in result.predictions.groupby("fold")), folds):
        assert_array_equal(table["window"], test)
        assert_array_equal(table["y_pred"], clone(model).fit(Z[train], y[train]).predict(Z[test]))
    with pytest.raises(TypeError, match="linear_probe"):
        fine_tune(StandardScaler(), Z, y, groups)


def test_fine_tuning_hands_participants_on_and_reports_the_net():
    """A share of participants can only be held out by who knows them."""
    quick = {"max_epochs": 1, "device": "cpu", "random_state": 0, "validation_fraction": 0.5}
    model = FineTunedClassifier(RelConEncoder(4, (1,), (3,)), tune="scratch", **quick)
    result = fine_tune(model, *MOTION_TUPLE, cv=2, **QUICK)
    twin = clone(model).fit(MOTION.data[:40], MOTION.target[:40], MOTION.groups[:40])
    assert result.n_parameters == sum(p.numel() for p in twin.net_.parameters())
    assert {"p_rest", "p_running"} <= set(result.predictions)
    assert result.task == "classification" and result.seconds_per_window > 0


# --- few labels


def test_all_labels_are_the_probe_and_few_are_fewer():
    asked = {"cv": 3, "scoring": ["macro_f1", "auc"], "random_state": 2, "n_bootstraps": 30}
    table = label_efficiency(None, Z, y, groups, participants=(1, 6, 50), windows=(0.1, 1.0), repeats=2, **asked)
    whole = linear_probe(None, Z, y, groups, **asked).summary
    assert table[["by", "size"]].drop_duplicates().values.tolist() == [
        ["participants", 1.0],
        ["participants", 6.0],
        ["windows", 0.1],
        ["windows", 1.0],
    ]
    for by, size in [("participants", 6), ("windows", 1.0)]:
        own = table[(table["by"] == by) & (table["size"] == size)].set_index("score")
        assert_allclose(own.loc[whole.index, "mean"], whole["pooled"])
        assert_allclose(own.loc[whole.index, ["low", "high"]], whole[["low", "high"]])
        assert (own["sd"] == 0).all() and (own["n_windows"] == 180).all()
    f1 = table[table["score"] == "macro_f1"].set_index(["by", "size"])
    assert f1.loc[("participants", 1), "n_windows"] == 30 and f1.loc[("windows", 0.1), "n_windows"] == 18
    assert f1.loc[("participants", 1), "mean"] < whole.loc["macro_f1", "pooled"]


def test_draws_of_labels_are_a_loop():
    folds, penalty = list(GroupKFold(3).split(Z, y, groups)), 10.0
    table = label_efficiency(
        None, Z, y, groups, participants=(2,), windows=(), repeats=3, cv=folds, penalties=[penalty], scoring="accuracy",
        random_state=4, n_bootstraps=30,
    )  # fmt: skip
    rng, right = generator(4), np.zeros((3, len(y)))
    for train, test in folds:
        for repeat in range(3):
            people = rng.permutation(np.unique(groups[train]))
            rng.permutation(len(train))  # the order of windows, for the other curve
            rows = train[np.isin(groups[train], people[:2])]
            right[repeat, test] = logistic(penalty, Z[rows], y[rows]).predict(Z[test]) == y[test]
    assert_allclose(table["mean"], [right.mean()])
    assert_allclose(table["sd"], [right.mean(1).std()])
    drawn = [np.average(right.mean(0), weights=np.repeat(times, 30)) for times in times_of(9, 30, 4)]
    assert_allclose(table[["low", "high"]].to_numpy()[0], interval_by_the_book(drawn, 9))


def test_few_labels_of_a_classifier_and_of_one_class():
    table = label_efficiency(KNeighborsClassifier(1), Z, y, groups, participants=(1,), windows=(), cv=3, **QUICK)
    assert (table["n_windows"] == 30).all() and table["mean"].notna().all()
    sex = np.isin(groups, ["P00", "P03", "P04", "P08"])  # one class a person
    with pytest.warns(UserWarning, match="Each participant has one label"):
        table = label_efficiency(None, Z, sex, groups, participants=(1,), windows=(), cv=3, scoring="accuracy", **QUICK)
    assert 0 < table["mean"].item() < 1
    for wrong in ({"windows": (0.0,)}, {"windows": (1.5,)}, {"participants": (0,)}, {"repeats": 0}):
        with pytest.raises(ValueError, match="Expected"):
            label_efficiency(None, Z, y, groups, **wrong)
    with pytest.raises(ValueError, match="a training side has 6"):
        label_efficiency(None, Z, y, groups, cv=3, participants=(7,), windows=())


# --- side by side


class Shifted(TransformerMixin, BaseEstimator):
    """A transformer that has learnt something, once, and can say what it is like untrained."""

    def __init__(self, columns=6, sfreq=100.0, units="g"):
        self.columns, self.sfreq, self.units = columns, sfreq, units

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        if self.sfreq != 50.0 or self.units != "mg":
            raise ValueError(f"Expected 50 Hz in mg, got {self.sfreq} in {self.units}.")
        return X[:, : self.columns]

    def untrained(self, random_state=None, windows=None):
        return Shifted(1)


SET = {"data": Z, "target": y, "groups": groups, "sfreq": 50.0, "units": "mg"}


def test_a_comparison_has_the_rows_that_a_claim_needs_on_the_same_folds():
    encoder = Shifted()
    encoders = {"mine": encoder, "first two": Shifted(2), "near": KNeighborsClassifier(), "number": Ridge()}
    table = compare(encoders, {"walks": SET}, baselines=["first two"], cv=3, scoring=["accuracy"], **FIXED)
    assert table["encoder"].tolist() == [
        "mine",
        "mine, untrained",
        "first two",
        "first two, untrained",
        "near",
        "majority or mean",
    ]
    assert table["kind"].tolist() == ["encoder", "baseline", "baseline", "baseline", "encoder", "baseline"]
    assert (encoder.sfreq, encoder.units) == (100.0, "g"), "what was passed in stays as it was"
    alone = linear_probe(None, Z, y, groups, cv=3, scoring="accuracy", **FIXED).summary.loc["accuracy"]
    assert_allclose(table.loc[0, list(alone.index)].astype(float), alone)
    blind = fine_tune(DummyClassifier(), Z, y, groups, cv=3, scoring="accuracy", **QUICK).summary.loc["accuracy"]
    assert_allclose(table.loc[5, list(blind.index)].astype(float), blind)


def test_differences_are_paired_over_participants_and_against_the_best_baseline():
    encoders = {"mine": Shifted(), "first two": Shifted(2), "first three": Shifted(3)}
    asked = {"cv": 3, "scoring": ["accuracy"], "n_bootstraps": 40, "random_state": 1, "penalties": [10.0]}
    table = compare(encoders, {"walks": SET}, baselines=["first two", "first three"], **asked).set_index("encoder")
    right = {}
    for name, encoder in encoders.items():
        said = linear_probe(None, Z[:, : encoder.columns], y, groups, **asked).predictions
        right[name] = (said["y_true"] == said["y_pred"]).groupby(said["participant"]).mean()
    best = max(["first two", "first three"], key=lambda name: right[name].mean())
    apart = right["mine"] - right[best]
    row = table.loc["mine"]
    assert row["against"] == best
    assert_allclose(row["difference"], apart.mean())
    drawn = times_of(9, 40, 1) @ apart.to_numpy() / 9
    assert_allclose(row[["difference_low", "difference_high"]].astype(float), interval_by_the_book(drawn, 9))
    assert table.loc["first two", ["difference", "difference_low"]].isna().all()


def test_errors_are_better_when_low():
    sets = {"pulse": SET | {"target": MINUTES}}
    table = compare({"mine": Shifted()}, sets, cv=3, scoring=["mae"], **FIXED)
    assert table.set_index("encoder").loc["mine", "difference"] < 0 and set(table["better"]) == {"lower"}


class Pretrained(Shifted):
    training_ = {"data": ["package.datasets.fetch_Walks_2", "other"]}


@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: make_pipeline(e, FunctionTransformer())])
def test_a_set_of_pretraining_is_warned_of_loudly(wrap):
    sets = {"walks-2": SET, "runs": SET}
    with pytest.warns(UserWarning, match="mine WAS PRETRAINED ON walks-2"):
        table = compare({"mine": wrap(Pretrained())}, sets, cv=2, scoring="accuracy", **FIXED)
    assert table.groupby("dataset")["seen"].sum().to_dict() == {"runs": 0, "walks-2": 1}


def test_a_refusal_is_raised_or_leaves_a_row_without_numbers():
    sets = {"slow": SET | {"sfreq": 25.0}, "walks": SET}
    with pytest.raises(ValueError, match=r"mine on slow: Expected 50 Hz in mg, got 25\.0"):
        compare({"mine": Shifted()}, sets, cv=3, **FIXED)
    with pytest.warns(FitFailedWarning, match="refused slow"):
        table = compare({"mine": Shifted()}, sets, cv=3, error_score="warn", scoring="accuracy", **FIXED)
    missing = table[table["pooled"].isna()]
    assert missing[["dataset", "encoder"]].values.tolist() == [["slow", "mine"], ["slow", "mine, untrained"]]
    shown = comparison_table(table, digits=2)
    assert shown.loc["mine", "slow, accuracy"] == "" and shown.loc["mine", "walks, accuracy"] != ""


def test_untrained_twins_of_real_encoders_stand_beside_them_fitted_or_not():
    encoders = {"bundled": RelConEncoder.from_pretrained(BUNDLED, device="cpu")}
    with pytest.warns(UserWarning, match="bundled WAS PRETRAINED ON make_motion"):
        table = compare(encoders, {"make_motion": MOTION}, cv=2, scoring="macro_f1", **FIXED).set_index("encoder")
    assert list(table.index) == ["bundled", "bundled, untrained", "majority or mean"]
    sizes = table["n_parameters"]
    assert sizes["bundled"] == sizes["bundled, untrained"] > 0 and pd.isna(sizes["majority or mean"])
    twin = encoders["bundled"].untrained(random_state=0)
    assert not np.array_equal(twin.transform(MOTION.data), encoders["bundled"].transform(MOTION.data))
    learning = AccelMaskedEncoder(size=(16, 1, 32), sfreq=1.0, max_epochs=1, device="cpu", random_state=0)
    listed = compare([learning, learning], {"motion": MOTION}, cv=2, scoring="macro_f1", **FIXED)
    names = ["AccelMaskedEncoder-1", "AccelMaskedEncoder-1, untrained"]
    assert listed["encoder"].tolist()[:2] == names and listed["encoder"][2] == "AccelMaskedEncoder-2"
    assert learning.sfreq == 1.0 and not hasattr(learning, "net_")
    assert listed["n_parameters"][0] == listed["n_parameters"][1] > 0


def test_comparisons_refuse_what_they_cannot_read():
    mine = {"mine": Shifted()}
    for encoders, sets, asked, error, words in [
        (mine, {"walks": {"data": Z, "groups": groups}}, {}, ValueError, "has no target"),
        (mine, {"walks": Z}, {}, TypeError, r"Bunch or \(X, y, groups\)"),
        (mine, [], {}, TypeError, "dict of name"),
        ({}, {"walks": SET}, {}, ValueError, "at least one encoder"),
        ({"mine": 3}, {"walks": SET}, {}, TypeError, "transform or predict"),
        (mine, {"walks": SET}, {"baselines": ["hers"]}, ValueError, "baselines names hers"),
        (mine, {"walks": SET}, {"probe": "forest"}, ValueError, "linear or mlp"),
        (mine, {"walks": SET}, {"error_score": 0}, ValueError, "raise or warn"),
    ]:
        with pytest.raises(error, match=words):
            compare(encoders, sets, **asked)


def test_markdown_has_a_line_a_row_and_bars_of_its_own():
    table = pd.DataFrame({"a|b": ["x", "y"]}, index=pd.Index(["one", "two"], name="set"))
    assert to_markdown(table) == "| set | a\\|b |\n|---|---|\n| one | x |\n| two | y |"


# --- the report


def some_embeddings(seed=0):
    rng = np.random.default_rng(seed)
    whose = np.repeat(np.arange(12), 40)
    return rng.normal(size=(480, 10)) + 0.5, whose, rng


def test_directions_are_their_definitions():
    E, whose, _ = some_embeddings()
    E[:, 3] = 7.0
    E[:, 4] *= 1e-4
    value = embedding_report(None, E, whose)["value"]
    assert value["dead_dimensions"] == 2
    u = E / np.linalg.norm(E, axis=1, keepdims=True)
    cosines, near = [], []
    for i in range(len(u)):
        for j in range(i):
            cosines.append(u[i] @ u[j])
            near.append(np.exp(-2 * np.sum((u[i] - u[j]) ** 2)))
    assert_allclose(value["mean_cosine"], np.mean(cosines))
    assert_allclose(value["uniformity"], np.log(np.mean(near)))


def test_neutral_is_what_even_directions_give():
    rng = np.random.default_rng(0)
    report = embedding_report(None, rng.normal(size=(4000, 16)), np.repeat(np.arange(40), 100))
    measures = ["effective_rank", "dead_dimensions", "mean_cosine", "uniformity", "dispersion_ratio"]
    assert_allclose(report.loc[measures, "value"], report.loc[measures, "neutral"], atol=0.05)
    assert report.loc["participant", "low"] < report.loc["participant", "neutral"] < report.loc["participant", "high"]


def test_a_report_tells_who_and_where_and_with_what():
    E, whose, rng = some_embeddings()
    session = whose * 10 + np.tile(np.repeat(np.arange(4), 10), 12)
    kept = rng.normal(size=(12, 10))[whose]
    place = np.array(["hip", "wrist"])[whose % 2]
    device = np.array(["a", "b", "c"])[whose // 4]
    rate = np.where(whose == 0, 20.0, 50.0)
    E += 1.5 * kept
    E[:, 0] += 4 * (place == "hip")
    labels = {"placement": place, "device": device, "native_sfreq": rate}
    report = embedding_report(None, E, whose, session=session, **labels)
    assert report.loc["participant", "value"] > 0.8 and report.loc["participant", "neutral"] == 1 / 12
    assert report.loc["placement", "value"] > 0.8 and report.loc["placement", "neutral"] == 0.5
    assert report.loc["device", "low"] < 1 / 3 + 0.2, "a device is not told by knowing whose it is"
    assert np.isnan(report.loc["native_sfreq", "value"]), "one participant's rate is that participant"
    once = embedding_report(None, E, whose, session=whose)
    assert np.isnan(once.loc["participant", "value"])


def test_a_participant_is_looked_for_in_other_sessions():
    """What a session shares, such as a posture, gives away halves of it and not the next session."""
    E, whose, rng = some_embeddings()
    session = whose * 2 + np.tile(np.repeat([0, 1], 20), 12)
    E += 3 * rng.normal(size=(24, 10))[session]
    report = embedding_report(None, E, whose, session=session)
    assert report.loc["participant", "value"] < 0.3
    mixed = rng.permutation(480)
    assert embedding_report(None, E[mixed], whose[mixed]).loc["participant", "value"] > 0.6


def test_drift_is_in_deviations_of_the_reference():
    E, whose, _ = some_embeddings()
    reference = (E - E.mean(0)) / E.std(0)
    near = embedding_report(None, reference, whose, reference=reference)["value"]
    assert_allclose([near["drift_mean"], near["drift_sd"]], 0, atol=1e-12)
    moved = embedding_report(None, 3 * reference + 2, whose, reference={"mean": np.zeros(10), "deviation": np.ones(10)})
    assert_allclose(moved.loc[["drift_mean", "drift_sd"], "value"], 2)
    means = np.stack([reference[whose == who].mean(0) for who in range(12)])
    error = np.sqrt((means.var(0, ddof=1) / 12).mean())
    assert_allclose(embedding_report(None, reference, whose, reference=reference).loc["drift_mean", "neutral"], error)


def test_a_report_takes_a_fitted_encoder_and_survives_a_collapsed_one():
    encoder = RelConEncoder.from_pretrained(BUNDLED, device="cpu")
    whole = embedding_report(encoder, MOTION.data, MOTION.groups)
    pd.testing.assert_frame_equal(whole, embedding_report(None, encoder.transform(MOTION.data), MOTION.groups))
    with pytest.raises(ValueError, match="fitted encoder"):
        embedding_report(StandardScaler(), Z, groups)
    collapsed = embedding_report(None, np.ones((270, 4)), groups)
    assert collapsed.loc["dead_dimensions", "value"] == 4
    with pytest.raises(ValueError, match="reference of 6 dimensions"):
        embedding_report(None, Z, groups, reference=np.random.default_rng(0).normal(size=(9, 5)))
    with pytest.raises(ValueError, match="device to name one for each of 270"):
        embedding_report(None, Z, groups, device=["a", "b"])
