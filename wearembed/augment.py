"""Changes of a batch of windows ``(B, C, T)``, at random, on its device; each window has draws of its own.

Strengths are those of the papers' released code: RelCon's, and that of the Apple Heart and Movement Study (AHMS) for
photoplethysmograms and electrocardiograms. All randomness is torch's, so that a seed set outside holds here.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import CubicSpline
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def noise(x: Tensor, sd: float = 0.1) -> Tensor:
    """Add white noise of a sensor, `sd` in the units of `x`."""
    return torch.randn_like(x).mul_(sd).add_(x)


def noise_between(x: Tensor, low: float = 0.05, high: float = 0.1) -> Tensor:
    """Add white noise, as of a sensor that sits now well, now badly: each window has a deviation from `low` to `high`.

    AHMS draws the deviation once for all that it is given; here each window has its own.
    """
    sd = low + (high - low) * torch.rand(len(x), 1, 1, device=x.device, dtype=x.dtype)
    return torch.randn_like(x).mul_(sd).add_(x)


def scale(x: Tensor, sd: float = 0.25) -> Tensor:
    """Multiply each channel by a gain around one, as between devices."""
    return x * (1 + sd * torch.randn(*x.shape[:2], 1, device=x.device, dtype=x.dtype))


def warp_magnitude(x: Tensor, sd: float = 0.2, n_knots: int = 7) -> Tensor:
    """Let the strength of each window swell and fade, in all channels alike, as when a strap tightens and slackens.

    The gain is a cubic spline through `n_knots` equally spaced normal draws around one, with deviation `sd`.
    """
    knots = 1 + sd * torch.randn(len(x), 1, n_knots, device=x.device, dtype=x.dtype)
    return x * (knots @ spline_basis(n_knots, x.shape[-1]).to(x))


def cut_out(x: Tensor, low: float = 0.3, high: float = 0.5) -> Tensor:
    """Silence one stretch of each window in all channels, as when a sensor loses the skin.

    Its length is any whole number of samples from `low` to below `high` of the window. A window too short to hold such
    a number loses the last whole number up to `high`: one of one sample keeps it.
    """
    if not 0 <= low <= high <= 1:
        raise ValueError(f"cut_out wants 0 <= low <= high <= 1, parts of a window; got low={low}, high={high}.")
    n_times = x.shape[-1]
    least = min(math.ceil(low * n_times), int(high * n_times))
    length = torch.randint(least, max(math.ceil(high * n_times), least + 1), (len(x), 1), device=x.device)
    start = (torch.rand(len(x), 1, device=x.device) * (n_times - length)).long()
    t = torch.arange(n_times, device=x.device)
    hole = (t >= start) & (t < start + length)  # (B, T)
    return x.masked_fill(hole[:, None], 0)


def rotate(x: Tensor) -> Tensor:
    """Turn each sensor of three axes as if it were worn otherwise.

    The axis is a point of a cube, put to unit length, and the angle uniform (official code), so directions towards the
    cube's corners are a little likelier. With 6, 9, ... channels each three turn together.
    """
    if x.shape[1] % 3:
        raise ValueError(f"rotate wants channels in threes, the axes of a sensor; got {x.shape[1]} channels.")
    axis = F.normalize(torch.rand(len(x), 3, device=x.device, dtype=x.dtype) * 2 - 1)
    angle = (torch.rand(len(x), 1, 1, device=x.device, dtype=x.dtype) * 2 - 1) * torch.pi
    eye, along = torch.eye(3, device=x.device, dtype=x.dtype), axis[:, :, None] * axis[:, None]
    turn = torch.lerp(along, eye, angle.cos()) + angle.sin() * torch.linalg.cross(axis[:, None], eye[None])
    return (turn[:, None] @ x.unflatten(1, (-1, 3))).flatten(1, 2)


def negate(x: Tensor) -> Tensor:
    """Turn every axis around, as a sensor worn upside down and mirrored."""
    return -x


def flip_time(x: Tensor) -> Tensor:
    """Play each window backwards."""
    return x.flip(-1)


def shuffle_channels(x: Tensor) -> Tensor:
    """Exchange the axes of each window; never all left in place."""
    n_channels = x.shape[1]
    if n_channels < 2:
        raise ValueError("shuffle_channels wants two channels at least; got one.")
    identity = torch.arange(n_channels, device=x.device)
    order = torch.rand(len(x), n_channels, device=x.device).argsort(1)
    while len(same := (order == identity).all(1).nonzero()[:, 0]):
        order[same] = torch.rand(len(same), n_channels, device=x.device).argsort(1)
    return in_order(x, order)


def permute_channels(x: Tensor) -> Tensor:
    """Put the channels of each window in any order, all as likely; they may stay as they are."""
    return in_order(x, torch.rand(x.shape[:2], device=x.device).argsort(1))


def in_order(x: Tensor, channels: Tensor) -> Tensor:
    """Each window's channels in an order of its own, (B, C)."""
    rows = torch.arange(len(x), device=x.device)[:, None] * x.shape[1] + channels
    return x.flatten(0, 1).index_select(0, rows.flatten()).view_as(x)


