"""Checkpoint folders: what is written, what is read, and everything that is refused."""

import json
import os
import shutil

import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import wearembed
from wearembed import Encoder, RelConDistance, RelConEncoder, datasets, hub

MOTION = datasets.make_motion(n_participants=2, n_windows=8, random_state=0)
X, y = MOTION.data, MOTION.target
SMALL = {"max_epochs": 1, "batch_size": 8, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def trained():
    distance = RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL)
    return RelConEncoder(4, (1, 1), (3, 4), distance=distance, mates=3, temperature=0.3, **SMALL).fit(X)


@pytest.fixture
def folder(trained, tmp_path):
    trained.save_pretrained(tmp_path / "weights", data=["make_motion"], license="BSD-3-Clause", synthetic=True)
    return tmp_path / "weights"


def test_a_folder_holds_four_files_of_safetensors_json_and_text(folder):
    assert sorted(os.listdir(folder)) == ["README.md", "config.json", "model.safetensors", "reference.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    assert config["estimator_class"] == "RelConEncoder" and config["params"]["temperature"] == 0.3
    assert config["contract"] == {"n_channels": 3, "n_times": 256, "sfreq": 100.0, "units": "g", "standardized": False}
    assert config["training"]["synthetic"] is True and config["training"]["n_windows"] == 16


def test_the_card_says_synthetic_first_and_repr_says_it_too(folder):
    card = (folder / "README.md").read_text()
    assert "synthetic" in card.split("---\n")[2].strip().splitlines()[0].lower()
    assert 'license: "bsd-3-clause"' in card and "library_name" in card and "256 samples at 100 Hz" in card
    assert "synthetic" in repr(RelConEncoder.from_pretrained(folder))


def test_parameters_come_back_and_those_of_the_run_do_not(folder, trained):
    loaded = RelConEncoder.from_pretrained(folder)
    assert (loaded.width, loaded.blocks, loaded.kernels, loaded.mates) == (4, (1, 1), (3, 4), 3)
    assert loaded.temperature == 0.3 and loaded.max_epochs == 0 and loaded.weights == str(folder)
    assert loaded.random_state is None and loaded.distance is None
    assert_array_equal(loaded.distance_.pairwise(X[:3]), trained.distance_.pairwise(X[:3]))


def test_the_class_is_found_by_the_package(folder, trained):
    loaded = wearembed.from_pretrained(folder, device="cpu")
    assert type(loaded) is RelConEncoder
    assert_array_equal(loaded.transform(X), trained.transform(X))
    assert type(Encoder.from_pretrained(folder)) is RelConEncoder


def test_a_distance_is_saved_and_loaded_alike(trained, tmp_path):
    trained.distance_.save_pretrained(tmp_path / "distance")
    loaded = RelConDistance.from_pretrained(tmp_path / "distance", device="cpu")
    assert loaded.verify()
    assert_array_equal(loaded.pairwise(X[:3], X), trained.distance_.pairwise(X[:3], X))
    with pytest.raises(ValueError, match="holds a RelConDistance, not a RelConEncoder"):
        RelConEncoder.from_pretrained(tmp_path / "distance")
    by_name = RelConEncoder(4, (1, 1), (3, 4), distance=str(tmp_path / "distance"), mates=3, temperature=0.3, **SMALL)
    own = RelConEncoder(4, (1, 1), (3, 4), distance=trained.distance_, mates=3, temperature=0.3, **SMALL)
    assert_array_equal(by_name.fit(X).transform(X), own.fit(X).transform(X))


def test_attention_at_inference_may_be_set_anew_with_given_weights(trained, tmp_path):
    trained.distance_.save_pretrained(tmp_path / "distance")
    soft = RelConDistance.from_pretrained(tmp_path / "distance", inference_attention="softmax")
    assert not np.allclose(soft.pairwise(X[:3]), trained.distance_.pairwise(X[:3]), rtol=1e-3)
    soft.save_pretrained(tmp_path / "soft")
    assert RelConDistance.from_pretrained(tmp_path / "soft").net_.inference_attention == "softmax"
    back = RelConDistance.from_pretrained(tmp_path / "soft", inference_attention=None)
    assert_allclose(back.pairwise(X[:3]), trained.distance_.pairwise(X[:3]), rtol=1e-5)


def test_half_the_bytes_nearly_the_same_embedding(trained, tmp_path):
    trained.save_pretrained(tmp_path / "full")
    trained.save_pretrained(tmp_path / "half", dtype="bfloat16")
    full, half = (os.path.getsize(tmp_path / name / "model.safetensors") for name in ("full", "half"))
    loaded = RelConEncoder.from_pretrained(tmp_path / "half", device="cpu")
    assert half < 0.8 * full and loaded.verify()
    assert_allclose(loaded.transform(X), trained.transform(X), atol=0.05 * np.abs(trained.transform(X)).max())


def test_a_quarter_of_the_bytes_nearly_the_same_embedding(tmp_path):
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic", device="cpu")
    encoder.save_pretrained(tmp_path / "full").save_pretrained(tmp_path / "int8", dtype="int8")
    full, small = (os.path.getsize(tmp_path / name / "model.safetensors") for name in ("full", "int8"))
    Z, loaded = encoder.transform(X), RelConEncoder.from_pretrained(tmp_path / "int8", device="cpu")
    assert small < 0.3 * full and loaded.verify()
    assert_allclose(loaded.transform(X), Z, atol=0.05 * np.abs(Z).max())


def test_each_number_is_off_by_half_a_step_of_its_row_at_most(trained, tmp_path):
    trained.save_pretrained(tmp_path / "int8", dtype="int8")
    loaded = RelConEncoder.from_pretrained(tmp_path / "int8", device="cpu")
    assert json.loads((tmp_path / "int8" / "config.json").read_text())["format"] == 2
    for name, tensor in trained.net_.state_dict().items():
        got = loaded.net_.state_dict()[name]
        if tensor.ndim < 2:
            assert torch.equal(got, tensor.cpu())
        for row, other in zip(tensor.cpu(), got) if tensor.ndim > 1 else ():
            assert (row - other).abs().max() <= row.abs().max() / 254 * 1.001
    assert_allclose(loaded.transform(X), trained.transform(X), atol=0.05 * np.abs(trained.transform(X)).max())
    loaded.save_pretrained(tmp_path / "again")
    assert_array_equal(RelConEncoder.from_pretrained(tmp_path / "again").transform(X), loaded.transform(X))
    assert json.loads((tmp_path / "again" / "config.json").read_text())["format"] == 1
    with pytest.raises(ValueError, match="dtype is one of float32, bfloat16, int8; got 'int4'"):
        trained.save_pretrained(tmp_path / "x", dtype="int4")


def test_an_older_checkpoint_is_replaced_whole_and_other_files_are_never_touched(trained, folder, tmp_path):
    before = (folder / "README.md").read_text()
    trained.save_pretrained(folder, license="MIT")
    assert (folder / "README.md").read_text() != before and os.listdir(tmp_path) == ["weights"]
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds thesis\.tex, which a checkpoint does not"):
        trained.save_pretrained(folder)
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_a_save_that_fails_leaves_the_old_checkpoint(trained, folder, monkeypatch, tmp_path):
    def full(file, data):
        if file.name == "model.safetensors":
            raise OSError(28, "No space left on device")
        return write(file, data)

    write = hub.folder.write
    monkeypatch.setattr(hub.folder, "write", full)
    with pytest.raises(OSError, match="No space left"):
        trained.save_pretrained(folder, license="MIT")
    assert RelConEncoder.from_pretrained(folder).verify() and os.listdir(tmp_path) == ["weights"]


def test_a_save_killed_between_its_two_last_steps_is_still_found(folder):
    os.rename(folder, folder.with_name(".weights.old"))
    assert RelConEncoder.from_pretrained(folder).verify()


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path):
    distance = RelConDistance(np.int64(8), kernel=5, bottleneck=2, **{**SMALL, "batch_size": np.int64(8)}).fit(X)
    assert RelConDistance.from_pretrained(distance.save_pretrained(tmp_path / "d") and tmp_path / "d").dim == 8


