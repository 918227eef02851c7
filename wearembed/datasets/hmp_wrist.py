"""ADL Recognition with Wrist-worn Accelerometer: fourteen primitives of movement."""

import numpy as np
import pandas as pd

from ..recordings import Recording
from ._download import Source, obtain
from ._windows import is_asked_for, windows_of

_SOURCE = Source(
    name="hmp_wrist",
    title="ADL Recognition with Wrist-worn Accelerometer",
    url="https://archive.ics.uci.edu/static/public/283/dataset+for+adl+recognition+with+wrist+worn+accelerometer.zip",
    archive="dataset+for+adl+recognition+with+wrist+worn+accelerometer.zip",
    aliases=("HMP_Dataset",),
    holds="*/Accelerometer-*.txt",
    inner=r"HMP_Dataset\.zip$",
    wanted=r"\.txt$",
    license="CC BY 4.0 (UCI Machine Learning Repository).",
    page="https://archive.ics.uci.edu/dataset/283/dataset+for+adl+recognition+with+wrist+worn+accelerometer",
)

_ABOUT = """Sixteen people, fourteen primitives of movement (brush teeth, climb stairs, comb hair, ...), one in each
file, at the right wrist, 32 Hz. Six bits for +-1.5 g: a step is 0.048 g. The folders named _MODEL hold copies of some
trials and are left out. Bruno et al., ICRA 2013."""


def fetch_hmp_wrist(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    seconds=2.56,
    sfreq=100.0,
    step=None,
    participants=None,
):
    """ADL Recognition with Wrist-worn Accelerometer: 14 primitives of 16 people, at 32 Hz and six bits.

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
        Samples per second of the windows; the sensor has 32. The default is what motion encoders take.
    step : float, optional
        Seconds from one window to the next, by default `seconds`.
    participants : sequence of str, optional
        Read these only.

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, 3, n_times) in g. Of length n: `target`, names of primitives; `groups`,
        the participants; `session`, the recordings; `start`, time stamps as the file names have them. Further
        `target_names`, `sfreq`, `units`, `channel_names`, `n_left_out` (windows with too many samples missing),
        `n_mixed` (windows without a label of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Bruno, Mastrogiovanni, Sgorbissa, Vernazza, Zaccaria. Analysis of human behavior recognition algorithms based on
    acceleration data. ICRA 2013.
    """
    pairs = read_hmp_wrist(data_home=data_home, download_if_missing=download_if_missing, participants=participants)
    return windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=1.0, return_X_y=return_X_y
    )


def read_hmp_wrist(*, data_home=None, download_if_missing=True, participants=None):
    """The whole trials of the wrist-worn accelerometer set, with a label for each sample.

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
        In g at 32 Hz; samples that were lost are NaN or a gap.
    labels : pandas.Categorical
        The primitive of the trial, for each sample; missing where there is none.
    """
    folder = obtain(_SOURCE, data_home, download_if_missing)
    paths = [p for p in sorted(folder.glob("*/Accelerometer-*.txt")) if not p.parent.name.endswith("_MODEL")]
    names = sorted({path.stem.split("-")[-2] for path in paths})
    for path in paths:
        *_, primitive, participant = path.stem.split("-")
        if is_asked_for(participant, participants):
            counts = np.loadtxt(path, dtype=np.float32, ndmin=2).T
            signal = counts * (3 / 63) - 1.5
            recording = Recording(
                signal, sfreq=32, participant=participant, units="g", start=_start(path), name=path.stem[14:]
            )
            yield recording, pd.Categorical([primitive] * signal.shape[1], categories=names)


def _start(path):
    year, month, day, hour, minute, second = map(int, path.stem.split("-")[1:7])
    return pd.Timestamp(year, month, day, hour, minute, second)
