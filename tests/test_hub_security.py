"""Checkpoints that somebody made to do harm: an error that says what is wrong, and nothing else happens."""

import ast
import builtins
import json
import os
import pickle
import random
import struct
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

import wearembed
from wearembed import AccelMaskedEncoder, FineTunedClassifier, RelConDistance, RelConEncoder, datasets, hub

HOUSE = Path(wearembed.__file__).parent
MOTION = datasets.make_motion(n_participants=2, n_windows=8, random_state=0)
X, y = MOTION.data, MOTION.target
SMALL = {"max_epochs": 1, "batch_size": 8, "device": "cpu", "random_state": 0}
REFUSED = (ValueError, FileNotFoundError)


@pytest.fixture(scope="module")
def estimators():
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL)
    encoder = RelConEncoder(4, (1, 1), (3, 4), distance=distance, mates=3, **SMALL).fit(X)
    tuned = FineTunedClassifier(encoder, **SMALL).fit(X, y)
    return {"relcon": encoder, "tuned": tuned, "masked": AccelMaskedEncoder((8, 1, 16), **SMALL).fit(X)}


@pytest.fixture
def folder(estimators, tmp_path):
    estimators["relcon"].save_pretrained(tmp_path / "weights", data=["make_motion"], license="MIT")
    return tmp_path / "weights"


def hashed(folder, name, data):
    """Put bytes in a checkpoint as its maker could: with the hash that belongs to them."""
    (folder / f"{name}.safetensors").write_bytes(data)
    configured(folder, **{f"{name}_sha256": hub.sha256(data)})


def configured(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def opened(folder):
    """Everything that reads the files, to the end."""
    estimator = wearembed.from_pretrained(folder, device="cpu")
    estimator.verify()
    return repr(estimator)


# ---------------------------------------------------------------------------------- no code from files


class Payload:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "reference.safetensors", "README.md"])
@pytest.mark.parametrize("by", ["pickle", "torch"])
def test_a_pickle_in_place_of_any_file_is_not_unpickled(folder, tmp_path, name, by):
    mark = tmp_path / "executed"
    if by == "pickle":
        (folder / name).write_bytes(pickle.dumps(Payload(mark)))
    else:
        torch.save(Payload(mark), folder / name)
    if name.endswith("safetensors"):
        configured(folder, **{f"{Path(name).stem}_sha256": hub.sha256((folder / name).read_bytes())})
    if name == "README.md":
        opened(folder)
    else:
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            opened(folder)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()  # it would have shown


def test_loading_imports_evaluates_and_unpickles_nothing(folder, monkeypatch):
    names = {"__module__": "antigravity", "net": "this.s", "estimator_module": "antigravity", "auto_map": "this--x"}
    configured(folder, **names)

    def refuse(*args, **kwargs):
        raise AssertionError("code from a file")

    opened(folder)  # what is imported late is imported now
    for module, name in ((pickle, "load"), (pickle, "loads"), (torch, "load"), (builtins, "eval"), (builtins, "exec")):
        monkeypatch.setattr(module, name, refuse)
    before = set(sys.modules)
    opened(folder)
    assert set(sys.modules) == before and "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "antigravity",
        "Pretrained",
        "BaseEstimator",
        "Trainable",
        "__class__",
        "",
        None,
        5,
        ["RelConEncoder"],
        {},
    ],
)
def test_a_class_that_is_none_of_ours_is_refused(folder, name):
    configured(folder, estimator_class=name)
    with pytest.raises(ValueError, match="which this version of wearembed does not have"):
        opened(folder)
    assert "antigravity" not in sys.modules


def test_no_reader_of_ours_unpickles():
    """Each call that could run a file's code, in all of the package."""
    harmless = {
        "pickle.loads(pickle.dumps(",  # there and back
        "pickle.loads(cloudpickle.dumps(",
        "pickle.loads(payload)",  # of embedding/engines.py: its SHA-256 came from the process that wrote it
    }
    risky = []
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                told = ast.unparse(node)
                weights_only = "torch.load(" in told and "weights_only=True" in told
                if told.startswith(("pickle.load", "joblib.load", "torch.load", "dill.", "eval(", "exec(")) and not (
                    weights_only or told.startswith(tuple(harmless))
                ):
                    risky.append(f"{path.name}: {told[:60]}")
                if told.startswith(("np.load", "numpy.load")) and "allow_pickle=True" in told:
                    risky.append(f"{path.name}: {told[:60]}")
    assert not risky


# ---------------------------------------------------------------------------------- names, links, devices


def test_paths_in_the_configuration_lead_nowhere(folder, tmp_path):
    secret = tmp_path / "secret.safetensors"
    secret.write_bytes((folder / "model.safetensors").read_bytes())
    configured(folder, files=["../secret.safetensors"], model="../secret.safetensors", weights=str(secret))
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors is missing"):
        opened(folder)


