"""Encoders on a GPU do what they do on a CPU; skipped where torch sees none."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from wearembed import AccelContrastiveEncoder, DistilledAccelEncoder, PPGMaskedEncoder, RelConDistance, RelConEncoder
from wearembed.datasets import make_motion, make_ppg_accel

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")

RUN = {"max_epochs": 2, "batch_size": 8, "device": DEVICE, "random_state": 0}
NAMES = ["RelConEncoder", "RelConDistance", "contrastive", "masked", "distilled"]


@pytest.fixture(scope="module")
def data():
    motion = make_motion(n_participants=3, n_windows=8, random_state=0)
    pulse = make_ppg_accel(n_participants=3, n_windows=8, seconds=10, n_ppg_channels=2, random_state=0)
    return motion, pulse


def small(name, **parameters):
    run = {**RUN, **parameters}
    if name == "RelConEncoder":
        return RelConEncoder(4, (1,), (3,), distance=small("RelConDistance", max_epochs=1), mates=3, **run)
    if name == "RelConDistance":
        return RelConDistance(dim=8, kernel=5, bottleneck=2, **run)
    if name == "contrastive":
        return AccelContrastiveEncoder((18, 2), **run)
    if name == "masked":
        return PPGMaskedEncoder((16, 1, 32), **run)
    return DistilledAccelEncoder(PPGMaskedEncoder((16, 1, 32), **RUN), (18, 2), **run)


def fitted(name, data, **parameters):
    motion, pulse = data
    encoder = small(name, **parameters)
    if name.startswith("RelCon"):
        return encoder.fit(motion.data, groups=motion.groups)
    paired = {"paired": pulse.ppg} if name == "distilled" else {}
    return encoder.fit(pulse.ppg if name == "masked" else pulse.accel, groups=pulse.groups, **paired)


def output(name, encoder, data):
    motion, pulse = data
    if name == "RelConDistance":
        return encoder.pairwise(motion.data)
    return encoder.transform({"RelConEncoder": motion.data, "masked": pulse.ppg}.get(name, pulse.accel))


@pytest.mark.parametrize("name", NAMES)
def test_a_net_trained_on_the_gpu_says_the_same_on_the_cpu(name, data):
    encoder = fitted(name, data)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in encoder.history_)
    there = output(name, encoder, data)
    here = output(name, copy.deepcopy(encoder).set_params(device="cpu"), data)
    assert_allclose(there, here, rtol=1e-2, atol=1e-2 * abs(here).max())  # TF32 keeps ten bits


@pytest.mark.filterwarnings("ignore")  # torch.compile looks into everything, and warns of what it finds
@pytest.mark.parametrize("parameters", [{"precision": "bfloat16"}, {"compile": True}], ids=["bfloat16", "compiled"])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_and_compiled_nets_train(name, parameters, data):
    encoder = fitted(name, data, **parameters)
    assert all(np.isfinite(epoch["train_loss"]) for epoch in encoder.history_)
    assert np.isfinite(output(name, encoder, data)).all()


@pytest.mark.parametrize("name", NAMES)
def test_training_is_taken_up_again(name, data, tmp_path):
    fitted(name, data, checkpoint_dir=tmp_path, max_epochs=1)
    encoder = fitted(name, data, checkpoint_dir=tmp_path, max_epochs=3)
    assert len(encoder.history_) == 3
    assert_allclose(
        encoder.history_[0]["train_loss"], fitted(name, data, max_epochs=1).history_[0]["train_loss"], rtol=0.01
    )
