"""Changes of a batch: each against what it claims to do."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from wearembed import augment
from wearembed.augment import Augment, SomeOf, relcon_changes

CHANGES = {
    "noise": augment.noise,
    "scale": augment.scale,
    "rotate": augment.rotate,
    "negate": augment.negate,
    "flip_time": augment.flip_time,
    "shuffle_channels": augment.shuffle_channels,
    "permute_segments": augment.permute_segments,
    "warp_time, independent": augment.warp_time,
    "warp_time, together": partial(augment.warp_time, axes="together"),
}
every = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@pytest.fixture
def x():
    return torch.randn(200, 3, 256, generator=torch.Generator().manual_seed(0))


@every
def test_a_change_keeps_shape_dtype_and_its_input(change, x):
    before = x.clone()
    assert change(x).shape == x.shape and change(x).dtype == x.dtype
    assert torch.equal(x, before)


@every
def test_equal_seeds_give_equal_changes(change, x):
    torch.manual_seed(3)
    first = change(x)
    torch.manual_seed(3)
    assert torch.equal(change(x), first)


@every
@pytest.mark.parametrize("n_times", [1, 2, 7])
def test_short_windows_go(change, n_times):
    assert change(torch.randn(4, 3, n_times)).isfinite().all()


@pytest.mark.parametrize(
    "name", ["noise", "scale", "rotate", "shuffle_channels", "permute_segments", "warp_time, independent"]
)
def test_each_window_has_draws_of_its_own(name, x):
    same = x[:1].expand(50, -1, -1)
    changed = CHANGES[name](same)
    assert len(torch.unique(changed.flatten(1), dim=0)) > 4


def test_noise_has_its_deviation(x):
    assert_allclose((augment.noise(x) - x).std(), 0.1, rtol=0.02)


def test_scale_is_one_gain_a_channel_around_one(x):
    gain = augment.scale(x) / x
    assert_allclose(gain.std(2), 0, atol=1e-3)
    assert_allclose([gain.mean(), gain[..., 0].std()], [1, 0.25], atol=0.03)


def test_rotation_keeps_lengths_and_angles_and_turns_the_formula_s_way(x):
    turned = augment.rotate(x)
    assert_allclose(turned.norm(dim=1), x.norm(dim=1), rtol=1e-4, atol=1e-5)
    assert_allclose(turned[:, :, :1].mT @ turned[:, :, 1:2], x[:, :, :1].mT @ x[:, :, 1:2], atol=1e-4)
    # Orientation survives: the triple product of three samples keeps its sign, so it is no mirror.
    volume = [torch.linalg.det(v[:, :, :3].double()) for v in (x, turned)]
    assert_allclose(volume[0], volume[1], atol=1e-4)


def test_rotation_angles_are_uniform(x):
    frames = torch.eye(3).expand(4000, 3, 3)
    trace = augment.rotate(frames).diagonal(dim1=1, dim2=2).sum(1)
    angle = torch.arccos(((trace - 1) / 2).clamp(-1, 1))
    assert_allclose(np.quantile(angle, [0.25, 0.5, 0.75]), np.pi * np.array([0.25, 0.5, 0.75]), atol=0.12)


def test_six_channels_turn_in_threes():
    x = torch.randn(5, 6, 20)
    turned = augment.rotate(x)
    assert_allclose(turned[:, 3:].norm(dim=1), x[:, 3:].norm(dim=1), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="in threes.*got 4"):
        augment.rotate(torch.randn(2, 4, 20))


def test_negation_and_reversal_undo_themselves(x):
    assert torch.equal(augment.negate(x), -x)
    assert torch.equal(augment.flip_time(x), torch.from_numpy(x.numpy()[..., ::-1].copy()))


def test_shuffled_channels_are_the_five_other_orders(x):
    marks = torch.arange(3.0)[None, :, None].expand(3000, 3, 4)
    orders, counts = torch.unique(augment.shuffle_channels(marks)[..., 0], dim=0, return_counts=True)
    assert [0, 1, 2] not in orders.tolist() and len(orders) == 5
    assert counts.min() > 500


def test_shuffled_segments_are_the_same_samples_in_at_most_six_pieces():
    times = torch.arange(256.0).expand(300, 2, 256)
    changed = augment.permute_segments(times)
    assert torch.equal(changed.sort(2).values, times)
    assert torch.equal(changed[:, 0], changed[:, 1])
    breaks = (changed[:, 0].diff(dim=1) != 1).sum(1)
    assert breaks.max() == 5 and (breaks > 0).float().mean() > 0.9


def warp_by_the_book(window, paces):
    """The spec with numpy, a channel at a time: where each sample moves to, and what is read at whole times."""
    from scipy.interpolate import CubicSpline

    n_times, out = window.shape[1], []
    for channel, pace in zip(window, paces):
        knots = np.linspace(0, n_times - 1, len(pace))
        when = np.cumsum(CubicSpline(knots, pace)(np.arange(n_times)))
        out.append(np.interp(np.arange(n_times), when * (n_times - 1) / when[-1], channel))
    return np.array(out)


@pytest.mark.parametrize("axes", ["independent", "together"])
def test_warped_time_is_the_spec_s(axes, x):
    torch.manual_seed(5)
    changed = augment.warp_time(x, axes=axes)
    torch.manual_seed(5)
    paces = 1 + 0.2 * torch.randn(200, 3 if axes == "independent" else 1, 6).expand(200, 3, 6)
    for n in range(20):
        assert_allclose(changed[n], warp_by_the_book(x[n].double().numpy(), paces[n].double().numpy()), atol=2e-3)


def test_axes_warped_together_stay_together_and_apart_they_do_not(x):
    same = x[:, :1].expand(-1, 3, -1)
    together, apart = augment.warp_time(same, axes="together"), augment.warp_time(same)
    assert torch.equal(together[:, 0], together[:, 2]) and not torch.allclose(apart[:, 0], apart[:, 2])
    with pytest.raises(ValueError, match='"independent" or "together"; got \'apart\''):
        augment.warp_time(x, axes="apart")


def test_two_different_changes_meet_each_window_and_all_are_as_likely():
    met = torch.zeros(4000, 8)

    def mark(k, x):
        x = x.clone()
        x[:, 0, k] += 1
        return x

    met = SomeOf([partial(mark, k) for k in range(8)])(torch.zeros(4000, 1, 8))[:, 0]
    assert torch.equal(met.sum(1), torch.full((4000,), 2.0)) and met.max() == 1
    assert_allclose(met.mean(0), 0.25, atol=0.03)


def test_changes_come_in_either_order():
    double, plus = (lambda x: 2 * x), (lambda x: x + 1)
    assert set(SomeOf([double, plus])(torch.ones(200, 1, 1)).flatten().tolist()) == {3.0, 4.0}


def test_probability_zero_changes_nothing_and_one_changes_all(x):
    assert torch.equal(Augment([(augment.negate, 0.0)])(x), x)
    assert torch.equal(Augment([(augment.negate, 1.0)])(x), -x)
    share = (Augment([(augment.negate, 0.3)])(x) == -x).all(2).all(1).float().mean()
    assert 0.15 < share < 0.45


@pytest.mark.parametrize(("n_channels", "n_changes"), [(1, 6), (2, 7), (3, 8), (6, 8)])
def test_channels_decide_which_changes_there_are(n_channels, n_changes):
    changes = relcon_changes(n_channels)
    assert len(changes) == n_changes
    assert SomeOf(changes)(torch.randn(9, n_channels, 30)).shape == (9, n_channels, 30)
