"""PAMAP2: eighteen activities with sensors at wrist, chest and ankle."""

import re

import numpy as np
import pandas as pd

from ._download import Source, obtain
from ._windows import check_choice, codes_of, is_asked_for, labelled, windows_of

_SOURCE = Source(
    name="pamap2",
    title="PAMAP2 Physical Activity Monitoring",
    url="https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip",
    archive="pamap2+physical+activity+monitoring.zip",
    aliases=("PAMAP2_Dataset",),
    holds="Protocol/subject*.dat",
    inner=r"PAMAP2_Dataset\.zip$",
    wanted=r"\.(dat|pdf)$",
    license="CC BY 4.0 (UCI Machine Learning Repository).",
    page="https://archive.ics.uci.edu/dataset/231/pamap2+physical+activity+monitoring",
)

_COLUMNS = {"hand": 4, "chest": 21, "ankle": 38}  # where the +-16 g accelerometer begins, counted from 0
_ACTIVITIES = {
    1: "lying",
    2: "sitting",
    3: "standing",
    4: "walking",
    5: "running",
    6: "cycling",
    7: "nordic walking",
    9: "watching tv",
    10: "computer work",
    11: "car driving",
    12: "ascending stairs",
    13: "descending stairs",
    16: "vacuum cleaning",
    17: "ironing",
    18: "folding laundry",
    19: "house cleaning",
    20: "playing soccer",
    24: "rope jumping",
}

_ABOUT = """Nine people, each with a protocol of twelve activities, some with six more. Colibri wireless sensors at
100 Hz at the wrist of the dominant arm ("hand"), the chest and the ankle of the dominant side; the accelerometer of
the +-16 g range, since the other saturates. Samples that the radio lost are NaN in the files and missing here.
Participant 109 did few of them. Reiss and Stricker, ISWC 2012."""


def fetch_pamap2(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    placement="hand",
    seconds=2.56,
    sfreq=100.0,
    step=None,
    purity=0.8,
    participants=None,
):
    """PAMAP2: 18 activities of nine people, acceleration at wrist, chest or ankle, at 100 Hz.

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
    placement : {"hand", "chest", "ankle"}, default="hand"
    seconds : float, default=2.56
        Length of a window.
    sfreq : float, default=100.0
        Samples per second of the windows; the sensors have 100.
    step : float, optional
        Seconds from one window to the next, by default `seconds`.
    purity : float, default=0.8
        Share of a window's samples that have to carry its commonest label; other windows are left out, as are those of
        which more than a fifth of the samples is missing.
    participants : sequence of str, optional
        Read these only.

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, 3, n_times) in g. Of length n: `target`, names of activities; `groups`,
        the participants; `session`, the recordings; `start`, time stamps; the files count from when a recording
        began, here 1970-01-01. Further `target_names`, `sfreq`, `units`, `channel_names`, `n_left_out` (windows with
        too many samples missing), `n_mixed` (windows without a label of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Reiss, Stricker. Introducing a new benchmarked dataset for activity monitoring. ISWC 2012.
    """
    pairs = read_pamap2(
        data_home=data_home,
        download_if_missing=download_if_missing,
        placement=placement,
        participants=participants,
    )
    return windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=purity, return_X_y=return_X_y
    )


def read_pamap2(*, data_home=None, download_if_missing=True, placement="hand", participants=None):
    """The whole recordings of PAMAP2, file by file, with a label for each sample.

    Parameters
    ----------
    data_home : str or path, optional
        Folder of all sets; by default the variable WEAREMBED_DATA, or else pooch's cache folder. What lies there,
        unpacked or as the archive, is used without a network.
    download_if_missing : bool, default=True
        If False, raise FileNotFoundError where the set is not in the folder.
    placement : {"hand", "chest", "ankle"}, default="hand"
    participants : sequence of str, optional
        Read these only.

    Yields
    ------
    recording : Recording
        In g at 100 Hz; samples that were lost are NaN or a gap.
    labels : pandas.Categorical
        Activities, for each sample; missing where there is none.
    """
    check_choice(placement, "placement", _COLUMNS)
    folder = obtain(_SOURCE, data_home, download_if_missing)
    for part in ("Protocol", "Optional"):
        for path in sorted((folder / part).glob("subject*.dat")):
            participant = re.sub(r"\D", "", path.stem)
            if is_asked_for(participant, participants):
                yield _read(path, participant, f"{participant}-{part.lower()}", _COLUMNS[placement])


def _read(path, participant, name, column):
    used = [0, 1, column, column + 1, column + 2]
    table = pd.read_csv(path, sep=r"\s+", header=None, usecols=used, dtype=np.float64)[used].to_numpy().T
    codes = codes_of(table[1], _ACTIVITIES)
    names = _ACTIVITIES.values()
    return labelled(path, table[0], table[2:], "m/s^2", codes, names, participant=participant, name=name)
