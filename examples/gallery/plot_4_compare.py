"""
Compare encoders with baselines
===============================

A score alone says nothing about pretraining. Beside the encoder stand its own net with random weights, features that
somebody thought of, the plain spectrum, and the answer that looks at nothing. All is simulated here, by the simulator
that the weights were trained with, on other people; the order of the rows need not be the one on your data, and
on real sets it is :doc:`another one </results>`.
"""

import matplotlib.pyplot as plt

from wearembed import HandmadeFeatures, RawWindows, RelConEncoder, Spectra, evaluation
from wearembed.datasets import make_motion
from wearembed.plots import ComparisonDisplay, LabelEfficiencyDisplay

# %%
# Two questions about the same people
# -----------------------------------
# What does this person do, and where do they wear the device? An encoder of motion had better *not*
# know the second too well.
motion = make_motion(n_participants=24, n_windows=20, random_state=2)
told = {"sfreq": motion.sfreq, "units": motion.units}
sets = {
    "activity": motion,
    "placement": {"data": motion.data, "target": motion.placement, "groups": motion.groups, **told},
}
encoders = {
    "relcon-synthetic": RelConEncoder.from_pretrained("wearembed/relcon-synthetic"),
    "hand-made": HandmadeFeatures(),
    "spectra": Spectra(32),
    "raw windows": RawWindows(32),
}

# %%
# All rows share their folds of participants, and the row ``untrained`` comes by itself.
baselines = ["hand-made", "spectra", "raw windows"]
table = evaluation.compare(encoders, sets, baselines=baselines, cv=4, scoring="macro_f1", random_state=0)
display = ComparisonDisplay.from_result(table)

# %%
# The same as a table; intervals are 95 % over participants.
print(evaluation.to_markdown(evaluation.comparison_table(table)))

# %%
# Whether the encoder beats the best baseline is its own question: the difference has an interval, in which what is hard
# for everybody cancels. If it holds zero, the claim is open.
row = table.set_index(["dataset", "encoder"]).loc["activity", "relcon-synthetic"]
low, high = row["difference_low"], row["difference_high"]
print(f"{row['difference']:+.3f} ({low:+.3f} to {high:+.3f}) against {row['against']}")

# %%
# Few labels
# ----------
# The same, when one, two, five or ten people are labelled.
few = {
    name: evaluation.label_efficiency(
        rival, motion.data, motion.target, motion.groups, participants=(1, 2, 5, 10), windows=(), repeats=3, cv=4,
        scoring="macro_f1", random_state=0,
    )
    for name, rival in {
        "relcon-synthetic": encoders["relcon-synthetic"],
        "untrained": encoders["relcon-synthetic"].untrained(0, windows=motion.data),
        "hand-made": HandmadeFeatures(sfreq=motion.sfreq, units=motion.units),
    }.items()
}  # fmt: skip
LabelEfficiencyDisplay.from_result(few)
plt.show()
