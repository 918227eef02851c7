"""
Embeddings as samples come
==========================

A device sends a few samples at a time. :class:`wearembed.StreamEmbedder` keeps what the next window needs, and gives
each embedding with the last sample of its window; a probe answers at once. Simulated motion; the probe was trained on
other people.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wearembed import Recording, RecordingEncoder, RelConEncoder, StreamEmbedder
from wearembed.datasets import make_motion

# %%
# A probe of three activities
# ---------------------------
names = ["rest", "running", "walking"]
encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
others = make_motion(16, 20, activities=names, random_state=0)
probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
probe.fit(encoder.transform(others.data), others.target)

# %%
# The stream
# ----------
# Somebody else sits, walks, runs and sits again, 20 s each. A quarter of a second arrives at a time; a window
# is embedded every half second.
acts = ["rest", "walking", "running", "rest"]
acted = {act: make_motion(1, 4, seconds=20, activities=[act], random_state=11).data for act in names}
signal = np.hstack([acted[act][n] for n, act in enumerate(acts)])
stream = StreamEmbedder(encoder, step=0.5)
ends, answers, Z, spent = [], [], [], []
for first in range(0, signal.shape[1], 25):
    begun = time.perf_counter()
    new = stream.push(signal[:, first : first + 25])
    if len(new):
        spent.append(time.perf_counter() - begun)
        Z.append(new)
        answers.append(probe.predict_proba(new))
        ends += [start + encoder.contract_.seconds for start in stream.starts]
answers = np.concatenate(answers)
print(f"{len(answers)} answers, {1000 * np.median(spent):.0f} ms after the last sample of a window (median)")

# %%
# What was felt, and what was said. An answer at a time speaks of the 2.56 s before it, so that changes are seen
# late by half of that.
figure, (above, below) = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
above.plot(np.arange(signal.shape[1]) / 100, signal.T, linewidth=0.5)
above.set_ylabel("acceleration, g")
below.stackplot(ends, answers.T, labels=probe.classes_, colors=["#e6e6e6", "#E69F00", "#56B4E9"])
below.set(ylabel="probability", xlabel="s", ylim=(0, 1), xlim=(0, 80))
below.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
for edge in (20, 40, 60):
    below.axvline(edge, color="black", linestyle=":")

# %%
# Each embedding is the one that the whole recording gives afterwards.
afterwards = RecordingEncoder(encoder, step=0.5).transform([Recording(signal, 100, participant="P", units="g")])
print(np.array_equal(np.concatenate(Z), afterwards.to_numpy()[: len(answers)]))
plt.show()
