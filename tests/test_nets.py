"""Nets against slow second writings of the facts about them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from official import OfficialDistance, OfficialEncoder, save
from scipy.stats import kendalltau
from torch import nn

from wearembed import RelConDistance, RelConEncoder
from wearembed.datasets import make_motion
from wearembed.nets import CrossAttention, EfficientNet1d, Frozen, PatchTransformer, ResNet1d, Views, sparsemax

NETS = {
    "ResNet1d": lambda C: ResNet1d(C),
    "ResNet1d, small": lambda C: ResNet1d(C, width=4, blocks=(1, 2), kernels=(3, 6)),
    "ResNet1d, mean and deviation": lambda C: ResNet1d(C, 4, (1, 2), (3, 6), pool=("deviation", "mean")),
    "Views": lambda C: Views(C, width=4, blocks=(1,), kernels=(3,)),
    "Views, one": lambda C: Views(C, ["upright"], 4, (1,), (3,), pool=["mean"]),
    "EfficientNet1d": lambda C: EfficientNet1d(C),
    "EfficientNet1d, small": lambda C: EfficientNet1d(C, 2, 18, dim=5),
    "PatchTransformer": lambda C: PatchTransformer(C),
    "PatchTransformer, small": lambda C: PatchTransformer(C, 16, 1, 32, dim=5),
}


def n_parameters(net):
    return sum(p.numel() for p in net.parameters())


def test_sizes_are_those_of_the_released_nets():
    assert n_parameters(ResNet1d()) == 3_635_840 and ResNet1d().dim == 256
    assert n_parameters(CrossAttention()) == 58_617
    assert n_parameters(EfficientNet1d(4, 7)) == 3_146_129 and EfficientNet1d().dim == 256
    assert n_parameters(EfficientNet1d(1, 6)) == 2_468_755
    assert n_parameters(EfficientNet1d(3, 7)) == 3_146_003


def test_a_deviation_is_that_of_the_filters_over_time():
    net = ResNet1d(3, 4, (1,), (3,), pool=("mean", "deviation")).eval()
    x, filters = torch.randn(5, 3, 64), []
    net.blocks.register_forward_hook(lambda part, given, made: filters.append(made.detach().numpy()))
    with torch.no_grad():
        z = net(x).numpy()
    assert_allclose(z, np.concatenate([filters[0].mean(-1), filters[0].std(-1)], 1), rtol=1e-3)


def test_each_view_has_a_net_of_its_own():
    torch.manual_seed(0)
    net, x = Views(3, ["upright shape", "as worn"], 4, (1,), (3,)).eval(), torch.randn(4, 3, 64) + 2
    seen = np.empty((4, 3, 64), np.float32)
    for n, window in enumerate(x.numpy()):
        up = window.mean(1) / np.linalg.norm(window.mean(1))
        along = up @ window
        across = np.linalg.norm(window - np.outer(up, along), axis=0)
        for c, signal in enumerate([along, across, np.linalg.norm(window, axis=0)]):
            seen[n, c] = (signal - signal.mean()) / (signal.std() + 0.02)
    with torch.no_grad():
        expected = torch.cat([net.nets[0](torch.from_numpy(seen)), net.nets[1](x)], 1)
        torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("view", ["upright", "upright shape"])
def test_upright_views_see_the_same_however_a_device_is_turned(view):
    torch.manual_seed(0)
    net, x = Views(3, [view], 4, (1,), (3,)).eval(), torch.from_numpy(make_motion(2, 8, random_state=0).data)
    turn = torch.linalg.qr(torch.randn(3, 3)).Q
    with torch.no_grad():
        torch.testing.assert_close(net(turn @ x), net(x), rtol=1e-3, atol=1e-3)
        assert not torch.allclose(net(x.flip(-1)), net(x), atol=1e-2)


def test_shapes_are_the_same_however_vigorous_the_motion():
    net, x = Views(3, ["shape"], 4, (1,), (3,)).eval(), torch.randn(4, 3, 64) + 1
    with torch.no_grad():
        torch.testing.assert_close(net(3 * x + 1), net(x), rtol=0.1, atol=0.02)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Views(views=["sideways"]), "views names one or more of"),
        (lambda: Views(views=[]), "views names one or more of"),
        (lambda: ResNet1d(pool=["max"]), "pool names one or more of"),
        (lambda: ResNet1d(pool="mean"), "pool names one or more of"),
    ],
)
def test_unknown_views_and_pools_are_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.parametrize(
    ("shape", "millions"),
    [((256, 8, 1024), 6.33), ((256, 4, 1024), 3.18), ((192, 4, 768), 1.79), ((128, 6, 512), 1.20)],
)
def test_the_ladder_of_transformers_has_its_sizes(shape, millions):
    assert round(n_parameters(PatchTransformer(3, *shape)) / 1e6, 2) == millions
    assert PatchTransformer(3, *shape, dim=256).dim == 256


def test_the_efficientnet_has_the_stages_of_the_table():
    x, seen = torch.randn(1, 4, 3840), []
    with torch.no_grad():
        for layer in EfficientNet1d().eval().layers:
            x = layer(x)
            seen.append(tuple(x.shape[1:]))
    wanted = [(42, 1920), (28, 1920), *[(35, 960)] * 2, *[(49, 480)] * 2, *[(64, 240)] * 3, *[(78, 120)] * 3]
    wanted += [*[(99, 60)] * 4, (128, 60), (256, 60)]
    assert seen[1] == (42, 1920) and seen[2:-2] == wanted[1:-1] and seen[-1] == wanted[-1]


def test_an_inverted_residual_block_is_its_steps():
    block = EfficientNet1d(4, 2, 36).layers[4].eval()  # the second of two equal blocks
    x = torch.randn(2, 5, 30)
    norm = lambda x, bn: F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-3)  # noqa: E731
    (wide, bn1), (each, bn2), (narrow, bn3) = block.widen[0], block.each[0], block.narrow
    y = F.silu(norm(F.conv1d(x, wide.weight), bn1))
    y = F.silu(norm(F.conv1d(y, each.weight, padding=1, groups=10), bn2))
    squeeze, excite = block.weigh[1], block.weigh[3]
    weight = F.conv1d(
        F.silu(F.conv1d(y.mean(-1, keepdim=True), squeeze.weight, squeeze.bias)), excite.weight, excite.bias
    )
    y = norm(F.conv1d(y * torch.sigmoid(weight), narrow.weight), bn3)
    assert squeeze.weight.shape == (2, 10, 1)  # a quarter of the widened
    torch.testing.assert_close(block(x), x + y)


def test_patches_hold_all_channels_of_a_stretch():
    x = torch.arange(2 * 3 * 50.0).view(2, 3, 50)
    patches = PatchTransformer(3, 16, 1, 32).patches(x)
    assert patches.shape == (2, 3, 60)
    torch.testing.assert_close(patches[1, 1].view(3, 20), x[1, :, 20:40])
    torch.testing.assert_close(patches[0, 2].view(3, 20)[:, 10:], torch.zeros(3, 10))  # beyond the end


def test_a_transformer_is_its_formula():
    torch.manual_seed(0)
    net = PatchTransformer(2, 8, 1, 12, n_heads=2, patch=5).double().eval()
    x = torch.randn(1, 2, 20, dtype=torch.float64)
    layer = net.layers.layers[0]
    tokens = []
    for n in range(4):
        place = [f(n / 10_000 ** (2 * i / 8)) for i in range(4) for f in (math.sin, math.cos)]
        tokens.append(net.embed(x[0, :, 5 * n : 5 * n + 5].flatten()) + torch.tensor(place, dtype=torch.float64))
    h = [layer.norm1(t) for t in tokens]
    q, k, v = ([part(layer.ask(t)) for t in h] for part in (lambda y: y[:8], lambda y: y[8:16], lambda y: y[16:]))
    for n in range(4):
        heads = []
        for a in (slice(0, 4), slice(4, 8)):
            weights = torch.softmax(torch.stack([q[n][a] @ k[m][a] / 2 for m in range(4)]), 0)
            heads.append(sum(w * v[m][a] for m, w in enumerate(weights)))
        tokens[n] = tokens[n] + layer.answer(torch.cat(heads))
    tokens = [net.layers.norm(t + layer.think(layer.norm2(t))) for t in tokens]
    torch.testing.assert_close(net(x)[0], sum(tokens) / 4, rtol=1e-5, atol=1e-6)


def test_kept_patches_know_their_places():
    net = PatchTransformer(1, 16, 2, 32).eval()
    patches = torch.randn(2, 7, 20)
    everything = torch.arange(7).expand(2, 7)
    torch.testing.assert_close(net.encode(patches, everything), net.encode(patches))
    order = torch.tensor([[3, 1, 0], [6, 2, 5]])
    torch.testing.assert_close(net.encode(patches, order).flip(1), net.encode(patches, order.flip(1)))
    assert not torch.allclose(net.encode(patches, order)[0], net.encode(patches, (order + 1) % 7)[0])


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
@pytest.mark.parametrize("n_times", [1, 2, 10, 11, 200, 256, 1000])
def test_any_length_and_channels_become_one_vector(make, n_times):
    net = make(2).eval()
    with torch.no_grad():
        assert net(torch.randn(3, 2, n_times)).shape == (3, net.dim)


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_gradients_reach_every_parameter(make):
    torch.manual_seed(0)  # with others, ReLUs of a small net may all be silent now and then
    net = make(3)
    net(torch.randn(4, 3, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_stages_without_kernels_are_refused():
    with pytest.raises(ValueError, match="blocks=\\(1, 1\\) and kernels=\\(3,\\)"):
        ResNet1d(blocks=(1, 1), kernels=(3,))


# ---------------------------------------------------------------------------------- sparsemax


def sparsemax_by_sorting(row):
    """Martins and Astudillo (2016), algorithm 1, a row at a time."""
    z = sorted(row, reverse=True)
    k = max(n for n in range(1, len(z) + 1) if 1 + n * z[n - 1] > sum(z[:n]))
    threshold = (sum(z[:k]) - 1) / k
    return [max(value - threshold, 0.0) for value in row]


@pytest.mark.parametrize("spread", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("n", [1, 2, 5, 256])
def test_sparsemax_is_its_algorithm(n, spread):
    torch.manual_seed(0)
    scores = spread * torch.randn(20, n, dtype=torch.float64) + 100 * torch.randn(20, 1, dtype=torch.float64)
    assert_allclose(sparsemax(scores), [sparsemax_by_sorting(row) for row in scores.tolist()], atol=1e-9)


def test_sparsemax_sums_to_one_with_exact_zeros_and_shares_ties():
    torch.manual_seed(0)
    weights = sparsemax(3 * torch.randn(50, 256))
    assert_allclose(weights.sum(1), 1, atol=1e-5)
    assert (weights == 0).float().mean() > 0.9
    assert_allclose(sparsemax(torch.tensor([[2.0, 2.0, 2.0, 0.0]])), [[1 / 3, 1 / 3, 1 / 3, 0]], atol=1e-6)


def test_sparsemax_has_the_gradient_of_finite_differences():
    torch.manual_seed(0)
    scores = torch.randn(3, 4, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sparsemax, scores)


# ---------------------------------------------------------------------------------- distance


def trained_a_little(net, seed=0):
    """Parameters away from their special first values: gains that are not one, shifts that are not zero."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for buffer in net.buffers():
            if buffer.is_floating_point():
                buffer.add_(0.1 * torch.rand_like(buffer))
    return net.eval()


