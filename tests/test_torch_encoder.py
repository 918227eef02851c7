"""Modules of others as frozen encoders: converted to what they were trained on, alone, cloned, refused."""

import operator
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from wearembed import TorchEncoder, datasets, signals

MOTION = datasets.make_motion(n_participants=3, n_windows=8, seconds=10, random_state=0)
X, y, groups = MOTION.data, MOTION.target, MOTION.groups  # 3 x 1000 at 100 Hz, in g


class Theirs(nn.Module):
    """Somebody's net, with a norm and a dropout that would wake in training."""

    def __init__(self, n_channels=3, dim=8):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv1d(n_channels, dim, 5, padding=2), nn.BatchNorm1d(dim)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.norm(self.conv(x))).relu().mean(-1)


class Wide(Theirs):
    """For any number of channels."""

    def forward(self, x):
        return super().forward(x[:, :1])


class Several(Theirs):
    def forward(self, x):
        z = super().forward(x)
        return z, {"more": z}, z[:, :, None]


def shapes_seen(module):
    """Of the windows that will reach a module."""
    shapes = set()
    module.register_forward_pre_hook(lambda net, x: shapes.add(tuple(x[0].shape[1:])))
    return shapes


def made():
    return Theirs()


made_wide = partial(Wide, 1)  # unlike a function's, its name is the same in each process


@pytest.fixture
def harnet_like():
    return TorchEncoder(Theirs(), net_sfreq=30, net_units="g", n_times=300, n_channels=3)


# By a loader: joblib tells a tensor from its copy, by which one check asks whether a module was changed; see below.
@parametrize_with_checks([TorchEncoder(made_wide), TorchEncoder(made_wide, units="a.u.", standardize=True)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# ------------------------------------------------------------------------------------- what goes in


def test_windows_reach_the_module_at_its_rate_in_its_units(harnet_like):
    seen = shapes_seen(harnet_like.module)
    Z = harnet_like.transform(X)
    assert Z.shape == (24, 8) and Z.dtype == np.float32
    assert seen == {(3, 300)}
    by_hand = signals.sample_at(X, np.arange(300) * 100 / 30, band=0.3)
    with torch.inference_mode():
        assert_allclose(Z, harnet_like.module.eval()(torch.from_numpy(by_hand)).numpy(), atol=1e-5)
    assert_allclose(clone(harnet_like).set_params(units="m/s^2").transform(X * 9.80665), Z, rtol=1e-3, atol=1e-4)
    at_30 = clone(harnet_like).set_params(sfreq=30).transform(by_hand)
    assert_array_equal(at_30, Z)


@pytest.mark.parametrize(("net_units", "times"), [("g", 1), ("m/s^2", 9.80665), ("mg", 1000)])
def test_the_module_may_want_other_units_than_g(net_units, times):
    seen = []
    module = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    module.register_forward_pre_hook(lambda net, x: seen.append(x[0][: len(X)].clone()))
    TorchEncoder(module, net_units=net_units).transform(X)
    assert_allclose(seen[0].numpy(), X * times, rtol=1e-5)


def test_a_module_of_standardised_windows_takes_any_scale():
    encoder = TorchEncoder(Theirs(1), 64, "a.u.", n_channels=1, seconds=10, standardize=True)
    pulse = datasets.make_ppg_accel(n_participants=1, n_windows=3, seconds=10, n_ppg_channels=1, random_state=0).ppg
    assert_allclose(encoder.transform(pulse * 50 + 7), encoder.transform(pulse), atol=1e-4)


@pytest.mark.parametrize(("n_times", "sfreq"), [(256, 100.0), (128, 50.0), (84, 33.0)])
def test_seconds_that_are_no_whole_samples_still_fit(n_times, sfreq):
    module = Theirs()
    seen = shapes_seen(module)
    encoder = TorchEncoder(module, sfreq, net_sfreq=30, seconds=2.56, n_channels=3)
    encoder.fit(X[..., :n_times]).transform(X[..., :n_times])
    assert seen == {(3, 77)}


def test_without_a_contract_it_is_that_of_the_windows():
    encoder = TorchEncoder(Theirs()).fit(X)
    assert (encoder.contract_.n_channels, encoder.contract_.n_times, encoder.contract_.sfreq) == (3, 1000, 100.0)
    assert encoder.dim_ == 8 and list(encoder.get_feature_names_out())[-1] == "torchencoder7"


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (X[..., :500], "3 channels x 300 samples at 30 Hz, which are 3 x 1000 at sfreq=100; got 3 x 500"),
        (X[:, :2], "got 2 x 1000"),
        (X[..., :500], "their rate is 50 Hz: set sfreq=50. If not, cut the recordings anew with cut(recordings, sec"),
        (np.repeat(X, 2, axis=2)[..., :1010], "got 3 x 1010. Leave what is too much out: pass X[:, :, :1000]."),
        (X[0], "One window is of three dimensions too: X[None] where X is (n_channels, n_times)"),
        (X[0].T, "One window is of three dimensions too: X.T[None] where X is (n_times, n_channels)"),
        (X.reshape(len(X), -1), "look flattened: pass X.reshape(-1, 3, 1000)"),
        (X[0, 0], "got one dimension, shape (1000,)"),
        (X.transpose(0, 2, 1), "Channels and samples look swapped"),
        (X * 9.80665, "gravity in 'm/s^2'"),
        (np.where(X > 1, np.nan, X), "finite numbers"),
    ],
    ids=["length", "channels", "rate", "one more", "one", "one, last", "flat", "one channel", "axes", "units", "NaN"],
)
def test_windows_that_the_module_cannot_take_are_refused(harnet_like, windows, message):
    for refuse in (harnet_like.fit, harnet_like.transform):
        with pytest.raises(ValueError, match=re.escape(message)):
            refuse(windows)


