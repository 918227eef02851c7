"""Signals to learn from: simulated, with the truth beside them, and public sets, fetched or read from a folder."""

from .capture24 import fetch_capture24, read_capture24
from .ecg import make_ecg
from .hhar import fetch_hhar, read_hhar
from .hmp_wrist import fetch_hmp_wrist, read_hmp_wrist
from .motionsense import fetch_motionsense, read_motionsense
from .opportunity import fetch_opportunity, read_opportunity
from .pamap2 import fetch_pamap2, read_pamap2
from .ppg_accel import make_ppg_accel
from .ppg_dalia import fetch_ppg_dalia
from .ptbxl import fetch_ptbxl
from .simulate import make_motion
from .wesad import fetch_wesad
from .wisdm import fetch_wisdm, read_wisdm

__all__ = [
    "make_motion",
    "make_ppg_accel",
    "make_ecg",
    "fetch_pamap2",
    "fetch_opportunity",
    "fetch_hhar",
    "fetch_motionsense",
    "fetch_wisdm",
    "fetch_hmp_wrist",
    "fetch_capture24",
    "fetch_ppg_dalia",
    "fetch_wesad",
    "fetch_ptbxl",
    "read_pamap2",
    "read_opportunity",
    "read_hhar",
    "read_motionsense",
    "read_wisdm",
    "read_hmp_wrist",
    "read_capture24",
]
