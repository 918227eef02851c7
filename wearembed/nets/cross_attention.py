"""The learned motif distance of RelCon: how badly a candidate's patterns rebuild an anchor."""

from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import distributed
from .views import VIEWS, n_seen

Attention = Literal["sparsemax", "softmax"]
CANDIDATES = 16  # whose keys and values are held at a time


class CrossAttention(nn.Module):
    """Rebuilds an anchor from the values of a candidate, by attention over the candidate's time.

    Both windows are normalised with the candidate's mean and deviation per channel; three convolutional nets give
    queries (anchor), keys and values (candidate); the attended values are projected to the channels and given the
    candidate's scale again. The distance is the squared error, summed over time and channels, in the units of the input
    squared. It is not symmetric. 58,617 parameters by default (official code).

    Parameters
    ----------
    n_channels : int, default=3
    dim : int, default=64
        Features of queries, keys and values (official code).
    kernel : int, default=15
        Samples that a convolution spans; odd (official code).
    n_dilated : int, default=2
        Bottleneck layers after the first, with dilations 1, 2, 4, ... (official code: 2).
    bottleneck : int, default=8
        Features inside such a layer (official code).
    dropout : float, default=0.1
        Share of attention weights dropped while training (official code).
    attention : {"sparsemax", "softmax"}, default="sparsemax"
        Sparsemax gives most of the candidate's samples no weight at all (paper, and official code while training).
    inference_attention : {"sparsemax", "softmax"} or None, default=None
        Attention outside training; None means that of training. The official code trains with sparsemax and measures
        with softmax, by a slip: ``"softmax"`` reproduces its distances.
    center : bool, default=False
        Take each window's mean off first, so that motion is compared and not the direction of gravity. The official
        code compares windows as they are.
    stride : int, default=1
        Samples that become one, their mean, before windows are compared. Attention is quadratic in them: 2 makes a
        distance about four times as cheap, and at 100 Hz keeps what is below some 20 Hz. The official code keeps all.
    views : sequence of {"as worn", "shape", "upright", "upright shape"}, default=("as worn",)
        What is compared, see `Views`; the channels of several together (official code: the axes as they come). With
        ``("as worn", "upright")`` the same gait is nearer when a pocket holds the device another way.

    Attributes
    ----------
    dim : int
    compiled : bool
        Whether distances take the attention's thresholds from a compiled function, False until set: some 1.4 times as
        fast on a CPU once ``torch.compile`` has taken half a minute.

    References
    ----------
    Xu et al. RelCon. ICLR 2025. The normalisation is that of Kim et al. (RevIN, ICLR 2022).

    Examples
    --------
    >>> import torch
    >>> net = CrossAttention().eval()
    >>> sum(p.numel() for p in net.parameters())
    58617
    >>> net.distances(torch.randn(2, 3, 256), torch.randn(5, 3, 256)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        n_channels: int = 3,
        dim: int = 64,
        kernel: int = 15,
        n_dilated: int = 2,
        bottleneck: int = 8,
        dropout: float = 0.1,
        attention: Attention = "sparsemax",
        inference_attention: Attention | None = None,
        center: bool = False,
        stride: int = 1,
        views: Sequence[str] = ("as worn",),
    ):
        super().__init__()
        n_channels = sum(n_seen(views, n_channels))
        for name, value in {"attention": attention, "inference_attention": inference_attention or attention}.items():
            if value not in get_args(Attention):
                raise ValueError(f"{name} is one of {', '.join(get_args(Attention))}; got {value!r}.")
        self.scale = nn.Parameter(torch.ones(n_channels))
        self.shift = nn.Parameter(torch.zeros(n_channels))
        self.query = Features(n_channels, dim, kernel, n_dilated, bottleneck)
        self.key = Features(n_channels, dim, kernel, n_dilated, bottleneck)
        self.value = Features(n_channels, dim, kernel, n_dilated, bottleneck)
        self.out = nn.Linear(dim, n_channels)
        self.dim, self.dropout, self.center = dim, dropout, center
        self.stride, self.views = stride, tuple(views)
        self.attention, self.inference_attention = attention, inference_attention or attention
        self.compiled = False

    def forward(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Distance of each anchor to the candidate in its row: (B, C, T), (B, C, T) to (B,)."""
        anchors, candidates = self.compared(anchors), self.compared(candidates)
        return (self.reconstruct(anchors, candidates) - anchors).square().sum((1, 2))

    def reconstruct(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Each anchor rebuilt from the candidate in its row: (B, C, T), (B, C, T) to (B, C, T)."""
        to = self.candidates(candidates)
        return self.attend(self.query(anchors * to.gain[..., None] + to.offset[..., None]), to)

    @torch.no_grad()
    def distances(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Distance of each anchor (A, C, T) to each candidate (N, C, T): (A, N), in bounded memory."""
        anchors, candidates = self.compared(anchors), self.compared(candidates)
        size, columns = pairs_at_a_time(anchors), []
        for some in candidates.split(min(CANDIDATES, size)):
            to = self.candidates(some)
            few_at_a_time = anchors.split(max(1, size // len(some)))
            columns.append(torch.cat([self.block(few, self.query.responses(few), to) for few in few_at_a_time]))
        return torch.cat(columns, 1) if columns else anchors.new_empty(len(anchors), 0)

    @torch.no_grad()
    def distances_to_own(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Distance of each anchor (B, C, T) to candidates of its own (B, K, C, T): (B, K)."""
        if not candidates.shape[1]:
            return anchors.new_empty(len(anchors), 0)
        anchors, candidates = self.compared(anchors), self.compared(candidates)
        size, columns = pairs_at_a_time(anchors), []
        for own in candidates.split(size, dim=1):
            few_at_a_time = max(1, size // own.shape[1])
            blocks = [
                self.block(few, self.query.responses(few), self.candidates(theirs.flatten(0, 1)), own.shape[1])
                for few, theirs in zip(anchors.split(few_at_a_time), own.split(few_at_a_time), strict=True)
            ]
            columns.append(torch.cat(blocks))
        return torch.cat(columns, 1)

    def compared(self, x: Tensor) -> Tensor:
        """What of a window is compared: its views, at a lower rate and without their means where asked for."""
        flat = x.flatten(0, -3)  # (B, C, T)
        if self.views != ("as worn",):
            flat = torch.cat([VIEWS[view](flat) for view in self.views], 1)
        if self.stride > 1:
            flat = F.avg_pool1d(flat, self.stride, ceil_mode=True)
        x = flat.unflatten(0, x.shape[:-2])
        return x - x.mean(-1, keepdim=True) if self.center else x

    def block(self, anchors: Tensor, responses: Tensor, to: "Candidates", n_own: int = 0) -> Tensor:
        """Distances (A, N) of anchors to candidates, which all share, or of which each has `n_own` in turn."""
        shape = (len(anchors), n_own) if n_own else (1, len(to.keys))
        to = Candidates(*(t.unflatten(0, shape) for t in to))  # (A or 1, N, ...)
        queries = self.query.after_first(self.query.rescaled(responses, to.gain, to.offset).flatten(0, 1))
        shape = (len(anchors), to.keys.shape[1])
        to = Candidates(*(t.expand(*shape, *t.shape[2:]).flatten(0, 1) for t in to))  # (A N, ...)
        rebuilt = self.attend(queries, to).unflatten(0, shape)  # (A, N, C, T)
        return (rebuilt - anchors[:, None]).square().sum((2, 3))

    def candidates(self, x: Tensor) -> "Candidates":
        """All that depends on the candidates (N, C, T) alone, so that it is done once for all their anchors."""
        mean = x.mean(-1).detach()  # (N, C)
        sd = (x.var(-1, unbiased=False) + 1e-5).sqrt().detach()
        gain = self.scale / sd
        offset = self.shift - gain * mean
        x = x * gain[..., None] + offset[..., None]
        values = F.conv1d(self.value(x), self.out.weight[..., None])  # projecting before attending is the same
        return Candidates(self.key(x) / self.dim**0.5, values, gain, offset, mean, sd)

    def attend(self, queries: Tensor, to: "Candidates") -> Tensor:
        """Queries (P, D, T) and the candidate in each row to the anchor rebuilt: (P, C, T)."""
        scores = queries.transpose(1, 2) @ to.keys  # (P, T, T): queries down, keys across
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))  # a threshold wants all its digits
        attention = self.attention if self.training else self.inference_attention
        weights = sparsemax(scores, self.compiled) if attention == "sparsemax" else scores.softmax(-1)
        weights = distributed.dropout(weights, self.dropout, self.training)
        z = to.values @ weights.transpose(1, 2) + self.out.bias[:, None]  # (P, C, T)
        z = (z - self.shift[:, None]) / (self.scale[:, None] + 1e-10)
        return z * to.sd[..., None] + to.mean[..., None]


class Candidates(NamedTuple):
    """What attention needs of candidates; see `CrossAttention.candidates`."""

    keys: Tensor  # (N, D, T), scaled
    values: Tensor  # (N, C, T)
    gain: Tensor  # (N, C): an anchor x enters as gain * x + offset
    offset: Tensor  # (N, C)
    mean: Tensor  # (N, C)
    sd: Tensor  # (N, C)


class Features(nn.Module):
    """Convolutions over time: a first layer, then bottleneck layers with residuals; (B, C, T) to (B, D, T).

    Each layer ends in GELU and then instance norm. The first is a partial convolution without missing samples: at the
    borders, where the kernel reaches over the edge, its sum is scaled up by the share of taps inside.
    """

    def __init__(self, n_channels: int, dim: int, kernel: int, n_dilated: int, bottleneck: int):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is an odd number of samples, so that features stay in place; got {kernel}.")
        self.first = nn.Conv1d(n_channels, dim, kernel)  # for its initial values; it is applied in parts
        self.dim, self.kernel = dim, kernel
        self.layers = nn.ModuleList(Bottleneck(dim, kernel, 2**n, bottleneck) for n in range(n_dilated))

    def forward(self, x: Tensor) -> Tensor:
        first = F.conv1d(x, self.first.weight, padding=self.kernel // 2) * self.at_borders(x)
        return self.after_first(first + self.bias())

    def after_first(self, x: Tensor) -> Tensor:
        x = instance_norm(F.gelu(x))
        for layer in self.layers:
            x = layer(x)
        return x

    def at_borders(self, x: Tensor) -> Tensor:
        """(1, T): how many times more taps the kernel has than lie inside the window."""
        taps = x.new_ones(1, 1, self.kernel)
        return self.kernel / F.conv1d(x.new_ones(1, 1, x.shape[-1]), taps, padding=self.kernel // 2)[0]

    def bias(self) -> Tensor:
        """(D, 1)."""
        assert self.first.bias is not None
        return self.first.bias[:, None]

    def responses(self, x: Tensor) -> Tensor:
        """First layer without bias, channel by channel, of windows and of a constant one: (A, 2 C, D T).

        The first layer is affine in the window. With these, `rescaled` gives it for any gain and offset of the channels
        by a product of 2 C terms instead of a convolution.
        """
        n_channels = x.shape[1]
        weight = self.first.weight.transpose(0, 1).flatten(0, 1)[:, None]  # (C D, 1, kernel)
        both = torch.cat([x, torch.ones_like(x[:1])])
        y = F.conv1d(both, weight, padding=self.kernel // 2, groups=n_channels) * self.at_borders(x)  # (A + 1, C D, T)
        y = y.unflatten(1, (n_channels, -1)).flatten(2)  # (A + 1, C, D T)
        return torch.cat([y[:-1], y[-1:].expand(len(x), -1, -1)], 1)

    def rescaled(self, responses: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
        """First layer of anchors scaled for their candidates: (A, 2 C, D T), (A or 1, N, C) twice, to (A, N, D, T)."""
        scales = torch.cat([gain, offset], -1).expand(len(responses), -1, -1)  # (A, N, 2 C)
        return (scales @ responses).unflatten(-1, (self.dim, -1)) + self.bias()


class Bottleneck(nn.Module):
    """Few features, a dilated convolution back to all of them, plus the input."""

    def __init__(self, dim: int, kernel: int, dilation: int, bottleneck: int):
        super().__init__()
        self.reduce = nn.Conv1d(dim, bottleneck, 1)
        self.conv = nn.Conv1d(bottleneck, dim, kernel, dilation=dilation, padding=kernel // 2 * dilation)

    def forward(self, x: Tensor) -> Tensor:
        return instance_norm(F.gelu(self.conv(self.reduce(x)) + x))


def instance_norm(x: Tensor) -> Tensor:
    """Zero mean and unit deviation over time; a single sample becomes zero."""
    return F.layer_norm(x, x.shape[-1:])


def pairs_at_a_time(x: Tensor) -> int:
    """So many that their scores stay in a core's cache, or fill a GPU but not its memory."""
    return max(1, (2**20 if x.device.type == "cpu" else 2**28) // x.shape[-1] ** 2)


class Sparsemax(torch.autograd.Function):
    """Exact without sorting: Newton's steps from below on a sum that is convex and piecewise linear in the threshold.

    They end when nothing more falls below the threshold (Michelot 1986). ``nox -s bench`` compares with a sort.
    """

    @staticmethod
    def forward(ctx, scores: Tensor) -> Tensor:
        scores = scores - scores.amax(-1, keepdim=True)  # so that large scores keep their digits
        threshold = torch.full_like(scores[..., :1], -1.0)  # never above the true one
        weights, positive = torch.empty_like(scores), torch.empty_like(scores)
        n_left = torch.full_like(threshold, torch.inf)
        for _ in range(scores.shape[-1] + 1):
            torch.sub(scores, threshold, out=weights).clamp_min_(0)
            n_before, n_left = n_left, torch.ceil(weights, out=positive).sum(-1, keepdim=True)  # none is above one
            if not (n_left < n_before).any():
                break
            threshold = threshold + (weights.sum(-1, keepdim=True) - 1) / n_left
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        support = ctx.saved_tensors[0] > 0
        gradient = gradient * support
        return gradient - support * (gradient.sum(-1, keepdim=True) / support.sum(-1, keepdim=True))


def sparsemax(scores: Tensor, compiled: bool = False) -> Tensor:
    """Euclidean projection of each row (last axis) onto the simplex: weights that sum to one, many exactly zero.

    Parameters
    ----------
    scores : Tensor of shape (..., n)
    compiled : bool, default=False
        Where no gradient is asked for, let ``torch.compile`` join the passes over the scores into one.

    References
    ----------
    Martins and Astudillo. From Softmax to Sparsemax. ICML 2016.

    Examples
    --------
    >>> import torch
    >>> sparsemax(torch.tensor([[1.0, 0.5, -2.0]]))
    tensor([[0.7500, 0.2500, 0.0000]])
    """
    if compiled and not (torch.is_grad_enabled() and scores.requires_grad):
        weights, settled = compiled_steps()(scores)
        if settled:
            return weights
    return Sparsemax.apply(scores)


@cache
def compiled_steps():
    return torch.compile(in_ten_steps, dynamic=True)


def in_ten_steps(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The steps of `Sparsemax`, ten in any case, and whether the last one changed nothing."""
    scores = scores - scores.amax(-1, keepdim=True)
    threshold = torch.full_like(scores[..., :1], -1.0)
    n_before = n_left = threshold
    for _ in range(10):
        weights = (scores - threshold).clamp_min(0)
        n_before, n_left = n_left, (weights > 0).to(scores.dtype).sum(-1, keepdim=True)
        threshold = threshold + (weights.sum(-1, keepdim=True) - 1) / n_left
    return (scores - threshold).clamp_min(0), (n_left == n_before).all()
