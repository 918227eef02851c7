"""The relative contrastive loss of RelCon."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributed import Share
from ..nets import Frozen


class RelativeContrast(nn.Module):
    """Each candidate in turn is the positive against all candidates that the distance puts farther away.

    Candidates of an anchor are its own mates and the other anchors of the batch (official code: 20 and 63). With
    ``n_mates=0`` they are the other anchors alone: for batches of participants × windows, in which each window is
    anchor and candidate at once.

    Parameters
    ----------
    net : nn.Module
        ``(B, C, T)`` to ``(B, D)``, with ``dim`` where there is a projection.
    distance : nn.Module
        Has ``distances(anchors, candidates)`` and ``distances_to_own(anchors, mates)``, like `nets.CrossAttention`.
        Frozen here, and in float32 whatever the precision of the net.
    n_mates : int, default=20
        Mates that a batch brings for each anchor (official code).
    temperature : float, default=0.1
        Official code.
    projection : int, default=0
        Outputs of a head between the embedding and the ranks, which is not kept: a hidden layer of twice as many, batch
        norm, ReLU. 0 is none (official code). What the ranks do not ask for, an embedding without a head loses.

    Notes
    -----
    Anchors and mates go through the net in one call, so that batch normalisation sees one batch. The official code
    makes two calls with statistics of their own. Gradients flow through anchors in both of their parts, and through
    mates.
    """

    def __init__(
        self,
        net: nn.Module,
        distance: nn.Module,
        n_mates: int = 20,
        temperature: float = 0.1,
        projection: int = 0,
    ):
        super().__init__()
        self.net = net
        self.head = head(net, projection) if projection else nn.Identity()
        self.distance = Frozen(distance)
        self.n_mates = n_mates
        self.temperature = temperature

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, mates, share = batch["x"], batch.get("mates"), Share.of(batch["x"])
        if mates is None:
            mates = x.new_empty(len(x), 0, *x.shape[1:])
        z = self.head(self.net(torch.cat([x, mates.flatten(0, 1)]))).float()  # (B + B K, D)
        with torch.autocast(x.device.type, enabled=False):
            far = self.far(x, mates, share)  # (B, B - 1 + K)
            near = similarities(z[: len(x)], z[len(x) :].unflatten(0, mates.shape[:2]), share)
        return share.weighed(relative_contrast(near, far, self.temperature))

    @torch.no_grad()
    def far(self, x: Tensor, mates: Tensor, share: Share) -> Tensor:
        """Distance of each anchor's candidates: the other anchors, then its mates."""
        distance = self.distance.module
        among = without_own(distance.distances(x, share.whole(x)), share.start)  # (B, B - 1)
        return torch.cat([among, distance.distances_to_own(x, mates)], 1)


def head(net: Any, projection: int) -> nn.Module:
    """What the loss sees instead of the embedding itself."""
    hidden = 2 * projection
    return nn.Sequential(nn.Linear(net.dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, projection))


def similarities(z: Tensor, mates: Tensor, share: Share) -> Tensor:
    """Cosine of each anchor ``(B, D)`` with the other anchors, then with its mates ``(B, K, D)``: (B, B - 1 + K).

    Anchors are those of this process, the others those of all.
    """
    z, mates = F.normalize(z, dim=-1), F.normalize(mates, dim=-1)
    return torch.cat([without_own(z @ share.whole(z).T, share.start), torch.einsum("bd,bkd->bk", z, mates)], 1)


def without_own(table: Tensor, first: int = 0) -> Tensor:
    """``(B, N)`` to ``(B, N - 1)``: each row without the anchor itself, which the columns have from `first` on."""
    n_rows, n = table.shape
    others = torch.arange(n - 1, device=table.device).repeat(n_rows, 1)  # (B, N - 1)
    return table.gather(1, others + (others >= torch.arange(first, first + n_rows, device=table.device)[:, None]))


def relative_contrast(similarities: Tensor, distances: Tensor, temperature: float = 0.1) -> Tensor:
    """Negative log-likelihood of ranking each anchor's candidates by distance, nearest first.

    For an anchor with candidates S it is the sum over i in S of
    ``-log(exp(s_i / t) / (exp(s_i / t) + sum of exp(s_j / t) over j in S with d_j > d_i))``: a strict comparison, so
    that candidates at equal distance are no rivals of one another, and the farthest adds nothing. The anchors are
    averaged, the candidates summed (paper, official code; the official code orders ties arbitrarily).

    Parameters
    ----------
    similarities : Tensor of shape (n_anchors, n_candidates)
        Cosine of the embeddings, differentiable.
    distances : Tensor of shape (n_anchors, n_candidates)
        How far each candidate is from its anchor, by a frozen measure; only their order in a row counts.
    temperature : float, default=0.1
        Official code.

    Returns
    -------
    Tensor, scalar
        With equal similarities and N candidates at different distances it is ``log(N!)``.

    Examples
    --------
    >>> import torch
    >>> round(relative_contrast(torch.zeros(1, 83), torch.arange(83.0)[None]).item(), 2)
    286.89
    """
    distances, order = distances.sort(1, descending=True)  # farthest first
    near = similarities.gather(1, order) / temperature
    if not near.shape[1]:
        return near.sum()
    rivals = F.pad(near.logcumsumexp(1), (1, 0), value=-torch.inf)  # at r: all of the r farthest
    place = torch.arange(near.shape[1], device=near.device).expand_as(order)
    tied = F.pad(distances[:, 1:] == distances[:, :-1], (1, 0), value=False)
    n_farther = place.masked_fill(tied, 0).cummax(1).values  # where the group of equal distances begins
    return F.softplus(rivals.gather(1, n_farther) - near).sum(1).mean()