@pytest.fixture
def windows():
    torch.manual_seed(1)
    return torch.randn(5, 3, 256) + torch.tensor([0.0, 0.0, 1.0])[:, None], 0.5 * torch.randn(7, 3, 256) - 0.3


@pytest.mark.parametrize("attention", ["sparsemax", "softmax"])
def test_distances_are_those_of_the_plain_net_a_pair_at_a_time(windows, attention):
    anchors, candidates = windows
    plain = trained_a_little(OfficialDistance(attention=attention))
    ours = CrossAttention(attention=attention).eval()
    ours.load_state_dict(RelConDistance.from_official(save(plain), inference_attention=attention).net_.state_dict())
    with torch.no_grad():
        wanted = [[plain.distance(a[None], c[None]).item() for c in candidates] for a in anchors]
    assert_allclose(ours.distances(anchors, candidates), wanted, rtol=1e-4)
    own = torch.stack([candidates[[0, 1, 2]], *[candidates[[n, n + 1, n + 2]] for n in range(4)]])
    of = [[0, 1, 2], *[[n, n + 1, n + 2] for n in range(4)]]
    assert_allclose(
        ours.distances_to_own(anchors, own), np.take_along_axis(np.array(wanted), np.array(of), 1), rtol=1e-4
    )
    with torch.no_grad():
        rows = ours(anchors, candidates[:5])
    assert_allclose(rows, np.diag(wanted), rtol=1e-4)


