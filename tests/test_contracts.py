"""What every encoder has to keep: scikit-learn's checks, the laws of `wearembed.testing`, and what only ours have to.

A new encoder gets all of it for one line in `ENCODERS`.
"""

import copy
import inspect
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pulled import Pulled
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from wearembed import (
    AccelContrastiveEncoder,
    AccelMaskedEncoder,
    DistilledAccelEncoder,
    ECGContrastiveEncoder,
    Encoder,
    PPGContrastiveEncoder,
    PPGMaskedEncoder,
    RelConDistance,
    RelConEncoder,
    SimCLREncoder,
    datasets,
    nets,
)
from wearembed.testing import parametrize_encoders

SMALL = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
DISTANCE = RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL)
ENCODERS = {
    "RelConEncoder": RelConEncoder(4, (1, 1), (3, 4), distance=DISTANCE, mates=3, **SMALL),
    "RelConEncoder, participants": RelConEncoder(
        4, (1, 1), (3, 4), distance=DISTANCE, mates=3, sampler="participants", **SMALL
    ),
    "SimCLREncoder": SimCLREncoder(4, (1, 1), (3, 4), **SMALL),
    "Encoder": Encoder(partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,)), Pulled, **SMALL),
    "PPGContrastiveEncoder": PPGContrastiveEncoder((18, 2), **SMALL),
    "PPGContrastiveEncoder as SimCLR": PPGContrastiveEncoder(
        (16, 1, 32), positives="segment", momentum=None, koleo=0.0, **SMALL
    ),
    "ECGContrastiveEncoder": ECGContrastiveEncoder((16, 1, 32), negatives="cross", **SMALL),
    "AccelContrastiveEncoder": AccelContrastiveEncoder((16, 1, 32), time_warp="fixed", **SMALL),
    "PPGMaskedEncoder": PPGMaskedEncoder((16, 1, 32), **SMALL),
    "AccelMaskedEncoder": AccelMaskedEncoder((16, 1, 32), **SMALL),
    "DistilledAccelEncoder": DistilledAccelEncoder(
        AccelMaskedEncoder((8, 1, 16), **SMALL), (16, 1, 32), **SMALL
    ),  # of a teacher of its own sensor, which scikit-learn's checks can give it
    "DistilledAccelEncoder, jointly": DistilledAccelEncoder(
        AccelContrastiveEncoder((18, 2), **SMALL), (18, 2), joint=True, augment=False, **SMALL
    ),
}


every = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
of_motion = pytest.mark.parametrize(
    "encoder", [pytest.param(e, id=name) for name, e in ENCODERS.items() if e.units == "g"]
)
MOTION = datasets.make_motion(n_participants=3, n_windows=8, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups


@pytest.fixture(scope="module")
def fitted():
    """Each encoder, fitted once; tests that only look may share it."""
    done = {}
    return lambda encoder: done.setdefault(id(encoder), clone(encoder).fit(X, groups=groups))


@parametrize_with_checks([*ENCODERS.values(), DISTANCE])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_encoders(ENCODERS, data=MOTION)
def test_laws(encoder, check):
    check(encoder)


@every
def test_other_seeds_give_other_embeddings(encoder, fitted):
    other = clone(encoder).set_params(random_state=1).fit(X, groups=groups).transform(X)
    assert not np.allclose(fitted(encoder).transform(X), other)


@every
def test_output_is_named_and_can_be_a_frame(encoder, fitted):
    own = clone(encoder).fit(X, groups=groups).set_output(transform="pandas")
    frame = own.transform(X)
    prefix = type(encoder).__name__.lower()
    assert list(frame.columns) == [f"{prefix}{n}" for n in range(own.net_.dim)] == list(own.get_feature_names_out())
    assert_array_equal(frame.to_numpy(), fitted(encoder).transform(X))


@every
@pytest.mark.parametrize("n_times", [1, 2, 10, 301])
def test_any_length_goes(encoder, n_times):
    windows = np.random.default_rng(0).normal(size=(12, 2, n_times))
    if n_times == 1 and encoder._standardized:
        with pytest.raises(ValueError, match="constant in time.*n_features = 1 "):
            clone(encoder).fit(windows)
        return
    assert np.isfinite(clone(encoder).fit(windows).transform(windows)).all()


@every
def test_a_pipeline_fits_predicts_and_cross_validates_by_participant(encoder):
    pipeline = Pipeline([("emb", clone(encoder)), ("clf", LogisticRegression(max_iter=2000))])
    assert pipeline.fit(X, y, emb__groups=groups).predict(X).shape == y.shape
    scores = cross_val_score(pipeline, X, y, groups=groups, cv=GroupKFold(3), error_score="raise")
    assert np.isfinite(scores).all()


@every
def test_a_grid_searches_both_steps(encoder):
    pipeline = Pipeline([("emb", clone(encoder)), ("clf", LogisticRegression(max_iter=2000))])
    grid = {"emb__lr": [1e-4, 1e-2], "clf__C": [0.1, 1]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(2), error_score="raise").fit(X, y, groups=groups)
    assert set(search.best_params_) == set(grid)
    assert search.predict(X).shape == y.shape


@every
def test_groups_are_routed_to_encoder_and_splitter(encoder):
    with sklearn.config_context(enable_metadata_routing=True):
        emb = clone(encoder).set_fit_request(groups=True)
        pipeline = Pipeline([("emb", emb), ("clf", LogisticRegression(max_iter=2000))])
        done = cross_validate(
            pipeline,
            X,
            y,
            params={"groups": groups},
            cv=GroupKFold(3),
            return_estimator=True,
            return_indices=True,
            error_score="raise",
        )
    train = done["indices"]["train"][0]
    by_hand = clone(encoder).fit(X[train], groups=groups[train])
    assert_array_equal(done["estimator"][0]["emb"].transform(X), by_hand.transform(X))


@every
def test_saved_and_loaded_it_embeds_the_same_without_training(encoder, fitted, tmp_path):
    fitted(encoder).save_pretrained(tmp_path / "weights")
    loaded = load(encoder, tmp_path / "weights")
    wanted = fitted(encoder).transform(X)
    assert loaded.verify() and loaded.max_epochs == 0
    assert_array_equal(loaded.transform(X), wanted)
    assert_array_equal(clone(loaded).transform(X), wanted)
    assert_array_equal(clone(loaded).fit(X, groups=groups).transform(X), wanted)
    assert_array_equal(Pipeline([("emb", loaded)]).fit_transform(X, y), wanted)


@every
def test_frozen_weights_take_a_single_window(encoder, fitted, tmp_path):
    fitted(encoder).save_pretrained(tmp_path / "weights")
    single = load(encoder, tmp_path / "weights").fit(X[:1]).transform(X[:1])
    assert_array_equal(single, fitted(encoder).transform(X[:1]))
    with pytest.raises(ValueError, match="1 sample"):
        clone(encoder).fit(X[:1])


@every
def test_frozen_weights_are_held_once_a_process(encoder, fitted, tmp_path):
    fitted(encoder).save_pretrained(tmp_path / "weights")
    loaded = load(encoder, tmp_path / "weights")
    assert clone(loaded).fit(X).net_ is load(encoder, tmp_path / "weights").net_ is loaded.net_


@every
def test_weights_train_on_where_epochs_are_asked_for(encoder, fitted, tmp_path):
    fitted(encoder).save_pretrained(tmp_path / "weights")
    on = load(encoder, tmp_path / "weights").set_params(**SMALL).fit(X, groups=groups)
    assert len(on.history_) == 1
    assert not np.allclose(on.transform(X), fitted(encoder).transform(X))
    assert_array_equal(load(encoder, tmp_path / "weights").transform(X), fitted(encoder).transform(X))


@every
def test_untrained_is_the_net_that_begins_and_says_so(encoder, fitted):
    trained, before = fitted(encoder), fitted(encoder).transform(X)
    blank = trained.untrained(random_state=0)
    assert type(blank) is type(trained) and blank.contract_ == trained.contract_
    assert shapes(blank.net_) == shapes(trained.net_)
    assert "untrained" in repr(blank) and "untrained" not in repr(trained) and blank.training_["untrained"]
    Z = blank.transform(X)
    tiny = 1e-3 * np.abs(Z).max()  # with norms that begin as they do, those of a deep net are tiny themselves
    assert np.isfinite(Z).all() and not np.allclose(Z, before, atol=tiny)
    assert_array_equal(trained.untrained(random_state=0).transform(X), Z)
    assert not np.allclose(trained.untrained(random_state=1).transform(X), Z, atol=tiny)
    for part in blank.net_.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            assert (part.running_mean == 0).all() and (part.running_var == 1).all()
    assert_array_equal(fitted(encoder).transform(X), before)


@every
def test_untrained_norms_that_met_windows_have_their_mean_and_deviation(encoder, fitted, tmp_path):
    blank = fitted(encoder).untrained(random_state=0, windows=X[:64])
    again = (
        clone(encoder).set_params(**SMALL).untrained(random_state=0, windows=X[:64])
        if not isinstance(encoder, DistilledAccelEncoder)
        else blank
    )
    assert_array_equal(again.transform(X), blank.transform(X))
    assert_array_equal(clone(blank).fit(X).transform(X), blank.transform(X))
    blank.save_pretrained(tmp_path / "weights")
    assert_array_equal(load(encoder, tmp_path / "weights").transform(X), blank.transform(X))
    seen = {}
    for part in blank.net_.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            assert part.momentum == 0.1 and not part.training
            part.train().register_forward_pre_hook(lambda part, x: seen.update({part: x[0].transpose(0, 1).flatten(1)}))
    found = {
        part: (part.running_mean.clone(), part.running_var.clone()) for part in blank.net_.modules() if part.training
    }
    with torch.no_grad():
        blank.net_(torch.from_numpy(blank.contract_.convert("it", X[:64], blank.sfreq, blank.units)))
    for part, x in seen.items():
        assert_allclose(found[part][0], x.mean(1), rtol=1e-4, atol=1e-5)
        assert_allclose(found[part][1], x.var(1), rtol=1e-4, atol=1e-6)


@every
def test_untrained_outlives_clone_fit_search_pickle_and_the_disk(encoder, fitted, tmp_path):
    blank = fitted(encoder).untrained(random_state=0)
    Z = blank.transform(X)
    assert_array_equal(clone(blank).transform(X), Z)
    assert_array_equal(clone(clone(blank)).fit(X[:1]).transform(X), Z)
    assert_array_equal(pickle.loads(pickle.dumps(clone(blank))).fit(X).transform(X), Z)
    pipeline = Pipeline([("emb", blank), ("clf", LogisticRegression(max_iter=2000))])
    search = GridSearchCV(pipeline, {"clf__C": [0.1, 1]}, cv=GroupKFold(2), error_score="raise").fit(
        X, y, groups=groups
    )
    assert_array_equal(search.best_estimator_["emb"].transform(X), Z)
    with pytest.raises(ValueError, match="got 3 x 200"):
        clone(blank).fit(X[..., :200])
    blank.save_pretrained(tmp_path / "weights")
    loaded = load(encoder, tmp_path / "weights")
    assert "untrained" in repr(loaded)
    assert_array_equal(loaded.transform(X), Z)


@every
def test_untrained_of_parameters_is_what_fit_begins_with(encoder):
    with pytest.raises(ValueError, match=r"neither fitted nor loaded.*untrained\(n_channels=3, n_times=256\)"):
        clone(encoder).untrained()
    blank = clone(encoder).untrained(5, n_channels=3, n_times=256)
    assert_array_equal(clone(blank).transform(X), blank.transform(X))
    if not isinstance(encoder, DistilledAccelEncoder):  # whose net is as wide as that of the teacher, once it has one
        with pytest.warns(UserWarning, match="max_epochs=0"):
            begun = clone(encoder).set_params(max_epochs=0, random_state=5).fit(X, groups=groups)
        assert "untrained" in repr(begun)
        assert_array_equal(begun.transform(X), blank.transform(X))


@every
def test_untrained_trains_from_nothing_once_it_has_epochs(encoder, fitted):
    blank = fitted(encoder).untrained(random_state=0)
    own = clone(blank).set_params(max_epochs=1).fit(X, groups=groups)
    assert len(own.history_) == 1 and "untrained" not in repr(own)
    assert_array_equal(own.transform(X), fitted(encoder).transform(X))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        clone(own).transform(X)


def shapes(net):
    return {name: tensor.shape for name, tensor in net.state_dict().items()}


def walk():
    steps = np.random.default_rng(0).normal(size=(6, 3, 302))
    return np.apply_along_axis(lambda x: np.convolve(x, np.hanning(47) / 23, "valid"), 2, steps) + [[[0], [0], [1]]]


@of_motion
def test_other_units_are_converted_to_those_of_training(encoder):
    own = clone(encoder).fit(walk())
    metric = copy.deepcopy(own).set_params(units="m/s^2").transform(walk() * 9.80665)
    assert_allclose(metric, own.transform(walk()), rtol=1e-3, atol=2e-4)


@every
def test_other_rates_are_converted_to_that_of_training(encoder):
    own = clone(encoder).fit(walk())
    wanted = own.transform(walk())
    half = copy.deepcopy(own).set_params(sfreq=own.sfreq / 2).transform(walk()[..., ::2])
    cosine = (half * wanted).sum(1) / np.linalg.norm(half, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() > 0.99


@every
def test_a_rate_that_does_not_divide_still_gives_the_samples_of_training(encoder):
    own = clone(encoder).fit(X)
    shapes = []
    own.net_.register_forward_pre_hook(lambda net, x: shapes.append(x[0].shape[-1]))
    own.set_params(sfreq=0.33 * own.sfreq).transform(X[..., :84])
    assert set(shapes) == {256}


@every
def test_shared_parameters_have_the_same_defaults_everywhere(encoder):
    own, general = (inspect.signature(c.__init__).parameters for c in (type(encoder), Encoder))
    of_the_paper = {"sfreq", "units", "batch_size", "lr"}
    shared = (own.keys() & general.keys()) - {"self", "net", "objective"} - of_the_paper
    assert {k: own[k].default for k in shared} == {k: general[k].default for k in shared}


# ------------------------------------------------------------------------------------- bad input

WRONG = {
    "NaN": (lambda X: put(X, np.nan), "finite numbers; 1 of 24 windows hold NaN.*window 2, channel 1, sample 7"),
    "infinity": (lambda X: put(X, np.inf), "1 of 24 windows hold inf"),
    "too large for float32": (lambda X: put(X.astype(float), 1e300), "too large for float32"),
    "four dimensions": (lambda X: X[None], "4 dimensions"),
    "strings": (lambda X: X.astype(str), "numbers.*dtype <U"),
    "axes swapped": (lambda X: X.transpose(0, 2, 1), "transpose"),
    "no window": (lambda X: X[:0], "0 sample"),
    "no sample": (lambda X: X[..., :0], "empty windows"),
    "complex": (lambda X: X + 1j, "[Cc]omplex"),
    "m/s² declared as g": (lambda X: X * 9.80665, r"units='m/s\^2'"),
}


def put(X, value):
    X = X.copy()
    X[2, 1, 7] = value
    return X


@every
@pytest.mark.parametrize("wrong", WRONG)
def test_bad_windows_are_named_by_fit_and_by_transform(encoder, fitted, wrong):
    change, message = WRONG[wrong]
    if wrong == "m/s² declared as g" and encoder.units != "g":
        pytest.skip("nothing tells the size of a pulse or a heart's voltage, and standardised windows need none")
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clone(encoder).fit(change(X), groups=groups)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fitted(encoder).transform(change(X))


@every
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[..., :200], r"3 channels x 256 samples.*got 3 x 200.*seconds=\d"),
        (lambda X: X[:, :2], "got 2 x 256"),
    ],
    ids=["length", "channels"],
)
def test_windows_unlike_those_of_training_are_refused(encoder, fitted, change, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fitted(encoder).transform(change(X))


@of_motion
def test_g_declared_as_metres_per_second_squared_is_refused(encoder):
    with pytest.raises(ValueError, match="gravity in 'g'"):
        clone(encoder).set_params(units="m/s^2").fit(X)


@every
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (groups[:-1], "expected 24 labels.*shape \\(23,\\)"),
        (np.where(groups == groups[0], None, groups), "missing labels"),
        (groups[:, None], "shape \\(24, 1\\)"),
    ],
    ids=["too short", "missing", "two dimensions"],
)
def test_bad_groups_are_named(encoder, wrong, message):
    with pytest.raises(ValueError, match=message):
        clone(encoder).fit(X, groups=wrong)


