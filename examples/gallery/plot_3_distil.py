"""
Teach acceleration what light knows
===================================

Light in the skin (PPG) shows each heartbeat. At a wrist that lies still, acceleration feels it too, but hardly. An
encoder of PPG teaches one of acceleration, by moments that both saw and without a label; then heart rate can be read
off the acceleration alone. The wrists are simulated, and their pulse shakes them *eight times* as strongly as we think
a real one does. Weaker ones take longer, and on the recordings that we had :doc:`it did not succeed </results>`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import StandardScaler

from wearembed import DistilledAccelEncoder, HandmadeFeatures, PPGMaskedEncoder, evaluation, metrics, signals
from wearembed.datasets import make_ppg_accel
from wearembed.plots import EmbeddingDisplay, LabelEfficiencyDisplay, RetrievalDisplay

# %%
# Ten seconds of two sensors
# --------------------------
wrist = make_ppg_accel(200, 8, seconds=10, n_ppg_channels=1, motion=0.0, pulse=8.0, random_state=0)
ppg = signals.prepare_ppg(wrist.ppg, wrist.sfreq)
accel = signals.prepare_accel(wrist.accel, wrist.sfreq, band=(0.5, 20))
train, test = (np.isin(wrist.groups, some) for some in np.split(np.unique(wrist.groups), [150]))

seconds = np.arange(ppg.shape[2]) / wrist.sfreq
figure, axes = plt.subplots(2, 1, figsize=(8, 3.6), sharex=True, layout="constrained")
figure.supxlabel("s", fontsize="medium")
axes[0].plot(seconds, ppg[0, 0])
axes[0].set_title(f"PPG, {wrist.heart_rate[0]:.0f} beats a minute", loc="left", fontsize="medium")
axes[1].plot(seconds, accel[0].T, linewidth=0.7)
axes[1].set_title("acceleration of the same ten seconds, each axis standardised", loc="left", fontsize="medium")

# %%
# A teacher, then a student
# -------------------------
# The teacher learns PPG by rebuilding what was masked. The student learns to find the teacher's embedding of its own
# ten seconds among those of others; what both see is changed at random, so that it cannot learn the windows by heart.
teacher = PPGMaskedEncoder(size=(48, 3, 128), max_epochs=5, batch_size=64, random_state=0).fit(ppg[train])
student = DistilledAccelEncoder(
    teacher, size=(48, 2, 96), temperature=0.1, max_epochs=40, batch_size=32, lr=5e-3, random_state=0
)
student.fit(accel[train], paired=ppg[train], groups=wrist.groups[train])
print(f"loss {student.history_[0]['train_loss']:.2f} to {student.history_[-1]['train_loss']:.2f}")

# %%
# Heart rate appears
# ------------------
# Maps (t-SNE) of the fifty other people's windows, coloured by their heart rate. The student sees no light here.
embeddings = {
    "PPG, by the teacher": teacher.transform(ppg[test]),
    "acceleration, untrained": student.untrained(0, windows=accel[train]).transform(accel[test]),
    "acceleration, taught": student.transform(accel[test]),
}
rate = wrist.heart_rate[test]
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for ax, (name, Z) in zip(axes, embeddings.items()):
    EmbeddingDisplay.from_embeddings(Z, rate, method="tsne", name="beats a minute", ax=ax).ax_.set_title(name)

# %%
# Few labels
# ----------
# Ridge regressions that see the heart rates of one to thirty people; error on the others. Hand-made features look for
# the shaking's rhythm, which is easy at this strength, and stay ahead.
features = {name.split(", ")[1]: Z for name, Z in embeddings.items() if name.startswith("acceleration")}
features["hand-made"] = HandmadeFeatures("accel-heart", sfreq=64).fit_transform(wrist.accel[test])
asked = {"participants": (1, 3, 10, 30), "windows": (), "repeats": 3, "cv": 4, "scoring": "mae", "random_state": 0}
few = {name: evaluation.label_efficiency(None, Z, rate, wrist.groups[test], **asked) for name, Z in features.items()}
LabelEfficiencyDisplay.from_result(few).ax_.set_ylabel("mean absolute error, beats a minute")

# %%
# Find the moment
# ---------------
# Acceleration looks for the PPG of its own ten seconds among all 400.
gallery = StandardScaler().fit(teacher.transform(ppg[train])).transform(embeddings["PPG, by the teacher"])
found = metrics.retrieval(embeddings["acceleration, taught"], gallery, k=(1, 5, 10, 50, 100), random_state=0)
RetrievalDisplay.from_result({"taught": found})
plt.show()
