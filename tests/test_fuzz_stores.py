"""Damaged stores and checkpoints: what was written, or an error; and nothing else once `verify` has passed."""

import shutil
import warnings
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from harm import Harm, harms, tell
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pulled import Pulled

import wearembed
from wearembed import Encoder, RelConEncoder, WindowStore, datasets, nets

SMALL = {"max_epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
MOTION = datasets.make_motion(n_participants=2, n_windows=4, random_state=0)
X = MOTION.data[..., ::4].copy()
STARTS = pd.date_range("2024-05-01", periods=len(X), freq="1h")
REFUSED = (ValueError, OSError)
KEPT = TemporaryDirectory()


@cache
def store_files(dtype):
    """The files of a store of two shards."""
    with TemporaryDirectory() as folder:
        store = WindowStore.create(Path(folder) / "s", n_channels=3, n_times=64, sfreq=25, units="g", dtype=dtype)
        store.append(X[:5], participant=MOTION.groups[:5], start=STARTS[:5], activity=MOTION.target[:5])
        store.append(X[5:], participant=MOTION.groups[5:], start=STARTS[5:], activity=MOTION.target[5:])
        return {file.name: file.read_bytes() for file in (Path(folder) / "s").iterdir()}, store[:], store.index


STORED = ["store.json", "shards.jsonl", "shards.seal", "000000.npy", "000000.parquet", "000001.npy", "000001.parquet"]
SCALES = ["000000.scale", "000001.scale"]


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@given(which=st.integers(0, 10**6), harm=harms())
@example(which=STORED.index("shards.jsonl"), harm=Harm("double", [0.0], 4096, 0, 0))  # the log twice
@example(which=STORED.index("store.json"), harm=Harm("remove", [0.625], 1, 0, 0))  # 25.0 Hz becomes 250
def test_a_damaged_store_is_what_was_written_or_an_error(dtype, which, harm):
    files, windows, index = store_files(dtype)
    names = [*STORED, *(SCALES if dtype == "int16" else [])]
    assert set(files) == set(names)
    name = names[which % len(names)]
    with TemporaryDirectory() as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(harm(data) if file == name else data)
        if (Path(folder) / name).read_bytes() == files[name]:
            return
        what = f"store: {name.lstrip('0123456789')}"
        try:
            store = WindowStore(folder).verify()
        except REFUSED as error:
            assert len(str(error)) > 20 and str(folder) in str(error)
            tell(what, "refused or named by verify")
        else:
            assert_array_equal(store[:], windows[: len(store)])
            pd.testing.assert_frame_equal(store.index, index.iloc[: len(store)])
            assert (store.sfreq, store.units, len(store)) == (25, "g", len(X)), (
                "accepted with another rate, unit or end"
            )
            tell(what, "as written")
        read_without_verify(folder, what, windows, index)


def read_without_verify(folder, what, windows, index):
    """Whoever does not verify may read changed numbers, but meets no other end than those or an error that names."""
    for ask in (lambda: WindowStore(folder)[:], lambda: WindowStore(folder).groups, lambda: WindowStore(folder).index):
        try:
            ask()
        except REFUSED as error:
            assert len(str(error)) > 20 and str(folder) in str(error), f"{error!r}"


# --- checkpoints


@cache
def checkpoint_files(which):
    make = {
        "plain": lambda: Encoder(partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,)), Pulled, **SMALL),
        "RelCon": lambda: RelConEncoder(4, (1,), (3,), distance=small_distance(), mates=2, **SMALL),
    }[which]
    encoder = make().fit(X, groups=MOTION.groups)
    with TemporaryDirectory() as folder:
        encoder.save_pretrained(Path(folder) / "w", data=["a"], license="MIT", windows=X)
        return {file.name: file.read_bytes() for file in (Path(folder) / "w").iterdir()}, encoder.transform(X)


def small_distance():
    return wearembed.RelConDistance(dim=8, kernel=5, bottleneck=2, **SMALL)


@given(name=st.sampled_from(["config.json", "model.safetensors", "reference.safetensors", "README.md"]), harm=harms())
def test_a_damaged_checkpoint_embeds_as_before_or_is_refused(name, harm):
    files, embedded = checkpoint_files("RelCon")
    with TemporaryDirectory() as folder:
        for file, data in files.items():
            (Path(folder) / file).write_bytes(harm(data) if file == name else data)
        if (Path(folder) / name).read_bytes() == files[name]:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                encoder = wearembed.from_pretrained(folder, device="cpu")
                encoder.verify()
                got = encoder.transform(X)
        except REFUSED as error:
            assert len(str(error)) > 20
            tell(f"checkpoint: {name}", "refused with a sentence")
            return
        assert_array_equal(got, embedded)
        tell(f"checkpoint: {name}", "embeds as before")


@given(harm=harms())
def test_a_damaged_state_of_training_is_refused(harm):
    data, folder = state_of_training()
    with TemporaryDirectory() as other:
        shutil.copytree(folder, Path(other) / "state")
        damaged = harm(data)
        (Path(other) / "state" / "checkpoint.pt").write_bytes(damaged)
        encoder = Encoder(partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,)), Pulled, **SMALL)
        encoder.set_params(checkpoint_dir=Path(other) / "state", max_epochs=2)
        try:
            encoder.fit(X, groups=MOTION.groups)
        except REFUSED as error:
            assert "checkpoint.pt" in str(error)
            tell("state of training: checkpoint.pt", "refused with a sentence")
            return
        assert_array_equal(encoder.transform(X), uninterrupted())
        tell("state of training: checkpoint.pt", "ends as if it had been whole")


@cache
def state_of_training():
    folder = Path(KEPT.name)
    encoder = Encoder(partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,)), Pulled, **SMALL)
    encoder.set_params(checkpoint_dir=folder).fit(X, groups=MOTION.groups)
    return (folder / "checkpoint.pt").read_bytes(), folder


@cache
def uninterrupted():
    encoder = Encoder(partial(nets.ResNet1d, width=4, blocks=(1,), kernels=(3,)), Pulled, **SMALL)
    return encoder.set_params(max_epochs=2).fit(X, groups=MOTION.groups).transform(X)
