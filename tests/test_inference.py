"""Fast ways through a net against the plain one, on nets whose norms have learnt something."""

import json
import pickle
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch import nn

from wearembed import AccelMaskedEncoder, FineTunedClassifier, PPGContrastiveEncoder, RelConDistance, RelConEncoder
from wearembed.datasets import make_motion
from wearembed.encoders.inference import at_once
from wearembed.nets import EfficientNet1d, PatchTransformer, ResNet1d, Views, for_inference

# Not by importing it, which would wake its telemetry.
with_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra openvino")
with_onnx = pytest.mark.skipif(
    not all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")), reason="needs onnx and onnxruntime"
)

NETS = {
    "ResNet1d": lambda n_channels: ResNet1d(n_channels, 8, (1, 2, 1), (3, 4, 5)),
    "Views": lambda n_channels: Views(n_channels, width=8, blocks=(1, 1), kernels=(3, 4)),
    "EfficientNet1d": lambda n_channels: EfficientNet1d(n_channels, 2, 36),
    "EfficientNet1d, projected": lambda n_channels: EfficientNet1d(n_channels, 2, 18, dim=5),
    "with a head": lambda n_channels: nn.Sequential(ResNet1d(n_channels, 8, (1,), (4,)), nn.Linear(8, 3)),
}
X = make_motion(n_participants=3, n_windows=8, random_state=0).data
SMALL = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
ENCODERS = {
    "RelConEncoder": RelConEncoder(
        4, (1, 1), (3, 4), distance=RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL), mates=3, **SMALL
    ),
    "EfficientNet1d": PPGContrastiveEncoder((18, 2), **SMALL),
    "PatchTransformer": AccelMaskedEncoder((16, 1, 32), **SMALL),
}
of_each = pytest.mark.parametrize("name", ENCODERS)


def lived_in(net):
    """Statistics and weights of all norms as training leaves them, unlike those that they begin with."""
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, -1.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
    return net.eval()


def cosine(Z, wanted):
    return ((Z * wanted).sum(1) / np.linalg.norm(Z, axis=1) / np.linalg.norm(wanted, axis=1)).min()


@pytest.fixture(scope="module")
def fitted():
    done = {}

    def fit(name):
        if name not in done:
            torch.manual_seed(0)
            done[name] = clone(ENCODERS[name]).fit(X)
            lived_in(done[name].net_)
        return done[name]

    return fit


# ------------------------------------------------------------------------------------- the net made ready


@pytest.mark.parametrize("n_times", [1, 2, 7, 11, 64, 65, 256])
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("name", NETS)
def test_a_net_made_ready_is_the_plain_one(name, n_channels, n_times):
    torch.manual_seed(0)
    net = lived_in(NETS[name](n_channels))
    x = torch.randn(5, n_channels, n_times)
    before = {key: t.clone() for key, t in net.state_dict().items()}
    with torch.no_grad():
        wanted = net(x)
        torch.testing.assert_close(for_inference(net)(x), wanted, rtol=1e-5, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            half = for_inference(net, torch.bfloat16)(x).float()
    assert cosine(half.numpy(), wanted.numpy()) > 0.999
    assert_array_equal(before.keys(), net.state_dict().keys())
    assert all(torch.equal(t, before[key]) and t.dtype == before[key].dtype for key, t in net.state_dict().items())


def test_batch_norms_and_one_dimensional_convolutions_are_gone():
    for name in NETS:
        kinds = {type(part) for part in for_inference(NETS[name](3)).modules()}
        assert not kinds & {nn.BatchNorm1d, nn.Conv1d}


def test_what_is_not_known_or_watched_stays_as_it_is():
    class Other(ResNet1d):
        pass

    for net in (PatchTransformer(3, 16, 1, 32), nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)), Other(3, 4)):
        assert for_inference(net) is net
    watched = ResNet1d(3, 4, (1,), (3,))
    watched.blocks[0].norm2.register_forward_hook(lambda *seen: None)
    assert for_inference(watched) is watched


# ------------------------------------------------------------------------------------- transform


@of_each
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_transform_gives_what_the_plain_net_gives(name, precision, fitted):
    encoder = fitted(name)
    with torch.no_grad():
        wanted = encoder.net_(torch.from_numpy(encoder._convert(X))).numpy()
    Z = pickle.loads(pickle.dumps(encoder)).set_params(precision=precision).transform(X)
    if precision == "float32":
        assert_allclose(Z, wanted, rtol=1e-4, atol=1e-5)
    assert cosine(Z, wanted) > 0.999


