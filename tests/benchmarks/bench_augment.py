"""Changes of a batch of windows at once, beside the same changes with numpy and scipy, one window after another.

    nox -s bench -- -k augment

The reference is what a first reading of the papers gives: a function for each change of one window ``(C, T)``, its
random numbers drawn where they are needed, a spline fitted where one is named. Probabilities and strengths are those of
the batched changes, and a test says that both move windows as far. Times are of the processor, the best of turns.
"""

import time

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.interpolate import CubicSpline

from wearembed.augment import Augment, SomeOf, ahms_changes, relcon_changes

N_WINDOWS = 256

# --- one window, plainly


def noise(x, rng, sd=0.1):
    return x + rng.normal(0, sd, x.shape)


def scale(x, rng, sd=0.25):
    return x * rng.normal(1, sd, (len(x), 1))


def negate(x, rng):
    return -x


def flip_time(x, rng):
    return x[:, ::-1]


def permute_segments(x, rng, n_cuts=5):
    pieces = np.split(np.arange(x.shape[1]), np.sort(rng.integers(0, x.shape[1], n_cuts)))
    order = np.concatenate([pieces[n] for n in rng.permutation(len(pieces))])
    return x[:, order]


def warp_time(x, rng, sd=0.2, n_knots=6):
    n_times, out = x.shape[1], np.empty_like(x)
    t = np.arange(n_times)
    for c, channel in enumerate(x):
        pace = CubicSpline(np.linspace(0, n_times - 1, n_knots), rng.normal(1, sd, n_knots))(t)
        when = np.cumsum(pace)
        out[c] = np.interp(t, when * (n_times - 1) / when[-1], channel)
    return out


def rotate(x, rng):
    axis = rng.uniform(-1, 1, 3)
    axis /= np.linalg.norm(axis)
    angle = rng.uniform(-np.pi, np.pi)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    return turn @ x


def shuffle_channels(x, rng):
    order = rng.permutation(len(x))
    while (order == np.arange(len(x))).all():
        order = rng.permutation(len(x))
    return x[order]


def cut_out(x, rng, low=0.3, high=0.5):
    n_times = x.shape[1]
    length = rng.integers(int(np.ceil(low * n_times)), int(np.ceil(high * n_times)))
    start = rng.integers(0, n_times - length)
    x = x.copy()
    x[:, start : start + length] = 0
    return x


def warp_magnitude(x, rng, sd=0.2, n_knots=7):
    knots = np.linspace(0, x.shape[1] - 1, n_knots)
    return x * CubicSpline(knots, rng.normal(1, sd, n_knots))(np.arange(x.shape[1]))


def warp_time_apple(x, rng, sd=0.1, n_knots=7):
    n_times, out = x.shape[1], np.empty_like(x)
    t, knots = np.arange(n_times), np.linspace(0, n_times - 1, n_knots)
    for c, channel in enumerate(x):
        when = CubicSpline(knots, knots * rng.normal(1, sd, n_knots))(t)
        out[c] = np.interp(t, (when * (n_times - 1) / when[-1]).clip(0, n_times - 1), channel)
    return out


def noise_between(x, rng, low=0.05, high=0.1):
    return x + rng.normal(0, rng.uniform(low, high), x.shape)


def permute_channels(x, rng):
    return x[rng.permutation(len(x))]


RELCON = [noise, scale, negate, flip_time, permute_segments, warp_time, rotate, shuffle_channels]
AHMS = [
    (cut_out, 0.4),
    (warp_magnitude, 0.25),
    (warp_time_apple, 0.15),
    (noise_between, 0.25),
    (permute_channels, 0.25),
]


def two_of_relcon(x, rng):
    for k in rng.choice(len(RELCON), 2, replace=False):
        x = RELCON[k](x, rng)
    return x


def each_of_ahms(x, rng):
    for change, probability in AHMS:
        if rng.random() < probability:
            x = change(x, rng)
    return x


def one_by_one(change, windows, rng):
    return np.stack([change(x, rng) for x in windows]).astype(np.float32)


# --- both ways

PRESETS = {  # shape of a window; one at a time; a batch at once
    "RelCon stage 1": ((3, 256), two_of_relcon, SomeOf(relcon_changes(3))),
    "AHMS, PPG of 60 s": ((4, 3840), each_of_ahms, Augment(ahms_changes("ppg", 4))),
}


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", PRESETS)
def test_a_batch_beside_one_by_one(name, benchmark):
    shape, plain, batched = PRESETS[name]
    torch.manual_seed(0)
    x, rng, took = torch.randn(N_WINDOWS, *shape), np.random.default_rng(0), []
    for _ in range(10):
        start = time.process_time()
        one_by_one(plain, x.numpy(), rng)
        took.append(time.process_time() - start)
    benchmark.pedantic(batched, args=(x,), rounds=100, warmup_rounds=5)
    loop, at_once = min(took), benchmark.stats["min"]
    print(f"\n| {name}: {N_WINDOWS} windows of {shape[0]} x {shape[1]}, 1 thread | ms | windows/s | times as fast |")
    print("|---|---|---|---|")
    for way, s in {"numpy, window by window": loop, "wearembed, the batch at once": at_once}.items():
        print(f"| {way} | {1e3 * s:.2f} | {N_WINDOWS / s:,.0f} | {loop / s:.1f} |")


@pytest.mark.parametrize("name", PRESETS)
def test_both_change_windows_as_much(name, benchmark):
    shape, plain, batched = PRESETS[name]
    torch.manual_seed(0)
    x, rng = torch.randn(8 * N_WINDOWS, *shape), np.random.default_rng(0)
    ours = benchmark.pedantic(batched, args=(x,), rounds=1)
    assert ours.shape == x.shape and ours.dtype == x.dtype and ours.isfinite().all()
    theirs = one_by_one(plain, x.numpy(), rng)
    moved = [np.square(changed - x.numpy()).mean((1, 2)) for changed in (ours.numpy(), theirs)]
    assert_allclose(moved[0].mean(), moved[1].mean(), rtol=0.05)
    assert_allclose(*(np.quantile(m, [0.25, 0.5, 0.75]) for m in moved), rtol=0.2, atol=0.02)