@pytest.mark.parametrize(
    "name", ["wearembed/../../secrets", "wearembed/.", "../../etc/passwd", "user/../x", "user/..", "/"]
)
def test_names_that_climb_are_no_names(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        wearembed.from_pretrained(name)


def test_pipes_and_devices_are_not_opened(folder):
    for name in ("config.json", "model.safetensors", "reference.safetensors"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)  # to read it would be to wait for ever
        with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
            opened(folder)
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")  # to read it would be to read for ever
        with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
            opened(folder)
        (folder / name).unlink()
        (folder / name).symlink_to(name)  # and this leads to itself
        with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
            opened(folder)
        (folder / name).unlink()
        (folder / name).write_bytes(kept)
    opened(folder)


def test_links_to_files_are_followed_and_never_written_through(folder, estimators, tmp_path):
    """As the hub's cache, DVC and git-annex keep them."""
    store = tmp_path / "store"
    store.mkdir()
    for name in ("config.json", "model.safetensors"):
        os.rename(folder / name, store / name)
        (folder / name).symlink_to(store / name)
    opened(folder)
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    estimators["relcon"].save_pretrained(folder, license="BSD-3-Clause")
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before
    assert not any(path.is_symlink() for path in folder.iterdir())
    opened(folder)


# ---------------------------------------------------------------------------------- sizes


def test_files_beyond_all_size_are_refused_unread(folder):
    for name, most in (("config.json", 2**20), ("model.safetensors", 2**32), ("reference.safetensors", 2**28)):
        kept = (folder / name).read_bytes()
        with open(folder / name, "wb") as file:
            file.truncate(most + 1)  # a hole: it has that size, and takes no room
        with pytest.raises(ValueError, match=f"{name} has {most + 1} bytes.*at most {most}"):
            opened(folder)
        (folder / name).write_bytes(kept)


@pytest.mark.parametrize("length", [0, 1, 2**21 + 1, 2**40, 2**63, 2**64 - 1])
def test_headers_of_any_length_are_errors(folder, length):
    hashed(folder, "model", struct.pack("<Q", length) + b"{}" * 2**21)
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        opened(folder)


def with_header(header, data=b""):
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        with_header(b"\xff\xfe\x00"),
        with_header(b"[" * 100_000),
        with_header(b'{"a":' * 100_000),
        with_header([]),
        with_header({"a": 1}),
        with_header({"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 0]}}),
        with_header({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({key: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for key in "ab"}, b"1234"),
        with_header({"../../x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"__metadata__": {"a": "b" * 2**20}}),
    ],
    ids=lambda data: repr(data[8:48]),
)
def test_headers_that_lie_are_errors(folder, data):
    hashed(folder, "model", data)
    with pytest.raises(ValueError, match="model.safetensors is damaged|do not fit"):
        opened(folder)


def test_deep_or_endless_json_is_an_error(folder):
    for text in (
        "[" * 500_000,
        '{"a":' * 150_000,
        "1" * 100_000,
        '{"format": 1' + "0" * 5000 + "}",
        "\ud800".encode("utf-8", "surrogatepass"),
    ):
        (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ValueError, match="config.json is damaged|no checkpoint of wearembed"):
            opened(folder)


@pytest.mark.parametrize(
    ("which", "params"),
    [("relcon", {"width": 4, "blocks": [1, 9999], "kernels": [3, 4]}), ("masked", {"size": [8, 9999, 16]})],
)
def test_a_net_that_would_take_for_ever_to_build_is_refused_soon(estimators, tmp_path, which, params):
    estimators[which].save_pretrained(tmp_path / "w")
    configured(tmp_path / "w", params=params)
    start = time.process_time()
    with pytest.raises(ValueError, match="no net can be built from it: a net of more than 5000 modules"):
        opened(tmp_path / "w")
    assert time.process_time() - start < 10  # without the limit 20 to 60
    assert estimators[which].fit(X).net_  # and nothing of the limit is left


def test_scales_that_would_blow_up_a_product_are_refused(estimators, tmp_path):
    estimators["relcon"].save_pretrained(tmp_path / "w", dtype="int8")
    opened(tmp_path / "w")
    tensors = safetensors.torch.load_file(tmp_path / "w" / "model.safetensors")
    name = next(key for key in tensors if key.startswith("scale:"))
    rows = len(tensors[name])
    lies = [
        torch.ones(rows, 100_000, 1),
        torch.ones(100_000, rows, 1, 1),
        torch.ones(rows),
        torch.ones(rows, 1, 1).double(),
    ]
    for lie in [*lies, torch.ones(rows, 1, 1, dtype=torch.int8)]:
        hashed(tmp_path / "w", "model", safetensors.torch.save({**tensors, name: lie}))
        with pytest.raises(ValueError, match="its scale do not fit"):
            opened(tmp_path / "w")
    hashed(tmp_path / "w", "model", safetensors.torch.save({**tensors, "scale:nothing": torch.ones(1)}))
    with pytest.raises(ValueError, match="is of no tensor"):
        opened(tmp_path / "w")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64], ids=str)
def test_tensors_of_another_type_are_refused(folder, dtype):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    changed = {**tensors, "net.conv.weight": torch.ones(tensors["net.conv.weight"].shape).to(dtype)}
    hashed(folder, "model", safetensors.torch.save(changed))
    with pytest.raises(ValueError, match=r"1 of another type \(net\.conv\.weight\)|is damaged"):
        opened(folder)


@pytest.mark.parametrize(
    "reference",
    [
        {"windows": torch.ones(4, 3, 256)},
        {"output": torch.ones(4, 8)},
        {"windows": torch.ones(4, 3, 7), "output": torch.ones(4, 8)},
        {"windows": torch.ones(4), "output": torch.ones(4, 8)},
        {"windows": torch.ones(0, 3, 256), "output": torch.ones(0, 8)},
        {"windows": torch.ones(4, 3, 256, dtype=torch.int64), "output": torch.ones(4, 8)},
        {"windows": torch.ones(4, 3, 256), "output": torch.ones(())},
        {"windows": torch.full((4, 3, 256), torch.nan), "output": torch.full((4, 8), torch.nan)},
    ],
)
def test_a_reference_that_makes_no_sense_does_not_verify(folder, reference):
    hashed(folder, "reference", safetensors.torch.save(reference))
    with pytest.raises(ValueError, match="damaged|does not give the reference"):
        opened(folder)


def test_messages_stay_short_and_printable_whatever_the_file_says(folder):
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    hashed(folder, "model", safetensors.torch.save({**tensors, "\x1b[31m" + "x" * 100_000: torch.ones(1)}))
    with pytest.raises(ValueError) as error:
        opened(folder)
    assert len(str(error.value)) < 1000 and str(error.value).isprintable()
    configured(folder, estimator_class="\x1b[31m" + "x" * 100_000)
    with pytest.raises(ValueError) as error:
        opened(folder)
    assert len(str(error.value)) < 1000 and str(error.value).isprintable()


# ---------------------------------------------------------------------------------- fuzzing, by seed

AWKWARD = [
    *(None, True, False, -1, 0, 1, 3, 0.5, 1e308, float("inf"), float("nan"), 10**30, 9999, 10**9, -(10**30)),
    *("", "x" * 5000, "../../etc/passwd", "os.system", "\0", "g", "m/s^2", [], {}, [[]], [1, 2, 3], [9999, 9999]),
    *([5000] * 5000, {"a": 1}, ["a"], [None], [[[[[[1]]]]]]),
]


def places(value, path=()):
    """Every place in nested JSON, as a path."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def changed(config, rng):
    """A copy with one to three places deleted or made awkward."""
    config = json.loads(json.dumps(config))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        *way, last = rng.choice(list(places(config)))
        part = config
        for key in way:
            part = part[key]
        if rng.random() < 0.2:
            del part[last]
        else:
            part[last] = rng.choice(AWKWARD)
    return config


def bitten(data, rng):
    """Bytes flipped, cut off, doubled or put in."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place:place] = rng.randbytes(rng.choice([1, 4, 64]))
        elif kind == 2:
            del data[place : place + rng.choice([1, 8, 64])]
        else:
            data[place:place] = data[place : place + rng.choice([1, 16])]
    return bytes(data)


@pytest.mark.parametrize("which", ["relcon", "tuned", "masked"])
def test_configurations_changed_at_random_load_or_are_refused(estimators, tmp_path, which):
    told = {"data": ["a"], "results": [{"dataset": "a", "metric": "b", "value": 1, "low": 0, "high": 2}]}
    estimators[which].save_pretrained(tmp_path / "w", license="MIT", **told)
    original = (tmp_path / "w" / "config.json").read_text()
    rng, loaded = random.Random(0), 0
    for n in range(120):
        config = json.dumps(changed(json.loads(original), rng)).encode() if n % 3 else bitten(original.encode(), rng)
        (tmp_path / "w" / "config.json").write_bytes(config)
        try:
            opened(tmp_path / "w")
            loaded += 1
        except REFUSED as error:
            assert str(error)
    assert 0 < loaded < 120
    (tmp_path / "w" / "config.json").write_text(original)
    opened(tmp_path / "w")


@pytest.mark.parametrize("name", ["model", "reference"])
def test_tensor_files_changed_at_random_load_or_are_refused(folder, name):
    data = (folder / f"{name}.safetensors").read_bytes()
    head = 8 + int.from_bytes(data[:8], "little")
    header, rng, refused = json.loads(data[8:head]), random.Random(1), 0
    for n in range(120):
        if n % 2:
            hashed(folder, name, with_header(changed(header, rng), data[head:]))
        else:
            hashed(folder, name, bitten(data[:head], rng) + data[head:])
        try:
            opened(folder)
        except REFUSED as error:
            refused += 1
            assert str(error)
    assert refused > 60
