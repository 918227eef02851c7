"""Objectives against their formulas in loops."""

import math

import numpy as np
import pytest
import torch

from wearembed.nets import CrossAttention, EfficientNet1d, PatchTransformer, ResNet1d
from wearembed.objectives import (
    CrossModalDistillation,
    MaskedReconstruction,
    MotifReconstruction,
    ParticipantContrast,
    RelativeContrast,
    SimCLR,
    Supervised,
    cross_modal,
    info_nce,
    koleo,
    relative_contrast,
)


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


def test_a_projection_takes_the_place_of_the_embedding_in_the_loss(small):
    net, distance, batch = small
    torch.manual_seed(0)
    objective = RelativeContrast(net, distance, n_mates=2, temperature=0.3, projection=5).double().train()
    whole = torch.nn.Sequential(net, objective.head)
    assert math.isclose(objective(batch).item(), relcon_by_the_book(whole, distance, batch, 0.3).item(), rel_tol=1e-6)
    objective(batch).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.head[3].parameters())


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


# ------------------------------------------------------------------------------------- contrast of participants


def info_nce_by_the_book(a, b, groups, temperature, negatives):
    """Spec B6, pair by pair; with the terms of the same view, and those of the same participant left out of them."""
    a, b = ([v / v.norm() for v in z] for z in (a, b))
    total, n = 0.0, len(a)
    for z, other in ((a, b), (b, a)):
        for i in range(n):
            below = sum(torch.exp(z[i] @ other[j] / temperature) for j in range(n))
            if negatives == "both":
                below = below + sum(torch.exp(z[i] @ z[j] / temperature) for j in range(n) if groups[j] != groups[i])
            total = total - torch.log(torch.exp(z[i] @ other[i] / temperature) / below) / (2 * n)
    return total


