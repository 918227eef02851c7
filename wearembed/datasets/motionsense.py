"""MotionSense: six activities with a phone in the front pocket."""

import pandas as pd

from ..recordings import Recording
from ._download import Source, obtain
from ._windows import is_asked_for, windows_of

_SOURCE = Source(
    name="motionsense",
    title="MotionSense",
    url="https://github.com/mmalekzadeh/motion-sense/raw/master/data/B_Accelerometer_data.zip",
    archive="B_Accelerometer_data.zip",
    aliases=("B_Accelerometer_data",),
    holds="*_*/sub_*.csv",
    wanted=r"\.csv$",
    license="MIT (LICENSE of the repository that holds the data).",
    page="https://github.com/mmalekzadeh/motion-sense",
)

_ACTIVITIES = {
    "dws": "downstairs",
    "ups": "upstairs",
    "wlk": "walking",
    "jog": "jogging",
    "std": "standing",
    "sit": "sitting",
}

_ABOUT = """Twenty-four people, six activities in fifteen trials, an iPhone 6s in the front pocket of the trousers;
the raw accelerometer (folder B) at 50 Hz in g. The files have no time stamps. Malekzadeh et al., IoTDI 2019."""


def fetch_motionsense(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    seconds=2.56,
    sfreq=100.0,
    step=None,
    participants=None,
):
    """MotionSense: six activities of 24 people with a phone in the pocket, at 50 Hz.

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
    seconds : float, default=2.56
        Length of a window.
    sfreq : float, default=100.0
        Samples per second of the windows; the phone has 50. The default is what motion encoders take.
    step : float, optional
        Seconds from one window to the next, by default `seconds`.
    participants : sequence of str, optional
        Read these only.

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, 3, n_times) in g. Of length n: `target`, names of activities; `groups`,
        the participants; `session`, the recordings; `start`, time stamps; the files do not say when, so every trial
        begins at 1970-01-01. Further `target_names`, `sfreq`, `units`, `channel_names`, `n_left_out` (windows with
        too many samples missing), `n_mixed` (windows without a label of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Malekzadeh, Clegg, Cavallaro, Haddadi. Mobile sensor data anonymization. IoTDI 2019.
    """
    pairs = read_motionsense(data_home=data_home, download_if_missing=download_if_missing, participants=participants)
    return windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=1.0, return_X_y=return_X_y
    )


def read_motionsense(*, data_home=None, download_if_missing=True, participants=None):
    """The whole trials of MotionSense, with a label for each sample.

    Parameters
    ----------
    data_home : str or path, optional
        Folder of all sets; by default the variable WEAREMBED_DATA, or else pooch's cache folder. What lies there,
        unpacked or as the archive, is used without a network.
    download_if_missing : bool, default=True
        If False, raise FileNotFoundError where the set is not in the folder.
    participants : sequence of str, optional
        Read these only.

    Yields
    ------
    recording : Recording
        In g at 50 Hz; samples that were lost are NaN or a gap.
    labels : pandas.Categorical
        The activity of the trial, for each sample; missing where there is none.
    """
    folder = obtain(_SOURCE, data_home, download_if_missing)
    for path in sorted(folder.glob("*_*/sub_*.csv")):
        participant, activity = path.stem.split("_")[1], path.parent.name.split("_")[0]
        if activity in _ACTIVITIES and is_asked_for(participant, participants):
            signal = pd.read_csv(path, usecols=["x", "y", "z"])[["x", "y", "z"]].to_numpy().T
            name = f"{participant}-{path.parent.name}"
            recording = Recording(signal, sfreq=50, participant=participant, units="g", name=name)
            labels = [_ACTIVITIES[activity]] * signal.shape[1]
            yield recording, pd.Categorical(labels, categories=list(_ACTIVITIES.values()))
