"""A network of one hidden layer that stops when held-out participants gain no more."""

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if

from ..metrics.checks import generator


def fit_network(Z, y, inner, score, task, sizes, random_state):
    """The network trained on all windows for the best number of epochs, and that number.

    `inner` is a fold of the windows at hand, or none; `score` a callable (estimator, Z, y), the higher the better;
    `sizes` are units, the most epochs, and epochs to wait.
    """
    hidden, max_epochs, patience = sizes
    best_epoch = patience
    for train, held_out in inner:
        best_epoch, best = 1, -np.inf
        trial = Network(Z[train], y[train], task, hidden, random_state)
        for epoch in range(1, max_epochs + 1):
            trial.train_an_epoch()
            reached = score(trial, Z[held_out], y[held_out])
            if reached > best:
                best_epoch, best = epoch, reached
            elif epoch >= best_epoch + patience:
                break
    network = Network(Z, y, task, hidden, random_state)
    for _ in range(best_epoch):
        network.train_an_epoch()
    return network, {"epochs": best_epoch}


FEWEST = 2000  # windows that an epoch draws at least: a handful would be one or two steps


class Network:
    """scikit-learn's, between scalers, trained an epoch at a time."""

    def __init__(self, Z, y, task, hidden, random_state):
        self.rng = generator(random_state)
        self.scale = StandardScaler().fit(Z)
        self.Z, self.y = self.scale.transform(Z), y
        kind = MLPClassifier if task == "classification" else MLPRegressor
        self.net = kind(hidden_layer_sizes=(hidden,), random_state=int(self.rng.integers(2**31 - 1)))
        self.centre, self.spread, self.chance = 0.0, 1.0, None
        if task == "classification":
            self.classes_, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
            self.chance = 1 / counts[codes] / len(counts)  # of each window, so that classes come alike
        else:
            self.centre, self.spread = y.mean(), y.std() or 1.0
            self.y = (y - self.centre) / self.spread

    def train_an_epoch(self):
        n_windows = len(self.y)
        rows = self.rng.choice(n_windows, max(n_windows, FEWEST), p=self.chance)
        told = {} if self.chance is None else {"classes": self.classes_}
        self.net.partial_fit(self.Z[rows], self.y[rows], **told)

    def predict(self, Z):
        said = self.net.predict(self.scale.transform(Z))
        return said if self.chance is not None else said * self.spread + self.centre

    @available_if(lambda self: self.chance is not None)
    def predict_proba(self, Z):
        return self.net.predict_proba(self.scale.transform(Z))
