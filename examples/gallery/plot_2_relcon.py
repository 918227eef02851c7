"""
Pretrain RelCon, and look at its ranking
========================================

RelCon learns in two steps. A small net learns how far one window *explains* another; then an encoder learns embeddings
that rank windows as that distance does. Both are trained here, small and briefly, on simulated people, and asked to
rank the windows of others. The mathematics is on the page of :doc:`objectives </objectives>`.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from wearembed import RelConDistance, RelConEncoder
from wearembed.datasets import make_motion

# %%
# Twenty people to train, six others to look at
# ---------------------------------------------
motion = make_motion(n_participants=26, n_windows=16, random_state=3)
names = np.unique(motion.groups)
train, other = np.isin(motion.groups, names[:20]), np.isin(motion.groups, names[20:])
X, seen = motion.data[train], motion.data[other]

# %%
# The distance rebuilds a window from a changed copy of itself. ``center=True`` takes each window's mean off first, so
# that it is not gravity which is compared, and ``stride=2`` compares every second moment, for speed.
distance = RelConDistance(32, bottleneck=4, center=True, stride=2, max_epochs=8, random_state=0).fit(X)
far = distance.pairwise(seen, seen)  # row: anchor; column: candidate

# %%
# Anchor, nearest, farthest
# -------------------------
# Candidates are windows of *other* participants. Whatever explains the anchor best comes first, wherever in the window
# its steps fall.
anchor = np.flatnonzero(motion.target[other] == "walking")[9]
strangers = np.flatnonzero(motion.groups[other] != motion.groups[other][anchor])
order = strangers[far[anchor, strangers].argsort()]
places = {"nearest": 0, "2nd": 1, "middle": len(order) // 2, "farthest": -1}
shown = {"anchor": anchor} | {name: order[place] for name, place in places.items()}
seconds = np.arange(seen.shape[2]) / motion.sfreq
figure, axes = plt.subplots(len(shown), 1, figsize=(7, 7), sharex=True, layout="constrained")
for ax, (name, window) in zip(axes, shown.items()):
    ax.plot(seconds, (seen[window] - seen[window].mean(1, keepdims=True)).T, linewidth=1)
    told = "" if name == "anchor" else f", distance {far[anchor, window]:.3g}"
    ax.set_title(f"{name}: {motion.target[other][window]}{told}", fontsize="medium", loc="left")
    ax.set_ylabel("g")
axes[-1].set_xlabel("s (each axis without its mean)")

# %%
# The encoder learns the order
# ----------------------------
# Sizes are far below the defaults, so that this page is made in seconds.
encoder = RelConEncoder(16, (1, 1), (5, 5), distance=distance, mates=6, batch_size=24, max_epochs=6, random_state=0)
encoder.fit(X, groups=motion.groups[train])
print([round(epoch["train_loss"], 1) for epoch in encoder.history_])


# %%
# Of each anchor: how far cosines of embeddings and negative distances agree in their order (Spearman's correlation), on
# people that neither was trained on; for the net before training, and after.
def agreement(net):
    Z = net.transform(seen)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    near, apart = Z @ Z.T, ~np.eye(len(Z), dtype=bool)
    return np.array([spearmanr(near[a, apart[a]], -far[a, apart[a]])[0] for a in range(len(Z))])


ranks = {"untrained": agreement(encoder.untrained(0, windows=X)), "pretrained": agreement(encoder)}
figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
ax.boxplot(list(ranks.values()), orientation="horizontal", tick_labels=list(ranks), widths=0.6)
ax.set_xlabel("Spearman correlation of similarity and nearness, by anchor")
print({name: round(float(values.mean()), 3) for name, values in ranks.items()})
plt.show()
