"""Changes of a batch of windows ``(B, C, T)``, at random, on its device; each window has draws of its own.

Strengths are those of RelCon's official code. All randomness is torch's, so that a seed set outside holds here.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def noise(x: Tensor, sd: float = 0.1) -> Tensor:
    """Add white noise of a sensor, `sd` in the units of `x`."""
    return x + sd * torch.randn_like(x)


def scale(x: Tensor, sd: float = 0.25) -> Tensor:
    """Multiply each channel by a gain around one, as between devices."""
    return x * (1 + sd * torch.randn(*x.shape[:2], 1, device=x.device, dtype=x.dtype))


def rotate(x: Tensor) -> Tensor:
    """Turn each sensor of three axes as if it were worn otherwise.

    The axis is a point of a cube, put to unit length, and the angle uniform (official code), so directions towards the
    cube's corners are a little likelier. With 6, 9, ... channels each three turn together.
    """
    if x.shape[1] % 3:
        raise ValueError(f"rotate wants channels in threes, the axes of a sensor; got {x.shape[1]} channels.")
    axis = torch.rand(len(x), 3, device=x.device, dtype=x.dtype) * 2 - 1
    axis = axis / axis.norm(dim=1, keepdim=True).clamp_min(1e-12)
    angle = (torch.rand(len(x), 1, 1, device=x.device, dtype=x.dtype) * 2 - 1) * torch.pi
    cross = torch.linalg.cross(axis[:, None], torch.eye(3, device=x.device, dtype=x.dtype).expand(len(x), 3, 3))
    along = axis[:, :, None] * axis[:, None]
    turn = angle.cos() * torch.eye(3, device=x.device, dtype=x.dtype) + angle.sin() * cross + (1 - angle.cos()) * along
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
    while (same := (order == identity).all(1)).any():
        order[same] = torch.rand(int(same.sum()), n_channels, device=x.device).argsort(1)
    return x.gather(1, order[:, :, None].expand_as(x))


def permute_segments(x: Tensor, n_cuts: int = 5) -> Tensor:
    """Cut each window at `n_cuts` random times and shuffle the pieces, all channels alike."""
    n_times = x.shape[-1]
    cuts = torch.randint(n_times, (len(x), n_cuts), device=x.device).sort(1).values  # pieces may be empty
    times = torch.arange(n_times, device=x.device).expand(len(x), n_times).contiguous()
    piece = torch.searchsorted(cuts, times, right=True)  # (B, T), 0 .. n_cuts
    place = torch.rand(len(x), n_cuts + 1, device=x.device).argsort(1)  # of each piece among the shuffled
    order = (place.gather(1, piece) * n_times + times).argsort(1)
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


@cache
def spline_basis(n_knots: int, n_times: int) -> Tensor:
    """(n_knots, n_times): what each of equally spaced knots adds to the cubic spline through all of them."""
    spline = CubicSpline(np.linspace(0, 1, n_knots), np.eye(n_knots), axis=1)
    return torch.from_numpy(spline(np.linspace(0, 1, n_times)))


def read_between(x: Tensor, when: Tensor) -> Tensor:
    """Values at times 0, 1, ... of samples (B, C, T) that happen at rising times `when` (B, C, T)."""
    n_times = x.shape[-1]
    if n_times < 2:
        return x
    t = torch.arange(n_times, device=x.device, dtype=x.dtype).expand_as(when).contiguous()
    after = torch.searchsorted(when, t).clamp(1, n_times - 1)
    t0, t1 = when.gather(2, after - 1), when.gather(2, after)
    share = ((t - t0) / (t1 - t0)).clamp(0, 1)
    return torch.lerp(x.gather(2, after - 1), x.gather(2, after), share)


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
        for change, probability in self.changes:
            x = on_rows(change, x, torch.rand(len(x), device=x.device) < probability)
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
        drawn = torch.rand(len(x), len(self.changes), device=x.device).argsort(1)[:, : self.n]  # (B, n)
        for nth in drawn.T:
            for k, change in enumerate(self.changes):
                x = on_rows(change, x, nth == k)
        return x


def on_rows(change: Change, x: Tensor, rows: Tensor) -> Tensor:
    """`x` with the change made to the windows that `rows` (B,) of booleans names."""
    if not rows.any():
        return x
    x = x.clone()
    x[rows] = change(x[rows])
    return x


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
