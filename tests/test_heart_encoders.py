"""Encoders of the heart: pairs of sensors, teachers and students, sizes, standardised windows."""

from functools import partial

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline

from wearembed import (
    AccelContrastiveEncoder,
    AccelMaskedEncoder,
    DistilledAccelEncoder,
    ECGContrastiveEncoder,
    Encoder,
    FineTunedRegressor,
    PPGContrastiveEncoder,
    PPGMaskedEncoder,
    datasets,
    from_pretrained,
    training,
)
from wearembed.nets import EfficientNet1d, PatchTransformer
from wearembed.objectives import MaskedReconstruction

RUN = {"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0}
LONGER = {**RUN, "max_epochs": 8}
TINY = (16, 1, 32)
PULSE = datasets.make_ppg_accel(n_participants=4, n_windows=6, seconds=10, n_ppg_channels=2, motion=0, random_state=0)
ppg, accel, groups = PULSE.ppg, PULSE.accel, PULSE.groups


@pytest.fixture(scope="module")
def teacher():
    return PPGMaskedEncoder(TINY, **RUN).fit(ppg, groups=groups)


@pytest.fixture(scope="module")
def student(teacher):
    return DistilledAccelEncoder(teacher, (18, 2), **LONGER).fit(accel, paired=ppg, groups=groups)


# ------------------------------------------------------------------------------------- teachers and students


def test_a_student_embeds_in_the_space_of_its_teacher(student, teacher):
    assert student.transform(accel).shape == teacher.transform(ppg).shape == (24, 16)
    assert student.history_[-1]["train_loss"] < student.history_[0]["train_loss"]


def test_a_teacher_stays_as_it_is(teacher):
    before = teacher.transform(ppg)
    for joint in (False, True):
        DistilledAccelEncoder(teacher, TINY, joint=joint, **RUN).fit(accel, paired=ppg, groups=groups)
        assert_array_equal(teacher.transform(ppg), before)
        assert all(p.grad is None for p in teacher.net_.parameters()) and not teacher.net_.training


@pytest.mark.parametrize("how", ["object", "folder", "path", "loaded"])
def test_a_teacher_may_be_an_encoder_or_the_place_of_one(how, teacher, student, tmp_path):
    teacher.save_pretrained(tmp_path / "teacher")
    given = {
        "object": teacher,
        "folder": str(tmp_path / "teacher"),
        "path": tmp_path / "teacher",
        "loaded": PPGMaskedEncoder.from_pretrained(tmp_path / "teacher", device="cpu"),
    }[how]
    own = DistilledAccelEncoder(given, (18, 2), **LONGER).fit(accel, paired=ppg, groups=groups)
    assert_array_equal(own.transform(accel), student.transform(accel))


def test_a_contrastive_teacher_teaches_too():
    teacher = PPGContrastiveEncoder((18, 2), **RUN)
    own = DistilledAccelEncoder(teacher, TINY, **RUN).fit(accel, paired=ppg, groups=groups)
    assert own.transform(accel).shape == (24, 18)


def test_a_teacher_that_is_not_fitted_is_fitted_on_the_pairs(teacher):
    own = DistilledAccelEncoder(PPGMaskedEncoder(TINY, **RUN), TINY, **RUN).fit(accel, paired=ppg, groups=groups)
    assert_array_equal(own.teacher_.transform(ppg), teacher.transform(ppg))
    assert not own.teacher.__sklearn_is_fitted__()  # the parameter is left alone


def test_no_teacher_named_is_a_masked_one():
    own = DistilledAccelEncoder(size=TINY, **{**RUN, "max_epochs": 1}).set_params(max_epochs=0)
    with pytest.warns(UserWarning, match="untrained"):
        own.fit(accel[:2], paired=ppg[:2])
    assert type(own.teacher_) is PPGMaskedEncoder and own.transform(accel).shape == (24, 256)


def test_clone_hands_a_fitted_teacher_on_and_nothing_else(student, teacher):
    twin = clone(student)
    assert twin.teacher is teacher
    assert not hasattr(twin, "net_")
    assert_array_equal(twin.fit(accel, paired=ppg, groups=groups).transform(accel), student.transform(accel))
    assert clone(student.set_output(transform="pandas")).fit(accel, paired=ppg).transform(accel).shape == (24, 16)
    student.set_output(transform="default")


def test_a_search_over_students_routes_the_pairs_and_trains_no_teacher(teacher, monkeypatch):
    fitted = []
    original = PPGMaskedEncoder.fit
    monkeypatch.setattr(PPGMaskedEncoder, "fit", lambda self, *a, **k: fitted.append(1) or original(self, *a, **k))
    with sklearn.config_context(enable_metadata_routing=True):
        emb = DistilledAccelEncoder(teacher, TINY, **RUN).set_fit_request(paired=True, groups=True)
        pipeline = Pipeline([("emb", emb), ("reg", Ridge())])
        search = GridSearchCV(pipeline, {"emb__lr": [1e-4, 1e-3]}, cv=GroupKFold(2), error_score="raise")
        search.fit(accel, PULSE.heart_rate, paired=ppg, groups=groups)
    assert not fitted
    assert search.predict(accel).shape == (24,)
    assert search.best_estimator_["emb"].teacher_ is teacher


def test_a_student_is_saved_without_its_teacher_and_tells_of_its_data(teacher, tmp_path):
    source = {"name": "some PPG", "source": "somebody", "license": "CC-BY-4.0"}
    teacher.save_pretrained(tmp_path / "teacher", attribution=[source])
    own = DistilledAccelEncoder(tmp_path / "teacher", TINY, **RUN).fit(accel, paired=ppg, groups=groups)
    own.save_pretrained(tmp_path / "student", data=["some pairs"])
    loaded = from_pretrained(tmp_path / "student", device="cpu")
    assert type(loaded) is DistilledAccelEncoder and loaded.verify()
    assert_array_equal(loaded.transform(accel), own.transform(accel))
    assert_array_equal(loaded.fit(accel).transform(accel), own.transform(accel))  # frozen: no pairs are needed
    assert loaded.training_["data"] == ["some PPG", "some pairs"]
    assert loaded.training_["teacher"].startswith("PPGMaskedEncoder of ")
    assert loaded.training_["attribution"] == [source]
    head = FineTunedRegressor(tmp_path / "student", **RUN).fit(accel, PULSE.heart_rate)
    assert head.training_["attribution"] == [source] and "some PPG" in head.training_["data"]
    card = (tmp_path / "student" / "README.md").read_text()
    assert "some PPG" in card and "PPGMaskedEncoder" in card


def test_an_untrained_student_is_saved_with_the_length_of_its_teacher(teacher, tmp_path):
    with pytest.warns(UserWarning, match="untrained"):
        own = DistilledAccelEncoder(teacher, (8, 1, 16), **{**RUN, "max_epochs": 0}).fit(accel, paired=ppg)
    own.save_pretrained(tmp_path)
    assert_array_equal(from_pretrained(tmp_path, device="cpu").transform(accel), own.transform(accel))


def test_a_student_trains_on_with_a_teacher_of_its_length_alone(student, tmp_path):
    student.save_pretrained(tmp_path)
    on = DistilledAccelEncoder.from_pretrained(tmp_path, teacher=PPGMaskedEncoder((8, 1, 16), **RUN), device="cpu")
    with pytest.raises(ValueError, match="the teacher's, 8; got 16"):
        on.set_params(**RUN).fit(accel, paired=ppg)


def test_pairs_come_at_the_rate_of_the_teacher(teacher):
    slow = clone(teacher).set_params(sfreq=32.0).fit(ppg[..., ::2])
    own = DistilledAccelEncoder(slow, TINY, **RUN).fit(accel, paired=ppg[..., ::2], groups=groups)
    assert own.transform(accel).shape == (24, 16)
    with pytest.raises(ValueError, match="PPGMaskedEncoder was trained on windows of 2 channels x 320"):
        DistilledAccelEncoder(slow, TINY, **RUN).fit(accel, paired=ppg)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (None, r"pass fit\(X, paired=ppg\)"),
        (ppg[:-1], "expected 24 windows, got 23"),
        (np.where(np.arange(24)[:, None, None] == 3, np.nan, ppg), "PPGMaskedEncoder takes finite numbers.*window 3"),
    ],
    ids=["none", "too few", "NaN"],
)
def test_bad_pairs_are_named(teacher, pairs, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        DistilledAccelEncoder(teacher, TINY, **RUN).fit(accel, paired=pairs)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"dim": 5}, ValueError, "dim is the teacher's, 16; got 5"),
        ({"teacher": 3}, TypeError, "teacher is an encoder.*got int"),
        ({"teacher": "no/such/folder"}, FileNotFoundError, "no/such/folder"),
        ({"weight": 1.5}, ValueError, "weight"),
        ({"temperature": 0}, ValueError, "temperature"),
        ({"time_warp": "slow"}, ValueError, "time_warp.*apple, fixed, none"),
        ({"size": "XXL"}, ValueError, "size of DistilledAccelEncoder is one of L, M, S, XS"),
        ({"size": (16, 1)}, None, ""),
        ({"units": "a.u."}, ValueError, "units"),
    ],
    ids=str,
)
def test_bad_parameters_of_a_student_are_named(teacher, params, error, message):
    own = DistilledAccelEncoder(**{"teacher": teacher, "size": TINY, **RUN, **params})
    if error is None:
        own.fit(accel, paired=ppg)
        return
    with pytest.raises(error, match=message):
        own.fit(accel, paired=ppg)


