"""HHAR: the same activities on many phones and watches."""

import numpy as np
import pandas as pd

from ..recordings.clocks import rough_period
from ._download import Source, obtain
from ._windows import check_choice, codes_of, is_asked_for, labelled, runs, windows_of

_SOURCE = Source(
    name="hhar",
    title="Heterogeneity Activity Recognition (HHAR)",
    url="https://archive.ics.uci.edu/static/public/344/heterogeneity+activity+recognition.zip",
    archive="heterogeneity+activity+recognition.zip",
    aliases=("Activity recognition exp",),
    holds="*_accelerometer.csv",
    inner=r"Activity recognition exp\.zip$",
    wanted=r"(_accelerometer\.csv|readme\.txt)$",
    license="CC BY 4.0 (UCI Machine Learning Repository).",
    page="https://archive.ics.uci.edu/dataset/344/heterogeneity+activity+recognition",
)

_FILES = {"watch": "Watch_accelerometer.csv", "phone": "Phones_accelerometer.csv"}
_ACTIVITIES = ("bike", "sit", "stairsdown", "stairsup", "stand", "walk")

_ABOUT = """Nine people, six activities, recorded at once by four watches (two LG, two Samsung Gear) or eight phones
of four models, each at its highest rate: 50 to 200 Hz. A row has the time at which its sample was made, in
nanoseconds of the device's own clock, and at which it arrived. Both are rough; rates are measured here, recording by
recording. A recording is a stretch of one person on one device without a pause of ten seconds. Stisen et al., SenSys
2015."""


def fetch_hhar(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    device="watch",
    seconds=2.56,
    sfreq=100.0,
    step=None,
    purity=0.8,
    participants=None,
):
    """HHAR: six activities of nine people on watches at the wrist, or on phones at the waist.

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
        Samples per second of the windows; watches have near 100 or 200, phones 50 to 200.
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
        the participants; `device`, its name; `session`, the recordings; `start`, time stamps, of which the first of a
        recording is when it arrived. Further `target_names`, `sfreq`, `units`, `channel_names`, `n_left_out` (windows
        with too many samples missing), `n_mixed` (windows without a label of their own), `DESCR`, `license` and
        `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, or is not the one that was fetched first.

    References
    ----------
    Stisen et al. Smart devices are different: assessing and mitigating mobile sensing heterogeneities for activity
    recognition. SenSys 2015.
    """
    pairs = read_hhar(
        data_home=data_home, download_if_missing=download_if_missing, device=device, participants=participants
    )
    found = windows_of(
        pairs, _SOURCE, _ABOUT, seconds=seconds, sfreq=sfreq, step=step, purity=purity, return_X_y=return_X_y
    )
    if not return_X_y:
        found.device = np.array([session.split("-")[1] for session in found.session], dtype=str)
    return found


def read_hhar(*, data_home=None, download_if_missing=True, device="watch", participants=None):
    """The whole recordings of HHAR, by person and device, with a label for each sample.

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
    check_choice(device, "device", _FILES)
    path = obtain(_SOURCE, data_home, download_if_missing) / _FILES[device]
    if not path.exists():
        raise FileNotFoundError(f"Expected {path.name} in {path.parent}, found none. Put the whole set there.")
    table = pd.read_csv(path, usecols=list(_TYPES), dtype=_TYPES, low_memory=False)
    for (participant, worn), rows in table.groupby(["User", "Device"], observed=True, sort=True):
        if is_asked_for(participant, participants):
            yield from _recordings(path, rows, participant, worn)


_TYPES = {
    "Arrival_Time": "int64",
    "Creation_Time": "int64",
    **dict.fromkeys("xyz", "float32"),
    **dict.fromkeys(("User", "Device", "gt"), "category"),
}


def _recordings(path, rows, participant, worn):
    seconds = _clock(rows)
    codes = codes_of(rows["gt"], _ACTIVITIES)
    values, arrived = rows[["x", "y", "z"]].to_numpy().T, rows["Arrival_Time"].to_numpy()
    paused = np.cumsum(np.diff(arrived, prepend=arrived[:1]) > 10_000)
    for count, part in enumerate(runs(seconds, paused)):
        rows = part.start + np.argsort(seconds[part], kind="stable")
        if len(np.unique(seconds[rows])) > 2:
            yield labelled(
                path,
                seconds[rows] - seconds[rows[0]],
                values[:, rows],
                "m/s^2",
                codes[rows],
                _ACTIVITIES,
                participant=participant,
                name=f"{participant}-{worn}-{count}",
                start=pd.Timestamp(int(arrived[rows[0]]), unit="ms"),
            )


def _clock(rows):
    """Seconds of the device's own clock; of arrivals where that does not count nanoseconds."""
    for name, scale in (("Creation_Time", 1e9), ("Arrival_Time", 1e3)):
        ticks = rows[name].to_numpy()
        seconds = (ticks - ticks[0]) / scale  # differences first: nanoseconds since 1970 fill a float
        period = rough_period(np.sort(seconds))
        if period > 0 and 5 < 1 / period < 500:
            return seconds
    raise ValueError(f"Expected stamps of 5 to 500 Hz in HHAR, got a step of {period:g} s.")
