"""Opportunity: morning routines in a room full of sensors."""

import numpy as np
import pandas as pd

from ._download import Source, obtain
from ._windows import check_choice, codes_of, is_asked_for, labelled, windows_of

_SOURCE = Source(
    name="opportunity",
    title="OPPORTUNITY Activity Recognition",
    url="https://archive.ics.uci.edu/static/public/226/opportunity+activity+recognition.zip",
    archive="opportunity+activity+recognition.zip",
    aliases=("OpportunityUCIDataset",),
    holds="dataset/S*-*.dat",
    inner=r"OpportunityUCIDataset\.zip$",
    wanted=r"\.(dat|txt)$",
    license="CC BY 4.0 (UCI Machine Learning Repository); its README asks for the citation below.",
    page="https://archive.ics.uci.edu/dataset/226/opportunity+activity+recognition",
)

_COLUMNS = {  # of the wireless accelerometers in milli-g, counted from 0
    "right wrist": 22,
    "left wrist": 31,
    "right hand": 34,
    "left hand": 13,
    "right knee": 1,
    "hip": 4,
    "back": 16,
}
_LABELS = {
    "locomotion": (243, {1: "standing", 2: "walking", 4: "sitting", 5: "lying"}),
    "gesture": (
        249,
        {
            406516: "open door 1",
            406517: "open door 2",
            404516: "close door 1",
            404517: "close door 2",
            406520: "open fridge",
            404520: "close fridge",
            406505: "open dishwasher",
            404505: "close dishwasher",
            406519: "open drawer 1",
            404519: "close drawer 1",
            406511: "open drawer 2",
            404511: "close drawer 2",
            406508: "open drawer 3",
            404508: "close drawer 3",
            408512: "clean table",
            407521: "drink from cup",
            405506: "toggle switch",
        },
    ),
}

_ABOUT = """Four people, each with five runs of a morning (ADL1 to ADL5) and one of drilled gestures (Drill). Wireless
accelerometers on the body; time stamps in milliseconds, near 30 Hz. Where a sensor lost its connection the files hold
NaN, sometimes for minutes, and the samples are missing here. Roggen et al., INSS 2010; Chavarriaga et al., Pattern
Recognition Letters 2013."""


def fetch_opportunity(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    placement="right wrist",
    labels="locomotion",
    seconds=2.56,
    sfreq=100.0,
    step=None,
    purity=0.8,
    participants=None,
):
    """Opportunity: morning routines of four people, acceleration at seven places, near 30 Hz.

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
    placement : str, default="right wrist"
        Also "left wrist", "right hand", "left hand", "right knee", "hip" or "back".
    labels : {"locomotion", "gesture"}, default="locomotion"
        Four postures and walking, or seventeen gestures of both arms.
    seconds : float, default=2.56
        Length of a window.
    sfreq : float, default=100.0
        Samples per second of the windows; the sensors have about 30; the default is what motion encoders take and
        adds nothing above 15 Hz.
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
        `data` is a float32 array of shape (n, 3, n_times) in g. Of length n: `target`, names of labels; `groups`, the
        participants; `session`, the recordings; `start`, time stamps; the files count from when a recording began,
        here 1970-01-01. Further `target_names`, `sfreq`, `units`, `channel_names`, `n_left_out` (windows with too
        many samples missing), `n_mixed` (windows without a label of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Roggen et al. Collecting complex activity datasets in highly rich networked sensor environments. INSS 2010.
    """
    pairs = read_opportunity(
        data_home=data_home,
        download_if_missing=download_if_missing,
        placement=placement,
        labels=labels,
        participants=participants,
    )
    return windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=purity, return_X_y=return_X_y
    )


def read_opportunity(
    *, data_home=None, download_if_missing=True, placement="right wrist", labels="locomotion", participants=None
):
    """The whole recordings of Opportunity, file by file, with a label for each sample.

    Parameters
    ----------
    data_home : str or path, optional
        Folder of all sets; by default the variable WEAREMBED_DATA, or else pooch's cache folder. What lies there,
        unpacked or as the archive, is used without a network.
    download_if_missing : bool, default=True
        If False, raise FileNotFoundError where the set is not in the folder.
    placement : str, default="right wrist"
        Also "left wrist", "right hand", "left hand", "right knee", "hip" or "back".
    labels : {"locomotion", "gesture"}, default="locomotion"
    participants : sequence of str, optional
        Read these only.

    Yields
    ------
    recording : Recording
        In g, near 30 Hz; samples that were lost are NaN or a gap.
    labels : pandas.Categorical
        Labels, for each sample; missing where there is none.
    """
    check_choice(placement, "placement", _COLUMNS)
    check_choice(labels, "labels", _LABELS)
    folder = obtain(_SOURCE, data_home, download_if_missing) / "dataset"
    for path in sorted(folder.glob("S*-*.dat")):
        participant = path.stem.split("-")[0]
        if is_asked_for(participant, participants):
            yield _read(path, participant, _COLUMNS[placement], *_LABELS[labels])


def _read(path, participant, column, label_column, known):
    used = [0, label_column, column, column + 1, column + 2]
    table = pd.read_csv(path, sep=r"\s+", header=None, usecols=used, dtype=np.float64)[used].to_numpy().T
    codes, names = codes_of(table[1], known), known.values()
    return labelled(path, table[0] / 1000, table[2:], "mg", codes, names, participant=participant, name=path.stem)
