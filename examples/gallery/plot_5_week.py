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
# Minutes of one activity each; nights and evenings at rest, a run at six on three days, and two hours every third night
# on the charger, which are missing.
names = ["rest", "fidgeting", "stairs", "walking", "running"]
minutes = {
    name: make_motion(1, 30, seconds=60, sfreq=RATE, activities=[name], placements=["wrist left"], random_state=5).data
    for name in names
}
clock = pd.date_range("2026-03-02", periods=7 * 24 * 60, freq="min")
hour = clock.hour + clock.minute / 60
diary = np.select(
    [hour < 7, hour < 7.7, hour < 12, hour < 12.3, hour < 17, hour < 17.6, (hour < 18.5) & (clock.dayofweek % 2 == 0)],
    ["rest", "walking", "fidgeting", "stairs", "fidgeting", "walking", "running"],
    "rest",
)
rng = np.random.default_rng(0)
signal = np.hstack([minutes[name][rng.integers(30)] for name in diary])
off = (clock.dayofweek % 3 == 0) & (hour >= 20) & (hour < 22)
signal[:, np.repeat(off, 60 * RATE)] = np.nan
week = Recording(signal, sfreq=RATE, participant="P01", units="g", start=clock[0])
print(f"{week.duration / 86400:g} days, {signal.nbytes / 1e6:.0f} MB")

# %%
# Embeddings, and a probe of others
# ---------------------------------
# One window of 2.56 s every other minute.
encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
table = RecordingEncoder(encoder, step=120).transform([week])
print(table.shape, f"{table.isna().all(axis=1).mean():.1%} missing")

others = make_motion(20, 50, sfreq=RATE, placements=["wrist left", "wrist right"], random_state=6)
probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
probe.fit(encoder.set_params(sfreq=RATE).transform(others.data), others.target)
diary, off = diary[::2], off[::2]
worn = table.notna().all(axis=1).to_numpy()
said = np.full(len(table), "missing", dtype=object)
said[worn] = probe.predict(table[worn].to_numpy())
print(f"{np.mean(said[worn] == diary[worn]):.3f} of the worn windows as in the diary")

# %%
# The timeline
# ------------
# A row a day, above what the probe says and below what the diary has.
code = {name: n for n, name in enumerate([*names, "missing"])}
figure, axes = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
colours = ListedColormap(["#e6e6e6", *COLOURS[:4], "white"])
for ax, title, what in zip(axes, ["the probe", "the diary"], [said, np.where(off, "missing", diary)]):
    rows = np.array([code[name] for name in what]).reshape(7, -1)
    image = ax.imshow(rows, aspect="auto", cmap=colours, vmin=-0.5, vmax=5.5, extent=(0, 24, 7, 0), interpolation="none")
    ax.set_yticks(np.arange(7) + 0.5, clock[:: 24 * 60].day_name())
    ax.set_title(title, fontsize="medium", loc="left")
axes[1].set(xlabel="hour of the day", xticks=range(0, 25, 3))
bar = figure.colorbar(image, ax=axes, ticks=range(6))
bar.ax.set_yticklabels(code)
plt.show()
