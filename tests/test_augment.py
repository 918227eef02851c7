"""Changes of a batch: each against what it claims to do."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from wearembed import augment
from wearembed.augment import Augment, SomeOf, ahms_changes, relcon_changes

CHANGES = {
    "noise": augment.noise,
    "noise_between": augment.noise_between,
    "scale": augment.scale,
    "warp_magnitude": augment.warp_magnitude,
    "cut_out": augment.cut_out,
    "rotate": augment.rotate,
    "negate": augment.negate,
    "flip_time": augment.flip_time,
    "shuffle_channels": augment.shuffle_channels,
    "permute_channels": augment.permute_channels,
    "permute_segments": augment.permute_segments,
    "warp_time, independent": augment.warp_time,
    "warp_time, together": partial(augment.warp_time, axes="together"),
    "warp_time_apple": augment.warp_time_apple,
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
@pytest.mark.parametrize("n_times", [1, 2, 3, 7])
def test_short_windows_go(change, n_times):
    assert change(torch.randn(4, 3, n_times)).isfinite().all()


@every
def test_a_change_keeps_double_precision_and_takes_no_windows(change, x):
    assert change(x[:9].double()).dtype == torch.float64
    assert change(x[:0]).shape == (0, 3, 256)


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("negate", "flip_time")])
def test_each_window_has_draws_of_its_own(name, x):
    same = x[:1].expand(50, -1, -1)
    changed = CHANGES[name](same)
    assert len(torch.unique(changed.flatten(1), dim=0)) > 4


@every
def test_probability_zero_changes_no_bit(change, x):
    assert torch.equal(Augment([(change, 0.0)])(x), x)


def test_noise_has_its_deviation(x):
    assert_allclose((augment.noise(x) - x).std(), 0.1, rtol=0.02)


def test_noise_between_has_one_deviation_a_window_any_between():
    noise = augment.noise_between(torch.zeros(300, 2, 4000))
    sd = noise.std((1, 2))
    assert 0.049 < sd.min() < 0.052 and 0.098 < sd.max() < 0.102
    assert_allclose(np.quantile(sd, [0.25, 0.5, 0.75]), [0.0625, 0.075, 0.0875], atol=0.006)
    assert_allclose(noise.std(2), sd[:, None].expand(300, 2), rtol=0.06)
    neighbours = [(noise[:, 0] * noise[:, 1]).mean(), (noise[..., 1:] * noise[..., :-1]).mean()]
    assert_allclose(neighbours, 0, atol=1e-4)


def gain_by_the_book(n_times, knots):
    """One curve: a spline that knows nothing of its ends (not-a-knot), through equally spaced knots."""
    from scipy.interpolate import CubicSpline

    places = np.linspace(0, n_times - 1, len(knots))
    return CubicSpline(places, knots, bc_type="not-a-knot")(np.arange(n_times))


@pytest.mark.parametrize("n_times", [3, 5, 256])
def test_warped_magnitude_is_the_spec_s(n_times):
    x = torch.randn(20, 3, n_times)
    torch.manual_seed(5)
    changed = augment.warp_magnitude(x)
    torch.manual_seed(5)
    knots = 1 + 0.2 * torch.randn(20, 1, 7)
    for n in range(20):
        gain = gain_by_the_book(n_times, knots[n, 0].double().numpy())
        assert_allclose(changed[n], x[n].double().numpy() * gain, atol=1e-5)


def test_magnitude_is_one_curve_for_all_channels_through_knots_around_one():
    gain = augment.warp_magnitude(torch.ones(4000, 3, 61))
    assert torch.equal(gain[:, 0], gain[:, 1]) and torch.equal(gain[:, 0], gain[:, 2])
    knots = gain[:, 0, ::10].T
    assert_allclose(knots.mean(1), 1, atol=0.015)
    assert_allclose(torch.cov(knots), 0.04 * torch.eye(7), atol=0.004)


def test_cut_out_silences_one_stretch_of_a_third_to_a_half():
    cut = augment.cut_out(torch.ones(3000, 2, 400)) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    hole = cut[:, 0].int()
    assert (hole.diff(dim=1).abs().sum(1) + hole[:, 0] + hole[:, -1] == 2).all()  # one piece, two ends
    length, start = hole.sum(1), hole.argmax(1)
    assert set(length.tolist()) == set(range(120, 200))
    assert_allclose(np.quantile(length, [0.25, 0.5, 0.75]), [140, 160, 180], atol=4)
    place = (start + 0.5) / (400 - length)
    assert place.max() < 1 and (start == 0).any() and (start + length == 399).any()
    assert_allclose(np.quantile(place, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.04)
    assert abs(np.corrcoef(length, place)[0, 1]) < 0.08


def test_cut_out_of_a_minute_is_in_the_paper_s_bounds():
    share = (augment.cut_out(torch.ones(500, 1, 3840)) == 0).float().mean((1, 2))
    assert 0.3 <= share.min() < 0.303 and 0.497 < share.max() < 0.5


@pytest.mark.parametrize(("n_times", "silent"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (7, 3), (8, 3)])
def test_cut_out_of_short_windows(n_times, silent):
    assert ((augment.cut_out(torch.ones(50, 2, n_times)) == 0).sum(2) == silent).all()


def test_cut_out_takes_any_part_and_says_which():
    assert (augment.cut_out(torch.ones(9, 1, 40), 0.25, 0.25) == 0).sum() == 90
    assert torch.equal(augment.cut_out(torch.ones(9, 1, 40), 0, 0), torch.ones(9, 1, 40))
    assert not augment.cut_out(torch.ones(9, 1, 40), 1, 1).any()
    with pytest.raises(ValueError, match="low <= high.*low=0.5, high=0.3"):
        augment.cut_out(torch.ones(2, 1, 9), 0.5, 0.3)


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


def test_permuted_channels_are_all_six_orders_alike():
    marks = torch.arange(3.0)[None, :, None].expand(3000, 3, 4)
    changed = augment.permute_channels(marks)
    assert (changed == changed[..., :1]).all()
    orders, counts = torch.unique(changed[..., 0], dim=0, return_counts=True)
    assert [0, 1, 2] in orders.tolist() and len(orders) == 6
    assert_allclose(counts, 500, atol=100)
    assert torch.equal(augment.permute_channels(marks[:, :1]), marks[:, :1])


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


def clock_by_the_book(n_times, rates):
    """AHMS's clock: where each sample moves to, with numpy. It may go back."""
    from scipy.interpolate import CubicSpline

    knots = np.linspace(0, n_times - 1, len(rates))
    when = CubicSpline(knots, knots * rates)(np.arange(n_times))
    return when * (n_times - 1) / when[-1]


