"""
An objective of your own
========================

An objective is a module that owns a net and turns a batch into a loss; :class:`wearembed.Encoder` does the rest. Here two
windows of one person shall embed alike. By itself that is solved by embedding everything alike; a second term keeps the
directions of the embedding alive. Simulated motion.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from wearembed import Encoder, evaluation
from wearembed.datasets import make_motion
from wearembed.nets import ResNet1d


# %%
# The objective
# -------------
# ``n_mates`` says how many other windows of the same participant a batch brings for each anchor. Names such as ``alive`` are
# yours.
class Agree(nn.Module):
    """Two windows of one participant embed alike; no direction collapses."""

    n_mates = 1

    def __init__(self, net, alive):
        super().__init__()
        self.net, self.alive = net, alive

    def forward(self, batch):
        z = self.net(torch.cat([batch["x"], batch["mates"][:, 0]]))  # (2 B, D)
        one, two = z.chunk(2)
        return (one - two).square().mean() + self.alive * (1 - z.std(0)).clamp_min(0).mean()


# %%
# With and without the second term
# --------------------------------
motion = make_motion(n_participants=24, n_windows=20, random_state=7)
train = np.isin(motion.groups, np.unique(motion.groups)[:16])
net = partial(ResNet1d, width=16, blocks=(1, 1), kernels=(5, 5))
encoders = {
    f"alive={alive:g}": Encoder(net, partial(Agree, alive=alive), max_epochs=15, batch_size=32, lr=3e-3, random_state=0)
    for alive in (0.0, 4.0)
}
for encoder in encoders.values():
    encoder.fit(motion.data[train], groups=motion.groups[train])
encoders["untrained"] = encoder.untrained(0)

# %%
# How the embeddings of eight people who were not trained on spread over their 32 directions. A collapsed embedding has
# little left beyond the first.
X, y, groups = (column[~train] for column in (motion.data, motion.target, motion.groups))
figure, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for name, encoder in encoders.items():
    Z = encoder.transform(X)
    spread = np.linalg.svd(Z - Z.mean(0), compute_uv=False) / np.sqrt(len(Z))
    ax.semilogy(np.arange(1, 33), spread, marker=".", label=name)
ax.set(xlabel="direction", ylabel="deviation along it")
ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)

# %%
# What a line reads from them, participants apart. To agree within a person is to know the person, and activities
# are what differs within one; so that a good loss need not be a good embedding.
for name, encoder in encoders.items():
    probe = evaluation.linear_probe(encoder, X, y, groups, cv=4, scoring="macro_f1", random_state=0)
    people = evaluation.embedding_report(encoder, X, groups, random_state=0).loc["participant"]
    score = probe.summary.loc["macro_f1"]
    print(f"{name:10} activity, macro F1 {score['pooled']:.2f} ({score['low']:.2f} to {score['high']:.2f})")
    print(f"{'':10} participant {people['value']:.2f}, {people['neutral']:.2f} by chance")
plt.show()
