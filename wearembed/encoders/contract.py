"""What a trained net takes in, and how a user's array becomes that."""

from dataclasses import asdict, dataclass
from functools import partial
from numbers import Integral
from pathlib import PurePath
from typing import Any

import numpy as np
from sklearn.utils._array_api import _convert_to_numpy
from sklearn.utils.validation import check_array, validate_data

from .. import signals
from ..stores import LazyWindows

A_LOOK = 1024  # windows of a store, spread over it, that are looked at before training
SHAPE = "(n_windows, n_channels, n_times), or (n_windows, n_times) for windows of one channel"


@dataclass(frozen=True)
class Contract:
    """Channels, samples, rate and units of the windows that a net was trained on.

    Parameters
    ----------
    n_channels, n_times : int
    sfreq : float
        Hertz.
    units : str
    standardized : bool, default=False
        Whether the net takes each window and channel with mean zero and deviation one. Windows then may come as they
        are, and twice is as good as once.
    """

    n_channels: int
    n_times: int
    sfreq: float
    units: str
    standardized: bool = False

    @classmethod
    def of(cls, n_channels: int, n_times: int, sfreq: float, units: str, standardized: bool) -> "Contract":
        """What windows have to be, from those that are learnt from; acceleration is in g inside."""
        return cls(n_channels, n_times, float(sfreq), "g" if is_acceleration(units) else units, standardized)

    @property
    def seconds(self) -> float:
        return self.n_times / self.sfreq

    def n_times_at(self, sfreq: float) -> int:
        """Samples of a window of the same seconds at another rate."""
        return max(1, round(self.n_times * sfreq / self.sfreq))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def convert(self, name: str, X, sfreq: float, units: str):
        """Windows at `sfreq` in `units` as the net takes them; an error where they cannot be.

        Those of a store are converted when they are read.
        """
        self.check_shape(name, X, sfreq)
        if isinstance(X, LazyWindows):
            refuse_other_kind(name, X, sfreq, units)
            self._changed(name, X[np.linspace(0, len(X) - 1, min(len(X), A_LOOK)).astype(int)], sfreq, units)
            change = partial(self._changed, name, sfreq=sfreq, units=units, look=False)
            return X.map(change, self.n_times, self.sfreq, self.units)
        return self._changed(name, X, sfreq, units)

    def check_shape(self, name: str, X, sfreq: float):
        n_times = self.n_times_at(sfreq)
        if X.shape[1:] != (self.n_channels, n_times):
            raise ValueError(
                f"{name} was trained on windows of {self.n_channels} channels x {self.n_times} samples at "
                f"{self.sfreq:g} Hz, which are {self.n_channels} x {n_times} at sfreq={sfreq:g}; got "
                f"{X.shape[1]} x {X.shape[2]}. {self._cure(X.shape, n_times)}"
            )

    def _cure(self, shape: tuple[int, ...], n_times: int) -> str:
        """What to do with windows of another shape; those of two dimensions came as of one channel."""
        if shape == (self.n_channels, 1, n_times):
            return "One window is of three dimensions too: X[None] where X is (n_channels, n_times)."
        if shape == (n_times, 1, self.n_channels):
            return "One window is of three dimensions too: X.T[None] where X is (n_times, n_channels)."
        if shape[1:] == (n_times, self.n_channels):
            return "Channels and samples look swapped: pass X.transpose(0, 2, 1)."
        if shape[1] == 1 < self.n_channels and shape[2] == self.n_channels * n_times:
            return f"Windows look flattened: pass X.reshape(-1, {self.n_channels}, {n_times}), if channels come first."
        anew = f"ut the recordings anew with cut(recordings, seconds={self.seconds:g}, sfreq={self.sfreq:g})"
        if shape[1] == self.n_channels and 0 < shape[2] - n_times <= max(2, 0.02 * n_times):
            return f"Leave what is too much out: pass X[:, :, :{n_times}]."
        rate = f"{shape[2] / self.seconds:.4g}"
        if shape[1] == self.n_channels and 1 < shape[2] == self.n_times_at(float(rate)) != n_times:
            return f"If these are {self.seconds:g} s too, their rate is {rate} Hz: set sfreq={rate}. If not, c{anew}."
        return f"C{anew}{'' if shape[1] == self.n_channels else ', from as many channels'}."

    def _changed(self, name: str, X: np.ndarray, sfreq: float, units: str, look: bool = True) -> np.ndarray:
        """Windows as the net takes them, each from itself alone; `look`: whether gravity shows the units."""
        if is_acceleration(self.units) or not self.standardized:  # else any scale is as good
            X = to_units(name, X, units, self.units, look)
        if sfreq != self.sfreq:
            X = signals.sample_at(X, np.arange(self.n_times) * (sfreq / self.sfreq), band=min(1.0, self.sfreq / sfreq))
        if self.standardized:
            X = signals.standardize(X)
        shape = X.shape
        # Torch chooses how to convolve by the stride of a single channel, which a view may have any of: make it plain.
        return np.ascontiguousarray(X, dtype=np.float32).ravel().reshape(shape)