@every
def test_windows_that_never_move_teach_nothing_and_say_so(encoder):
    with pytest.raises(ValueError, match="constant in time"):
        clone(encoder).fit(np.ones((8, 3, 256)) * [[[0], [0], [1]]])


@every
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 0}, "batch_size.*whole number from 1 on; got 0"),
        ({"batch_size": 2.5}, "batch_size.*whole number"),
        ({"max_epochs": -1}, "max_epochs"),
        ({"lr": 0.0}, "lr.*above 0"),
        ({"sfreq": -50}, "sfreq.*above 0; got -50"),
        ({"sfreq": np.nan}, "sfreq"),
        ({"sfreq": "fast"}, "sfreq"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"precision": "float8"}, "precision.*float32"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"units": "furlong"}, "furlong"),
        ({"weights": "no/such/folder"}, "No checkpoint at 'no/such/folder'"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(encoder, parameters, message):
    if parameters == {"units": "furlong"} and not encoder._moves:
        pytest.skip("units of other sensors than accelerometers are free")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        clone(encoder).set_params(**parameters).fit(X, groups=groups)


def load(encoder, folder):
    """From a folder; an encoder of parts is told the parts, which no file can name."""
    parts = {k: v for k, v in encoder.get_params(deep=False).items() if k in ("net", "objective", "teacher")}
    return type(encoder).from_pretrained(folder, device="cpu", random_state=0, **parts)


def test_weights_survive_a_new_process(tmp_path, fitted):
    encoder = fitted(ENCODERS["RelConEncoder"])
    encoder.save_pretrained(tmp_path / "weights")
    np.save(tmp_path / "X.npy", X)
    pickled = pickle.dumps(clone(RelConEncoder.from_pretrained(tmp_path / "weights", device="cpu")))
    (tmp_path / "encoder.pkl").write_bytes(pickled)
    script = (
        "import numpy as np, pickle, torch; torch.set_num_threads(1);"
        "e = pickle.load(open('encoder.pkl', 'rb')); np.save('Z.npy', e.transform(np.load('X.npy')))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert_array_equal(np.load(tmp_path / "Z.npy"), encoder.transform(X))
