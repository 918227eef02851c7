"""What simulated data sets hold, said so that an editor can tell it."""

import numpy as np
from sklearn.utils import Bunch


class Windows(Bunch):
    """Windows of one sensor, with what an encoder has to be told of them."""

    data: np.ndarray
    groups: np.ndarray
    sfreq: float
    units: str
    channel_names: list[str]
    DESCR: str
    license: str


class Motion(Windows):
    """Of acceleration, and what people did."""

    target: np.ndarray
    session: np.ndarray


class Heart(Windows):
    """Of an ECG, and what the heart did."""

    heart_rate: np.ndarray
    sdnn: np.ndarray
    rmssd: np.ndarray


class Pulse(Bunch):
    """Of light and of acceleration at once, and what the heart did."""

    ppg: np.ndarray
    accel: np.ndarray
    groups: np.ndarray
    heart_rate: np.ndarray
    sdnn: np.ndarray
    rmssd: np.ndarray
    sfreq: float
    units: str
    channel_names: list[str]
    ppg_units: str
    ppg_channel_names: list[str]
    DESCR: str
    license: str
