"""
Probe activities
================

Windows of a worn accelerometer become embeddings by bundled weights, and a line through the embeddings tells what
people were doing. Everything is simulated: people, devices and motion, and the weights have seen other people of the
same simulator. What real recordings give is on the page of :doc:`results </results>`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from wearembed import RelConEncoder, evaluation
from wearembed.datasets import make_motion
from wearembed.plots import EmbeddingDisplay

# %%
# Windows
# -------
# Twelve people do five things. A window is 2.56 s of three axes in g, gravity included.
motion = make_motion(n_participants=12, n_windows=40, random_state=1)
print(motion.data.shape, motion.sfreq, motion.units)

activities = np.unique(motion.target)
seconds = np.arange(motion.data.shape[2]) / motion.sfreq
figure, axes = plt.subplots(1, len(activities), figsize=(10, 2.4), sharey=True, layout="constrained")
for ax, activity in zip(axes, activities):
    window = motion.data[motion.target == activity][20]
    ax.plot(seconds, window.T, linewidth=1, label=motion.channel_names)
    ax.set_title(activity, fontsize="medium")
    ax.set_xlabel("s")
axes[0].set_ylabel("g")
axes[-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)

# %%
# Embeddings
# ----------
# Nothing is trained here: the encoder is loaded from the package.
encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
Z = encoder.transform(motion.data)
print(Z.shape)

# %%
# The same map twice, coloured by what people did and by who they were. An embedding knows both; which of the two
# fills the map says what a careless split of the windows would measure.
figure, axes = plt.subplots(2, 1, figsize=(6.5, 8), layout="constrained")
for ax, name, labels in zip(axes, ["activity", "participant"], [motion.target, motion.groups]):
    EmbeddingDisplay.from_embeddings(Z, labels, name=name, ax=ax)

# %%
# A probe, participants apart
# ---------------------------
# A logistic regression for each of four folds; nobody trains and tests. Brackets of ``low`` and ``high`` are 95 % over
# participants.
probe = evaluation.linear_probe(encoder, motion.data, motion.target, motion.groups, cv=4, random_state=0)
print(probe)

# %%
# Which activities are taken for which: rows add up to one.
said = probe.predictions
figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    said["y_true"], said["y_pred"], normalize="true", values_format=".2f", cmap="Blues", colorbar=False, ax=ax
)
ax.tick_params(axis="x", rotation=30)
ax.set(xlabel="the probe's answer", ylabel="what it was")
plt.show()
