"""Windows as an encoder sees them: once for all folds where it is fitted, else anew in each."""

import copy
import time

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

Size = tuple[int | None, int | None]  # parameters and bytes


class Embedded:
    """Embeddings of `X`, and what they cost."""

    def __init__(self, encoder, X, groups):
        if encoder is not None and not hasattr(encoder, "transform"):
            raise TypeError(
                f"Expected an encoder with transform, or None where X are embeddings, got {encoder!r:.80}. Weights are "
                f"loaded by wearembed.from_pretrained(name)."
            )
        self.encoder, self.X, self.groups = encoder, X, groups
        self.seconds, self.n_windows = 0.0, 0
        self.size: Size = (None, None)
        self.fixed = None
        if encoder is None:
            self.fixed = X
        elif is_fitted(encoder):
            self.fixed = self._transform(encoder, X)

    def of_fold(self, train, test):
        """Embeddings to train on and to test, from an encoder that has not seen the latter."""
        if self.fixed is not None:
            return self.fixed[train], self.fixed[test]
        encoder, X = clone(self.encoder), self.X[train]
        told = {"groups": self.groups[train]} if has_fit_parameter(encoder, "groups") else {}
        encoder.fit(X, **told)
        return self._transform(encoder, X), self._transform(encoder, self.X[test])

    @property
    def seconds_per_window(self) -> float:
        return self.seconds / self.n_windows if self.n_windows else 0.0

    def _transform(self, encoder, X):
        start = time.perf_counter()
        Z = encoder.transform(X)
        self.seconds += time.perf_counter() - start
        self.n_windows += len(X)
        self.size = size_of(encoder)
        return table_of(Z, len(X), f"{type(encoder).__name__}.transform")


class Raw:
    """Windows as they are, for an estimator that takes them so; its time is that of its answers."""

    def __init__(self, X):
        self.X = X
        self.seconds, self.n_windows = 0.0, 0
        self.size: Size = (None, None)

    def of_fold(self, train, test):
        return self.X[train], self.X[test]

    seconds_per_window = Embedded.seconds_per_window


def is_fitted(encoder) -> bool:
    """What scikit-learn says of it."""
    if not hasattr(encoder, "fit"):
        return True
    try:
        check_is_fitted(encoder)
    except NotFittedError:
        return False
    return True


def answers_itself(estimator) -> bool:
    """Whether it is a classifier or a regressor."""
    return hasattr(estimator, "predict") and (is_classifier(estimator) or is_regressor(estimator))


def table_of(Z, n_windows, name) -> np.ndarray:
    """Embeddings as one finite row a window."""
    Z = np.asarray(Z)
    if Z.ndim != 2 or len(Z) != n_windows or Z.dtype.kind not in "biuf":
        raise ValueError(
            f"Expected {name} to give embeddings of shape ({n_windows}, dim), got shape {Z.shape} of {Z.dtype}. "
            f"With encoder=None, X holds embeddings; windows go with an encoder."
        )
    bad = int((~np.isfinite(Z)).any(1).sum())
    if bad:
        raise ValueError(f"Expected finite embeddings, got {bad} of {n_windows} rows of {name} with NaN or infinity.")
    return Z


def size_of(estimator) -> Size:
    """Parameters and bytes of the nets in an estimator, or in the steps of a pipeline."""
    parts = [part for _, part in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    parts = [getattr(part, "estimator", part) for part in parts]  # within a FrozenEstimator
    nets = [part.net_ for part in parts if hasattr(part, "net_")]
    if not nets:
        return None, None
    arrays = [array for net in nets for array in net.parameters()]
    kept = arrays + [array for net in nets for array in net.buffers()]
    return sum(a.numel() for a in arrays), sum(a.numel() * a.element_size() for a in kept)


def adapted(estimator, **about):
    """A copy that is told the rate and units of the windows it will see, where it asks for them."""
    twin = copy.copy(estimator)
    if isinstance(estimator, Pipeline):
        twin.steps = [(name, adapted(step, **about)) for name, step in estimator.steps]
    elif hasattr(estimator, "get_params"):
        known = estimator.get_params(deep=False)
        twin.set_params(**{key: value for key, value in about.items() if key in known and value is not None})
    return twin


def untrained(estimator, random_state, X):
    """The same with random weights and norms that have met `X`, or None where nothing in it has any to be random."""
    if hasattr(estimator, "untrained"):
        return estimator.untrained(random_state=random_state, windows=X)
    if isinstance(estimator, Pipeline):
        steps = [(name, untrained(step, random_state, X) or step) for name, step in estimator.steps]
        if any(new is not old for (_, new), (_, old) in zip(steps, estimator.steps)):
            return Pipeline(steps)
    return None


def data_of(estimator) -> list[str]:
    """Names of the data sets that went into the weights of an estimator, as its card tells them."""
    parts = [part for _, part in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    parts += [part.encoder for part in parts if hasattr(part, "encoder")]
    trained = [getattr(part, "training_", None) or {} for part in parts]
    return [str(name) for told in trained for name in told.get("data", [])]
