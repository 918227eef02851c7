"""Random convolution kernels by sktime, with the encoders' interface."""

import copy
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .baselines import WindowTransformer

SHORTEST = 9  # samples of a kernel of MiniRocket


class MiniRocketFeatures(WindowTransformer):
    """MiniRocket: how often a window resembles each of thousands of convolution kernels; needs the extra ``baselines``.

    Kernels are given; thresholds are quantiles of what they make of the windows of ``fit``, labels unseen. All channels
    go in, in random groups. The work is sktime's, which compiles itself on the first call: that takes half a minute,
    once a machine.

    Parameters
    ----------
    n_kernels : int, default=10000
        Features, rounded down to a multiple of 84, 84 at least (paper).
    sfreq : float, default=100.0
        Rate of `X` in hertz. After ``fit`` other rates are converted to that of ``fit``.
    units : str, default="g"
        Units of `X`; ``"m/s^2"`` and ``"mg"`` are converted to g.
    standardize : bool, default=False
        Take mean and deviation of each channel of each window away first.
    random_state : int, RandomState or None, default=None
        Of groups of channels and of the windows that thresholds come from.

    Attributes
    ----------
    rocket_ : MiniRocketMultivariate
        Of sktime.
    contract_ : Contract
        Channels, samples, rate and units of ``fit``.
    n_features_in_ : int
        Channels for three dimensions, samples for two.

    References
    ----------
    Dempster, Schmidt, Webb. MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series Classification.
    KDD 2021. arXiv:2012.08791
    """

    def __init__(self, n_kernels=10_000, *, sfreq=100.0, units="g", standardize=False, random_state=None):
        self.n_kernels = n_kernels
        self.sfreq = sfreq
        self.units = units
        self.standardize = standardize
        self.random_state = random_state

    _learns = True

    def _known_contract(self):
        check_is_fitted(self, "rocket_")
        return self.contract_

    def _learn(self, X):
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        unfitted = rocket()(num_kernels=int(self.n_kernels), n_jobs=1, random_state=seed)
        with nothing_else_changed():
            self.rocket_ = unfitted.fit(long_enough(X))

    def _features(self, X, contract):
        own = copy.copy(self.rocket_)
        own.parameters = tuple(np.array(part) for part in own.parameters)  # those of a memory map are refused
        with nothing_else_changed():
            return np.asarray(own.transform(long_enough(X)), np.float32)

    def _names(self):
        check_is_fitted(self, "rocket_")
        return [f"{type(self).__name__.lower()}{n}" for n in range(max(84, self.n_kernels // 84 * 84))]

    def _check_parameters(self):
        super()._check_parameters()
        self._check_number("n_kernels", Integral, 0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


def rocket():
    """The class that does the work."""
    try:
        import numba  # noqa: F401
        from sktime.transformations.rocket import MiniRocketMultivariate
    except ImportError as error:
        raise ImportError('MiniRocketFeatures needs sktime and numba. pip install "wearembed[baselines]".') from error
    return MiniRocketMultivariate


@contextmanager
def nothing_else_changed():
    """What sktime changes of the process stays as it was: numpy's global generator, and how many threads torch has."""
    generator, n_threads = np.random.get_state(), torch.get_num_threads()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(generator)  # noqa: NPY002
        torch.set_num_threads(n_threads)


def long_enough(X):
    """Windows of as many samples as a kernel spans; shorter ones end in zeros."""
    missing = max(0, SHORTEST - X.shape[-1])
    return np.pad(X, ((0, 0), (0, 0), (0, missing)))
