"""A module that training cannot wake."""

from typing import Any

from torch import nn


class Frozen(nn.Module):
    """`module` in evaluation mode and without gradients, whatever its owner does.

    skorch calls ``train()`` on the whole objective before each step, which would bring dropout and batch statistics of
    a teacher or a distance back to life. Here ``train()`` is always ``train(False)``.

    Parameters
    ----------
    module : nn.Module
        Used as it is, not copied; its parameters stop asking for gradients.
    """

    module: Any  # what it wraps, with methods that a plain module does not have

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True):
        return super().train(False)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)
