"""What one sensor measured on one participant."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..signals import canonical_units, positive
from .mapped import let_go, pieces, roomy

EPOCH = pd.Timestamp(0)


@dataclass(eq=False, repr=False)
class Recording:
    """What one sensor measured on one participant, sample by sample, as the device stored it.

    Parameters
    ----------
    signal : array of shape (n_channels, n_samples)
        Kept as float32. One dimension is one channel. A sample that is NaN in any channel counts as missing.
    sfreq : float
        Samples per second, as measured by the time stamps where there are any.
    participant : str
        Who wore the device; windows of all recordings of one participant belong to one group.
    units : str
        Units of `signal`: "g", "mg", "m/s^2", or anything that is not an acceleration, such as "a.u.".
    start : pandas.Timestamp, optional
        When the first sample was taken. Without time zone unless the file names one; 1970-01-01 if it is not known.
    name : str, optional
        Name of the recording, by default the participant.
    channel_names : sequence of str, optional
        By default x, y, z for three channels, else 0, 1, ...
    times : array of shape (n_samples,), optional
        Seconds from `start`, increasing; for clocks that drift, and for recordings with gaps. None says that all
        samples follow one another at `sfreq`.
    n_lost : int, default=0
        Samples that the file should have held but that could not be read. They are gaps.

    Examples
    --------
    >>> Recording(np.zeros((3, 6000)), sfreq=100, participant="P01", units="g", start="2024-05-01 08:00")
    Recording('P01', participant='P01', 3 channels × 6000 samples at 100 Hz, 'g', 60 s from 2024-05-01 08:00:00)
    """

    signal: np.ndarray
    sfreq: float
    participant: str
    units: str
    start: pd.Timestamp = EPOCH
    name: str = ""
    channel_names: tuple[str, ...] = ()
    times: np.ndarray | None = None
    n_lost: int = 0

    def __post_init__(self) -> None:
        self.signal = np.atleast_2d(_numbers(self.signal))
        self.sfreq = positive(self.sfreq, "sfreq", "Hz")
        self.participant, self.units = str(self.participant), canonical_units(self.units)
        self.start = pd.Timestamp(self.start)
        self.name = str(self.name) or self.participant
        n_channels, n_samples = _check_shape(self.signal)
        default = "xyz" if n_channels == 3 else map(str, range(n_channels))
        self.channel_names = tuple(map(str, self.channel_names or default))
        if len(self.channel_names) != n_channels:
            raise ValueError(
                f"Expected one channel name for each of {n_channels} channels, got {self.channel_names}. "
                f"Name them all, or none."
            )
        if self.times is not None:
            times = _check_times(self.times, n_samples, self.sfreq)
            if n_samples and times[0] != 0:  # both clocks begin with the first sample
                self.start += pd.to_timedelta(times[0], unit="s")
                times = _since_first(times)
            self.times = times

    @property
    def duration(self) -> float:
        """Seconds from the first sample to the end of the last, gaps included."""
        n_samples = self.signal.shape[1]
        if self.times is None or n_samples == 0:
            return n_samples / self.sfreq
        return float(self.times[-1] - self.times[0] + 1 / self.sfreq)

    def __repr__(self) -> str:
        n_channels, n_samples = self.signal.shape
        lost = f", {self.n_lost} samples lost" if self.n_lost else ""
        return (
            f"Recording({self.name!r}, participant={self.participant!r}, {n_channels} channels × {n_samples} samples "
            f"at {self.sfreq:.6g} Hz, {self.units!r}, {self.duration:.6g} s from {self.start}{lost})"
        )


def _numbers(signal) -> np.ndarray:
    """A signal as float32; what is masked is missing."""
    signal = signal if np.ma.isMaskedArray(signal) else np.asarray(signal)
    if signal.dtype.kind not in "biufO":
        raise TypeError(
            f"Expected a signal of real numbers, got dtype {signal.dtype}. Convert it with astype(float) first."
        )
    with np.errstate(over="ignore"):  # infinite then, which is refused
        if np.ma.is_masked(signal):
            return signal.astype(np.float32).filled(np.nan)
        return np.asarray(signal, dtype=np.float32)


def _check_shape(signal: np.ndarray) -> tuple[int, int]:
    if signal.ndim != 2 or signal.shape[0] > max(signal.shape[1], 16):
        raise ValueError(
            f"Expected a signal of shape (n_channels, n_samples), got {signal.shape}. "
            f"One recording has two dimensions, with time along the last: transpose it if it is the other way round."
        )
    for some in pieces(signal.shape[1]):
        if np.isinf(signal[:, some]).any():
            raise ValueError("Expected finite samples, got infinite ones. Set samples that are missing to NaN.")
        let_go(signal)
    return signal.shape


def _check_times(times, n_samples: int, sfreq: float) -> np.ndarray:
    times = np.asarray(times, dtype=np.float64)
    if times.shape != (n_samples,):
        raise ValueError(
            f"Expected one time in seconds for each of {n_samples} samples, got shape {times.shape}. "
            f"Give all of them, or times=None for a regular clock."
        )
    if not all(_increase(times, some) for some in pieces(n_samples)):
        raise ValueError(
            "Expected finite times that increase from sample to sample, got some that do not. "
            "Sort the samples by time, and leave repeated ones out."
        )
    rate = 1 / _usual_step(times) if n_samples > 2 else sfreq
    if not 0.55 < rate / sfreq < 1.8:  # half or twice the rate would make every step a gap, or none
        raise ValueError(
            f"Expected times that go with sfreq={sfreq:g} Hz, got samples {1 / rate:.4g} s apart: {rate:.4g} Hz. "
            f"Times are seconds; give the rate that they have."
        )
    return times


def _increase(times: np.ndarray, some: slice) -> bool:
    """Whether times of a piece are finite and later than those before, the last of the piece before included."""
    t = times[max(0, some.start - 1) : some.stop]
    good = bool(np.isfinite(t).all() and (np.diff(t) > 0).all())
    let_go(times)
    return good


def _usual_step(times: np.ndarray) -> float:
    """The median step of a long recording's pieces is as good as that of all of it."""
    steps = [np.median(np.diff(times[some])) for some in pieces(len(times)) if some.stop - some.start > 1]
    let_go(times)
    return float(np.median(steps))


def fields(signal, sfreq, units, start, seconds=None, n_lost=0, names=()):
    """Fields of a Recording; the clock is left out where it is even to a hundredth of a period."""
    if seconds is not None:
        start += pd.to_timedelta(seconds[0], unit="s")
        seconds = _since_first(seconds) if seconds[0] != 0 else seconds
        if all(_even(seconds, sfreq, some) for some in pieces(len(seconds))):
            seconds = None
    return {
        "signal": np.ascontiguousarray(signal, dtype=np.float32),
        "sfreq": sfreq,
        "units": units,
        "start": start,
        "times": seconds,
        "n_lost": int(n_lost),
        "channel_names": tuple(names),
    }


def _since_first(seconds: np.ndarray) -> np.ndarray:
    since, first = roomy(seconds.shape, seconds.dtype), seconds[0]
    for some in pieces(len(seconds)):
        since[some] = seconds[some] - first
        let_go(seconds)
        let_go(since)
    return since


def _even(seconds: np.ndarray, sfreq: float, some: slice) -> bool:
    good = bool(np.abs(seconds[some] * sfreq - np.arange(some.start, some.stop)).max() < 0.01)
    let_go(seconds)
    return good