def test_the_gradient_of_the_distance_is_that_of_the_plain_net(windows):
    anchors, candidates = windows[0], windows[1][:5]
    plain = trained_a_little(OfficialDistance(attention="sparsemax"))
    ours = RelConDistance.from_official(save(plain), inference_attention="sparsemax").net_
    assert ours.training is False
    plain.distance(anchors, candidates).sum().backward()
    ours(anchors, candidates).sum().backward()
    theirs = {key: p.grad for key, p in plain.named_parameters()}
    pairs = {"revin.affine_weight": ours.scale, "out_proj.bias": ours.out.bias}
    pairs |= {
        "q_func.layer0.dilated_conv.weight": ours.query.first.weight,
        "v_func.layers.1.bottle.bias": ours.value.layers[1].reduce.bias,
    }
    for key, p in pairs.items():
        assert_allclose(p.grad, theirs[key], rtol=2e-3, atol=2e-3 * theirs[key].abs().max().item(), err_msg=key)


@pytest.mark.parametrize("block", [1, 3, 4096])
def test_distances_do_not_depend_on_how_they_are_blocked(windows, block, monkeypatch):
    from wearembed.nets import cross_attention

    anchors, candidates = windows
    net = trained_a_little(CrossAttention())
    wanted = net.distances(anchors, candidates)
    monkeypatch.setattr(cross_attention, "pairs_at_a_time", lambda x: block)
    monkeypatch.setattr(cross_attention, "CANDIDATES", min(block, 16))
    assert_allclose(net.distances(anchors, candidates), wanted, rtol=1e-5)


