"""Tensors in, tensors out under scikit-learn's array API dispatch.

scikit-learn dispatches only where scipy was told to before it was imported, so the first test runs all others in a
process of its own. By hand: ``SCIPY_ARRAY_API=1 pytest tests/test_tensors.py``.
"""

import copy
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wearembed import (
    AccelContrastiveEncoder,
    ECGContrastiveEncoder,
    HandmadeFeatures,
    RawWindows,
    SimCLREncoder,
    Spectra,
    TorchEncoder,
    from_pretrained,
)
from wearembed.datasets import make_ecg, make_motion

SKIPPED_ELSEWHERE = ("contracts", "baselines", "finetuned", "torch_encoder")  # where scikit-learn asks for it too
TOLD = os.environ.get("SCIPY_ARRAY_API") == "1"
dispatching = pytest.mark.skipif(not TOLD, reason="test_all_of_it_where_scipy_was_told_of_array_apis runs these")
RUN = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
ENCODERS = {
    "SimCLREncoder": SimCLREncoder(4, (1, 1), (3, 4), **RUN),
    "AccelContrastiveEncoder": AccelContrastiveEncoder((16, 1, 32), **RUN),  # standardises
}
BASELINES = [HandmadeFeatures(), RawWindows(), Spectra()]
MOTION = make_motion(n_participants=3, n_windows=12, random_state=0)
X, groups = MOTION.data, MOTION.groups
every = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)


@pytest.fixture
def dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.fixture(scope="module")
def fitted():
    done = {}
    return lambda encoder: done.setdefault(id(encoder), sklearn.clone(encoder).fit(X, groups=groups))


@pytest.mark.skipif(TOLD, reason="this is where it runs them")
def test_all_of_it_where_scipy_was_told_of_array_apis():
    beside = [str(Path(__file__).with_name(f"test_{name}.py")) for name in SKIPPED_ELSEWHERE]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, *beside]
    only = ["-k", "test_tensors or check_array_api_input"]  # those of scikit-learn that are skipped elsewhere
    told = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run([*command, *only], env=told, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "SCIPY_ARRAY_API is not set" not in done.stdout


def test_without_dispatch_a_tensor_gives_an_array(fitted):
    Z = fitted(ENCODERS["SimCLREncoder"]).transform(torch.from_numpy(X))
    assert isinstance(Z, np.ndarray)


@dispatching
@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_tensor_gives_the_tensor_of_the_same_embedding(encoder, dtype, fitted, dispatch):
    given = torch.from_numpy(X).to(dtype)
    Z = fitted(encoder).transform(given)
    assert isinstance(Z, torch.Tensor) and Z.dtype == torch.float32 and Z.device == given.device
    assert not Z.requires_grad and not Z.is_inference()
    wanted = fitted(encoder).transform(given.numpy())
    assert_allclose(Z.numpy(), wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())
    if not encoder._standardized:
        assert_array_equal(Z.numpy(), wanted)  # nothing was computed on the way to the net


@dispatching
def test_on_the_way_nothing_goes_through_numpy(fitted, dispatch, monkeypatch):
    heart = ECGContrastiveEncoder((16, 1, 32), **RUN).fit(make_ecg(n_participants=2, n_windows=4, random_state=0).data)
    given = torch.from_numpy(make_ecg(n_participants=2, n_windows=4, random_state=1).data)

    def refuse(*args, **kwargs):
        raise AssertionError("a tensor was made an array")

    for name in ("numpy", "__array__", "tolist"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    assert heart.transform(given).isfinite().all()


@dispatching
@every
def test_a_window_as_a_tensor_does_not_depend_on_its_company(encoder, fitted, dispatch):
    given = torch.from_numpy(X)
    whole = fitted(encoder).transform(torch.cat([given, given]))
    assert torch.equal(whole[:1], fitted(encoder).transform(given[:1]))
    assert torch.equal(whole[60:70], fitted(encoder).transform(torch.cat([given, given])[60:70]))


@dispatching
@every
@pytest.mark.parametrize("sfreq", [50.0, 30.0, 128.0])
def test_other_rates_and_units_are_converted_on_the_device(encoder, sfreq, fitted, dispatch):
    contract = fitted(encoder).contract_
    n_times = contract.n_times_at(contract.sfreq * sfreq / 100)
    other = 9.80665 * np.random.default_rng(0).normal([[0], [0], [1]], 0.1, size=(70, 3, n_times)).astype(np.float32)
    told = {"sfreq": contract.sfreq * sfreq / 100, "units": "m/s^2"}
    own = copy.deepcopy(fitted(encoder)).set_params(**told)
    wanted = own.transform(other)
    Z = own.transform(torch.from_numpy(other)).numpy()
    assert_allclose(Z, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


@dispatching
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.index_fill(2, torch.tensor(7), np.nan), "window 0, channel 0, sample 7"),
        (lambda X: X.double() * 1e300, "too large for float32"),
        (lambda X: X[..., :200], "got 3 x 200"),
        (lambda X: X[:, :2], "got 2 x 256"),
        (lambda X: X.transpose(1, 2), "transpose"),
        (lambda X: X[None], "got shape"),
        (lambda X: X[:0], "got shape"),
        (lambda X: X * 1j, "[Cc]omplex"),
        (lambda X: X.to_sparse(), "sparse"),
        (lambda X: X * 9.80665, r"units='m/s\^2'"),
    ],
    ids=["NaN", "too large", "length", "channels", "swapped", "four", "none", "complex", "sparse", "units"],
)
def test_bad_tensors_are_refused_as_arrays_are(change, message, fitted, dispatch):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fitted(ENCODERS["SimCLREncoder"]).transform(change(torch.from_numpy(X)))