def read_by_the_book(samples, when):
    """At each whole time the first sample that happens then or later, mixed with the one before it.

    That one happens as late as any yet.
    """
    out = []
    for t in range(len(samples)):
        j = next(j for j in range(len(samples)) if when[j] > t - 1e-9)
        before = max(when[:j], default=t)
        share = (t - before) / (when[j] - before) if j else 1
        out.append(share * samples[j] + (1 - share) * samples[j - 1])
    return out


def test_apple_s_warp_is_the_spec_s_and_as_rough_as_it_says():
    places = torch.arange(3840.0, dtype=torch.float64)
    torch.manual_seed(5)
    changed = augment.warp_time_apple(places.expand(500, 4, 3840)).flatten(0, 1).numpy()
    torch.manual_seed(5)
    rates = 1 + 0.1 * torch.randn(500, 4, 7, dtype=torch.float64).flatten(0, 1).numpy()
    farthest, goes_back, like_numpy = [], [], []
    for found, rate in zip(changed, rates):
        when = clock_by_the_book(3840, rate)
        farthest.append(abs(when - places.numpy()).max() / 64)
        goes_back.append((np.diff(when) <= 0).any())
        when = when.clip(0, 3839)
        running = np.interp(places, np.maximum.accumulate(when), places)
        # Both ends may hold many samples: ours is the first of them, numpy's the last.
        assert_allclose(found[1:-1], running[1:-1], atol=1e-6)
        like_numpy.append(abs(found - np.interp(places, when, places)) < 2)
    assert_allclose([np.median(farthest), np.quantile(farthest, 0.95)], [7.0, 15.8], rtol=0.06)
    assert_allclose(np.mean(goes_back), 0.498, atol=0.03)
    assert np.mean(like_numpy) > 0.9995  # numpy promises nothing where time goes back, and skips it, too


@pytest.mark.parametrize("n_times", [2, 3, 6, 100])
def test_apple_s_warp_of_short_windows_is_the_spec_s(n_times):
    x = torch.randn(20, 3, n_times, dtype=torch.float64)
    torch.manual_seed(5)
    changed = augment.warp_time_apple(x)
    torch.manual_seed(5)
    rates = 1 + 0.1 * torch.randn(20, 3, 7, dtype=torch.float64).flatten(0, 1).numpy()
    for found, samples, rate in zip(changed.flatten(0, 1), x.flatten(0, 1), rates):
        when = clock_by_the_book(n_times, rate).clip(0, n_times - 1)
        assert_allclose(found, read_by_the_book(samples.numpy(), when), atol=1e-7)


