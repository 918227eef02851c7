"""Objectives against their formulas in loops."""

import math

import numpy as np
import pytest
import torch

from wearembed.nets import CrossAttention, ResNet1d
from wearembed.objectives import MotifReconstruction, RelativeContrast, relative_contrast


def by_the_book(similarities, distances, temperature):
    """Spec, candidate by candidate: it against itself and all that are strictly farther; mean over anchors."""
    total = 0.0
    for near, far in zip(similarities / temperature, distances):
        for i in range(len(near)):
            rivals = [near[j].exp() for j in range(len(near)) if far[j] > far[i]]
            total = total - torch.log(near[i].exp() / (near[i].exp() + sum(rivals)))
    return total / len(similarities)


def drawn(kind, n_anchors=6, n_candidates=17):
    generator = torch.Generator().manual_seed(0)
    near = torch.rand(n_anchors, n_candidates, generator=generator, dtype=torch.float64) * 2 - 1
    far = torch.rand(n_anchors, n_candidates, generator=generator, dtype=torch.float64)
    if kind == "ties":
        far = (far * 4).round()
    if kind == "all equal":
        far = torch.ones_like(far)
    return near.requires_grad_(), far


@pytest.mark.parametrize("kind", ["all different", "ties", "all equal"])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_relative_contrast_is_its_formula_in_value_and_gradient(kind, temperature):
    near, far = drawn(kind)
    ours, plain = relative_contrast(near, far, temperature), by_the_book(near, far, temperature)
    assert math.isclose(ours.item(), plain.item(), rel_tol=1e-9, abs_tol=1e-12)
    if kind == "all equal":
        assert ours.item() == 0  # nobody is farther than anybody
        return
    ours, plain = (torch.autograd.grad(loss, near)[0] for loss in (ours, plain))
    torch.testing.assert_close(ours, plain, rtol=1e-7, atol=1e-9)


def test_relative_contrast_keeps_its_value_in_float32():
    near, far = drawn("ties", 64, 83)
    ours = relative_contrast(near.float(), far.float(), 0.1).item()
    assert math.isclose(ours, by_the_book(near, far, 0.1).item(), rel_tol=1e-5)


def test_equal_similarities_cost_the_logarithm_of_a_factorial():
    assert math.isclose(relative_contrast(torch.zeros(3, 83), torch.rand(3, 83)).item(), math.lgamma(84), rel_tol=1e-5)


def test_a_perfect_ranking_costs_less_than_its_reverse():
    far = torch.linspace(0, 1, 20)[None]
    assert relative_contrast(1 - 2 * far, far) < relative_contrast(2 * far - 1, far)


def test_no_candidate_and_one_candidate_cost_nothing():
    assert relative_contrast(torch.zeros(4, 1), torch.rand(4, 1)) == 0
    assert relative_contrast(torch.zeros(4, 0), torch.rand(4, 0)) == 0


@pytest.fixture
def small():
    torch.manual_seed(0)
    net = ResNet1d(3, 4, (1,), (3,)).double()
    distance = CrossAttention(3, dim=8, kernel=5, bottleneck=2).double()
    x, mates = torch.randn(5, 3, 40, dtype=torch.float64), torch.randn(5, 2, 3, 40, dtype=torch.float64)
    return net, distance, {"x": x, "mates": mates}


def relcon_by_the_book(net, distance, batch, temperature):
    """Each anchor with the other anchors and its own mates, a pair at a time; one call of the net."""
    x, mates = batch["x"], batch.get("mates")
    windows = [*x, *(mates.flatten(0, 1) if mates is not None else [])]
    z = net(torch.stack(windows))
    near, far = [], []
    for a in range(len(x)):
        who = [c for c in range(len(x)) if c != a]
        if mates is not None:
            who += [len(x) + a * mates.shape[1] + k for k in range(mates.shape[1])]
        near.append(torch.stack([torch.cosine_similarity(z[a], z[c], dim=0) for c in who]))
        far.append(torch.stack([distance(x[a][None], windows[c][None])[0] for c in who]))
    return by_the_book(torch.stack(near), torch.stack(far), temperature)


@pytest.mark.parametrize("with_mates", [True, False], ids=["mates", "anchors only"])
def test_the_objective_is_its_formula_in_value_and_gradient(small, with_mates):
    net, distance, batch = small
    if not with_mates:
        batch.pop("mates")
    objective = RelativeContrast(net, distance, n_mates=2, temperature=0.3).train()
    ours, plain = objective(batch), relcon_by_the_book(net, distance, batch, 0.3)
    assert math.isclose(ours.item(), plain.item(), rel_tol=1e-5)
    ours, plain = (torch.autograd.grad(loss, list(net.parameters())) for loss in (ours, plain))
    for a, b in zip(ours, plain):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_the_distance_is_never_trained_and_never_wakes(small):
    net, distance, batch = small
    objective = RelativeContrast(net, distance, n_mates=2).train()
    objective(batch).backward()
    assert not distance.training and all(p.grad is None for p in distance.parameters())
    assert all(p.grad is not None for p in net.parameters())


def test_reconstruction_is_the_error_of_each_window_from_its_copy(small):
    _, distance, batch = small
    distance.eval()
    objective = MotifReconstruction(distance, lambda x: x.flip(-1))
    wanted = np.mean([distance(w[None], w.flip(-1)[None]).item() for w in batch["x"]])
    assert math.isclose(objective.eval()(batch).item(), wanted, rel_tol=1e-9)


def test_dropout_of_attention_is_for_training_only(small):
    _, distance, batch = small
    x = batch["x"]
    with torch.no_grad():
        assert not torch.equal(distance.train()(x, x.flip(-1)), distance(x, x.flip(-1)))
        assert torch.equal(distance.eval()(x, x.flip(-1)), distance(x, x.flip(-1)))