def to_units(name: str, X: np.ndarray, units: str, wanted: str, look: bool = True) -> np.ndarray:
    """`X` in the units of training: acceleration is converted, anything else has to agree."""
    if is_acceleration(wanted):
        if look:
            signals.check_units(X, units)
        return X if signals.canonical_units(units) == "g" else signals.to_g(X, units)  # no copy of a large file
    refuse_other_units(name, units, wanted)
    return X


def refuse_other_units(name: str, units: str, wanted: str):
    """An error unless units that nothing converts are the same."""
    if units != wanted:
        raise ValueError(
            f"{name} takes windows in {wanted}; units says that X is in {units!r}. Convert X, or mend units."
        )


def refuse_other_kind(name: str, X: LazyWindows, sfreq: float, units: str):
    """An error where a store says otherwise than the parameters what its windows are."""
    of_motion = is_acceleration(X.units) or is_acceleration(units)
    if X.sfreq != sfreq or (of_motion and signals.canonical_units(X.units) != signals.canonical_units(units)):
        raise ValueError(
            f"The store holds windows at {X.sfreq:g} Hz in {X.units}, and {name} was told of {sfreq:g} Hz in {units}. "
            f"Say what they are: set_params(sfreq={X.sfreq:g}, units={X.units!r})."
        )


def is_acceleration(units: str) -> bool:
    return signals.canonical_units(units) in ("g", "mg", "m/s^2")


def check_number(estimator, name: str, value, kind: type, low, above: bool = False):
    """An error unless a parameter is a number of a kind from `low` on, or above it."""
    good = isinstance(value, kind) and not isinstance(value, bool) and (value > low if above else value >= low)
    if not good or not np.isfinite(value):
        what = "a whole number" if kind is Integral else "a finite number"
        which = f"above {low}" if above else f"from {low} on"
        raise ValueError(f"{name} of {type(estimator).__name__} is {what} {which}; got {value!r}.")