# ------------------------------------------------------------------------------------- what comes out


def test_a_row_is_a_windows_own_to_the_bit(harnet_like):
    whole = harnet_like.transform(np.concatenate([X, X, X, X]))
    assert_array_equal(whole[70:73], harnet_like.transform(np.concatenate([X, X, X, X])[70:73]))
    assert_array_equal(whole[:1], harnet_like.transform(X[:1]))


@pytest.mark.parametrize(
    "output",
    [operator.itemgetter(0), lambda given: given[1]["more"], lambda given: given[2].flatten(1)],
    ids=["first of a tuple", "of a dictionary", "longer tensor"],
)
def test_output_makes_rows_of_what_a_module_returns(output):
    wanted = TorchEncoder(Theirs()).transform(X)
    assert_array_equal(TorchEncoder(Several(), output=output, dim=8).transform(X), wanted)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "The module returned 3 things, the first a tensor of shape"),
        ({"output": operator.itemgetter(1)}, "output made of what the module returned a dictionary of more"),
        ({"output": operator.itemgetter(2)}, "a tensor of shape (64, 8, 1)"),
        ({"output": lambda given: given[0][:5]}, "a tensor of shape (5, 8)"),
        ({"output": operator.itemgetter(0), "dim": 9}, "was told dim=9; the module gives 8"),
    ],
    ids=["tuple", "dictionary", "longer", "fewer rows", "dim"],
)
def test_anything_but_rows_is_refused_with_a_way_out(how, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TorchEncoder(Several(), device="cpu", **how).transform(X[..., :256])


# ------------------------------------------------------------------------------------- it stays what it is


def test_the_module_is_never_changed():
    module = Theirs()
    module.norm.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    TorchEncoder(module).fit(X, y, groups=groups).transform(X)
    assert module.training and module.drop.training and not module.norm.training
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())


def test_clone_and_a_search_hand_the_module_on(harnet_like):
    twin = clone(harnet_like.set_output(transform="pandas"))
    assert twin.module is harnet_like.module and twin is not harnet_like
    assert twin.fit(X).transform(X).shape == (24, 8) and twin.transform(X).columns[0] == "torchencoder0"
    pipeline = make_pipeline(harnet_like, LogisticRegression(max_iter=500))
    grid = {"logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(2), error_score="raise").fit(X, y, groups=groups)
    assert search.best_estimator_[0].module is harnet_like.module
    assert search.predict(X).shape == y.shape


def test_a_loader_is_called_once_and_not_before_it_is_needed():
    calls = []

    def load():
        calls.append(1)
        return Theirs()

    encoder = TorchEncoder(load, net_sfreq=30, seconds=10, n_channels=3)
    twins = [clone(encoder) for _ in range(3)]
    assert not calls
    rows = [twin.fit(X).transform(X) for twin in (encoder, *twins)]
    assert calls == [1]
    assert_array_equal(rows[0], rows[-1])
    with pytest.raises(TypeError, match=r"gives an nn.Module; it gave a dict"):
        TorchEncoder(dict).transform(X)


@pytest.mark.parametrize("module", [Theirs(), made, partial(Theirs, 3, 8)], ids=["module", "loader", "partial"])
def test_pickle_keeps_the_embedding(module):
    encoder = TorchEncoder(module, net_sfreq=30, seconds=10).fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(X), encoder.transform(X))


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"module": "harnet10"}, TypeError, "module is an nn.Module, or a callable without arguments"),
        ({"net_sfreq": 0}, ValueError, "net_sfreq of TorchEncoder is a finite number above 0; got 0"),
        ({"n_times": 2.5}, ValueError, "n_times of TorchEncoder is a whole number above 0; got 2.5"),
        ({"n_times": 300, "seconds": 10}, ValueError, "Say n_times or seconds, not both"),
        ({"net_units": "mV"}, ValueError, "both of acceleration or neither; got 'g' and 'mV'"),
        ({"device": "gpu"}, ValueError, "device='gpu'"),
    ],
    ids=lambda value: None,
)
def test_bad_parameters_are_named(how, error, message):
    with pytest.raises(error, match=re.escape(message)):
        TorchEncoder(**{"module": Theirs(), **how}).transform(X)
