"""Distillation across sensors: a student finds the minute that its teacher saw."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributed import Share
from ..nets import Frozen


class CrossModalDistillation(nn.Module):
    """The student's embedding of a window is nearest to what the teacher makes of the same minute's other sensor.

    Parameters
    ----------
    net : nn.Module
        The student, ``(B, C, T)`` to ``(B, D)``; sees ``x``.
    teacher : nn.Module
        ``(B, C', T')`` to ``(B, D)``; sees ``paired``. Frozen here, so that training cannot wake it.
    augment, teacher_augment : callable, default=None
        Changes of what the student and the teacher see, drawn apart (our default). None changes nothing; the paper
        reports a 45 % larger error of heart rate so.
    temperature : float, default=0.04
        As in the papers' contrast of participants (our default; this paper's is not known).
    weight : float, default=0.5
        Share of the direction from teacher to student; the rest is from student to teacher (our default).
    joint : bool, default=False
        Train the teacher too. The paper reports more than 95 % larger error of heart rate so; for that ablation.
    center, scale : Tensor of shape (D,), default=None
        Taken off the teacher's embeddings, and what they are then divided by: mean and deviation of each of their
        directions. The means over patches that a masked teacher gives have so much in common (cosines of 0.99 between
        different minutes) that the loss could not tell them apart. None leaves them as they are.

    Notes
    -----
    No head on either side, since embeddings themselves are compared later; other minutes of the same participant are
    negatives as any others (our defaults).

    References
    ----------
    Abbaspourazad et al. Wearable Accelerometer Foundation Models for Health via Knowledge Distillation. 2024.
    arXiv:2412.11276
    """

    n_mates = 0

    def __init__(
        self,
        net: nn.Module,
        teacher: nn.Module,
        augment: Callable[[Tensor], Tensor] | None = None,
        teacher_augment: Callable[[Tensor], Tensor] | None = None,
        temperature: float = 0.04,
        weight: float = 0.5,
        joint: bool = False,
        center: Tensor | None = None,
        scale: Tensor | None = None,
    ):
        super().__init__()
        self.net = net
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        self.teacher = teacher.requires_grad_(True) if joint else Frozen(teacher)
        self.augment, self.teacher_augment = augment, teacher_augment
        self.temperature, self.weight, self.joint = temperature, weight, joint

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        x, paired, share = batch["x"], batch["paired"], Share.of(batch["x"])
        with torch.autocast(x.device.type, enabled=False):
            x = share.changed(self.augment, x)
            paired = share.changed(self.teacher_augment, paired)
        with torch.set_grad_enabled(self.joint and torch.is_grad_enabled()):
            taught = self.teacher(paired).float()
            if self.center is not None:
                taught = (taught - self.center) / self.scale
        learnt = self.net(x).float()
        with torch.autocast(x.device.type, enabled=False):
            return cross_modal(share.whole(taught), share.whole(learnt), self.temperature, self.weight)


def cross_modal(teacher: Tensor, student: Tensor, temperature: float = 0.04, weight: float = 0.5) -> Tensor:
    """Negative log-likelihood of finding row i of the one by row i of the other, by cosine.

    Parameters
    ----------
    teacher, student : Tensor of shape (n, dim)
    temperature : float, default=0.04
    weight : float, default=0.5
        Of the direction that looks for the student's embedding by the teacher's.

    Returns
    -------
    Tensor, scalar
        ``log(n)`` with all embeddings equal.

    Examples
    --------
    >>> import torch
    >>> round(cross_modal(torch.ones(100, 8), torch.ones(100, 8)).item(), 3)
    4.605
    """
    near = F.normalize(teacher, dim=1, eps=1e-6) @ F.normalize(student, dim=1, eps=1e-6).T / temperature
    partner = torch.arange(len(near), device=near.device)
    return weight * F.cross_entropy(near, partner) + (1 - weight) * F.cross_entropy(near.T, partner)
