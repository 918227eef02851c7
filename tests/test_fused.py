"""What trains fast on a CPU against the plain layers: values, gradients, statistics, and memory that is kept."""

import copy
import platform
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wearembed.memory import glibc, kept_memory
from wearembed.nets import ResNet1d, fused, sparsemax
from wearembed.nets.cross_attention import in_ten_steps


def made(kernels=(3, 4), dtype=torch.float64):
    """A net whose norms are nothing special."""
    torch.manual_seed(0)
    net = ResNet1d(2, width=4, blocks=(1, 2), kernels=kernels).to(dtype)
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return net.train()


def plain(net, x):
    """Layer by layer, as the net does in evaluation and on a GPU."""
    x = F.max_pool1d(net.norm(net.conv(x)).relu(), 3, 2)
    return net.blocks(x).mean(-1)


def trained_once(net, forward, x):
    net = copy.deepcopy(net)
    z = forward(net, x)
    (z.float() * torch.linspace(-1, 1, z.numel()).view_as(z)).sum().backward()
    return z.detach(), {name: p.grad for name, p in net.named_parameters()}, dict(net.named_buffers())


@pytest.mark.parametrize("at_once", [1, 3 * 4 * 14, 2**21])  # one window, a few, all: 4 channels of 14 samples
@pytest.mark.parametrize("kernels", [(3, 4), (1, 2), (5, 8)])
def test_training_on_a_cpu_is_the_plain_net(kernels, at_once, monkeypatch):
    monkeypatch.setattr(fused, "AT_ONCE", at_once)
    net, x = made(kernels), torch.randn(7, 2, 64, dtype=torch.float64)
    z, gradients, buffers = trained_once(net, ResNet1d.__call__, x)
    wanted, wanted_gradients, wanted_buffers = trained_once(net, plain, x)
    torch.testing.assert_close(z, wanted, rtol=1e-9, atol=1e-9)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted_gradients[name], rtol=1e-6, atol=1e-6, msg=name)
    for name, buffer in buffers.items():
        torch.testing.assert_close(buffer, wanted_buffers[name], rtol=1e-9, atol=1e-9, msg=name)


def test_the_gradient_reaches_the_windows_too():
    net, x = made(), torch.randn(3, 2, 40, dtype=torch.float64)
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    net(ours).square().sum().backward()
    plain(net, theirs).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_training_in_bfloat16_is_as_near_to_float32_as_the_plain_net_is():
    net, x = made(dtype=torch.float32), torch.randn(32, 2, 64)
    exact = trained_once(net, plain, x)[1]
    away = []
    for forward in (ResNet1d.__call__, plain):
        half = lambda net, x, forward=forward: torch.autocast("cpu", torch.bfloat16)(forward)(net, x)  # noqa: E731
        gradients = trained_once(net, half, x)[1]
        away.append(sum((gradients[n] - g).square().sum() for n, g in exact.items()).sqrt().item())
    assert away[0] < 1.3 * away[1]


def test_a_norm_without_momentum_averages_all_it_has_seen():
    net = made()
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.momentum = None
    twin = copy.deepcopy(net)
    for _ in range(3):
        x = torch.randn(4, 2, 50, dtype=torch.float64)
        net(x), plain(twin, x)
    for ours, theirs in zip(net.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_statistics_of_a_constant_layer_have_no_negative_variance():
    norm = nn.BatchNorm1d(3)
    _, _, var = fused.statistics(fused.channels_last(torch.full((5, 3, 8), 1e3)), norm)
    assert (var >= 0).all() and var.max() < 1e-3


@pytest.mark.parametrize("n", [1, 2, 33, 256])
@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
def test_ten_steps_are_those_of_sparsemax(n, spread):
    scores = spread * torch.randn(50, n, generator=torch.Generator().manual_seed(n))
    weights, settled = in_ten_steps(scores)
    assert settled
    torch.testing.assert_close(weights, sparsemax(scores), rtol=0, atol=1e-6)


def test_steps_that_were_too_few_are_noticed():
    below = [0.45]
    for n in range(15, 0, -1):  # so far below the threshold that each step drops one alone
        below.append(below[-1] / (n + 2))
    scores = torch.tensor([[0.0, 0.0, *(-0.5 - b for b in below)]], dtype=torch.float64)
    assert not in_ten_steps(scores)[1]
    torch.testing.assert_close(sparsemax(scores)[0, :2], torch.full((2,), 0.5, dtype=torch.float64))


@pytest.mark.skipif(glibc() is None, reason="the C library is not glibc")
def test_memory_is_kept_inside_and_given_back_at_the_end():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 2**20

    assert platform.system() == "Linux"
    with kept_memory():
        with kept_memory():
            x = torch.ones(2**26)  # 256 MiB
            full = resident()
            del x
        assert resident() > full - 50  # the outer one holds on
    assert resident() < full - 200
    x = torch.ones(2**26)
    full = resident()
    del x
    assert resident() < full - 200  # as ever


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert glibc() is None
    with kept_memory():
        pass


# --- the compiler


def test_what_is_fused_runs_as_it_is_in_a_compiled_net(monkeypatch):
    """Traced it would be neither faster nor smaller; what surrounds it is compiled."""
    net, traced = made(), []
    twin = copy.deepcopy(net)

    def compiler(graph, inputs):
        traced.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    torch._dynamo.reset()
    x = torch.randn(6, 2, 64, dtype=torch.float64)
    z = torch.compile(net, backend=compiler)(x)
    z.sum().backward()
    twin(x).sum().backward()
    torch.testing.assert_close(z, twin(x.clone()))
    for one, other in zip(net.parameters(), twin.parameters()):
        torch.testing.assert_close(one.grad, other.grad)
    assert any("modules_conv_" in name for name in traced) and not any("blocks" in name for name in traced)


def test_the_compiler_is_not_loaded_where_nothing_is_compiled():
    code = "import sys, wearembed.encoders; print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["True", "False"]
