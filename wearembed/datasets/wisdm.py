"""WISDM 2019: eighteen activities with a watch and a phone."""

import io
import re

import numpy as np
import pandas as pd

from ._download import Source, obtain
from ._windows import check_choice, codes_of, is_asked_for, labelled, runs, windows_of

_SOURCE = Source(
    name="wisdm",
    title="WISDM Smartphone and Smartwatch Activity and Biometrics",
    url=(
        "https://archive.ics.uci.edu/static/public/507/"
        "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip"
    ),
    archive="wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip",
    aliases=("wisdm-dataset",),
    holds="raw/*/accel/data_*_accel_*.txt",
    inner=r"wisdm-dataset\.zip$",
    wanted=r"(raw/(watch|phone)/accel/.*|activity_key|README)\.txt$",
    license="CC BY 4.0 (UCI Machine Learning Repository).",
    page="https://archive.ics.uci.edu/dataset/507/wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset",
)

_ACTIVITIES = {
    "A": "walking",
    "B": "jogging",
    "C": "stairs",
    "D": "sitting",
    "E": "standing",
    "F": "typing",
    "G": "brushing teeth",
    "H": "eating soup",
    "I": "eating chips",
    "J": "eating pasta",
    "K": "drinking",
    "L": "eating sandwich",
    "M": "kicking",
    "O": "catch",
    "P": "dribbling",
    "Q": "writing",
    "R": "clapping",
    "S": "folding clothes",
}

_ABOUT = """Fifty-one people, eighteen activities of some three minutes each, a watch at the wrist and a phone in the
pocket. Stamps count nanoseconds of the device's clock; the rate is nominally 20 Hz and is measured here, recording by
recording. A recording is one activity of one person without a pause of ten seconds. Weiss, Yoneda, Hayajneh, IEEE
Access 2019."""


def fetch_wisdm(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    device="watch",
    seconds=2.56,
    sfreq=100.0,
    step=None,
    participants=None,
):
    """WISDM 2019: 18 activities of 51 people, a watch at the wrist or a phone in the pocket, near 20 Hz.

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
    device : {"watch", "phone"}, default="watch"
    seconds : float, default=2.56
        Length of a window.
    sfreq : float, default=100.0
        Samples per second of the windows. The devices have some 20; the default is what motion encoders take.
    step : float, optional
        Seconds from one window to the next, by default `seconds`.
    participants : sequence of str, optional
        Read these only.

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, 3, n_times) in g. Of length n: `target`, names of activities; `groups`,
        the participants; `session`, the recordings; `start`, time stamps, of which only differences mean something.
        Further `target_names`, `sfreq`, `units`, `channel_names`, `n_left_out` (windows with too many samples
        missing), `n_mixed` (windows without a label of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Weiss, Yoneda, Hayajneh. Smartphone and smartwatch-based biometrics using activities of daily living. IEEE Access
    2019.
    """
    pairs = read_wisdm(
        data_home=data_home, download_if_missing=download_if_missing, device=device, participants=participants
    )
    return windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=1.0, return_X_y=return_X_y
    )


def read_wisdm(*, data_home=None, download_if_missing=True, device="watch", participants=None):
    """The recordings of WISDM 2019, by person and activity, with a label for each sample.

    Parameters
    ----------
    data_home : str or path, optional
        Folder of all sets; by default the variable WEAREMBED_DATA, or else pooch's cache folder. What lies there,
        unpacked or as the archive, is used without a network.
    download_if_missing : bool, default=True
        If False, raise FileNotFoundError where the set is not in the folder.
    device : {"watch", "phone"}, default="watch"
    participants : sequence of str, optional
        Read these only.

    Yields
    ------
    recording : Recording
        In g, at the rate that its stamps show; samples that were lost are NaN or a gap.
    labels : pandas.Categorical
        Activities, for each sample; missing where there is none.
    """
    check_choice(device, "device", ("watch", "phone"))
    folder = obtain(_SOURCE, data_home, download_if_missing) / "raw" / device / "accel"
    for path in sorted(folder.glob("data_*_accel_*.txt")):
        participant = path.stem.split("_")[1]
        if is_asked_for(participant, participants):
            yield from _recordings(path, participant)


def _recordings(path, participant):
    text = re.sub(r";\s*", "\n", path.read_text())  # rows end in a semicolon, some in no line
    names = ["who", "activity", "stamp", "x", "y", "z"]
    table = pd.read_csv(io.StringIO(text), header=None, names=names, dtype={"activity": "str", "stamp": "int64"})
    seconds = (table["stamp"] - table["stamp"].iloc[0]).to_numpy() / 1e9
    codes = codes_of(table["activity"].str.strip(), _ACTIVITIES)
    values = table[["x", "y", "z"]].to_numpy(np.float32).T
    for count, part in enumerate(runs(seconds, codes)):
        rows = part.start + np.argsort(seconds[part], kind="stable")
        if len(np.unique(seconds[rows])) > 2 and codes[part.start] >= 0:
            yield labelled(
                path,
                seconds[rows] - seconds[rows[0]],
                values[:, rows],
                "m/s^2",
                codes[rows],
                _ACTIVITIES.values(),
                participant=participant,
                name=f"{participant}-{count}",
            )
