"""WESAD: a wrist's light in rest, stress and amusement."""

import numpy as np

from ._download import Source, obtain
from ._windows import as_bunch, check_share, joined, majority
from ._wrist import read_subjects, wrist_windows

_SOURCE = Source(
    name="wesad",
    title="WESAD (Wearable Stress and Affect Detection)",
    url="https://uni-siegen.sciebo.de/s/HGdUkoNlW1Ub0Gx/download",
    archive="WESAD.zip",
    aliases=("WESAD",),
    holds="S*/S*.pkl",
    inner=r"(^|/)WESAD\.zip$",
    wanted=r"(S\d+\.pkl|_quest\.csv|\.pdf)$",
    license="For scientific, non-commercial purposes, with credit to the authors (its own terms, not open).",
    page="https://ubi29.informatik.uni-siegen.de/usi/data_wesad.html",
)

_CONDITIONS = {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
_LABEL = 700  # samples per second

_ABOUT = """Fifteen people (S2 to S17 without S12), an hour or two of laboratory each, an Empatica E4 at the wrist of
the other hand than the dominant one: light (PPG) at 64 Hz, acceleration at 32 Hz. Conditions: baseline, stress
(TSST), amusement, meditation; what is between them has no label. Read from the synchronised files SX.pkl, by a reader
that lets them import nothing: the E4's own export and the times in SX_quest.csv count from different beginnings.
Schmidt et al., ICMI 2018."""


def fetch_wesad(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    seconds=60.0,
    sfreq=64.0,
    step=None,
    purity=0.8,
    participants=None,
):
    """WESAD: light and motion of the wrist of 15 people at rest, under stress, amused and in meditation.

    The set is for scientific, non-commercial use. The archive has some 2.2 GB, and near 1 GB a person when unpacked;
    people are read one by one. Its place on the web has moved before: if the address fails, UCI's page of data set 465
    names the present one.

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
    seconds : float, default=60.0
        Length of a window.
    sfreq : float, default=64.0
        Samples per second of the windows, of light and motion alike; the sensors have 64 and 32.
    step : float, optional
        Seconds from one window to the next, by default `seconds`.
    purity : float, default=0.8
        Share of a window that has to lie in its condition; other windows are left out.
    participants : sequence of str, optional
        Read these only.

    Returns
    -------
    Bunch
        `data` is light, a float32 array of shape (n, 1, n_times) without units; `accel` the motion of the same moments,
        (n, 3, n_times) in g. Of length n: `target`, the condition; `groups`, the participants; `session`; `start`,
        counted from 1970-01-01. Further `target_names`, `sfreq`, `units`, `channel_names`, `n_mixed` (windows
        without a condition of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        A file is damaged, asks for more than arrays, or is not the one that was fetched first.

    References
    ----------
    Schmidt, Reiss, Duerichen, Marberger, Van Laerhoven. Introducing WESAD, a multimodal dataset for wearable stress and
    affect detection. ICMI 2018.
    """
    check_share(purity)
    data, accel, rows, n_mixed = [], [], [], 0
    for path, said in read_subjects(obtain(_SOURCE, data_home, download_if_missing), participants):
        light, motion, index, begin = wrist_windows(path, said["signal"]["wrist"], seconds, sfreq, step)
        code, share = _condition(said["label"], begin, seconds)
        keep = np.isin(code, list(_CONDITIONS)) & (share >= purity)
        data.append(light[keep])
        accel.append(motion[keep])
        rows.append(index[keep].assign(condition=[_CONDITIONS[c] for c in code[keep]]))
        n_mixed += int((~keep).sum())
    table = joined(rows, _SOURCE)
    return as_bunch(
        np.concatenate(data),
        table,
        _SOURCE,
        _ABOUT,
        return_X_y,
        target=table["condition"].to_numpy(str),
        target_names=sorted(set(table["condition"])),
        accel=np.concatenate(accel),
        sfreq=float(sfreq),
        units="a.u.",
        channel_names=["ppg"],
        n_mixed=n_mixed,
    )


def _condition(labels, begin, seconds):
    codes = np.asarray(labels).ravel().astype(int)
    first, end = (np.minimum(np.round(t * _LABEL).astype(int), len(codes)) for t in (begin, begin + seconds))
    return majority(codes, first, end, 8)
