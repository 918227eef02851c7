"""CAPTURE-24: a day of 151 people, annotated from pictures."""

import numpy as np
import pandas as pd

from ._download import Source, obtain
from ._windows import check_choice, codes_of, is_asked_for, labelled, windows_of

_SOURCE = Source(
    name="capture24",
    title="CAPTURE-24",
    url=(
        "https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001/"
        "download_file?file_format=&safe_filename=capture24.zip&type_of_work=Dataset"
    ),
    archive="capture24.zip",
    aliases=("capture24",),
    holds="annotation-label-dictionary.csv",
    wanted=r"\.csv(\.gz)?$",
    license="CC BY 4.0 (Oxford University Research Archive).",
    page="https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001",
)

_SCHEMES = (
    "Walmsley2020",
    "Willetts2018",
    "Doherty2018",
    "WillettsSpecific2018",
    "WillettsMET2018",
    "DohertySpecific2018",
)

_ABOUT = """One hundred and fifty-one people of Oxfordshire, about a day each, an Axivity AX3 at the wrist at 100 Hz
in g. Some two thirds are annotated, from pictures of a worn camera and a sleep diary; the dictionary that comes with
the set sums the annotations up in several schemes. Chan et al., Scientific Data 2024."""


def fetch_capture24(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    labels="Walmsley2020",
    seconds=2.56,
    sfreq=100.0,
    step=None,
    purity=0.8,
    participants=None,
):
    """CAPTURE-24: a day of 151 people with a sensor at the wrist, at 100 Hz, annotated from pictures.

    The archive has 6.5 GB. All windows of one day at the defaults take 100 MB, so name `participants`, or leave room.

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
    labels : str, default="Walmsley2020"
        A scheme of the set's own dictionary; also "Willetts2018", "Doherty2018", "WillettsSpecific2018",
        "WillettsMET2018" or "DohertySpecific2018".
    seconds : float, default=2.56
        Length of a window.
    sfreq : float, default=100.0
        Samples per second of the windows; the sensor has 100.
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
        participants; `session`, the recordings; `start`, time stamps as the files have them. Further `target_names`,
        `sfreq`, `units`, `channel_names`, `n_left_out` (windows with too many samples missing), `n_mixed` (windows
        without a label of their own), `DESCR`, `license` and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Chan et al. CAPTURE-24: a large dataset of wrist-worn activity tracker data collected in the wild for human activity
    recognition. Scientific Data 2024.
    """
    pairs = read_capture24(
        data_home=data_home, download_if_missing=download_if_missing, labels=labels, participants=participants
    )
    return windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=purity, return_X_y=return_X_y
    )


def read_capture24(*, data_home=None, download_if_missing=True, labels="Walmsley2020", participants=None):
    """The whole days of CAPTURE-24, one by one, with a label for each sample.

    Parameters
    ----------
    data_home : str or path, optional
        Folder of all sets; by default the variable WEAREMBED_DATA, or else pooch's cache folder. What lies there,
        unpacked or as the archive, is used without a network.
    download_if_missing : bool, default=True
        If False, raise FileNotFoundError where the set is not in the folder.
    labels : str, default="Walmsley2020"
        A scheme of the set's own dictionary; also "Willetts2018", "Doherty2018", "WillettsSpecific2018",
        "WillettsMET2018" or "DohertySpecific2018".
    participants : sequence of str, optional
        Read these only.

    Yields
    ------
    recording : Recording
        In g at 100 Hz; samples that were lost are NaN or a gap.
    labels : pandas.Categorical
        Labels, for each sample; missing where there is none.
    """
    check_choice(labels, "labels", _SCHEMES)
    folder = obtain(_SOURCE, data_home, download_if_missing)
    words = pd.read_csv(folder / "annotation-label-dictionary.csv", dtype=str).set_index("annotation")
    meaning = words[f"label:{labels}"].dropna()
    names = sorted(meaning.unique())
    for path in sorted(folder.glob("P[0-9][0-9][0-9].csv*")):
        participant = path.name[:4]
        if is_asked_for(participant, participants):
            yield _read(path, participant, meaning, names)


def _read(path, participant, meaning, names):
    types = {**dict.fromkeys("xyz", "float32"), "annotation": "category"}
    table = pd.read_csv(path, dtype=types, parse_dates=["time"])
    start = table["time"].iloc[0]
    seconds = ((table["time"] - start) / pd.Timedelta(seconds=1)).to_numpy(np.float64)
    said = table["annotation"].cat
    codes = np.r_[codes_of(meaning.reindex(said.categories), names), -1][said.codes]  # the last is for no annotation
    values = table[["x", "y", "z"]].to_numpy().T
    return labelled(path, seconds, values, "g", codes, names, participant=participant, name=participant, start=start)