@pytest.mark.parametrize("n_times", [64, 65])
def test_a_stride_compares_means_of_samples(n_times):
    torch.manual_seed(0)
    x = torch.randn(6, 3, n_times)
    full = CrossAttention(dim=8, kernel=5, bottleneck=2, center=True).eval()
    half = CrossAttention(dim=8, kernel=5, bottleneck=2, center=True, stride=2).eval()
    half.load_state_dict(full.state_dict())
    means = torch.stack([x[..., t : t + 2].mean(-1) for t in range(0, n_times, 2)], -1)
    expected = full.distances(means, means)
    torch.testing.assert_close(half.distances(x, x), expected)
    torch.testing.assert_close(half.distances_to_own(x[:2], x.unflatten(0, (2, 3)))[1], expected[1, 3:] * 1.0)
    torch.testing.assert_close(half(x, x.flip(0)), expected.flip(1).diagonal())


def test_several_views_are_compared_together():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 40) + 1
    net = CrossAttention(dim=8, kernel=5, bottleneck=2, views=("as worn", "upright")).eval()
    plain = CrossAttention(5, dim=8, kernel=5, bottleneck=2).eval()
    plain.load_state_dict(net.state_dict())
    up = F.normalize(x.mean(-1), dim=1)[..., None]
    along = (x * up).sum(1, keepdim=True)
    seen = torch.cat([x, along, (x - along * up).norm(dim=1, keepdim=True)], 1)
    torch.testing.assert_close(net.distances(x, x), plain.distances(seen, seen))
    torch.testing.assert_close(
        net.distances_to_own(x[:2], x.unflatten(0, (2, 2))),
        plain.distances(seen[:2], seen).view(2, 2, 2)[[0, 1], [0, 1]],
    )
    with pytest.raises(ValueError, match="views names one or more of"):
        CrossAttention(views=("inside",))


