"""Encoders with a head, trained by labels: scikit-learn's checks, what trains and what stays, saving, bad input."""

import copy
import json
import pickle
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pulled import Pulled
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback, EarlyStopping

import wearembed
from wearembed import (
    Encoder,
    FineTunedClassifier,
    FineTunedRegressor,
    PPGMaskedEncoder,
    RelConDistance,
    RelConEncoder,
    datasets,
    nets,
)
from wearembed.augment import Augment, rotate

SMALL = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
PARTS = partial(nets.ResNet1d, width=8, blocks=(1,), kernels=(3,))
MOTION = datasets.make_motion(n_participants=3, n_windows=8, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups
SPREAD = X.std(2)  # (24, 3): numbers that windows hold
BOTH = {"classifier": (FineTunedClassifier, y), "regressor": (FineTunedRegressor, SPREAD)}

both = pytest.mark.parametrize(("kind", "labels"), BOTH.values(), ids=BOTH)


def unfitted():
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL)
    return RelConEncoder(4, (1, 1), (3, 4), distance=distance, mates=3, **SMALL)


@pytest.fixture(scope="module")
def motion_encoder():
    return unfitted().fit(X, groups=groups)


@pytest.fixture(scope="module")
def heart_encoder():
    return PPGMaskedEncoder(size=(16, 1, 32), sfreq=100.0, **SMALL).fit(X)


@pytest.fixture(scope="module")
def encoder_of_parts():
    return Encoder(PARTS, Pulled, **SMALL).fit(X)


@pytest.fixture(params=["motion_encoder", "heart_encoder", "encoder_of_parts"])
def encoder(request):
    return request.getfixturevalue(request.param)


def answers(estimator, X=X):
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