def test_homes_links_and_relative_names_lead_to_the_same_folder(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    trained.save_pretrained("~/at-home")
    (tmp_path / "link").symlink_to(tmp_path / "at-home")
    trained.save_pretrained(tmp_path / "link", license="MIT")
    assert (tmp_path / "link").is_symlink() and sorted(os.listdir(tmp_path)) == ["at-home", "link"]
    monkeypatch.chdir(tmp_path)
    loaded = RelConEncoder.from_pretrained("at-home")
    monkeypatch.chdir("/")
    assert_array_equal(clone(loaded).transform(X), trained.transform(X))
    assert len(clone(loaded).get_feature_names_out()) == 8


def test_weights_trained_on_do_not_claim_that_nobody_was_seen(folder, tmp_path):
    on = RelConEncoder.from_pretrained(folder, device="cpu").set_params(max_epochs=1, batch_size=8).fit(X)
    on.save_pretrained(tmp_path / "on", data=["my cohort"])
    card = (tmp_path / "on" / "README.md").read_text()
    assert "synthetic" not in card.split("---\n")[2].strip().splitlines()[0].lower() and "synthetic" not in repr(on)
    assert '["make_motion", "my cohort"]' in card and str(folder) in card


def test_the_card_tells_of_the_distance_too(folder):
    assert "| distance__center | False |" in (folder / "README.md").read_text()


def test_verification_does_not_depend_on_the_precision_asked_for(folder):
    assert RelConEncoder.from_pretrained(folder, device="cpu", precision="bfloat16").verify()


def test_an_unfitted_encoder_has_nothing_to_save(tmp_path):
    with pytest.raises(ValueError, match="not fitted yet"):
        RelConEncoder().save_pretrained(tmp_path / "x")
    assert not (tmp_path / "x").exists()


# ---------------------------------------------------------------------------------- a whole pipeline, by skops


@pytest.mark.parametrize("which", ["fitted", "frozen"])
def test_a_whole_pipeline_goes_through_skops_and_is_equal_to_the_bit(trained, folder, tmp_path, which):
    encoder = clone(trained) if which == "fitted" else RelConEncoder.from_pretrained(folder, device="cpu")
    pipeline = make_pipeline(encoder, StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)
    skops.io.dump(pipeline, tmp_path / "pipeline.skops")
    foreign = skops.io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert foreign and all(name.startswith("wearembed.") for name in foreign)
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        skops.io.load(tmp_path / "pipeline.skops", trusted=[])
    loaded = skops.io.load(tmp_path / "pipeline.skops", trusted=foreign)
    assert_array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))
    assert_array_equal(loaded.predict(X), pipeline.predict(X))
    assert_array_equal(loaded[0].transform(X), pipeline[0].transform(X))
    assert loaded[0].contract_ == pipeline[0].contract_