def permute_segments(x: Tensor, n_cuts: int = 5) -> Tensor:
    """Cut each window at `n_cuts` random times and shuffle the pieces, all channels alike."""
    n_times = x.shape[-1]
    cuts = torch.randint(n_times, (len(x), n_cuts), device=x.device).sort(1).values  # pieces may be empty
    edges = F.pad(F.pad(cuts, (1, 0)), (0, 1), value=n_times)
    place = torch.rand(len(x), n_cuts + 1, device=x.device).argsort(1)  # of each piece among the shuffled
    piece = place.argsort(1)  # at each place
    length, old_stop = edges.diff(dim=1).gather(1, piece), edges[:, 1:].gather(1, piece)
    stop = length.cumsum(1)
    later = old_stop - stop  # how much later a piece was before
    jumps = torch.zeros(len(x), n_times + 1, dtype=torch.long, device=x.device)
    jumps.scatter_add_(1, stop - length, later).scatter_add_(1, stop, -later)
    order = torch.arange(n_times, device=x.device) + jumps[:, :n_times].cumsum(1)
    return x.gather(2, order[:, None].expand_as(x))


def warp_time(
    x: Tensor, sd: float = 0.2, n_knots: int = 6, axes: Literal["independent", "together"] = "independent"
) -> Tensor:
    """Let each window run faster and slower by turns.

    Pace is a cubic spline through `n_knots` equally spaced normal draws around one, with deviation `sd`. Its running
    sum, scaled to end with the window, is the time at which each sample now happens; samples are read between by
    straight lines.

    Parameters
    ----------
    x : Tensor of shape (B, C, T)
    sd : float, default=0.2
    n_knots : int, default=6
    axes : {"independent", "together"}, default="independent"
        The official code warps each axis by a curve of its own, which tears apart what happened at one moment.
        ``"together"`` warps all axes alike, as a person who moves faster or slower does.
    """
    if axes not in ("independent", "together"):
        raise ValueError(f'axes is "independent" or "together"; got {axes!r}.')
    batch, n_channels, n_times = x.shape
    curves = 1 if axes == "together" else n_channels
    knots = 1 + sd * torch.randn(batch, curves, n_knots, device=x.device, dtype=x.dtype)
    pace = knots @ spline_basis(n_knots, n_times).to(x)
    when = pace.clamp_min(0.01).cumsum(-1)  # time does not run backwards, be a draw ever so far out
    when = when * ((n_times - 1) / when[..., -1:])
    return read_between(x, when.expand(-1, n_channels, -1).contiguous())


def warp_time_apple(x: Tensor, sd: float = 0.1, n_knots: int = 7) -> Tensor:
    """Let each channel run early and late by turns, by the clock that AHMS uses: rough, and it loses beats.

    Each of `n_knots` equally spaced times is multiplied by a normal draw around one, with deviation `sd`. A cubic
    spline through them, scaled to end with the window, is the time at which each sample now happens. As draws multiply
    the time since the start, samples move far: the farthest by 7 of 60 s in the median draw. Where the timing of beats
    is to survive, take `warp_time`.

    Notes
    -----
    In half of the draws this clock goes back for a while, for which AHMS's interpolation is not defined. Here a sample
    that would happen before an earlier one happens together with it (a running maximum): what goes back is skipped, or
    lies past the end, and nothing is played twice or backwards. ``numpy.interp`` gives the same there, save for a few
    samples in 10,000.
    """
    batch, n_channels, n_times = x.shape
    rate = (1 + sd * torch.randn(batch, n_channels, n_knots, device=x.device, dtype=x.dtype)).clamp_min(0.01)
    knots = rate / rate[..., -1:] * torch.linspace(0, 1, n_knots, device=x.device, dtype=x.dtype)
    when = (n_times - 1) * (knots @ spline_basis(n_knots, n_times).to(x))
    return read_between(x, when.clamp(0, n_times - 1).cummax(-1).values)


@cache
def spline_basis(n_knots: int, n_times: int) -> Tensor:
    """(n_knots, n_times): what each of equally spaced knots adds to the cubic spline through all of them."""
    spline = CubicSpline(np.linspace(0, 1, n_knots), np.eye(n_knots), axis=1)
    return torch.from_numpy(spline(np.linspace(0, 1, n_times)))


