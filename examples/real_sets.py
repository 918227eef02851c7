"""Windows of five sets of real recordings, and what is asked of them; `show.py` puts the questions.

The folder of the data holds a folder for each set, with one .npz a participant:

- ``hmp_wrist_adl``, ``spsw_watch``, ``wisdm_phone``: `acc` (n, 3) in g, all recordings one after the other, `length`
  and `sfreq` of each recording, `label` of each sample
- ``stress_predict_e4``: `bvp` at 64 Hz, `acc` (n, 3) at 32 Hz in g, heart rate `hr` at `t_hr` seconds, and `x_label` at
  `x_t_label` seconds, which is 1 while a task is on that stresses and 0 before, between and after
- ``mitdb_ecg``, a file a record: `ecg_uv` at `sfreq`, the samples `beat` of the beats and the `symbol` of each
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from wearembed import signals
from wearembed.recordings import Recording, cut


class Task(NamedTuple):
    """A question that is put to windows of one sensor of one set."""

    of: str  # the set, by the name that cards know it by
    sensor: str  # as `HandmadeFeatures` calls it
    scoring: tuple[str, ...]  # the first one counts
    read: Callable  # folder of the data -> Bunch of data, target, groups, sfreq, units


class Rule(NamedTuple):
    """Seconds from one window to the next, and the middle part in which the label must not change."""

    step: float
    middle: float


# Most recordings hold one activity for long. Those of spsw_watch hold acts of about a second, so that no window holds
# one alone: there a window is asked what goes on in its middle.
ACTIVITIES = {"hmp_wrist_adl": Rule(2.56, 2.05), "spsw_watch": Rule(0.64, 0.5), "wisdm_phone": Rule(2.56, 2.05)}
SECONDS, SFREQ = 2.56, 100.0
FEWEST = 5  # participants that an activity must have, so that each fold may hold it

MINUTE, APART = 60, 30  # seconds of a window of the Empatica E4, and from one to the next
PPG_SFREQ, ACCEL_SFREQ = 64, 32

ECG_SECONDS = 30
VENTRICULAR = ("V", "E", "F")  # beats that began in a ventricle: premature, escaped, or fused with a normal one


def files_of(folder, pattern="*.npz"):
    """Those of a set in order, or an end that says where they are looked for."""
    files = sorted(folder.glob(pattern))
    if not files:
        raise SystemExit(f"No {pattern} in {folder}: --data names the folder that holds {folder.name}.")
    return files


# --- activities


def activities(data, name):
    """All windows of one set whose label is certain."""
    rule, parts = ACTIVITIES[name], []
    for recording, label in read_activities(data / name):
        X, index = cut(recording, SECONDS, SFREQ, step=rule.step)
        centre = (index["start"] - recording.start).dt.total_seconds().to_numpy() + SECONDS / 2
        first, last = (((centre + side * rule.middle / 2) * recording.sfreq).astype(int) for side in (-1, 1))
        changes = np.r_[0, np.cumsum(label[1:] != label[:-1])]
        sure = changes[first] == changes[np.minimum(last, len(label) - 1)]
        parts.append((X[sure], label[first[sure]], np.full(sure.sum(), recording.participant)))
    X, y, groups = (np.concatenate(column) for column in zip(*parts))
    common = np.isin(y, [label for label in np.unique(y) if len(set(groups[y == label])) >= FEWEST])
    return Bunch(data=X[common], target=y[common], groups=groups[common], sfreq=SFREQ, units="g")


def read_activities(folder):
    """Yield each recording with the labels of its samples."""
    for file in files_of(folder):
        yield from recordings_of(file)


def recordings_of(file):
    """Yield each recording of acceleration in a file with the labels of its samples; the E4 has one, without."""
    participant = f"{file.parent.name}-{file.stem}"
    with np.load(file) as stored:
        d = {key: stored[key] for key in ("acc", "label", "sfreq", "length") if key in stored.files}
    if "length" not in d:
        yield Recording(d["acc"].T, float(ACCEL_SFREQ), participant, "g"), None
        return
    ends = np.cumsum(d["length"])
    for start, end, rate in zip(ends - d["length"], ends, d["sfreq"]):
        yield Recording(d["acc"][start:end].T, float(rate), participant, "g"), d["label"][start:end]


# --- minutes of a wrist


def of_minutes(sensor, question):
    """A reader of what one sensor of the E4 says of the heart rate, or of whether a task is on."""

    def read(data):
        all_minutes = minutes(data)
        y = all_minutes[question]
        known = y != "" if question == "stress" else np.isfinite(y)
        told = {"sfreq": float(PPG_SFREQ), "units": "a.u." if sensor == "ppg" else "g"}
        return Bunch(data=all_minutes[sensor][known], target=y[known], groups=all_minutes.groups[known], **told)

    return read


@cache
def minutes(data):
    """Minutes of 25 people, 30 s apart: pulse, acceleration at the rate of the pulse, heart rate, stress."""
    parts = [minute for file in files_of(data / "stress_predict_e4", "S*.npz") for minute in minutes_of(file)]
    ppg, accel, heart_rate, stress, groups = (np.array(column) for column in zip(*parts))
    accel = signals.bandpass(accel, ACCEL_SFREQ, 0.5, 0.49 * ACCEL_SFREQ)  # posture is no part of it
    accel = signals.resample(accel, ACCEL_SFREQ, PPG_SFREQ).astype(np.float32)
    ppg = signals.prepare_ppg(ppg, PPG_SFREQ).astype(np.float32)
    return Bunch(ppg=ppg, accel=accel, heart_rate=heart_rate, stress=stress, groups=groups)


def minutes_of(file):
    """Yield those of one person in which the device saw a pulse and said its rate."""
    with np.load(file) as stored:
        d = dict(stored)
    for start in range(0, min(len(d["bvp"]) // PPG_SFREQ, len(d["acc"]) // ACCEL_SFREQ) - MINUTE + 1, APART):
        rates = d["hr"][within(d["t_hr"], start)]
        pulse, moved = (
            x[start * rate : (start + MINUTE) * rate] for x, rate in [(d["bvp"], PPG_SFREQ), (d["acc"], ACCEL_SFREQ)]
        )
        if len(rates) >= 50 and np.ptp(pulse) > 0:  # it gives one value a second, beginning at ten
            yield pulse[None], moved.T, rates.mean(dtype=float), stressed(d, start), file.stem


def stressed(d, start):
    """What goes on for most of a minute; nothing where that is not known."""
    labels = d["x_label"][within(d["x_t_label"], start)]
    if len(labels) < 50:
        return ""
    return "task" if labels.mean() > 0.5 else "baseline"


def within(t, start):
    return (t >= start) & (t < start + MINUTE)


# --- beats


def beats(data):
    """Stretches of 30 s of an ECG, and whether a beat in them began in a ventricle."""
    parts = [part for file in files_of(data / "mitdb_ecg") for part in stretches_of(file)]
    X, y, groups = (np.array(column) for column in zip(*parts))
    return Bunch(data=X, target=np.where(y, "ventricular", "none"), groups=groups, sfreq=128.0, units="mV")


def stretches_of(file):
    """Yield those of one record."""
    with np.load(file) as stored:
        ecg, sfreq = stored["ecg_uv"].astype(np.float32) / 1000, float(stored["sfreq"])
        ventricular = stored["beat"][np.isin(stored["symbol"], VENTRICULAR)]
    length = round(ECG_SECONDS * sfreq)
    for start in range(0, len(ecg) - length + 1, length):
        x = ecg[start : start + length]
        if np.ptp(x) > 0:
            there = ((ventricular >= start) & (ventricular < start + length)).any()
            yield signals.prepare_ecg(x[None], sfreq).astype(np.float32), there, file.stem


# --- the questions


def on_activities(name):
    return Task(name, "accel", ("macro_f1", "balanced_accuracy"), lambda data: activities(data, name))


RATE, STATE = ("mae", "pearson"), ("auc", "macro_f1")
TASKS = {name: on_activities(name) for name in ACTIVITIES} | {
    "heart rate by PPG": Task("stress_predict_e4", "ppg", RATE, of_minutes("ppg", "heart_rate")),
    "stress by PPG": Task("stress_predict_e4", "ppg", STATE, of_minutes("ppg", "stress")),
    "heart rate by motion": Task("stress_predict_e4", "accel-heart", RATE, of_minutes("accel", "heart_rate")),
    "stress by motion": Task("stress_predict_e4", "accel", STATE, of_minutes("accel", "stress")),
    "ventricular beats": Task("mitdb_ecg", "ecg", STATE, beats),
}
SETS = tuple(dict.fromkeys(task.of for task in TASKS.values()))