def test_float32_keeps_the_order_of_distances():
    windows = make_motion(4, 8, random_state=0).data
    net = trained_a_little(CrossAttention())
    exact = net.double().distances(*[torch.from_numpy(windows).double()] * 2)
    found = net.float().distances(*[torch.from_numpy(windows)] * 2)
    others = ~np.eye(len(windows), dtype=bool)
    taus = [kendalltau(a[o], b[o]).statistic for a, b, o in zip(exact.numpy(), found.numpy(), others)]
    assert np.min(taus) > 0.999


def test_a_common_offset_changes_no_distance_and_a_common_scale_squares(windows):
    anchors, candidates = (x + 0.0 for x in windows)
    net = trained_a_little(CrossAttention()).double()
    anchors, candidates = anchors.double(), candidates.double()
    wanted = net.distances(anchors, candidates)
    offset = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)[:, None]
    assert_allclose(net.distances(anchors + offset, candidates + offset), wanted, rtol=1e-6)
    assert_allclose(net.distances(10 * anchors, 10 * candidates), 100 * wanted, rtol=1e-3)
    assert (net.distances(anchors, anchors).diagonal() > 0).all()


def test_scale_of_the_candidate_is_taken_off_and_given_back():
    net = trained_a_little(CrossAttention()).double()
    x = torch.randn(4, 3, 50, dtype=torch.float64) * 3 + 2
    to = net.candidates(x)
    z = x * to.gain[..., None] + to.offset[..., None]
    back = (z - net.shift[:, None]) / (net.scale[:, None] + 1e-10) * to.sd[..., None] + to.mean[..., None]
    assert_allclose(back.detach(), x, atol=1e-9)


def test_sparsemax_keeps_its_value_for_large_scores():
    assert_allclose(sparsemax(torch.tensor([[1e8, 0.0, 3.0], [3e7, 3e7, 0.0]])), [[1, 0, 0], [0.5, 0.5, 0]])


@pytest.mark.parametrize("n_times", [1, 3, 40])
def test_a_distance_takes_any_length(n_times):
    net = CrossAttention(2, dim=8, kernel=5).eval()
    assert net.distances(torch.randn(2, 2, n_times), torch.randn(3, 2, n_times)).isfinite().all()


def test_odd_parameters_of_the_distance_are_refused():
    with pytest.raises(ValueError, match="odd number of samples.*4"):
        CrossAttention(kernel=4)
    with pytest.raises(ValueError, match="attention is one of sparsemax, softmax; got 'hard'"):
        CrossAttention(attention="hard")


def test_what_is_frozen_stays_asleep():
    frozen = Frozen(nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5)))
    nn.Sequential(frozen).train()
    x = torch.randn(8, 3)
    assert torch.equal(frozen(x), frozen(x)) and not any(m.training for m in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())


# ---------------------------------------------------------------------------------- the official code's checkpoints


def test_an_official_encoder_gives_the_same_embeddings(tmp_path):
    plain = trained_a_little(OfficialEncoder())
    encoder = RelConEncoder.from_official(save(plain, tmp_path / "checkpoint_best.pkl"), device="cpu")
    X = np.random.default_rng(0).normal(size=(6, 3, 256)).astype(np.float32)
    with torch.no_grad():
        wanted = plain(torch.from_numpy(X)).numpy()
    assert_allclose(encoder.transform(X), wanted, rtol=1e-4, atol=1e-6 * np.abs(wanted).max())
    assert (encoder.width, encoder.blocks, encoder.kernels) == (64, (3, 4, 6), (3, 4, 4))


