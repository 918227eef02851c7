"""
A week of recording as a timeline
=================================

A recording of seven days goes through :class:`wearembed.RecordingEncoder`, which never holds more than a few minutes of
windows, and a probe that was trained on other people says what each moment was. The week is simulated: one person's
motion, put together by a diary.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wearembed import Recording, RecordingEncoder, RelConEncoder
from wearembed.datasets import make_motion
from wearembed.plots import COLOURS

RATE = 25  # Hz of the device; the encoder wants 100 and gets it

# %%
# A person, a diary, a device
# ---------------------------
# Minutes of one activity each; nights and evenings at rest, a run at about six on every other day, and two hours
# on the charger, which are missing, on every third.
names = ["rest", "fidgeting", "stairs", "walking", "running"]
wrist = {"seconds": 60, "sfreq": RATE, "placements": ["wrist left"], "random_state": 5}
minutes = {name: make_motion(1, 30, activities=[name], **wrist).data for name in names}
clock = pd.date_range("2026-03-02", periods=7 * 24 * 60, freq="min")
hour = clock.hour + clock.minute / 60
parts = np.array(["rest", "walking", "fidgeting", "stairs", "fidgeting", "walking", "rest"])
diary = parts[np.digitize(hour, [7, 7.7, 12, 12.3, 17, 17.6])]
diary[(hour >= 17.6) & (hour < 18.5) & (clock.dayofweek % 2 == 0)] = "running"
rng = np.random.default_rng(0)
signal = np.hstack([minutes[name][rng.integers(30)] for name in diary])
off = (clock.dayofweek % 3 == 0) & (hour >= 20) & (hour < 22)
signal[:, np.repeat(off, 60 * RATE)] = np.nan
week = Recording(signal, sfreq=RATE, participant="P01", units="g", start=clock[0])

# %%
# Embeddings, and a probe of others
# ---------------------------------
# One window of 2.56 s every other minute.
encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
table = RecordingEncoder(encoder, step=120).transform([week])
print(f"{week.duration / 86400:g} days, {len(table)} windows, {table.isna().all(axis=1).mean():.1%} missing")

others = make_motion(20, 50, sfreq=RATE, placements=["wrist left", "wrist right"], random_state=6)
probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
probe.fit(encoder.set_params(sfreq=RATE).transform(others.data), others.target)
worn, diary = table.notna().all(axis=1).to_numpy(), diary[::2]
odds = pd.DataFrame(probe.predict_proba(table.fillna(0).to_numpy()))
odds[~worn] = np.nan
smooth = odds.rolling(5, center=True, min_periods=1).mean()
said = {}
for title, values in {"window by window": odds, "ten minutes at a time": smooth}.items():
    said[title] = np.where(worn, probe.classes_[values.fillna(0).to_numpy().argmax(1)], "missing")
    print(f"{title}: {np.mean(said[title][worn] == diary[worn]):.3f} of the worn time as in the diary")

# %%
# The timeline
# ------------
# A row a day, a column two minutes. Above what the probe says, below what the diary has.
code = {name: n for n, name in enumerate([*names, "missing"])}
said["the diary"] = np.where(worn, diary, "missing")
figure, axes = plt.subplots(3, 1, figsize=(9, 8), sharex=True, layout="constrained")
colours = ListedColormap(["#e6e6e6", *COLOURS[:4], "white"])
for ax, (title, what) in zip(axes, said.items()):
    rows = np.array([code[name] for name in what]).reshape(7, -1)
    image = ax.pcolormesh(np.linspace(0, 24, rows.shape[1] + 1), np.arange(8), rows, cmap=colours, vmin=-0.5, vmax=5.5)
    ax.invert_yaxis()
    ax.set_yticks(np.arange(7) + 0.5, clock[:: 24 * 60].day_name())
    ax.set_title(title, fontsize="medium", loc="left")
axes[-1].set(xlabel="hour of the day", xticks=range(0, 25, 3))
figure.colorbar(image, ax=axes, ticks=range(6)).ax.set_yticklabels(code)
plt.show()