# ---------------------------------------------------------------------------------- damage


def test_any_flipped_byte_is_noticed(folder):
    for name in ("model.safetensors", "reference.safetensors"):
        data = (folder / name).read_bytes()
        for place in (0, 9, len(data) // 2, len(data) - 1):
            (folder / name).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(ValueError, match=f"{name} is not what was saved"):
                RelConEncoder.from_pretrained(folder)
        (folder / name).write_bytes(data)
    assert RelConEncoder.from_pretrained(folder).verify()


def rewritten(folder, change):
    """A model file that was changed and whose hash was mended, as by hand."""
    tensors = change(safetensors.torch.load_file(folder / "model.safetensors"))
    data = safetensors.torch.save(tensors)
    (folder / "model.safetensors").write_bytes(data)
    configured(folder, model_sha256=hub.sha256(data))


def configured(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "net.conv.bias"}, r"1 missing \(net\.conv\.bias\)"),
        (lambda t: {**t, "net.head.weight": torch.ones(2)}, r"1 not of this net \(net\.head\.weight\)"),
        (lambda t: {**t, "net.conv.bias": torch.ones(7)}, r"1 of another shape \(net\.conv\.bias\)"),
        (
            lambda t: {k.replace("conv1", "conv_1"): v for k, v in t.items()},
            r"\d missing.*conv1.*\d not of this net.*conv_1",
        ),
        (lambda t: {k: v for k, v in t.items() if not k.startswith("distance")}, "missing"),
    ],
    ids=["missing key", "extra key", "wrong shape", "renamed keys", "no distance"],
)
def test_tensors_that_do_not_fit_are_named(folder, change, message):
    rewritten(folder, change)
    with pytest.raises(ValueError, match=f"do not fit RelConEncoder.*({message})"):
        RelConEncoder.from_pretrained(folder)