def in_any_company(encoder):
    many = np.concatenate([X, X, X])[np.random.default_rng(0).permutation(3 * len(X))]
    whole = encoder.transform(many)
    for rows in (slice(0, 1), slice(3, 20), slice(50, 72), [71, 5, 33]):
        assert_array_equal(whole[rows], encoder.transform(many[rows]))


@of_each
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_embedding_is_the_same_to_the_bit_in_any_company(name, precision, fitted):
    in_any_company(pickle.loads(pickle.dumps(fitted(name))).set_params(precision=precision))


@pytest.mark.parametrize(
    ("name", "compile"),
    [*((name, False) for name in ENCODERS), pytest.param("RelConEncoder", "openvino", marks=with_openvino)],
)
def test_changed_weights_change_the_embedding(name, compile, fitted):
    own = pickle.loads(pickle.dumps(fitted(name))).set_params(compile=compile)
    first = own.transform(X)
    weights = {key: t.clone() for key, t in own.net_.state_dict().items()}
    with torch.no_grad():
        for parameter in own.net_.parameters():
            parameter.data.mul_(1.1)  # past torch's counting of versions
    second = own.transform(X)
    assert not np.allclose(first, second)
    own.net_.load_state_dict(weights)
    assert_array_equal(own.transform(X), first)
    half = own.set_params(precision="bfloat16").transform(X)
    assert not np.array_equal(half, first)
    assert_array_equal(own.set_params(precision="float32").transform(X), first)


def test_a_gradient_step_changes_the_embedding_and_transform_leaves_the_net_trainable(fitted):
    own = pickle.loads(pickle.dumps(fitted("RelConEncoder")))
    first = own.transform(X)
    step = torch.optim.SGD(own.net_.parameters(), lr=0.1)
    own.net_(torch.from_numpy(X)).square().mean().backward()
    step.step()
    assert not np.allclose(own.transform(X), first)


def test_batches_are_smaller_for_longer_windows():
    assert [at_once("cpu", n_times) for n_times in (1, 256, 512, 3840, 10**6)] == [64, 64, 64, 8, 4]
    assert [at_once("openvino", n_times) for n_times in (256, 3840)] == [16, 4]
    assert at_once("cuda", 3840) == 1024


@pytest.mark.parametrize("wrong", ["onnx", "", None, 2])
def test_another_compiler_is_refused(wrong, fitted):
    with pytest.raises(ValueError, match="compile of PPGContrastiveEncoder is one of False, True, openvino; got"):
        clone(ENCODERS["EfficientNet1d"]).set_params(compile=wrong).fit(X)


# ------------------------------------------------------------------------------------- OpenVINO


SIGNALLED = """
import gc, os, signal
import torch
from wearembed.encoders.runtimes import through_openvino
from wearembed.nets import ResNet1d

seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
nets = [ResNet1d(3, 4, (1,), (3,)).eval() for _ in range(3)]
for net in nets:
    through_openvino(net, (4, 3, 64), False)(torch.randn(4, 3, 64))
while nets:
    del net, nets[0]
    net = None
    gc.collect()
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(seen))
"""


@with_openvino
def test_signals_reach_a_process_whose_models_have_ended():
    """OpenVINO left the thread with a stack for signals that was gone, and the next signal was the last."""
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["3"], done.stderr


@with_openvino
@of_each
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_gives_what_torch_gives(name, precision, fitted):
    own = pickle.loads(pickle.dumps(fitted(name)))
    wanted = own.transform(X)
    own.set_params(compile="openvino", precision=precision)
    Z = own.transform(X)
    if precision == "float32":
        assert_allclose(Z, wanted, rtol=1e-3, atol=1e-4)
    assert cosine(Z, wanted) > 0.999
    in_any_company(own)
    assert "openvino_telemetry" not in sys.modules, "it would call out"


@with_openvino
def test_openvino_trains_saves_and_answers_as_torch_does(tmp_path):
    plain = clone(ENCODERS["RelConEncoder"]).fit(X)
    own = clone(ENCODERS["RelConEncoder"]).set_params(compile="openvino").fit(X)
    assert all(torch.equal(a, b) for a, b in zip(own.net_.parameters(), plain.net_.parameters()))
    lived_in(own.net_)
    own.save_pretrained(tmp_path / "weights")
    loaded = RelConEncoder.from_pretrained(tmp_path / "weights", compile="openvino", device="cpu")
    assert loaded.verify()
    assert_array_equal(loaded.transform(X), own.transform(X))
    tuned = FineTunedClassifier(own, tune="head", compile="openvino", **SMALL).fit(X, np.arange(len(X)) % 2)
    wanted = tuned.predict_proba(X)
    assert_allclose(tuned.set_params(compile=False).predict_proba(X), wanted, rtol=1e-3, atol=1e-4)