@pytest.mark.parametrize("negatives", ["both", "cross"])
@pytest.mark.parametrize("groups", [None, [0, 0, 1, 2, 2, 2, 3]], ids=["all different", "some the same"])
def test_info_nce_is_its_formula_in_value_and_gradient(negatives, groups):
    torch.manual_seed(0)
    a, b = (torch.randn(7, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    who = range(7) if groups is None else groups
    ours = info_nce(a, b, None if groups is None else torch.tensor(groups), 0.3, negatives)
    plain = info_nce_by_the_book(a, b, who, 0.3, negatives)
    assert math.isclose(ours.item(), plain.item(), rel_tol=1e-10)
    for x, y in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(plain, (a, b))):
        torch.testing.assert_close(x, y, rtol=1e-8, atol=1e-10)


def test_losses_have_the_values_of_the_released_code():
    torch.manual_seed(0)
    a, b, equal = torch.randn(256, 128), torch.randn(256, 128), torch.ones(256, 128)
    assert abs(info_nce(a, b).item() - 8.43) < 0.4  # the draw of the released code's value is not known
    assert abs(koleo(a).item() - -0.21) < 0.02
    assert math.isclose(info_nce(equal, equal).item(), math.log(511), rel_tol=1e-5)
    assert abs(koleo(equal).item() - 13.5) < 0.05
    assert info_nce(a, a).item() < 1e-6
    assert math.isclose(info_nce(equal, equal, negatives="cross").item(), math.log(256), rel_tol=1e-5)


def test_info_nce_stays_finite_at_its_temperature_in_float32():
    z = torch.ones(4, 3, requires_grad=True)
    info_nce(z * torch.tensor([[1.0], [1], [-1], [-1]]), z, temperature=0.001).backward()
    assert z.grad.isfinite().all()


def test_info_nce_names_what_negatives_may_be():
    with pytest.raises(ValueError, match='"both" or "cross"; got \'all\''):
        info_nce(torch.ones(2, 2), torch.ones(2, 2), negatives="all")


def test_koleo_is_the_logarithm_of_the_distance_to_the_nearest():
    torch.manual_seed(0)
    z = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    unit = [v / v.norm() for v in z]
    nearest = [min((u - v).norm() for v in unit if v is not u) for u in unit]
    plain = -sum(torch.log(d + 1e-8) for d in nearest) / 9
    assert math.isclose(koleo(z).item(), plain.item(), rel_tol=1e-6)
    torch.testing.assert_close(*(torch.autograd.grad(v, z)[0] for v in (koleo(z), plain)), rtol=1e-5, atol=1e-7)
    assert koleo(z[:1]).item() == 0


def unchanged(x):
    return x


@pytest.fixture
def pairs():
    torch.manual_seed(0)
    return {"x": torch.randn(6, 2, 64), "mates": torch.randn(6, 1, 2, 64), "group": torch.tensor([0, 0, 1, 2, 3, 3])}


def test_the_contrast_swaps_views_and_adds_koleo(pairs):
    objective = ParticipantContrast(EfficientNet1d(2, 2, 18), unchanged, hidden=16, projection=8).eval()
    objective.head[3].weight.data.mul_(1.5)  # so that leader and follower differ
    lead, behind = ((lambda x, f=f: f[1](f[0](x))) for f in ((objective.net, objective.head), objective.follower))
    one, two = pairs["x"], pairs["mates"][:, 0]
    total = 0.0
    for a, b in ((lead(one), behind(two)), (lead(two), behind(one))):
        total += info_nce_by_the_book(a, b, pairs["group"], 0.04, "both") + 0.1 * (koleo(a) + koleo(b)) / 2
    assert math.isclose(objective(pairs).item(), total.item() / 2, rel_tol=1e-5)


def test_the_follower_moves_a_hundredth_of_the_way_at_each_step(pairs):
    objective = ParticipantContrast(EfficientNet1d(2, 2, 18), unchanged).train()
    old = [p.clone() for p in objective.follower.parameters()]
    leaders = [*objective.net.parameters(), *objective.head.parameters()]
    for p in leaders:
        p.data += torch.randn_like(p)
    was = [p.clone() for p in leaders]
    statistics = [b.clone() for b in objective.net.buffers()]
    objective(pairs).backward()
    for p, xi, theta in zip(objective.follower.parameters(), old, was):
        torch.testing.assert_close(p, 0.99 * xi + 0.01 * theta)
        assert p.grad is None
    assert all(p.grad is not None for p in leaders)
    followed = list(objective.follower[0].buffers())
    assert not all(torch.equal(a, b) for a, b in zip(followed, statistics))  # of its own passes, in training mode
    objective.eval()(pairs)
    for p, xi, theta in zip(objective.follower.parameters(), old, was):
        torch.testing.assert_close(p, 0.99 * xi + 0.01 * theta)  # looking on moves nothing


def test_segments_are_their_own_partners_and_need_no_mates(pairs):
    alone = {"x": pairs["x"], "group": pairs["group"]}
    objective = ParticipantContrast(EfficientNet1d(2, 2, 18), unchanged, "segment", momentum=None, koleo=0).eval()
    assert objective.n_mates == 0 and objective.follower is None
    z = objective.head(objective.net(alone["x"]))
    wanted = info_nce_by_the_book(z, z, range(6), 0.04, "both")
    assert math.isclose(objective(alone).item(), wanted.item(), rel_tol=1e-4, abs_tol=1e-6)


def nt_xent_by_the_book(views, temperature):
    """Of 2 n embeddings, the first n and the last n being views of the same windows: each looks for its partner."""
    n, total = len(views) // 2, 0.0
    for i, own in enumerate(views):
        alike = [torch.cosine_similarity(own, other, dim=0).item() / temperature for other in views]
        total -= alike[(i + n) % (2 * n)] - math.log(sum(math.exp(a) for j, a in enumerate(alike) if j != i))
    return total / (2 * n)


def test_simclr_is_nt_xent_of_the_projections_of_two_views():
    torch.manual_seed(0)
    x = torch.randn(5, 2, 64)
    shifts = iter([0.3, -0.5])
    objective = SimCLR(ResNet1d(2, 4, (1,), (3,)), lambda x: x + next(shifts), temperature=0.2, projection=6).eval()
    views = objective.head(objective.net(torch.cat([x + 0.3, x - 0.5])))
    assert objective.n_mates == 0 and views.shape == (10, 6)
    assert math.isclose(objective({"x": x}).item(), nt_xent_by_the_book(views, 0.2), rel_tol=1e-4)


def test_simclr_reaches_net_and_head_and_knows_the_same_window_again():
    torch.manual_seed(0)
    objective = SimCLR(ResNet1d(2, 4, (1,), (3,)), unchanged)
    different = objective({"x": torch.randn(6, 2, 64)})
    different.backward()
    assert all(p.grad is not None for p in objective.parameters())
    assert objective({"x": torch.zeros(6, 2, 64)}).item() == pytest.approx(math.log(11), rel=1e-5)  # nobody is known
    assert different.item() < math.log(11)


# ------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize(("n_patches", "n_kept"), [(192, 38), (10, 2), (2, 1), (1, 1)])
def test_a_fifth_of_the_patches_is_kept_and_the_rest_is_hidden(n_patches, n_kept):
    kept, hidden = MaskedReconstruction(PatchTransformer(1, 16, 1, 32)).drawn(5, n_patches, torch.device("cpu"))
    assert kept.shape == (5, n_kept)
    if n_patches > 1:
        both = torch.cat([kept, hidden], 1).sort(1).values
        assert torch.equal(both, torch.arange(n_patches).expand(5, -1))
        assert len({tuple(row) for row in kept.tolist()}) > 1 or n_patches == 2


def test_masked_reconstruction_scores_hidden_patches_alone():
    torch.manual_seed(0)
    objective = MaskedReconstruction(PatchTransformer(2, 16, 1, 32)).eval()
    x = torch.randn(3, 2, 200)
    torch.manual_seed(1)
    loss = objective({"x": x}).item()
    torch.manual_seed(1)
    kept, hidden = objective.drawn(3, 10, x.device)
    patches = objective.net.patches(x)
    spoiled = patches.clone()
    for b in range(3):
        spoiled[b, hidden[b]] = 1e3  # nothing of them goes in
    seen = objective.net.encode(spoiled, kept)
    rebuilt = objective.rebuild(seen, kept, 10)
    errors = [(rebuilt[b, n] - patches[b, n]).square().mean().item() for b in range(3) for n in hidden[b].tolist()]
    assert math.isclose(loss, np.mean(errors), rel_tol=1e-5)


def test_the_decoder_is_half_of_the_net():
    objective = MaskedReconstruction(PatchTransformer(4))
    layers = objective.decoder.layers
    assert (len(layers), objective.enter.out_features, layers[0].think[0].out_features) == (4, 256, 512)


def test_masked_reconstruction_learns_what_repeats():
    torch.manual_seed(0)
    t = torch.arange(400) / 64
    waves = torch.sin(2 * math.pi * (1 + torch.rand(64, 1, 1)) * t + 6 * torch.rand(64, 1, 1)) * 2**0.5
    objective = MaskedReconstruction(PatchTransformer(1, 32, 2, 64), mask_ratio=0.5)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = objective({"x": waves})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


# ------------------------------------------------------------------------------------- distillation


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_distillation_is_its_equation(weight):
    torch.manual_seed(0)
    t, s = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    near = [[torch.cosine_similarity(a, b, dim=0) / 0.1 for b in s] for a in t]
    from_teacher = -sum(torch.log(near[i][i].exp() / sum(near[i][j].exp() for j in range(5))) for i in range(5)) / 5
    from_student = -sum(torch.log(near[i][i].exp() / sum(near[j][i].exp() for j in range(5))) for i in range(5)) / 5
    plain = weight * from_teacher + (1 - weight) * from_student
    ours = cross_modal(t, s, 0.1, weight)
    assert math.isclose(ours.item(), plain.item(), rel_tol=1e-8)
    torch.testing.assert_close(*(torch.autograd.grad(v, s)[0] for v in (ours, plain)))


@pytest.mark.parametrize("joint", [False, True])
def test_the_teacher_learns_only_jointly(joint):
    torch.manual_seed(0)
    teacher = EfficientNet1d(1, 2, 18)
    objective = CrossModalDistillation(EfficientNet1d(3, 2, 18), teacher, joint=joint).train()
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    objective({"x": torch.randn(4, 3, 64), "paired": torch.randn(4, 1, 80)}).backward()
    assert all(p.grad is not None for p in objective.net.parameters())
    assert all((p.grad is not None) == joint for p in teacher.parameters())
    assert teacher.training == joint
    unmoved = all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert unmoved != joint  # batch statistics


def test_each_sensor_meets_its_own_changes():
    seen = {}

    def note(name):
        return lambda x: seen.setdefault(name, x.shape) and x

    objective = CrossModalDistillation(
        PatchTransformer(3, 16, 1, 32), PatchTransformer(1, 16, 1, 32), note("student"), note("teacher")
    )
    objective({"x": torch.randn(4, 3, 64), "paired": torch.randn(4, 1, 80)})
    assert seen == {"student": (4, 3, 64), "teacher": (4, 1, 80)}


# ------------------------------------------------------------------------------------- supervision


def test_supervision_is_cross_entropy_or_squared_error():
    torch.manual_seed(0)
    x, net = torch.randn(4, 2, 64), PatchTransformer(2, 16, 1, 32, dim=3).eval()
    said, labels, numbers = net(x).detach(), torch.tensor([0, 2, 1, 2]), torch.randn(4, 3)
    plain = -np.mean([torch.log_softmax(row, 0)[y].item() for row, y in zip(said, labels)])
    assert math.isclose(Supervised(net, True)({"x": x, "y": labels}).item(), plain, rel_tol=1e-6)
    plain = (said - numbers).square().mean().item()
    assert math.isclose(Supervised(net, False)({"x": x, "y": numbers}).item(), plain, rel_tol=1e-6)