def test_weights_changed_by_hand_do_not_verify(folder):
    rewritten(folder, lambda t: {**t, "net.conv.weight": t["net.conv.weight"] * 1.1})
    with pytest.raises(ValueError, match="does not give the reference"):
        RelConEncoder.from_pretrained(folder).verify()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"library_name": "transformers"}, "no checkpoint of wearembed"),
        ({"format": 3}, "format 3; this version of wearembed reads 1 and 2.*pip install -U"),
        ({"format": None}, "format None"),
        ({"estimator_class": "os.system"}, "holds a 'os.system', which this version of wearembed does not have"),
        ({"estimator_class": "Pretrained"}, "'Pretrained'"),
        ({"params": {"width": 4, "warp_drive": 9}}, "parameters that RelConEncoder does not have: warp_drive"),
        ({"params": {"width": 10**9, "blocks": [1, 1], "kernels": [3, 4]}}, "do not fit|damaged"),
        ({"params": {"width": "wide", "blocks": [1, 1], "kernels": [3, 4]}}, "width.*got 'wide'"),
        ({"params": None}, "damaged"),
        ({"contract": {"n_channels": 3}}, "damaged: contract"),
        ({"contract": {"n_channels": 3, "n_times": 256, "sfreq": -1, "units": "g"}}, "damaged: contract"),
        ({"contract": None}, "damaged: contract"),
        ({"contract": {"n_channels": 3, "n_times": True, "sfreq": 100.0, "units": "g"}}, "damaged: contract"),
        ({"contract": {"n_channels": 3, "n_times": 256, "sfreq": 1e999, "units": "g"}}, "damaged: contract"),
        ({"contract": {"n_channels": 3, "n_times": 256, "sfreq": 100.0, "units": 5}}, "damaged: contract"),
        ({"contract": {"n_channels": 3, "n_times": 256, "sfreq": 100.0, "units": "furlong"}}, "furlong"),
        ({"training": None}, "damaged"),
        ({"training": 5}, "damaged"),
        ({"estimator_class": "Trainable"}, "'Trainable', which this version"),
        ({"params": {"width": 4, "blocks": [1, 1], "kernels": [3, 4], "mates": "x"}}, "mates.*whole number"),
        ({"model_sha256": None}, "not what was saved"),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value)[:60],
)
def test_damaged_or_foreign_configurations_are_refused(folder, changes, message):
    configured(folder, **changes)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        wearembed.from_pretrained(folder)


def test_what_is_not_json_is_refused(folder):
    for text in ("", "{", "[1, 2]", "null", "\x00\x01"):
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match="damaged|no checkpoint of wearembed"):
            RelConEncoder.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "reference.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        RelConEncoder.from_pretrained(folder)


def test_folders_and_names_that_are_no_checkpoints_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing, so .*empty is no checkpoint"):
        RelConEncoder.from_pretrained(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="No checkpoint at.*Expected a folder.*wearembed/relcon-synthetic"):
        RelConEncoder.from_pretrained(tmp_path / "gone")
    (tmp_path / "file.bin").write_bytes(b"x")
    for load in (RelConEncoder.from_pretrained, Encoder.from_pretrained, wearembed.from_pretrained):
        with pytest.raises((FileNotFoundError, ValueError), match=r"file\.bin"):
            load(tmp_path / "file.bin")
    with pytest.raises(FileNotFoundError, match="etc/passwd"):
        RelConEncoder.from_pretrained("../../etc/passwd")
    with pytest.raises(FileNotFoundError):
        RelConEncoder.from_pretrained("wearembed/../../secrets")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("wearembed/relcon-synthetc", "wearembed/relcon-synthetic"),
        ("relcon-synthetic", "wearembed/relcon-synthetic"),
        ("wearembd/relcon-synthetic", "wearembed/relcon-synthetic"),
        ("WearEmbed/ECG-contrastive-synthetic", "wearembed/ecg-contrastive-synthetic"),
    ],
)
def test_a_slip_of_the_pen_is_told_the_nearest_name(name, meant, tmp_path):
    """The tests forbid sockets, so a call would be another error."""
    with pytest.raises(FileNotFoundError, match=f"Did you mean '{meant}'"):
        wearembed.from_pretrained(name, cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["wearembed/of-a-stranger", "WearEmbed/of-a-stranger"])
