"""What an encoder has to beat: features that are written down, not learnt, by the encoders' interface."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError

from .. import signals
from ..signals.features import NOTHING, axis_names, bands, motion_features, powers, shaking_features, wave_features
from ..stores import LazyWindows
from .contract import (
    A_LOOK,
    Contract,
    check_number,
    is_acceleration,
    read_windows,
    refuse_other_kind,
    refuse_swapped,
)
from .shown import Shown
from .tasks import CallbackSupportMixin, Tasks, with_callbacks
from .tensors import brought_home

AT_ONCE = 2**22  # numbers of the windows that are worked on together, so that memory stays bounded
SENSORS = {  # rate and units where none are said, the rate that a heart needs, and what is measured
    "accel": (100.0, "g", 0, lambda X, sfreq: motion_features(X, sfreq)),
    "accel-heart": (64.0, "g", 10, lambda X, sfreq: shaking_features(X, sfreq)),
    "ppg": (64.0, "a.u.", 10, lambda X, sfreq: wave_features(X, sfreq, "ppg")),
    "ecg": (128.0, "mV", 40, lambda X, sfreq: wave_features(X, sfreq, "ecg")),
}


class WindowTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, Shown):
    """Windows as the encoders read them, turned into float32 features; a subclass says which in `_features`."""

    sfreq: Any
    units: Any
    contract_: Contract
    _shortest = 1  # samples
    _learns = False  # whether ``fit`` takes more from the windows than what they are

    def fit(self, X, y=None, *, groups=None, session=None) -> Self:
        """Keep the number of channels and samples; nothing else is taken from `X`.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times), or WindowStore
            Windows at `sfreq` in `units`; two dimensions are windows of one channel.
        y, groups, session : ignored
            Here so that the call is an encoder's.

        Returns
        -------
        self
        """
        return self._fit(X, y)

    @with_callbacks
    def _fit(self, X, y):
        self._check_parameters()
        tasks = Tasks(self, X, y, n_parts=0, n_epochs=0)
        X = read_windows(self, X, reset=True)
        self.contract_ = self._contract_of(X)
        if isinstance(X, LazyWindows):
            refuse_other_kind(type(self).__name__, X, self._sfreq, self._units)
            X = X[:] if self._learns else X[:A_LOOK]
        self._learn(self._convert(X, self.contract_))
        tasks.done()
        return self

    def transform(self, X) -> np.ndarray:
        """Features of windows, each on its own.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, n_times) or (n_windows, n_times), or WindowStore
            At `sfreq` in `units`, of as many seconds as in ``fit``.

        Returns
        -------
        array of shape (n_windows, n_features), float32
            A window's row is the same to the bit whatever other windows are in `X`.
        """
        contract, given = self._known_contract(), X
        if contract is None:
            self._check_parameters()
        X = read_windows(self, X, reset=False)
        contract = self._contract_of(X) if contract is None else contract
        n = max(1, AT_ONCE // (contract.n_channels * contract.n_times))
        parts = []
        for block in self._blocks(X):
            block = self._convert(block, contract)
            parts += [self._features(block[start : start + n], contract) for start in range(0, len(block), n)]
        return brought_home(np.concatenate(parts).astype(np.float32), given)

    def _blocks(self, X):
        """An array as it is; the windows of a store some at a time."""
        if not isinstance(X, LazyWindows):
            return [X]
        refuse_other_kind(type(self).__name__, X, self._sfreq, self._units)
        return X.blocks()

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns.

        Parameters
        ----------
        input_features : ignored
            Here because scikit-learn asks for it.

        Returns
        -------
        array of str
        """
        if not hasattr(self, "contract_"):
            raise NotFittedError(
                f"This {type(self).__name__} has seen no windows yet; fit it, which names the columns."
            )
        super().get_feature_names_out(input_features)  # its complaints
        return np.asarray(self._names(), dtype=object)

    @property
    def _n_features_out(self) -> int:
        return len(self._names())

    def _known_contract(self) -> Contract | None:
        """That of ``fit``; None where there was none and none is needed."""
        return getattr(self, "contract_", None)

    def _contract_of(self, X) -> Contract:
        """What windows have to be, from those of ``fit``."""
        name = type(self).__name__
        refuse_swapped(name, X)
        if X.shape[2] < self._shortest:
            raise ValueError(
                f"{name} takes windows of {self._shortest} samples or more; got n_features = {X.shape[2]} samples a "
                f"window. Cut longer windows."
            )
        return Contract.of(X.shape[1], X.shape[2], self._sfreq, self._units, self._standardized)

    def _convert(self, X, contract):
        return contract.convert(type(self).__name__, X, self._sfreq, self._units)

    @property
    def _sfreq(self) -> float:
        return self.sfreq

    @property
    def _units(self) -> str:
        return self.units

    @property
    def _standardized(self) -> bool:
        return getattr(self, "standardize", False)

    def _learn(self, X):
        """What is taken from the windows of ``fit``."""

    def _measured(self, X, contract) -> dict[str, np.ndarray]:
        """By name, what is measured in each of the windows, which are as the contract says."""
        raise NotImplementedError

    def _features(self, X, contract) -> np.ndarray:
        """(n_windows, n_features)."""
        return np.stack(list(self._measured(X, contract).values()), axis=1)

    def _names(self) -> list[str]:
        contract = self.contract_
        return list(self._measured(np.zeros((1, contract.n_channels, contract.n_times)), contract))

    def _check_parameters(self):
        self._check_number("sfreq", Real, 0)
        signals.canonical_units(self._units)

    def _check_number(self, name, kind, low):
        """An error unless a parameter is a number of a kind above `low`."""
        check_number(self, name, self._sfreq if name == "sfreq" else getattr(self, name), kind, low, above=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.requires_fit = False
        return tags


class HandmadeFeatures(WindowTransformer):
    """What people measure in a window by hand: moments, quantiles, power by band, rhythm, beats.

    ``transform`` needs no ``fit``, which only keeps the shape of windows and names the columns. Each feature is
    explained in docs/baselines. All are finite, also where a window stands still.

    Parameters
    ----------
    sensor : {"accel", "accel-heart", "ppg", "ecg"}, default="accel"
        ``"accel"``: of motion; axes and magnitude in time, spectrum and rhythm. ``"accel-heart"``: of a resting wrist,
        what a beat shakes; its envelope between 4 and 11 Hz. ``"ppg"`` and ``"ecg"``: shape, spectrum and rhythm of
        each channel, and heart rate, SDNN and RMSSD of the first by `signals.heart_labels` (extra ``signals``).
    sfreq : float, default=None
        Rate of `X` in hertz. None: 100 for motion, 128 for an ECG, 64 for the others. After ``fit`` other rates are
        converted to that of ``fit``.
    units : str, default=None
        Units of `X`. None: g, a.u. for PPG, mV for an ECG. Acceleration is converted to g; the other two are
        standardised, so that their unit does not matter.

    Attributes
    ----------
    contract_ : Contract
        Channels, samples, rate and units of ``fit``.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    Examples
    --------
    >>> from wearembed import HandmadeFeatures
    >>> from wearembed.datasets import make_motion
    >>> X = make_motion(n_participants=2, n_windows=5, random_state=0).data
    >>> features = HandmadeFeatures(sfreq=100, units="g").fit(X)
    >>> features.transform(X).shape
    (10, 79)
    >>> features.get_feature_names_out()[:4].tolist()
    ['x mean', 'y mean', 'z mean', 'magnitude mean']
    """

    _shortest = 2

    def __init__(self, sensor="accel", *, sfreq=None, units=None):
        self.sensor = sensor
        self.sfreq = sfreq
        self.units = units

    @property
    def _sfreq(self):
        return SENSORS[self.sensor][0] if self.sfreq is None else self.sfreq

    @property
    def _units(self):
        return SENSORS[self.sensor][1] if self.units is None else self.units

    @property
    def _standardized(self):
        return self.sensor in ("ppg", "ecg")

    def _measured(self, X, contract):
        return SENSORS[self.sensor][3](X, contract.sfreq)

    def _check_parameters(self):
        name = type(self).__name__
        if self.sensor not in SENSORS:
            raise ValueError(f"sensor of {name} is one of {', '.join(SENSORS)}; got {self.sensor!r}.")
        super()._check_parameters()
        moves = SENSORS[self.sensor][1] == "g"
        if moves != is_acceleration(self._units):
            wanted = "one of g, m/s^2, mg" if moves else "not one of acceleration"
            raise ValueError(f"units of {name} of sensor={self.sensor!r} is {wanted}; got {self._units!r}.")
        if not self._sfreq > SENSORS[self.sensor][2]:
            raise ValueError(
                f"{name} of sensor={self.sensor!r} looks for beats, which needs more than {SENSORS[self.sensor][2]} "
                f"samples a second; got sfreq={self._sfreq:g}."
            )


class RawWindows(WindowTransformer):
    """Windows as they are: fewer samples a channel, one channel after the other.

    Parameters
    ----------
    n_times : int, default=64
        Samples a channel that are left, evenly spaced and low-passed first (our default: 25 Hz of RelCon's 2.56 s).
        Shorter windows stay as they are.
    sfreq : float, default=100.0
        Rate of `X` in hertz. After ``fit`` other rates are converted to that of ``fit``.
    units : str, default="g"
        Units of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.
    standardize : bool, default=False
        Take mean and deviation of each channel of each window away first.

    Attributes
    ----------
    contract_ : Contract
        Channels, samples, rate and units of ``fit``.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    Examples
    --------
    >>> from wearembed import RawWindows
    >>> from wearembed.datasets import make_motion
    >>> X = make_motion(n_participants=2, n_windows=5, random_state=0).data
    >>> RawWindows(n_times=32).fit_transform(X).shape
    (10, 96)
    """

    def __init__(self, n_times=64, *, sfreq=100.0, units="g", standardize=False):
        self.n_times = n_times
        self.sfreq = sfreq
        self.units = units
        self.standardize = standardize

    def _features(self, X, contract):
        if contract.n_times > self.n_times:
            X = signals.sample_at(X, self._positions(contract), band=self.n_times / contract.n_times)
        return X.reshape(len(X), -1)

    def _names(self):
        times = self._positions(self.contract_) / self.contract_.sfreq
        return [f"{name} at {time:.4g} s" for name in axis_names(self.contract_.n_channels) for time in times]

    def _positions(self, contract):
        """Where among the samples those are that are left: in the middle of equal parts."""
        n_times = min(self.n_times, contract.n_times)
        return (np.arange(n_times) + 0.5) * (contract.n_times / n_times) - 0.5

    def _check_parameters(self):
        super()._check_parameters()
        self._check_number("n_times", Integral, 0)


class Spectra(WindowTransformer):
    """Logarithm of power by band, all bands as wide; what is left of a window without its phases.

    Parameters
    ----------
    n_bands : int, default=32
        For each channel.
    highest : float, default=20.0
        Upper edge of the last band in hertz; the first begins at 0, though the mean of a window is no part of it (our
        default: people move below it). A band above half of `sfreq`, or too narrow for the window to tell, is empty.
    sfreq : float, default=100.0
        Rate of `X` in hertz. After ``fit`` other rates are converted to that of ``fit``.
    units : str, default="g"
        Units of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.
    standardize : bool, default=False
        Take mean and deviation of each channel of each window away first.

    Attributes
    ----------
    contract_ : Contract
        Channels, samples, rate and units of ``fit``.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    Examples
    --------
    >>> from wearembed import Spectra
    >>> from wearembed.datasets import make_motion
    >>> X = make_motion(n_participants=2, n_windows=5, random_state=0).data
    >>> spectra = Spectra(n_bands=10).fit(X)
    >>> spectra.transform(X).shape, spectra.get_feature_names_out()[0]
    ((10, 30), 'x 0-2 Hz')
    """

    def __init__(self, n_bands=32, *, highest=20.0, sfreq=100.0, units="g", standardize=False):
        self.n_bands = n_bands
        self.highest = highest
        self.sfreq = sfreq
        self.units = units
        self.standardize = standardize

    def _measured(self, X, contract):
        edges = np.linspace(0, self.highest, self.n_bands + 1)
        f, power = powers(X.astype(np.float64), contract.sfreq)
        return bands(axis_names(X.shape[1]), f, power, edges, NOTHING)

    def _check_parameters(self):
        super()._check_parameters()
        self._check_number("n_bands", Integral, 0)
        self._check_number("highest", Real, 0)