def test_the_target_is_standardised_unless_that_is_switched_off(teacher):
    raw = DistilledAccelEncoder(teacher, TINY, standardize_teacher=False, **RUN).fit(accel, paired=ppg)
    own = DistilledAccelEncoder(teacher, TINY, **RUN).fit(accel, paired=ppg)
    assert raw.history_[-1]["train_loss"] != own.history_[-1]["train_loss"]


# ------------------------------------------------------------------------------------- windows and sizes


@pytest.mark.parametrize(
    ("encoder", "X"),
    [
        (PPGContrastiveEncoder((18, 2), **RUN), ppg),
        (PPGMaskedEncoder(TINY, **RUN), ppg),
        (ECGContrastiveEncoder(TINY, **RUN), ppg[:, :1]),
        (AccelContrastiveEncoder(TINY, **RUN), accel),
        (AccelMaskedEncoder(TINY, **RUN), accel),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_offset_and_gain_of_a_sensor_do_not_matter(encoder, X):
    own = clone(encoder).fit(X, groups=groups)
    wanted = own.transform(X)
    assert_allclose(own.transform((X - X.mean(-1, keepdims=True)) * 0.5 + 0.01), wanted, rtol=2e-3, atol=2e-3)


def test_a_size_names_a_net():
    with pytest.warns(UserWarning, match="untrained"):
        big = PPGContrastiveEncoder(max_epochs=0, device="cpu").fit(ppg)
        heart = ECGContrastiveEncoder(max_epochs=0, device="cpu").fit(ppg[:, :1])
        small = AccelMaskedEncoder("XS", max_epochs=0, device="cpu").fit(accel)
    count = lambda encoder: sum(p.numel() for p in encoder.net_.parameters())  # noqa: E731
    assert type(big.net_) is EfficientNet1d and big.net_.dim == 256
    assert count(heart) == 2_468_755
    assert type(small.net_) is PatchTransformer and count(small) == 1_197_696


def test_masks_need_a_transformer():
    with pytest.raises(ValueError, match="only a transformer has"):
        PPGMaskedEncoder("efficientnet", **RUN).fit(ppg)


@pytest.mark.parametrize("size", ["large", (), (1,), (8, 1, 16, 2), (8, 1.5, 16), (0, 1, 16), None, 3], ids=str)
def test_sizes_that_are_none_are_named(size):
    with pytest.raises(ValueError, match="size of AccelMaskedEncoder is one of L, M, S, XS, efficientnet"):
        AccelMaskedEncoder(size, **RUN).fit(accel)


def test_a_pulse_is_not_acceleration():
    with pytest.raises(ValueError, match="units of PPGMaskedEncoder is not one of acceleration"):
        PPGMaskedEncoder(TINY, units="g", **RUN).fit(ppg)


@pytest.mark.parametrize(
    "params", [{"positives": "day"}, {"momentum": 1.0}, {"koleo": -1}, {"negatives": "all"}], ids=str
)
def test_bad_parameters_of_a_contrast_are_named(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        PPGContrastiveEncoder(TINY, **params, **RUN).fit(ppg, groups=groups)


def test_participants_with_one_window_are_left_out_of_pairs_and_kept_as_segments():
    lonely = np.append(groups[:-1], "somebody else")
    with pytest.warns(UserWarning, match="1 of 24 windows are the only ones"):
        PPGContrastiveEncoder(TINY, **RUN).fit(ppg, groups=lonely)
    PPGContrastiveEncoder(TINY, positives="segment", **RUN).fit(ppg, groups=np.arange(24))


@pytest.mark.parametrize(
    "encoder",
    [
        PPGContrastiveEncoder((18, 2), **RUN),
        PPGMaskedEncoder(TINY, **RUN),
        DistilledAccelEncoder(PPGMaskedEncoder(TINY, **RUN), (18, 2), **RUN),
    ],
    ids=lambda encoder: type(encoder).__name__,
)
def test_training_that_was_killed_goes_on_as_if_it_had_not_been(encoder, tmp_path, monkeypatch):
    pairs = {"paired": ppg} if isinstance(encoder, DistilledAccelEncoder) else {}
    X = accel if pairs else ppg
    whole = clone(encoder).fit(X, groups=groups, **pairs).transform(X)
    on_epoch_end = training.resume.Resume.on_epoch_end

    def killed(self, net, **kwargs):
        on_epoch_end(self, net, **kwargs)
        raise training.learner.Stopped

    again = clone(encoder).set_params(checkpoint_dir=tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.resume.Resume, "on_epoch_end", killed)
        again.fit(X, groups=groups, **pairs)
    assert_array_equal(clone(again).fit(X, groups=groups, **pairs).transform(X), whole)


def test_an_encoder_of_parts_may_train_by_them():
    own = Encoder(partial(PatchTransformer, width=16, n_layers=1, hidden=32), MaskedReconstruction, **RUN).fit(accel)
    assert own.transform(accel).shape == (24, 16)


def test_bfloat16_is_near():
    own = PPGContrastiveEncoder((18, 2), **RUN).fit(ppg, groups=groups)
    near = own.transform(ppg)
    half = own.set_params(precision="bfloat16").transform(ppg)
    cosine = torch.cosine_similarity(torch.from_numpy(near), torch.from_numpy(half))
    assert cosine.min() > 0.99
