"""An objective of one's own, for tests of what anybody's objective may expect."""

from functools import partial

import torch

from wearembed.augment import Augment, noise


class Pulled(torch.nn.Module):
    """The least of objectives: two noisy views of a window are pulled together."""

    n_mates = 0

    def __init__(self, net):
        super().__init__()
        self.net, self.augment = net, Augment([(partial(noise, sd=0.1), 1.0)])

    def forward(self, batch):
        return (self.net(self.augment(batch["x"])) - self.net(self.augment(batch["x"]))).square().mean()
