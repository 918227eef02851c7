"""PPG-DaLiA: a wrist's light through eight activities, with the heart rate of an ECG."""

import numpy as np

from ._download import Source, obtain
from ._windows import as_bunch, joined, majority
from ._wrist import read_subjects, wrist_windows

_SOURCE = Source(
    name="ppg_dalia",
    title="PPG-DaLiA",
    url="https://archive.ics.uci.edu/static/public/495/ppg+dalia.zip",
    archive="ppg+dalia.zip",
    aliases=("PPG_FieldStudy",),
    holds="S*/S*.pkl",
    inner=r"(^|/)data\.zip$",
    wanted=r"(S\d+\.pkl|_quest\.csv|\.pdf)$",
    license="CC BY 4.0 (UCI Machine Learning Repository).",
    page="https://archive.ics.uci.edu/dataset/495/ppg+dalia",
)

_ACTIVITIES = (
    "transient",
    "sitting",
    "stairs",
    "table soccer",
    "cycling",
    "driving",
    "lunch break",
    "walking",
    "working",
)
_BEAT, _BEAT_STEP = 8.0, 2.0  # seconds that a heart rate stands for, and from one to the next
_ACTIVITY = 4  # samples per second

_ABOUT = """Fifteen people, some two and a half hours each (S6 half of that), an Empatica E4 at the wrist of the other
hand than the dominant one: light (PPG) at 64 Hz, acceleration at 32 Hz. Heart rates come from an ECG of the chest,
for stretches of 8 s every 2 s. Read from the synchronised files SX.pkl, by a reader that lets them import nothing;
the E4's own export in the set is not in step with the ECG. Reiss et al., Sensors 2019."""


def fetch_ppg_dalia(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    seconds=8.0,
    sfreq=64.0,
    step=None,
    participants=None,
):
    """PPG-DaLiA: light and motion of the wrist of 15 people in daily life, with heart rates from an ECG.

    The archive has 2.9 GB, and 1.5 GB a person when unpacked; people are read one by one.

    No hash of the archive is published, so the first download is trusted: its SHA-256 is written beside it, and
    whatever is unpacked or fetched later has to agree.

    Parameters
    ----------
    data_home : str or path, optional
        Folder of all sets; by default the variable WEAREMBED_DATA, or else pooch's cache folder. What lies there,
        unpacked or as the archive, is used without a network.
    download_if_missing : bool, default=True
        If False, raise FileNotFoundError where the set is not in the folder.
    return_X_y : bool, default=False
        Return `(data, target)` alone.
    seconds : float, default=8.0
        Length of a window, at least 8: what a heart rate of the set stands for.
    sfreq : float, default=64.0
        Samples per second of the windows, of light and motion alike; the sensors have 64 and 32.
    step : float, optional
        Seconds from one window to the next, by default `seconds`.
    participants : sequence of str, optional
        Read these only.

    Returns
    -------
    Bunch
        `data` is light, a float32 array of shape (n, 1, n_times) without units; `accel` the motion of the same moments,
        (n, 3, n_times) in g. Of length n: `target`, heart rate in beats per minute, the mean of the set's values
        that lie in the window; `activity`; `groups`, the participants; `session`; `start`, counted from 1970-01-01.
        Further `sfreq`, `units`, `channel_names`, `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        A file is damaged, asks for more than arrays, or is not the one that was fetched first.

    References
    ----------
    Reiss, Indlekofer, Schmidt, Van Laerhoven. Deep PPG: large-scale heart rate estimation with convolutional neural
    networks. Sensors 2019.
    """
    if seconds < _BEAT:
        raise ValueError(f"Expected windows of 8 s or more, which each heart rate stands for, got {seconds:g} s.")
    data, accel, rows = [], [], []
    for path, said in read_subjects(obtain(_SOURCE, data_home, download_if_missing), participants):
        light, motion, index, begin = wrist_windows(path, said["signal"]["wrist"], seconds, sfreq, step)
        rate, doing = _heart_rate(said["label"], begin, seconds), _activity(said["activity"], begin, seconds)
        keep = np.isfinite(rate)
        data.append(light[keep])
        accel.append(motion[keep])
        rows.append(index.assign(rate=rate, activity=doing)[keep])
    table = joined(rows, _SOURCE)
    return as_bunch(
        np.concatenate(data),
        table,
        _SOURCE,
        _ABOUT,
        return_X_y,
        target=table["rate"].to_numpy(np.float64),
        accel=np.concatenate(accel),
        activity=table["activity"].to_numpy(str),
        sfreq=float(sfreq),
        units="a.u.",
        channel_names=["ppg"],
    )


def _heart_rate(rates, begin, seconds):
    """Mean of the heart rates whose 8 s lie within each window, NaN where none does."""
    rates = np.asarray(rates, np.float64).ravel()
    first = np.ceil(begin / _BEAT_STEP - 1e-6).astype(int)
    end = np.floor((begin + seconds - _BEAT) / _BEAT_STEP + 1e-6).astype(int) + 1
    return np.array([rates[a:b].mean() if a < min(b, len(rates)) else np.nan for a, b in zip(first, end)])


def _activity(codes, begin, seconds):
    codes = np.asarray(codes).ravel().astype(int)
    first, end = (np.minimum(np.round(t * _ACTIVITY).astype(int), len(codes)) for t in (begin, begin + seconds))
    best, _ = majority(codes, first, end, len(_ACTIVITIES))
    return np.array(_ACTIVITIES)[best]