def test_names_of_the_package_are_never_asked_of_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.setattr(hub.source, "fetch", lambda *args, **where: pytest.fail("it was asked for"))
    with pytest.raises(FileNotFoundError, match=f"No checkpoint at '{name}'. Expected a folder"):
        wearembed.from_pretrained(name, cache_dir=tmp_path)


def test_a_parameter_of_a_part_may_be_set_at_loading():
    settings = {"distance": RelConDistance(), "distance__max_epochs": 3}
    encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic", **settings)
    assert encoder.distance.max_epochs == 3


def test_a_parameter_that_there_is_none_of_is_told_the_nearest():
    with pytest.raises(ValueError, match=r"RelConEncoder has no parameter 'sfrq'\. Did you mean sfreq\?"):
        RelConEncoder.from_pretrained("wearembed/relcon-synthetic", sfrq=50)


def test_a_hub_name_that_is_not_cached_says_what_can_be_done(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"'user/nobody' is not a folder here.*token= where .* private.*a folder that.*a bundled name",
    ):
        RelConEncoder.from_pretrained("user/nobody", local_files_only=True, cache_dir=tmp_path)


def test_a_hub_name_that_is_cached_needs_no_network(folder, trained, tmp_path):
    """The tests forbid sockets, so a call would be an error."""
    cached = tmp_path / "cache" / "models--user--motion"
    shutil.copytree(folder, cached / "snapshots" / "a1b2c3")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a1b2c3")
    loaded = RelConEncoder.from_pretrained("user/motion", cache_dir=tmp_path / "cache", device="cpu")
    assert_array_equal(clone(loaded).transform(X), trained.transform(X))


def test_parameters_that_contradict_the_weights_are_an_error(folder):
    with pytest.raises(ValueError, match=r"width=8 does not fit the weights of .*width=4"):
        RelConEncoder(8, weights=str(folder), max_epochs=0).fit(X)
    assert RelConEncoder(weights=str(folder), max_epochs=0).fit(X).net_.dim == 8


def test_verify_needs_weights_with_a_name(trained):
    with pytest.raises(ValueError, match="save_pretrained it and load it from there"):
        trained.verify()


def test_weights_trained_on_no_longer_verify(folder):
    on = RelConEncoder.from_pretrained(folder, device="cpu").set_params(max_epochs=2, lr=0.05, batch_size=8).fit(X)
    with pytest.raises(ValueError, match="does not give the reference"):
        on.verify()


# ---------------------------------------------------------------------------------- what comes with the package


def test_every_bundled_checkpoint_loads_without_a_network_and_verifies():
    assert "wearembed/relcon-synthetic" in hub.bundled()
    for name in hub.bundled():
        encoder = wearembed.from_pretrained(name, device="cpu")
        assert encoder.verify()
        size = sum(f.stat().st_size for f in (hub.BUNDLED / name.removeprefix("wearembed/")).iterdir())
        assert size < 2_000_000
        card = (hub.BUNDLED / name.removeprefix("wearembed/") / "README.md").read_text()
        if name.endswith("-synthetic"):
            assert "synthetic" in card.split("---\n")[2].strip().splitlines()[0].lower()


def test_a_copied_folder_is_as_good(folder, tmp_path, trained):
    shutil.copytree(folder, tmp_path / "copy")
    assert_array_equal(RelConEncoder.from_pretrained(tmp_path / "copy").transform(X), trained.transform(X))
