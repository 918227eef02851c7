"""Contrast of participants: InfoNCE, KoLeo and a momentum copy, as Apple's PPG and ECG models were trained."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributed import Share

NEGATIVES = ("both", "cross")


class ParticipantContrast(nn.Module):
    """Two windows of one participant embed alike, and unlike those of anybody else.

    Both are augmented, projected by a head, and compared across two copies of the net: one learns, the other follows it
    with momentum. With ``positives="segment"`` the two are one window augmented twice, as in SimCLR.

    Parameters
    ----------
    net : nn.Module
        ``(B, C, T)`` to ``(B, D)``, with ``dim``. What is kept afterwards; the head is not.
    augment : callable
        ``(B, C, T)`` to ``(B, C, T)``, called for each of the two.
    positives : {"participant", "segment"}, default="participant"
        Paper; ``"segment"`` is its ablation.
    temperature : float, default=0.04
        Released code.
    negatives : {"both", "cross"}, default="both"
        As in `info_nce`.
    momentum : float or None, default=0.99
        Share that the follower keeps of itself at each step (released code). None: no follower, both copies are one and
        learn, as in SimCLR.
    koleo : float, default=0.1
        Weight of `koleo` (released code); 0 leaves it out.
    hidden, projection : int, default=1024 and 128
        Units and outputs of the head (paper).
    dropout : float, default=0.1
        In the head (released code).

    Notes
    -----
    As in the released code the follower moves before the forward pass, only its parameters are averaged and not its
    running statistics, and it stays in training mode, with dropout and statistics of the batch. Both windows go through
    a net in one call, so that batch normalisation sees one batch (our choice). Losses are in float32.

    References
    ----------
    Abbaspourazad et al. Large-scale Training of Foundation Models for Wearable Biosignals. ICLR 2024. arXiv:2312.05409
    """

    def __init__(
        self,
        net: nn.Module,
        augment: Callable[[Tensor], Tensor],
        positives: Literal["participant", "segment"] = "participant",
        temperature: float = 0.04,
        negatives: Literal["both", "cross"] = "both",
        momentum: float | None = 0.99,
        koleo: float = 0.1,
        hidden: int = 1024,
        projection: int = 128,
        dropout: float = 0.1,
    ):
        super().__init__()
        self.net = net
        self.augment = augment
        self.n_mates = 1 if positives == "participant" else 0
        self.temperature, self.negatives = temperature, negatives
        self.momentum: Any = momentum
        self.koleo = koleo
        dim: Any = net.dim
        self.head = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, projection))
        self.follower: Any = None
        if momentum is not None:
            self.follower = copy.deepcopy(nn.Sequential(self.net, self.head)).requires_grad_(False)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, share = batch["x"], Share.of(batch["x"])
        other = batch["mates"][:, 0] if self.n_mates else x
        with torch.autocast(x.device.type, enabled=False):
            x = torch.cat([share.changed(self.augment, x), share.changed(self.augment, other)])
        leader = nn.Sequential(self.net, self.head)
        one, two = projected(leader, x, share)
        to_one, to_two = (one, two) if self.follower is None else self.followed(leader, x, share)
        groups = share.whole(batch["group"]) if self.n_mates else None
        with torch.autocast(x.device.type, enabled=False):
            return (self.contrast(one, to_two, groups) + self.contrast(two, to_one, groups)) / 2

    @torch.no_grad()
    def followed(self, leader: nn.Module, x: Tensor, share: Share) -> tuple[Tensor, ...]:
        """What the follower makes of the windows, after a step behind the leader."""
        if self.training:
            follow(self.follower.parameters(), leader.parameters(), self.momentum)
        return projected(self.follower, x, share)

    def contrast(self, a: Tensor, b: Tensor, groups: Tensor | None) -> Tensor:
        loss = info_nce(a, b, groups, self.temperature, self.negatives)
        return loss + self.koleo * (koleo(a) + koleo(b)) / 2 if self.koleo else loss


def projected(copy: Any, x: Tensor, share: Share) -> tuple[Tensor, ...]:
    """What net and head make of both windows: on all processes of all rows, so that dropout is drawn as by one."""
    net, head = copy
    z = net(x)
    if len(share.sizes) > 1:
        z = z.to(torch.promote_types(z.dtype, torch.float32))  # what processes can add up
        z = torch.cat([share.whole(half) for half in z.chunk(2)])
    return head(z).float().chunk(2)


@torch.no_grad()
def follow(followers: Iterable[Tensor], leaders: Iterable[Tensor], momentum: float):
    """Each of `followers` becomes ``momentum`` of itself and the rest of its leader."""
    for follower, leader in zip(followers, leaders):
        follower.lerp_(leader.to(follower.dtype), 1 - momentum)


def info_nce(
    a: Tensor,
    b: Tensor,
    groups: Tensor | None = None,
    temperature: float = 0.04,
    negatives: Literal["both", "cross"] = "both",
) -> Tensor:
    """Negative log-likelihood of finding the partner of each embedding, from `a` to `b` and back, averaged.

    Parameters
    ----------
    a, b : Tensor of shape (n, dim)
        Row i of one is the partner of row i of the other; put to unit length here.
    groups : Tensor of shape (n,), default=None
        Participants. Windows of the same one are no negatives of each other within `a` or within `b` (released code);
        across the two they are. None: each row is a participant of its own.
    temperature : float, default=0.04
        Released code.
    negatives : {"both", "cross"}, default="both"
        ``"cross"`` is the paper's equation: partners are looked for in the other view alone. ``"both"`` is the released
        code, which puts the embeddings of the same view into the denominator too.

    Returns
    -------
    Tensor, scalar
        With all embeddings equal it is ``log(2 n - 1)`` for ``"both"`` and ``log(n)`` for ``"cross"``.

    Examples
    --------
    >>> import torch
    >>> round(info_nce(torch.ones(256, 128), torch.ones(256, 128)).item(), 3)
    6.236
    """
    if negatives not in NEGATIVES:
        raise ValueError(f'negatives is "both" or "cross"; got {negatives!r}.')
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    across = a @ b.T / temperature  # (n, n), partners on the diagonal
    partner = torch.arange(len(a), device=a.device)
    if negatives == "cross":
        return (F.cross_entropy(across, partner) + F.cross_entropy(across.T, partner)) / 2
    groups = partner if groups is None else groups
    same = groups[:, None] == groups
    within_a, within_b = ((z @ z.T / temperature).masked_fill(same, -torch.inf) for z in (a, b))
    there = F.cross_entropy(torch.cat([across, within_a], 1), partner)
    back = F.cross_entropy(torch.cat([across.T, within_b], 1), partner)
    return (there + back) / 2


def koleo(z: Tensor) -> Tensor:
    """How crowded embeddings are: minus the mean logarithm of the distance to the nearest other one.

    Parameters
    ----------
    z : Tensor of shape (n, dim)
        Put to unit length here. The neighbour is the row of largest product, and which one it is, is not learnt from.

    Returns
    -------
    Tensor, scalar
        0 for a single row, which has nobody to keep away from.

    References
    ----------
    Sablayrolles et al. Spreading vectors for similarity search. ICLR 2019.

    Examples
    --------
    >>> import torch
    >>> round(koleo(torch.eye(4)).item(), 4)  # neighbours at the square root of two
    -0.3466
    """
    if len(z) < 2:
        return z.sum() * 0
    z = F.normalize(z, dim=1)
    with torch.no_grad():
        nearest = (z @ z.T).fill_diagonal_(-torch.inf).argmax(1)
    apart = F.pairwise_distance(z, z[nearest], eps=torch.finfo(torch.float32).eps)  # its gradient is finite at zero
    return -(apart + 1e-8).log().mean()
