"""
Fine-tune
=========

Where there are labels, the encoder itself may learn from them. Three ways of one net: its head alone, the whole net
from bundled weights, the whole net from nothing. All is simulated; the weights have seen other people of the same
simulator.
"""

import matplotlib.pyplot as plt
import numpy as np

from wearembed import FineTunedClassifier, evaluation
from wearembed.datasets import make_motion
from wearembed.plots import ComparisonDisplay

# %%
# Six labelled people, and others to test on
# ------------------------------------------
motion = make_motion(n_participants=24, n_windows=20, random_state=4)
people = np.unique(motion.groups)
labelled, tested = np.isin(motion.groups, people[:6]), np.isin(motion.groups, people[6:])
folds = [(np.flatnonzero(labelled), np.flatnonzero(tested))]  # one fold: train on six, test on eighteen

# %%
# ``tune`` says what learns. In all three, windows are turned at random while it does, as if the sensor sat otherwise.
ways = {
    "head alone": {"tune": "head", "max_epochs": 30, "lr": 3e-3},
    "whole net": {"tune": "full", "max_epochs": 8, "lr": 5e-4},
    "from nothing": {"tune": "scratch", "max_epochs": 8, "lr": 5e-4},
}
tuned = {
    name: FineTunedClassifier("wearembed/relcon-synthetic", batch_size=24, random_state=0, **way)
    for name, way in ways.items()
}
table = evaluation.compare(tuned, {"18 people, 6 labelled": motion}, cv=folds, scoring="macro_f1", random_state=0)
display = ComparisonDisplay.from_result(table)

# %%
# One seed and one draw of six people: the intervals are over the eighteen who are tested, and do not speak of other
# draws.
print(evaluation.to_markdown(evaluation.comparison_table(table)))

# %%
# The loss, epoch by epoch
# ------------------------
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, classifier in tuned.items():
    classifier.fit(motion.data[labelled], motion.target[labelled], groups=motion.groups[labelled])
    history = [epoch["train_loss"] for epoch in classifier.history_]
    ax.plot(np.linspace(0, 1, len(history)), history, marker=".", label=name)
ax.axhline(np.log(len(np.unique(motion.target))), color="grey", linestyle=":", label="guessing")
ax.set(xlabel="share of the training", ylabel="cross-entropy", ylim=(0, None))
ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)

# %%
# A fitted classifier answers with names and probabilities, and is saved as any encoder is.
classifier = tuned["whole net"]
window = motion.data[tested][:1]
for name, odds in zip(classifier.classes_, classifier.predict_proba(window)[0]):
    print(f"{name:10} {odds:.2f}")
plt.show()