@with_openvino
def test_openvino_compiles_once_for_the_same_weights(fitted, monkeypatch):
    from wearembed.encoders import runtimes

    calls = []
    compiling = runtimes.by_openvino
    monkeypatch.setattr(runtimes, "by_openvino", lambda *args: calls.append(args) or compiling(*args))
    own = pickle.loads(pickle.dumps(fitted("RelConEncoder"))).set_params(compile="openvino")
    for _ in range(3):
        own.transform(X)
    assert len(calls) == 1


class Shifted(nn.Module):
    """A mean over time and then a number for each channel: 2026.4 of OpenVINO gets this wrong."""

    def __init__(self, n_channels):
        super().__init__()
        self.shift = nn.Parameter(torch.linspace(1, 9, n_channels))

    def forward(self, x):
        return x.mean(-1) - self.shift


@with_openvino
def test_openvino_is_right_or_refused():
    from wearembed.encoders.runtimes import through_openvino

    net, x = Shifted(3), torch.randn(16, 3, 40)
    with torch.no_grad():
        try:
            got = through_openvino(net, tuple(x.shape), False)(x)
        except RuntimeError as error:
            assert "computes something else of this Shifted" in str(error)
        else:
            assert_allclose(got, net(x), atol=1e-4)


def test_without_openvino_the_extra_is_named(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    own = pickle.loads(pickle.dumps(fitted("RelConEncoder"))).set_params(compile="openvino")
    with pytest.raises(ImportError, match=r'pip install "wearembed\[openvino\]"'):
        own.transform(X)


def test_the_distance_has_no_transform_to_compile_for():
    with pytest.raises(ValueError, match="compile of RelConDistance is one of False, True; got 'openvino'"):
        RelConDistance(compile="openvino", **SMALL).fit(X)


# ------------------------------------------------------------------------------------- ONNX


def session(file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def exported(fitted, tmp_path_factory):
    """The file of each encoder, written once: that takes seconds."""
    done = {}

    def export(name, dynamic_length):
        if (name, dynamic_length) not in done:
            file = tmp_path_factory.mktemp("onnx") / "new" / "net.onnx"
            done[name, dynamic_length] = fitted(name).export_onnx(file, dynamic_length=dynamic_length)
        return done[name, dynamic_length]

    return export


@with_onnx
@pytest.mark.parametrize(
    ("name", "dynamic_length"),
    [
        ("RelConEncoder", False),
        ("RelConEncoder", True),
        ("PatchTransformer", True),
        pytest.param("EfficientNet1d", True, marks=pytest.mark.slow),
    ],
)
def test_onnx_gives_what_torch_gives_for_any_number_and_length(name, dynamic_length, fitted, exported):
    encoder, file = fitted(name), exported(name, dynamic_length)
    assert [path.name for path in file.parent.iterdir()] == ["net.onnx"]
    run, windows = session(file), encoder._convert(X)
    for n_windows in (1, 2, 7):
        for n_times in (256, 300, 64, 15, 11) if dynamic_length else (256,):
            x = np.resize(windows, (n_windows, 3, n_times))
            with torch.no_grad():
                wanted = encoder.net_(torch.from_numpy(x)).numpy()
            assert_allclose(run.run(["embedding"], {"windows": x})[0], wanted, rtol=1e-3, atol=1e-5)
    assert run.get_inputs()[0].shape == ["n_windows", 3, "n_times" if dynamic_length else 256]
    assert run.get_outputs()[0].shape == ["n_windows", encoder.net_.dim]


@with_onnx
def test_an_onnx_file_says_what_windows_have_to_be_and_not_where_it_was_made(exported):
    file = exported("PatchTransformer", True)
    told = session(file).get_modelmeta().custom_metadata_map
    contract = {key: json.loads(told[key]) for key in ("n_channels", "n_times", "sfreq", "standardized")}
    assert contract == {"n_channels": 3, "n_times": 256, "sfreq": 64.0, "standardized": True}
    assert told["units"] == "g" and told["estimator_class"] == "AccelMaskedEncoder"
    assert b"patch_transformer.py" not in file.read_bytes()


@with_onnx
def test_a_net_that_cannot_take_any_length_says_so(tmp_path, fitted):
    own = pickle.loads(pickle.dumps(fitted("RelConEncoder")))
    own.net_ = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 2))
    with pytest.raises(ValueError, match="Sequential for windows of any length"):
        own.export_onnx(tmp_path / "net.onnx", dynamic_length=True)
    assert not any(tmp_path.iterdir())


def test_without_onnx_the_extra_is_named(fitted, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'pip install "wearembed\[onnx\]"'):
        fitted("RelConEncoder").export_onnx(tmp_path / "net.onnx")
