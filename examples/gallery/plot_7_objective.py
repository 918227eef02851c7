"""
An objective of your own
========================

An objective is a module that owns a net and turns a batch into a loss; :class:`wearembed.Encoder` does the rest. Here a
window and the same window as another wrist would have felt it, turned and with other gains, shall embed alike. By
itself that is solved by embedding everything alike, so that two terms of VICReg (Bardes et al., ICLR 2022,
arXiv:2105.04906) are added one by one. Simulated motion.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from wearembed import Encoder, evaluation
from wearembed.augment import Augment, rotate, scale
from wearembed.datasets import make_motion
from wearembed.nets import ResNet1d


# %%
# The objective
# -------------
# ``batch["x"]`` are windows ``(B, C, T)``; ``n_mates`` would bring as many others of the same participant for each.
class Agree(nn.Module):
    """Two views of a window embed alike; every number stays alive, and no two say the same."""

    n_mates = 0

    def __init__(self, net, alive=0.0, apart=0.0):
        super().__init__()
        self.net, self.alive, self.apart = net, alive, apart
        self.change = Augment([(rotate, 1.0), (scale, 0.5)])

    def forward(self, batch):
        z = self.net(torch.cat([self.change(batch["x"]), self.change(batch["x"])]))  # (2 B, D)
        one, two = z.chunk(2)
        short = (1 - z.std(0)).clamp_min(0).mean()  # of unit deviation
        shared = torch.cov(z.T).fill_diagonal_(0).square().sum() / z.shape[1]
        return (one - two).square().mean() + self.alive * short + self.apart * shared


# %%
# Term by term
# ------------
motion = make_motion(n_participants=32, n_windows=20, random_state=7)
train = np.isin(motion.groups, np.unique(motion.groups)[:16])
net = partial(ResNet1d, width=16, blocks=(1, 1), kernels=(5, 5))
terms = {"agree": {}, "and alive": {"alive": 1.0}, "and apart": {"alive": 1.0, "apart": 0.04}}
steps = {"max_epochs": 20, "batch_size": 32, "lr": 3e-3, "random_state": 0}
encoders = {
    name: Encoder(net, partial(Agree, **weights), **steps).fit(motion.data[train]) for name, weights in terms.items()
}
encoders["untrained"] = encoders["agree"].untrained(0, windows=motion.data[train])

# %%
# How the embeddings of sixteen people who were not trained on spread over their 32 directions. Alive
# without apart keeps all numbers busy with one and the same thing.
X, y, groups = (column[~train] for column in (motion.data, motion.target, motion.groups))
figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for name, encoder in encoders.items():
    Z = encoder.transform(X)
    spread = np.linalg.svd(Z - Z.mean(0), compute_uv=False) / np.sqrt(len(Z))
    ax.semilogy(np.arange(1, 33), spread, marker=".", label=name)
ax.set(xlabel="direction", ylabel="deviation along it")
ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)

# %%
# What a line reads from them, participants apart.
for name, encoder in encoders.items():
    probe = evaluation.linear_probe(encoder, X, y, groups, cv=4, scoring="macro_f1", random_state=0)
    score = probe.summary.loc["macro_f1"]
    print(f"{name:10} activity, macro F1 {score['pooled']:.2f} ({score['low']:.2f} to {score['high']:.2f})")
plt.show()