def read_between(x: Tensor, when: Tensor) -> Tensor:
    """Values at times 0, 1, ... of samples (B, C, T) that happen at times `when` (B, C, T) that never fall."""
    n_times = x.shape[-1]
    if n_times < 2:
        return x
    n_before, since = torch.zeros(*when.shape[:2], n_times + 1, dtype=torch.long, device=x.device), when.long()
    n_before[..., 1:].scatter_add_(2, since, torch.ones_like(since))  # counting is faster than torch.searchsorted
    before = (n_before.cumsum(2)[..., :n_times] - 1).clamp_(0, n_times - 2)  # the last sample before each time
    t = torch.arange(n_times, device=x.device, dtype=x.dtype)
    t0, t1 = when.gather(2, before), when[..., 1:].gather(2, before)
    share = ((t - t0) / (t1 - t0).clamp_min_(torch.finfo(x.dtype).tiny)).clamp_(0, 1)
    return torch.lerp(x.gather(2, before), x[..., 1:].gather(2, before), share)


class Augment:
    """Each change in turn, on those windows of a batch that its probability picks.

    Parameters
    ----------
    changes : sequence of (callable, float)
        A change of a batch ``(B, C, T)``, and the probability that a window meets it.
    """

    def __init__(self, changes: Sequence[tuple[Change, float]]):
        self.changes = list(changes)

    def __repr__(self) -> str:
        return f"Augment({self.changes})"

    def __call__(self, x: Tensor) -> Tensor:
        x = x.clone()
        for change, probability in self.changes:
            rows = (torch.rand(len(x), device=x.device) < probability).nonzero()[:, 0]
            if len(rows):
                x.index_copy_(0, rows, change(x.index_select(0, rows)))
        return x


class SomeOf:
    """For each window `n` different ones of the changes, all as likely, in random order.

    Parameters
    ----------
    changes : sequence of callable
    n : int, default=2
        The official code draws two for each window, in training and validation alike. Fewer changes than `n`: all of
        them.
    """

    def __init__(self, changes: Sequence[Change], n: int = 2):
        self.changes = list(changes)
        self.n = min(n, len(self.changes))

    def __repr__(self) -> str:
        return f"SomeOf({self.changes}, n={self.n})"

    def __call__(self, x: Tensor) -> Tensor:
        drawn = torch.rand(len(x), len(self.changes), device=x.device).topk(self.n, 1, largest=False).indices  # (B, n)
        place = torch.arange(len(x), device=x.device)  # of each window in x
        for nth in drawn.T:
            rows = nth.argsort(stable=True)  # those that meet the first change, the second, ...
            sizes = nth.bincount(minlength=len(self.changes)).tolist()
            parts = x.index_select(0, place[rows]).split(sizes)
            x = torch.cat([x[:0], *(change(part) for change, part in zip(self.changes, parts) if len(part))])
            place = rows.argsort()
        return x.index_select(0, place)


def relcon_changes(n_channels: int, time_warp: Literal["independent", "together"] = "independent") -> list[Change]:
    """The eight changes of RelCon's official code; without those that the number of channels rules out.

    Rotation needs axes in threes, and exchanging channels two at least.
    """
    changes: list[Change] = [noise, scale, negate, flip_time, permute_segments, partial(warp_time, axes=time_warp)]
    if n_channels % 3 == 0:
        changes.append(rotate)
    if n_channels > 1:
        changes.append(shuffle_channels)
    return changes


def ahms_changes(
    sensor: Literal["ppg", "ecg", "accel"],
    n_channels: int,
    time_warp: Literal["apple", "fixed", "none"] | None = "apple",
) -> list[tuple[Change, float]]:
    """The changes of the Apple Heart and Movement Study's encoders in their order, with probabilities, for `Augment`.

    Parameters
    ----------
    sensor : {"ppg", "ecg", "accel"}
        An electrocardiogram is changed twice as often as a photoplethysmogram, and by strengths that are known of the
        latter only. No numbers are known of the accelerometer: it has the photoplethysmogram's.
    n_channels : int
        Channels are put in another order where there are two at least; those of an electrocardiogram never.
    time_warp : {"apple", "fixed", "none"} or None, default="apple"
        ``"apple"`` is `warp_time_apple`; ``"fixed"`` is `warp_time` with one clock for all channels, which keeps every
        beat and their order, where heart rate is to be read from the embedding; ``"none"`` or None leaves time alone.

    References
    ----------
    Abbaspourazad et al. Large-scale training of foundation models for wearable biosignals. ICLR 2024. arXiv:2312.05409
    """
    if sensor not in ("ppg", "ecg", "accel"):
        raise ValueError(f'sensor is "ppg", "ecg" or "accel"; got {sensor!r}.')
    if time_warp not in ("apple", "fixed", "none", None):
        raise ValueError(f'time_warp is "apple", "fixed", "none" or None; got {time_warp!r}.')
    often = 2 if sensor == "ecg" else 1
    changes: list[tuple[Change, float]] = [(cut_out, 0.4 * often), (warp_magnitude, 0.25 * often)]
    if time_warp == "apple":
        changes.append((warp_time_apple, 0.15 * often))
    if time_warp == "fixed":
        changes.append((partial(warp_time, sd=0.1, n_knots=7, axes="together"), 0.15 * often))
    changes.append((noise_between, 0.25 * often))
    if n_channels > 1 and sensor != "ecg":
        changes.append((permute_channels, 0.25))
    return changes