@parametrize_with_checks(
    [
        FineTunedClassifier(Encoder(PARTS), tune="scratch", **{**SMALL, "max_epochs": 8, "lr": 1e-2}),
        FineTunedRegressor(Encoder(PARTS), tune="scratch", **{**SMALL, "max_epochs": 20, "lr": 1e-2}),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ---------------------------------------------------------------------------------- what trains


@both
def test_a_head_trains_on_an_encoder_that_stays_as_it_is_to_the_bit(kind, labels, encoder):
    tuned = kind(encoder, tune="head", **{**SMALL, "max_epochs": 2}).fit(X, labels, groups)
    assert_array_equal(tuned.encoder_.transform(X), encoder.transform(X))
    first, last = (kind(encoder, tune="head", **{**SMALL, "max_epochs": n}).fit(X, labels) for n in (1, 2))
    assert not np.array_equal(answers(first), answers(last))


@both
def test_the_whole_net_begins_from_the_weights_of_the_encoder_and_leaves_them(kind, labels, encoder):
    with pytest.warns(UserWarning, match="untrained"):
        begun = kind(encoder, **{**SMALL, "max_epochs": 0}).fit(X, labels)
    assert_array_equal(begun.encoder_.transform(X), encoder.transform(X))
    tuned = kind(encoder, **SMALL).fit(X, labels)
    assert not np.allclose(tuned.encoder_.transform(X), encoder.transform(X))


@both
def test_from_scratch_only_the_architecture_counts(kind, labels, motion_encoder):
    full = kind(motion_encoder, **SMALL).fit(X, labels)
    scratch = kind(motion_encoder, tune="scratch", **SMALL).fit(X, labels)
    bare = kind(unfitted(), tune="scratch", **SMALL).fit(X, labels)
    assert_array_equal(answers(scratch), answers(bare))
    assert not np.allclose(answers(scratch), answers(full))


@both
@pytest.mark.parametrize("tune", ["full", "head", "scratch"])
def test_the_encoder_that_was_given_stays_untouched(kind, labels, tune, encoder, generators_untouched):
    before, params = pickle.dumps(encoder), repr(encoder.get_params())
    Z, ready = encoder.transform(X), encoder.net_.training
    kind(encoder, tune=tune, **SMALL).fit(X, labels, groups)
    assert pickle.dumps(encoder) == before and repr(encoder.get_params()) == params
    assert encoder.net_.training is ready and all(p.requires_grad for p in encoder.net_.parameters())
    assert_array_equal(encoder.transform(X), Z)


def test_classes_are_learnt_that_hold_for_other_participants(motion_encoder):
    motion = datasets.make_motion(8, 24, activities=("rest", "running"), random_state=1)
    other = np.isin(motion.groups, np.unique(motion.groups)[5:])
    classifier = FineTunedClassifier(motion_encoder, **{**SMALL, "max_epochs": 6, "lr": 5e-3})
    classifier.fit(motion.data[~other], motion.target[~other], motion.groups[~other])
    assert classifier.score(motion.data[other], motion.target[other]) > 0.75  # chance is about one half
    assert classifier.history_[-1]["train_loss"] < classifier.history_[0]["train_loss"]


def test_numbers_are_learnt_in_their_own_scale_and_hold_for_other_participants():
    motion = datasets.make_motion(8, 24, activities=("rest", "running"), random_state=1)
    other = np.isin(motion.groups, np.unique(motion.groups)[5:])
    moved = np.log(motion.data.var(2).sum(1))
    targets = np.stack([1e4 + 1e3 * moved, -1e-3 * moved], 1)  # of sizes far apart, which count alike
    regressor = FineTunedRegressor(unfitted(), tune="scratch", **{**SMALL, "max_epochs": 20, "lr": 1e-2})
    regressor.fit(motion.data[~other], targets[~other])
    assert regressor.predict(motion.data[other]).shape == (other.sum(), 2)
    assert regressor.score(motion.data[other], targets[other]) > 0.4  # the mean has 0


def test_targets_are_scaled_by_the_windows_that_are_trained_on():
    held = FineTunedRegressor(unfitted(), tune="scratch", validation_fraction=0.34, **SMALL).fit(X, SPREAD, groups)
    kept = [g for g in np.unique(groups) if np.allclose(SPREAD[groups != g].mean(0), held.target_mean_)]
    assert len(kept) == 1 and "valid_loss" in held.history_[0]
    assert_allclose(SPREAD[groups != kept[0]].std(0), held.target_scale_, rtol=1e-6)


def test_a_target_that_never_changes_is_said_as_it_is():
    steady = np.stack([SPREAD[:, 0], np.full(len(X), 7.0)], 1)
    said = FineTunedRegressor(unfitted(), tune="scratch", **{**SMALL, "max_epochs": 2}).fit(X, steady).predict(X)
    assert np.isfinite(said).all() and (np.abs(said[:, 1] - 7) < 2).all()


@pytest.mark.parametrize("shape", [(24,), (24, 1), (24, 3)])
def test_answers_have_the_shape_of_the_targets(shape):
    targets = np.resize(SPREAD, shape)
    assert FineTunedRegressor(unfitted(), tune="scratch", **SMALL).fit(X, targets).predict(X).shape == shape


def test_a_head_of_two_layers_is_another_head(motion_encoder):
    mlp = FineTunedClassifier(motion_encoder, "mlp", hidden=5, **SMALL).fit(X, y)
    assert [m.out_features for m in mlp.net_.head if hasattr(m, "out_features")] == [5, 5]
    linear = FineTunedClassifier(motion_encoder, **SMALL).fit(X, y)
    assert [m.out_features for m in linear.net_.head if hasattr(m, "out_features")] == [5]


def test_a_head_sees_embeddings_around_zero_with_deviation_one(encoder):
    tuned = FineTunedClassifier(encoder, tune="head", **SMALL).fit(X, y)
    with torch.inference_mode():
        seen = tuned.net_.head.standardize(torch.from_numpy(encoder.transform(X))).numpy()
    assert_allclose(seen.mean(0), 0, atol=1e-3)
    deviation = seen.std(0)
    assert_allclose(deviation[deviation > 0.5], 1, rtol=1e-4)
    assert (deviation > 0.5).mean() > 0.5


def test_the_tuned_encoder_is_a_transformer_that_can_begin_another(motion_encoder, tmp_path):
    tuned = FineTunedClassifier(motion_encoder, **SMALL).fit(X, y)
    body = tuned.encoder_
    assert type(body) is RelConEncoder and body.transform(X).shape == (24, 8)
    body.save_pretrained(tmp_path / "body")
    assert_array_equal(RelConEncoder.from_pretrained(tmp_path / "body", device="cpu").transform(X), body.transform(X))
    again = FineTunedRegressor(body, tune="head", **SMALL).fit(X, SPREAD)
    assert_array_equal(again.encoder_.transform(X), body.transform(X))


def test_without_an_encoder_the_default_net_begins_from_nothing(monkeypatch):
    monkeypatch.setattr("wearembed.encoders.finetuned.RelConEncoder", unfitted)
    own = FineTunedClassifier(**SMALL).fit(X, y)
    assert_array_equal(
        own.predict_proba(X), FineTunedClassifier(unfitted(), tune="scratch", **SMALL).fit(X, y).predict_proba(X)
    )
    with pytest.raises(ValueError, match=r'tune="head".*encoder=None'):
        FineTunedClassifier(tune="head", **SMALL).fit(X, y)


def test_balanced_classes_count_alike(motion_encoder):
    rare = np.where(np.arange(len(X)) < 3, "rare", "usual")
    plain, fair = (
        FineTunedClassifier(motion_encoder, class_weight=w, augment=False, **{**SMALL, "max_epochs": 5, "lr": 5e-3})
        for w in (None, "balanced")
    )
    assert fair.fit(X, rare).predict_proba(X)[:, 0].mean() > 1.5 * plain.fit(X, rare).predict_proba(X)[:, 0].mean()
    by_hand = clone(plain).set_params(class_weight={"rare": 24 / 6, "usual": 24 / 42}).fit(X, rare)
    assert_allclose(by_hand.predict_proba(X), fair.predict_proba(X), rtol=1e-5)


def test_a_class_that_is_held_out_altogether_does_no_harm(motion_encoder):
    whose = groups.copy()
    one = FineTunedClassifier(motion_encoder, class_weight="balanced", validation_fraction=0.34, **SMALL).fit(
        X, whose, groups
    )
    assert np.isfinite(one.history_[0]["valid_loss"]) and list(one.classes_) == sorted(set(groups))


# ---------------------------------------------------------------------------------- what changes while it trains


def test_windows_change_as_the_encoder_wants_it_or_as_one_says(motion_encoder, heart_encoder, encoder_of_parts):
    def changes(encoder, **params):
        estimator = FineTunedClassifier(encoder, **SMALL, **params).fit(X, y)
        return estimator._changes(3)

    assert [change.__name__ for change, _ in changes(motion_encoder).changes] == ["rotate"]
    assert not any("time" in str(change) for change, _ in changes(heart_encoder).changes)
    assert changes(encoder_of_parts) is None and changes(motion_encoder, augment=False) is None
    own = Augment([(rotate, 0.5)])
    assert changes(encoder_of_parts, augment=own) is own


def test_changes_of_ones_own_do_not_stand_in_the_way_of_saving(encoder_of_parts, motion_encoder, tmp_path):
    tuned = FineTunedClassifier(motion_encoder, augment=Augment([(rotate, 0.5)]), **SMALL).fit(X, y)
    tuned.save_pretrained(tmp_path / "weights")
    assert_array_equal(FineTunedClassifier.from_pretrained(tmp_path / "weights").predict(X), tuned.predict(X))


# ---------------------------------------------------------------------------------- one window, one answer


@both
def test_a_window_alone_is_answered_as_in_company(kind, labels, encoder):
    tuned = kind(encoder, **SMALL).fit(X, labels)
    many = np.concatenate([X, X, X, X])
    assert_array_equal(answers(tuned, many)[70:75], answers(tuned, many[70:75]))
    order = np.random.default_rng(0).permutation(len(X))
    assert_array_equal(answers(tuned)[order], answers(tuned, X[order]))


@both
def test_equal_seeds_give_equal_answers_and_others_do_not(kind, labels, motion_encoder):
    one, same, other = (
        kind(motion_encoder, **{**SMALL, "random_state": seed}).fit(X, labels, groups) for seed in (0, 0, 1)
    )
    assert_array_equal(answers(one), answers(same))
    assert not np.array_equal(answers(one), answers(other))


@both
def test_predictions_follow_from_probabilities_and_classes_have_their_own_type(kind, labels, motion_encoder):
    for names in (
        y,
        pd.Series(y),
        pd.Categorical(y),
        np.unique(y, return_inverse=True)[1].astype(np.int8),
        y == "rest",
    ):
        classifier = FineTunedClassifier(motion_encoder, **SMALL).fit(X, names)
        assert_array_equal(classifier.predict(X), classifier.classes_[classifier.predict_proba(X).argmax(1)])
        assert classifier.classes_.dtype == np.asarray(names).dtype
        assert_allclose(classifier.predict_proba(X).sum(1), 1, rtol=1e-12)


# ---------------------------------------------------------------------------------- rates, units, contracts


@both
def test_weights_keep_their_contract_and_other_windows_are_converted(kind, labels, motion_encoder):
    own = kind(motion_encoder, augment=False, **SMALL).fit(X, labels)
    metres = kind(motion_encoder, augment=False, units="m/s^2", **SMALL).fit(X * 9.80665, labels)
    assert own.contract_ == metres.contract_ == motion_encoder.contract_
    assert_allclose(answers(own), answers(metres, X * 9.80665), rtol=0.05, atol=0.02)
    half = copy.deepcopy(own).set_params(sfreq=50.0)
    assert answers(half, X[..., ::2]).shape == answers(own).shape
    with pytest.raises(ValueError, match="got 3 x 128"):
        own.predict(X[..., ::2])


def test_standardised_windows_stay_standardised(heart_encoder):
    for tune in ("full", "scratch"):
        tuned = FineTunedRegressor(heart_encoder, tune=tune, **SMALL).fit(X, SPREAD)
        assert tuned.contract_.standardized and tuned.contract_.sfreq == 100.0
        assert_allclose(tuned.predict(5 * X + 3), tuned.predict(X), rtol=1e-3, atol=1e-4)


def test_rate_and_units_are_those_that_the_encoder_says(heart_encoder):
    ppg = PPGMaskedEncoder(size=(16, 1, 32), units="a.u.", sfreq=50.0, **SMALL)
    own = FineTunedRegressor(ppg, tune="scratch", **SMALL).fit(X, SPREAD)
    assert (own.contract_.sfreq, own.contract_.units) == (50.0, "a.u.")
    with pytest.raises(ValueError, match="units of RelConEncoder"):
        FineTunedRegressor(unfitted(), tune="scratch", units="mV", **SMALL).fit(X, SPREAD)


# ---------------------------------------------------------------------------------- saving, loading, searching


@both
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_saved_and_loaded_it_answers_the_same(kind, labels, head, encoder, tmp_path):
    tuned = kind(encoder, head, hidden=7, **SMALL).fit(X, labels, groups)
    tuned.save_pretrained(tmp_path / "weights")
    parts = {"encoder": Encoder(PARTS)} if type(encoder) is Encoder else {}
    loaded = kind.from_pretrained(tmp_path / "weights", device="cpu", **parts)
    assert loaded.verify() and loaded.max_epochs == 0 and loaded.head == head
    for twin in (loaded, clone(loaded), clone(loaded).fit(X, labels), pickle.loads(pickle.dumps(loaded))):
        assert_array_equal(answers(twin), answers(tuned))
    assert type(wearembed.from_pretrained(tmp_path / "weights", **parts)) is kind
    assert clone(loaded).fit(X, labels).net_ is loaded.net_, "frozen weights are held once a process"
    assert_array_equal(loaded.encoder_.transform(X), tuned.encoder_.transform(X))


@both
def test_pickle_and_clone_keep_what_they_should(kind, labels, encoder):
    tuned = kind(encoder, **SMALL).fit(X, labels)
    assert_array_equal(answers(pickle.loads(pickle.dumps(tuned))), answers(tuned))
    fresh = clone(tuned)
    assert fresh.encoder is encoder and not hasattr(fresh, "net_")
    assert_array_equal(answers(fresh.fit(X, labels)), answers(tuned))
    assert clone(kind(unfitted())).encoder is not unfitted()


@pytest.mark.parametrize(
    "names",
    [y, pd.Series(y), np.unique(y, return_inverse=True)[1], y == "rest", np.unique(y, return_inverse=True)[1] * 1.0],
    ids=["strings", "objects", "integers", "booleans", "floats"],
)
def test_classes_come_back_from_a_file_as_they_were(names, motion_encoder, tmp_path):
    tuned = FineTunedClassifier(motion_encoder, **SMALL).fit(X, names)
    tuned.save_pretrained(tmp_path / "weights")
    loaded = FineTunedClassifier.from_pretrained(tmp_path / "weights")
    assert_array_equal(loaded.classes_, tuned.classes_)
    assert loaded.classes_.dtype.kind == tuned.classes_.dtype.kind
    assert_array_equal(loaded.predict(X), tuned.predict(X))


@both
def test_weights_train_on_where_epochs_are_asked_for(kind, labels, motion_encoder, tmp_path):
    tuned = kind(motion_encoder, **SMALL).fit(X, labels)
    tuned.save_pretrained(tmp_path / "weights")
    loaded = kind.from_pretrained(tmp_path / "weights", device="cpu")
    on = clone(loaded).set_params(**SMALL).fit(X[:20], labels[:20])
    assert len(on.history_) == 1 and not np.allclose(answers(on), answers(tuned))
    head = clone(loaded).set_params(tune="head", **SMALL).fit(X, labels)
    assert_array_equal(head.encoder_.transform(X), tuned.encoder_.transform(X))
    assert_array_equal(answers(loaded), answers(tuned))
    with pytest.raises(ValueError, match="pass their encoder_ as encoder"):
        other = np.resize(["walk", "fly"], len(X)) if kind is FineTunedClassifier else SPREAD[:, 0]
        clone(loaded).set_params(**SMALL).fit(X, other)


@both
def test_an_encoder_that_is_named_by_its_weights_is_that_encoder(kind, labels, motion_encoder, tmp_path):
    motion_encoder.save_pretrained(tmp_path / "encoder", data=["some set"])
    wanted = kind(motion_encoder, **SMALL).fit(X, labels)
    for source in (tmp_path / "encoder", str(tmp_path / "encoder")):
        named = kind(source, **SMALL).fit(X, labels)
        assert_array_equal(answers(named), answers(wanted))
        assert named.training_["data"] == ["some set"] and str(source) in named.training_["encoder"]


@both
def test_a_search_and_cross_validation_keep_participants_apart(kind, labels, motion_encoder):
    grid = {"lr": [1e-4, 1e-2], "tune": ["full", "head"]}
    search = GridSearchCV(kind(motion_encoder, **SMALL), grid, cv=GroupKFold(2), error_score="raise")
    search.fit(X, labels, groups=groups)
    assert set(search.best_params_) == set(grid) and search.predict(X).shape == labels.shape
    with sklearn.config_context(enable_metadata_routing=True):
        own = kind(motion_encoder, validation_fraction=0.5, **SMALL).set_fit_request(groups=True)
        scores = cross_val_score(own, X, labels, params={"groups": groups}, cv=GroupKFold(3), error_score="raise")
    assert np.isfinite(scores).all()


def test_an_encoder_of_parts_has_to_be_named_again(encoder_of_parts, motion_encoder, tmp_path):
    FineTunedClassifier(encoder_of_parts, **SMALL).fit(X, y).save_pretrained(tmp_path / "weights")
    with pytest.raises(ValueError, match=r"no file can name.*encoder=Encoder\(net=\.\.\.\)"):
        FineTunedClassifier.from_pretrained(tmp_path / "weights")
    with pytest.raises(ValueError, match="does not fit the weights.*which are of Encoder"):
        FineTunedClassifier.from_pretrained(tmp_path / "weights", encoder=motion_encoder)
    FineTunedClassifier(motion_encoder, **SMALL).fit(X, y).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="does not fit the weights"):
        FineTunedClassifier.from_pretrained(tmp_path / "other", encoder=RelConEncoder(8))
    with pytest.raises(ValueError, match="holds a FineTunedClassifier, not a FineTunedRegressor"):
        FineTunedRegressor.from_pretrained(tmp_path / "other")


DAMAGE = {
    "no answers": lambda config: config.pop("answers"),
    "one class": lambda config: config["answers"].update(classes=["a"]),
    "classes of two types": lambda config: config["answers"].update(classes=["a", 1, 2, 3, 4]),
    "a type that is none": lambda config: config["answers"].update(dtype="M8[D]"),
    "a huge type": lambda config: config["answers"].update(dtype="<U999999999"),
    "no encoder": lambda config: config.pop("encoder"),
    "an unknown encoder": lambda config: config["encoder"].update(estimator_class="os.system"),
    "a nest of estimators": lambda config: config["encoder"].update(estimator_class="FineTunedClassifier"),
    "no width": lambda config: config["encoder"]["params"].update(width="wide"),
    "a huge width": lambda config: config["encoder"]["params"].update(width=10**9),
    "another width": lambda config: config["encoder"]["params"].update(width=8),
    "a parameter too many": lambda config: config["encoder"]["params"].update(magic=1),
    "fewer classes": lambda config: config["answers"]["classes"].pop(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_an_error_that_says_so(damage, motion_encoder, tmp_path):
    FineTunedClassifier(motion_encoder, **SMALL).fit(X, y).save_pretrained(tmp_path / "weights")
    file = tmp_path / "weights" / "config.json"
    config = json.loads(file.read_text())
    DAMAGE[damage](config)
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=re.escape("weights")):
        FineTunedClassifier.from_pretrained(tmp_path / "weights")


@pytest.mark.parametrize("scale", [[0, 1, 1], [1, 1], "wide", [1, 1, float("inf")]], ids=str)
def test_damaged_targets_are_an_error_that_says_so(scale, motion_encoder, tmp_path):
    FineTunedRegressor(motion_encoder, **SMALL).fit(X, SPREAD).save_pretrained(tmp_path / "weights")
    file = tmp_path / "weights" / "config.json"
    config = json.loads(file.read_text())
    config["answers"]["scale"] = scale
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="damaged"):
        FineTunedRegressor.from_pretrained(tmp_path / "weights")


# ---------------------------------------------------------------------------------- training that stops and goes on


class Cut(Callback):
    power = False

    def on_epoch_end(self, net, **kwargs):
        if not self.power and len(net.history) == 2:
            raise RuntimeError("power cut")
        assert len(net.history) > 1 or not self.power, "begun anew"


@both
def test_training_is_taken_up_where_it_stopped(kind, labels, motion_encoder, tmp_path, monkeypatch):
    def own(**params):
        return kind(motion_encoder, **{**SMALL, "max_epochs": 4}, **params)

    with pytest.raises(RuntimeError, match="power cut"):
        own(checkpoint_dir=tmp_path, callbacks=[Cut()]).fit(X, labels, groups)
    monkeypatch.setattr(Cut, "power", True)
    resumed = clone(own(checkpoint_dir=tmp_path, callbacks=[Cut()])).fit(X, labels, groups)
    assert_array_equal(answers(resumed), answers(own().fit(X, labels, groups)))
    assert len(resumed.history_) == 4
    with pytest.raises(ValueError, match="other data or parameters"):
        own(checkpoint_dir=tmp_path).fit(X, labels[::-1], groups)


def test_participants_are_held_out_and_can_stop_training_early(motion_encoder):
    patient = EarlyStopping(monitor="valid_loss", patience=1, threshold=10.0)
    early = FineTunedClassifier(
        motion_encoder, validation_fraction=0.34, callbacks=[patient], **{**SMALL, "max_epochs": 9}
    ).fit(X, y, groups)
    assert 1 < len(early.history_) < 9


# ---------------------------------------------------------------------------------- bad input

WRONG_CLASSES = {
    "NaN": (np.where(np.arange(24) == 3, np.nan, 1.0), "NaN"),
    "missing": (np.where(y == "rest", None, y), "missing labels"),
    "too short": (y[:-1], r"inconsistent numbers of samples: \[24, 23\]"),
    "one class": (np.full(24, "rest"), "one class only, 'rest'"),
    "two dimensions": (np.stack([y, y], 1), r"1d array.*\(24, 2\)"),
    "numbers without classes": (SPREAD[:, 0], "continuous"),
    "mixed": (np.array(["rest", *range(23)], dtype=object), "Unknown label type.*by strings, or by numbers"),
    "none": (None, "requires y to be passed"),
}


@pytest.mark.parametrize("wrong", WRONG_CLASSES)
def test_bad_classes_are_named(wrong):
    labels, message = WRONG_CLASSES[wrong]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        FineTunedClassifier(unfitted(), tune="scratch", **SMALL).fit(X, labels)


WRONG_TARGETS = {
    "NaN": (np.where(SPREAD.mean() < SPREAD, np.nan, SPREAD), "NaN"),
    "infinity": (np.where(SPREAD.mean() < SPREAD, np.inf, SPREAD), "infinity"),
    "too short": (SPREAD[:-1], r"inconsistent numbers of samples: \[24, 23\]"),
    "three dimensions": (SPREAD[..., None], "dim 3"),
    "strings": (y, "takes numbers as y.*FineTunedClassifier"),
    "none": (None, "requires y to be passed"),
}


@pytest.mark.parametrize("wrong", WRONG_TARGETS)
def test_bad_targets_are_named(wrong):
    targets, message = WRONG_TARGETS[wrong]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        FineTunedRegressor(unfitted(), tune="scratch", **SMALL).fit(X, targets)


@both
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"tune": "full"}, ValueError, 'tune="full" begins from the weights.*this RelConEncoder has none.*scratch'),
        ({"tune": "head"}, ValueError, 'tune="head" begins from'),
        ({"tune": "half"}, ValueError, "tune of .* is one of full, head, scratch"),
        ({"head": "hydra"}, ValueError, "head of .* is one of linear, mlp"),
        ({"hidden": 0}, ValueError, "hidden"),
        ({"augment": "much"}, ValueError, "augment of"),
        ({"encoder": RelConDistance()}, TypeError, "encoder is an encoder.*got RelConDistance"),
        ({"encoder": "no/such/folder"}, FileNotFoundError, "No checkpoint at"),
        ({"encoder": RelConEncoder(width=-1)}, ValueError, "width of RelConEncoder"),
        ({"sfreq": -1.0}, ValueError, "sfreq"),
        ({"weights": "no/such/folder"}, FileNotFoundError, "No checkpoint at"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(kind, labels, params, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        kind(**{"encoder": unfitted(), "tune": "scratch", **SMALL, **params}).fit(X, labels)


def test_bad_class_weights_are_named(motion_encoder):
    for wrong, message in (
        ("fair", "class_weight of .* is one of None, balanced"),
        ({"fly": 2.0}, "not in class_weight"),
    ):
        with pytest.raises(ValueError, match=message):
            FineTunedClassifier(motion_encoder, class_weight=wrong, **SMALL).fit(X, y)


@both
def test_windows_unlike_those_of_the_encoder_are_refused(kind, labels, motion_encoder):
    with pytest.raises(ValueError, match=f"{kind.__name__} was trained on windows of 3 channels x 256.*got 3 x 200"):
        kind(motion_encoder, **SMALL).fit(X[..., :200], labels)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        kind(motion_encoder, **SMALL).predict(X)
    assert not hasattr(kind(motion_encoder, **SMALL), "encoder_")