@dispatching
def test_embedding_scaler_and_ridge_stay_tensors(dispatch):
    encoder = from_pretrained("wearembed/relcon-synthetic", device="cpu")
    given = torch.from_numpy(X)
    y = given.std(-1).mean(1)
    pipeline = make_pipeline(encoder, StandardScaler(), Ridge(alpha=10.0, solver="svd"))
    said = pipeline.fit(given, y).predict(given)
    assert isinstance(said, torch.Tensor) and isinstance(pipeline[-1].coef_, torch.Tensor)
    by_numpy = make_pipeline(encoder, StandardScaler(), Ridge(alpha=10.0, solver="svd")).fit(X, y.numpy())
    assert_allclose(said.numpy(), by_numpy.predict(X), rtol=1e-2, atol=1e-4)


@dispatching
@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: type(b).__name__)
def test_baselines_give_back_what_they_were_given(baseline, dispatch):
    strict = pytest.importorskip("array_api_strict", reason="no array_api_strict here")
    wanted = sklearn.clone(baseline).fit(X).transform(X)
    for given in (torch.from_numpy(X), strict.asarray(X)):
        Z = sklearn.clone(baseline).fit(given).transform(given)
        assert type(Z) is type(given) and Z.device == given.device
        assert_array_equal(np.asarray(Z), wanted)


@dispatching
def test_arrays_of_other_libraries_come_back_to_their_device(fitted, dispatch):
    strict = pytest.importorskip("array_api_strict", reason="no array_api_strict here")
    encoder = fitted(ENCODERS["SimCLREncoder"])
    given = strict.asarray(X, device=strict.Device("device1"))
    Z = encoder.transform(given)
    assert type(Z) is type(given) and Z.device == given.device
    assert_array_equal(np.asarray(strict.asarray(Z, device=strict.Device("CPU_DEVICE"))), encoder.transform(X))


@dispatching
def test_a_module_of_somebody_else_gives_tensors_too(dispatch):
    net = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 5), torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten())
    Z = TorchEncoder(net, device="cpu").transform(torch.from_numpy(X))
    assert isinstance(Z, torch.Tensor) and Z.shape == (36, 4)


@dispatching
@pytest.mark.parametrize("encoder", [*ENCODERS.values(), *BASELINES], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("namespace", ["numpy", "torch", "array_api_strict"])
def test_scikit_learns_check_of_array_apis(encoder, namespace):
    if namespace == "array_api_strict":
        pytest.importorskip("array_api_strict", reason="no array_api_strict here")
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    check = partial(checks.check_array_api_input, array_namespace=namespace, check_values=True)
    if namespace != "numpy":
        check = partial(check, dtype_name="float32", device_name="cpu" if namespace == "torch" else None)
    check(type(encoder).__name__, sklearn.clone(encoder))