def test_apple_s_warp_survives_clocks_that_start_or_stay_outside(x):
    changed = augment.warp_time_apple(x, sd=3.0)  # many rates at their floor, many samples before the start
    assert changed.isfinite().all() and changed.min() >= x.min() and changed.max() <= x.max()
    assert_allclose(augment.warp_time_apple(x, sd=0.0), x, atol=1e-3)


def test_apple_s_warp_has_a_clock_for_each_channel_from_start_to_end():
    places = torch.arange(1000.0).expand(200, 3, 1000)
    changed = augment.warp_time_apple(places)
    clocks = (changed - places).flatten(0, 1)[:, 500]
    assert len(clocks.unique()) == 600
    assert abs(np.corrcoef((changed - places)[:, :, 500].T) - np.eye(3)).max() < 0.25
    assert (changed[..., 0] == 0).all() and (changed[..., -1] > 400).all()


def test_fixed_warp_keeps_every_beat_in_order_and_apple_s_loses_some():
    beats = (torch.arange(3840) // 55).float().expand(400, 2, 3840)  # each sample bears the number of its beat
    fixed, apple = (ahms_changes("ppg", 2, time_warp)[2][0](beats).round() for time_warp in ("fixed", "apple"))
    assert (fixed.diff(dim=2) >= 0).all() and (fixed.diff(dim=2) <= 1).all()
    assert (fixed[..., 0] == 0).all() and (fixed[..., -1] == 69).all()
    assert torch.equal(fixed[:, 0], fixed[:, 1]) and not torch.equal(apple[:, 0], apple[:, 1])
    lost = (apple.diff(dim=2) > 1).any(2) | (apple[..., -1] < 69)
    assert (apple.diff(dim=2) >= 0).all() and 0.35 < lost.float().mean() < 0.6


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


@pytest.mark.parametrize("sensor", ["ppg", "ecg", "accel"])
@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_ahms_changes_are_the_paper_s_in_its_order(sensor, n_channels):
    table = [  # change, probability for PPG and accelerometer, for ECG
        (augment.cut_out, 0.4, 0.8),
        (augment.warp_magnitude, 0.25, 0.5),
        (augment.warp_time_apple, 0.15, 0.3),
        (augment.noise_between, 0.25, 0.5),
        (augment.permute_channels, 0.25, None),
    ]
    if n_channels == 1 or sensor == "ecg":
        table.pop()
    expected = [(change, ecg if sensor == "ecg" else ppg) for change, ppg, ecg in table]
    assert ahms_changes(sensor, n_channels) == expected
    for time_warp in ("none", None):
        assert ahms_changes(sensor, n_channels, time_warp) == expected[:2] + expected[3:]
    warp, probability = ahms_changes(sensor, n_channels, "fixed")[2]
    assert (warp.func, probability) == (augment.warp_time, expected[2][1])
    assert warp.keywords == {"sd": 0.1, "n_knots": 7, "axes": "together"}


@pytest.mark.parametrize("n_times", [1, 2, 3, 50])
@pytest.mark.parametrize("time_warp", ["apple", "fixed", "none"])
def test_ahms_changes_go_at_any_length(time_warp, n_times):
    for sensor, n_channels in [("ppg", 4), ("ecg", 1), ("accel", 3)]:
        x = torch.randn(60, n_channels, n_times)
        changed = Augment(ahms_changes(sensor, n_channels, time_warp))(x)
        assert changed.shape == x.shape and changed.isfinite().all()


def test_ahms_changes_leave_as_many_windows_alone_as_their_probabilities_say():
    x = torch.randn(4000, 4, 30)
    alone = (Augment(ahms_changes("ppg", 4))(x) == x).all(2).all(1).float().mean()
    assert_allclose(alone, 0.6 * 0.75 * 0.85 * 0.75 * (1 - 0.25 * 23 / 24), atol=0.03)


def test_ahms_changes_say_which_names_there_are():
    with pytest.raises(ValueError, match='"ppg", "ecg" or "accel"; got \'eeg\''):
        ahms_changes("eeg", 1)
    with pytest.raises(ValueError, match='"apple", "fixed", "none" or None; got \'slow\''):
        ahms_changes("ppg", 1, time_warp="slow")
