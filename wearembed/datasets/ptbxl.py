"""PTB-XL: ten seconds of twelve leads of 18,869 patients."""

import ast
import re

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..signals import positive, resample
from ._download import Source, obtain
from ._windows import is_asked_for

_SOURCE = Source(
    name="ptbxl",
    title="PTB-XL 1.0.3",
    url=(
        "https://physionet.org/static/published-projects/ptb-xl/"
        "ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3.zip"
    ),
    archive="ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3.zip",
    aliases=("ptb-xl-a-large-publicly-available-electrocardiography-dataset-1.0.3", "ptb-xl", "ptb-xl/1.0.3"),
    holds="ptbxl_database.csv",
    wanted=r"(\.csv|\.hea|\.dat|\.txt)$",
    license="CC BY 4.0 (PhysioNet).",
    page="https://physionet.org/content/ptb-xl/1.0.3/",
)

_CLASSES = ("NORM", "MI", "STTC", "CD", "HYP")

_ABOUT = """21,799 ECGs of 10 s of 18,869 patients, twelve leads in mV, at 500 Hz and at 100 Hz, from clinical devices
of 1989 to 1996. Statements by up to two cardiologists; summed up in five diagnostic classes: normal, myocardial
infarction, ST/T change, conduction disturbance, hypertrophy. Some records have several classes or none. Folds 1 to 10
keep patients together; 9 and 10 were looked at by a human. Wagner et al., Scientific Data 2020."""


def fetch_ptbxl(
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    leads=("I",),
    sfreq=100.0,
    participants=None,
):
    """PTB-XL: ECGs of 10 s of 18,869 patients with five diagnostic classes.

    Every record is checked against the sum that its own header states.

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
    leads : sequence of str, default=("I",)
        Of I, II, III, AVR, AVL, AVF, V1 to V6. Lead I is what a watch records; all twelve take 1 GB at 100 Hz.
    sfreq : float, default=100.0
        Samples per second; up to 100 from the files at 100 Hz, above from those at 500.
    participants : sequence of str, optional
        Read these patients only.

    Returns
    -------
    Bunch
        `data` is a float32 array of shape (n, n_leads, 10 * sfreq) in mV. Of length n: `target`, int8 of shape (n, 5),
        which of the classes of `target_names` were stated, however likely; `groups`, the patients;
        `session`, the records; `start`, time stamps (dates were shifted by the publisher); `fold`, 1 to 10; `age`, in
        years, 300 for all above 89; `sex`, "M" or "F". Further `sfreq`, `units`, `channel_names`, `DESCR`, `license`
        and `url`.

    Raises
    ------
    OSError
        The set is not there and cannot be fetched; the message names folder and address.
    ValueError
        The archive is damaged, a record does not agree with its header, or a lead is not among the twelve.

    References
    ----------
    Wagner et al. PTB-XL, a large publicly available electrocardiography dataset. Scientific Data 2020.
    """
    sfreq = positive(sfreq, "sfreq", "Hz")
    leads = [leads] if isinstance(leads, str) else list(leads)
    folder = obtain(_SOURCE, data_home, download_if_missing)
    table = pd.read_csv(folder / "ptbxl_database.csv", dtype={"patient_id": "float64"}).sort_values("ecg_id")
    table["patient_id"] = table["patient_id"].astype(int).astype(str)
    table = table[[is_asked_for(name, participants) for name in table["patient_id"]]]
    paths = [folder / name for name in table["filename_hr" if sfreq > 100 else "filename_lr"]]
    if not paths:
        raise ValueError("Expected records of PTB-XL, found none. Look at participants=.")
    data = resample(np.stack([_record(path, leads) for path in paths]), 500 if sfreq > 100 else 100, sfreq)
    target = _classes(table["scp_codes"], folder)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=list(_CLASSES),
        groups=table["patient_id"].to_numpy(str),
        session=table["ecg_id"].to_numpy(str),
        start=pd.to_datetime(table["recording_date"]).to_numpy("datetime64[ns]"),
        fold=table["strat_fold"].to_numpy(int),
        age=table["age"].to_numpy(np.float64),
        sex=np.where(table["sex"] == 0, "M", "F"),
        sfreq=sfreq,
        units="mV",
        channel_names=leads,
        DESCR=f"{_SOURCE.title}\n\n{_ABOUT}\n\nLicence: {_SOURCE.license}\nSource: {_SOURCE.page}\n",
        license=_SOURCE.license,
        url=_SOURCE.url,
    )


def _classes(statements, folder):
    """Which of the five classes each record has, (n, 5)."""
    known = pd.read_csv(folder / "scp_statements.csv", index_col=0)
    of_code = known.loc[known["diagnostic"] == 1, "diagnostic_class"].to_dict()
    stated = [ast.literal_eval(text) for text in statements]
    found = [{of_code.get(code) for code in said} for said in stated]  # a likelihood of 0 says that it is not known
    return np.array([[name in classes for name in _CLASSES] for classes in found], dtype=np.int8)


def _record(path, leads):
    """Leads of a record in mV, (n_leads, n_times)."""
    header, data = path.with_suffix(".hea"), path.with_suffix(".dat")
    for file in (header, data):
        if not file.exists():
            raise FileNotFoundError(f"Expected {file} beside ptbxl_database.csv, found none. Unpack the archive again.")
    first, *lines = [line.split() for line in header.read_text().splitlines() if line and not line.startswith("#")]
    names = [line[-1].upper() for line in lines]
    missing = [lead for lead in leads if lead.upper() not in names]
    if missing:
        raise ValueError(f"Expected leads among {names}, got {missing}.")
    counts = np.frombuffer(data.read_bytes(), "<i2")
    if counts.size != int(first[1]) * int(first[3]) or any(line[1] != "16" for line in lines):
        raise ValueError(f"{data} does not hold the {first[1]} x {first[3]} samples of its header. Unpack it again.")
    counts = counts.reshape(-1, len(lines)).T
    rows = [names.index(lead.upper()) for lead in leads]
    return np.stack([_volts(counts[row], lines[row], data) for row in rows])


def _volts(counts, line, path):
    """One lead in mV, once the sum of its samples is what the header says."""
    scale = re.fullmatch(r"([\d.]+)(?:\((-?\d+)\))?/mV", line[2])
    if scale is None:
        raise ValueError(f"Expected counts per mV in the header of {path}, such as 1000.0(0)/mV, got {line[2]!r}.")
    if (int(counts.sum(dtype=np.int64)) - int(line[6])) % 2**16:
        raise ValueError(f"{path} does not add up to what its header says of lead {line[-1]}. Unpack it again.")
    return ((counts - int(scale[2] or 0)) / float(scale[1])).astype(np.float32)