def test_an_official_distance_gives_the_same_distances(tmp_path, windows):
    anchors, candidates = (x.numpy() for x in windows)
    plain = trained_a_little(OfficialDistance(attention="softmax"))
    distance = RelConDistance.from_official(save(plain, tmp_path / "checkpoint_best.pkl"), device="cpu")
    with torch.no_grad():
        wanted = [[plain.distance(a[None], c[None]).item() for c in windows[1]] for a in windows[0]]
    assert_allclose(distance.pairwise(anchors, candidates), wanted, rtol=1e-3)
    assert distance.inference_attention == "softmax"
    sharp = RelConDistance.from_official(tmp_path / "checkpoint_best.pkl", inference_attention="sparsemax")
    assert not np.allclose(sharp.pairwise(anchors, candidates), wanted, rtol=1e-2)


def test_official_checkpoints_survive_clone_and_saving(tmp_path):
    from sklearn.base import clone

    small = trained_a_little(OfficialEncoder(widths=(8, 16), blocks=(1, 2), kernels=(3, 4)))
    encoder = RelConEncoder.from_official(save(small, tmp_path / "c.pkl"), device="cpu")
    X = np.random.default_rng(0).normal(size=(4, 3, 256))
    wanted = encoder.transform(X)
    assert_allclose(clone(encoder).transform(X), wanted)
    encoder.save_pretrained(tmp_path / "folder")
    assert_allclose(RelConEncoder.from_pretrained(tmp_path / "folder").transform(X), wanted)
    assert encoder.blocks == (1, 2)


@pytest.mark.parametrize("cls", [RelConEncoder, RelConDistance])
def test_what_is_no_official_checkpoint_is_refused(cls, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No file at .*gone\.pkl"):
        cls.from_official(tmp_path / "gone.pkl")
    (tmp_path / "text.pkl").write_text("not a checkpoint")
    with pytest.raises(ValueError, match="damaged, or holds more than tensors"):
        cls.from_official(tmp_path / "text.pkl")
    torch.save({"net": {"fc.weight": torch.ones(2)}, "epoch": 3}, tmp_path / "other.pkl")
    with pytest.raises(ValueError, match=r"not that of a.* of RelCon's official code.*fc\.weight"):
        cls.from_official(tmp_path / "other.pkl")
    torch.save({"model": {}}, tmp_path / "unnamed.pkl")
    with pytest.raises(ValueError, match="no state dict under 'net'"):
        cls.from_official(tmp_path / "unnamed.pkl")
    torch.save({"net": math.sin}, tmp_path / "code.pkl")
    with pytest.raises(ValueError, match="weights-only"):
        cls.from_official(tmp_path / "code.pkl")


def test_an_official_checkpoint_with_a_tensor_missing_is_refused(tmp_path):
    state = OfficialEncoder(widths=(4,), blocks=(1,), kernels=(3,)).state_dict()
    del state["basicblock_list.0.conv2.bias"]
    torch.save({"net": state}, tmp_path / "c.pkl")
    with pytest.raises(ValueError, match=r"1 missing \(net\.blocks\.0\.conv2\.bias\)"):
        RelConEncoder.from_official(tmp_path / "c.pkl")


def test_the_plain_net_itself_does_what_the_facts_say():
    """Instance norm, border scaling and de-normalisation of the slow writing, on numbers that can be worked out."""
    plain = OfficialDistance()
    ones = torch.ones(1, 3, 20)
    with torch.no_grad():
        layer = plain.q_func.layer0
        first = layer.partial(ones)
        inside = F.conv1d(ones, layer.dilated_conv.weight)[..., :1] + layer.dilated_conv.bias[:, None]
    assert_allclose(first[:, :, 7:13], inside.expand(-1, -1, 6), atol=1e-5)
