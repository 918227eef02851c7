"""`check_encoder` lets a plain transformer of somebody else pass, and finds each law that one breaks."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from wearembed import HandmadeFeatures, Spectra
from wearembed.datasets import make_ecg
from wearembed.testing import check_encoder, parametrize_encoders


class Moments(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Mean and deviation of each channel: a transformer that knows nothing of this package.

    Parameters
    ----------
    scale : float, default=1.0
        Of all features.
    """

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        self.shape_ = self._windows(X).shape[1:]
        self._n_features_out = 2 * self.shape_[0]
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = self._windows(X)
        if X.shape[1:] != self.shape_:
            raise ValueError(f"windows were {self.shape_}, got {X.shape[1:]}")
        return np.concatenate([X.mean(-1), X.std(-1)], axis=1) * np.float32(self.scale)

    def _windows(self, X):
        X = X.detach() if hasattr(X, "detach") else X
        X = check_array(X, dtype=np.float32, order="C", allow_nd=True)
        if X.ndim > 3:
            raise ValueError(f"got {X.ndim} dimensions")
        return X[:, None] if X.ndim == 2 else X


class LooksAtTheBatch(Moments):
    __doc__ = Moments.__doc__

    def transform(self, X):
        Z = super().transform(X)
        return Z - Z.mean(0)


class SetsItsParameters(Moments):
    __doc__ = Moments.__doc__

    def fit(self, X, y=None):
        self.scale = 2.0
        return super().fit(X, y)


class Draws(Moments):
    __doc__ = Moments.__doc__

    def transform(self, X):
        Z = super().transform(X)
        return Z + np.random.normal(size=Z.shape).astype(np.float32)  # noqa: NPY002


class BridgesGaps(Moments):
    __doc__ = Moments.__doc__

    def _windows(self, X):
        X = check_array(X, dtype=None, allow_nd=True, ensure_all_finite=False)
        return super()._windows(np.nan_to_num(X))


class WritesIntoItsInput(Moments):
    __doc__ = Moments.__doc__

    def transform(self, X):
        if isinstance(X, np.ndarray) and X.flags.writeable:
            X *= 1.5
        return super().transform(X)


class LooksAtLabels(Moments):
    __doc__ = Moments.__doc__

    def fit(self, X, y=None):
        self.shift_ = 0 if y is None else len(np.unique(y))
        return super().fit(X, y)

    def transform(self, X):
        return super().transform(X) + np.float32(self.shift_)


class TakesAnyLength(Moments):
    __doc__ = Moments.__doc__

    def transform(self, X):
        X = self._windows(X)
        self.shape_ = X.shape[1:]
        return super().transform(X)


class GivesDoubles(Moments):
    __doc__ = Moments.__doc__

    def transform(self, X):
        return super().transform(X).astype(float)


class Rounds(Moments):
    __doc__ = Moments.__doc__

    def transform(self, X):
        Z = super().transform(X)
        return Z * np.float32(1 + 1e-5 * len(Z))


class SaysNothingOfItself(Moments):
    """Mean and deviation."""


BROKEN = {
    LooksAtTheBatch: ("check_company", "A window's embedding depends on that window only"),
    SetsItsParameters: ("check_parameters_are_left_alone", "What is set in __init__ stays"),
    Draws: ("check_repeats", "Equal data and an equal seed give equal embeddings"),
    BridgesGaps: ("check_bad_windows", "transform of NaN was let through|fit of NaN was let through"),
    WritesIntoItsInput: ("check_input_is_left_alone", "never written to"),
    LooksAtLabels: ("check_labels", "Labels are never looked at"),
    TakesAnyLength: ("check_other_windows", "fewer samples was let through"),
    GivesDoubles: ("check_rows", "rows are float64"),
    SaysNothingOfItself: ("check_documentation", "no section Parameters"),
}


def test_a_plain_transformer_of_somebody_else_passes():
    check_encoder(Moments())
    check_encoder(HandmadeFeatures())


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_each_broken_law_is_found_and_named(kind):
    name, law = BROKEN[kind]
    with pytest.raises(AssertionError, match=f"(?s){law}") as found:
        check_encoder(kind())
    assert f"{kind.__name__} breaks a law" in str(found.value) and name in str(found.value)


def test_all_broken_laws_are_told_at_once():
    with pytest.raises(AssertionError) as found:
        check_encoder(Draws())
    told = str(found.value)
    assert "check_repeats" in told and "check_generators_are_left_alone" in told
    assert "check_documentation" not in told


def test_expected_failures_are_let_through_and_have_to_fail():
    check_encoder(GivesDoubles(), expected_failures={"check_rows": "it always did"})
    with pytest.raises(AssertionError, match="check_rows was expected to fail .it always did., and does not"):
        check_encoder(Moments(), expected_failures={"check_rows": "it always did"})
    with pytest.raises(ValueError, match="there are not: check_everything"):
        check_encoder(Moments(), expected_failures={"check_everything": "why not"})


def test_a_tolerance_lets_small_differences_through_and_no_large_ones():
    with pytest.raises(AssertionError, match="check_company"):
        check_encoder(Rounds())
    check_encoder(Rounds(), tolerance=1e-2)


def test_windows_of_ones_own_are_taken():
    check_encoder(HandmadeFeatures("ecg", sfreq=128), data=heart(), expected_failures=None)


def heart():
    ecg = make_ecg(n_participants=3, n_windows=4, seconds=10, random_state=0)
    ecg["target"] = (ecg.heart_rate > np.median(ecg.heart_rate)).astype(int)
    return ecg


@parametrize_encoders([Moments(), Spectra(n_bands=4)])
def test_as_a_decorator(encoder, check):
    check(encoder)


@parametrize_encoders(
    {"doubles": GivesDoubles()},
    expected_failures=lambda encoder: {"check_rows": "it always did"},
)
def test_as_a_decorator_with_expected_failures(encoder, check):
    check(encoder)