def read_windows(estimator, X, *, reset: bool):
    """`X` as finite float32 ``(n_windows, n_channels, n_times)``, whatever array it came as.

    Two dimensions are windows of one channel. `reset` is for ``fit``: it keeps what scikit-learn wants kept. Windows of
    a store stay where they are; they were found finite when they came there.
    """
    name = type(estimator).__name__
    if isinstance(X, LazyWindows):
        if not len(X):
            raise ValueError(f"{name} takes {SHAPE}; got a store without windows, shape {X.shape}.")
        if reset:
            estimator.flat_, estimator.n_features_in_ = False, X.n_channels
            estimator.__dict__.pop("feature_names_in_", None)
        return X
    if hasattr(X, "detach"):  # a torch tensor, perhaps on a GPU, perhaps asking for gradients
        X = in_memory(name, X)
    elif not isinstance(X, np.ndarray) and hasattr(X, "__array_namespace__"):  # of another library, on any device
        X = _convert_to_numpy(X, X.__array_namespace__())
    if np.ma.is_masked(X):
        raise ValueError(
            f"{name} takes finite numbers; got a masked array with {int(np.ma.getmaskarray(X).sum())} of {X.size} "
            f"samples masked. Leave those windows out, or fill them: X.filled(value)."
        )
    if getattr(getattr(X, "dtype", None), "kind", "-") in "USMm":
        raise ValueError(f"{name} takes windows of numbers, {SHAPE}; got an array of dtype {X.dtype}.")
    if isinstance(X, (str, PurePath)) or (hasattr(X, "signal") and hasattr(X, "sfreq")):
        raise TypeError(
            f"{name} takes windows, {SHAPE}; got {X!r:.80}. Cut recordings by cut(recordings, seconds, sfreq), or "
            f"embed whole ones by RecordingEncoder(encoder)."
        )
    if getattr(X, "ndim", 2) == 1:
        raise ValueError(
            f"{name} takes {SHAPE}; got one dimension, shape {tuple(X.shape)}. Reshape your data: X[None] is one "
            f"window of one channel."
        )
    checks = {"dtype": [np.float32, np.float64], "ensure_all_finite": False, "allow_nd": True}
    if reset or (getattr(estimator, "flat_", False) and getattr(X, "ndim", 2) == 2):
        X = validate_data(estimator, X, reset=reset, **checks)
    else:
        X = check_array(X, estimator=estimator, input_name="X", **checks)
    if reset:
        estimator.flat_ = X.ndim == 2
    if X.ndim > 3:
        raise ValueError(f"{name} takes {SHAPE}; got {X.ndim} dimensions, shape {X.shape}.")
    X = X[:, None] if X.ndim == 2 else X
    if 0 in X.shape:
        raise ValueError(
            f"{name} takes {SHAPE}, with a channel and a sample at least; got empty windows, shape {X.shape}."
        )
    return finite(name, X)


def in_memory(name: str, X) -> np.ndarray:
    """A torch tensor, perhaps on a GPU, perhaps asking for gradients, as an array."""
    try:
        return (X.float() if X.is_floating_point() else X).numpy(force=True)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise TypeError(
            f"{name} takes windows of numbers, {SHAPE}; got a tensor of {X.dtype}, {X.layout}, on {X.device}, which is "
            f"no array of numbers. Pass a dense tensor that holds its values."
        ) from error


def finite(name: str, X: np.ndarray) -> np.ndarray:
    """`X` in float32, after a look for NaN and infinity that says where they are."""
    with np.errstate(over="ignore"):
        X = X.astype(np.float32, copy=False)
    with np.errstate(invalid="ignore"):  # inf - inf
        total = X.sum(dtype=np.float64)
    if np.isfinite(total):
        return X
    bad = ~np.isfinite(X)
    if not bad.any():
        return X
    n_bad = int(bad.any((1, 2)).sum())
    window, channel, time = np.argwhere(bad)[0]
    kind = "NaN" if np.isnan(X[window, channel, time]) else "infinity, or values too large for float32"
    raise ValueError(
        f"{name} takes finite numbers; {n_bad} of {len(X)} windows hold {kind} or the like, the first at window "
        f"{window}, channel {channel}, sample {time}. Leave such windows out, or cut the recordings with a "
        f"min_coverage, which bridges short gaps. (NaN, inf)"
    )


def refuse_swapped(name: str, X):
    """An error where the samples look like channels."""
    n_channels, n_times = X.shape[1:]
    if n_times <= 8 < 16 <= n_channels:
        raise ValueError(
            f"{name} takes {SHAPE}; got {n_channels} channels x {n_times} samples. Channels and samples look swapped: "
            f"pass X.transpose(0, 2, 1)."
        )


def refuse_constant(name: str, X):
    """An error where no window moves at all: there is nothing to learn."""
    blocks = X.blocks() if isinstance(X, LazyWindows) else [X]
    if all((x.max(-1) == x.min(-1)).all() and (x.shape[2] > 1 or not x.any()) for x in blocks):
        raise ValueError(
            f"{name}: every window is constant in time, so there is nothing to learn. Look whether the device was worn "
            f"and awake, and whether X, with n_features = {X.shape[2]} samples a window, is what you meant to pass."
        )
