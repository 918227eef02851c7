"""Embeddings as a map."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from .drawing import COLOURS, DISTINCT, MARKERS, add_legend, on_axes


class EmbeddingDisplay:
    """A map of embeddings in two dimensions, coloured by what is known of the windows.

    Parameters
    ----------
    points : array of shape (n_windows, 2)
    labels : array of shape (n_windows,) or None
    axes : pair of str
        What the two dimensions are.
    name : str
        Of the labels, for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : list of PathCollection
        One a label, or a single one of numbers.

    Examples
    --------
    >>> from wearembed.plots import EmbeddingDisplay
    >>> Z = np.random.default_rng(0).normal(size=(40, 5))
    >>> display = EmbeddingDisplay.from_embeddings(Z, np.repeat(["rest", "walking"], 20), name="activity")
    >>> display.ax_.get_xlabel()
    'first component, 27 % of the variance'
    """

    def __init__(self, points, labels, axes, name=""):
        self.points, self.labels, self.axes, self.name = points, labels, axes, name

    @classmethod
    def from_embeddings(
        cls, Z, labels=None, *, method="pca", name="", max_windows=5000, random_state=0, ax=None, **kwargs
    ):
        """Flatten embeddings, each dimension standardised, and draw them.

        Parameters
        ----------
        Z : array of shape (n_windows, dim)
        labels : array of shape (n_windows,), default=None
            Names, such as activities or participants; or numbers, such as heart rates.
        method : {"pca", "tsne"}, default="pca"
            t-SNE shows who is near whom; its distances, areas and gaps mean nothing.
        name : str, default=""
            What the labels are.
        max_windows : int, default=5000
            Of more, so many are drawn.
        random_state : int or None, default=0
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.scatter``.

        Returns
        -------
        EmbeddingDisplay
        """
        Z = np.asarray(Z, dtype=np.float64)
        if Z.ndim != 2 or len(Z) < 3 or Z.shape[1] < 2:
            raise ValueError(f"Expected embeddings of shape (n_windows, dim), 3 windows or more, got {Z.shape}.")
        if labels is not None and len(labels) != len(Z):
            raise ValueError(f"Expected a label for each of {len(Z)} windows, got {len(labels)}.")
        if len(Z) > max_windows:
            some = np.random.default_rng(random_state).choice(len(Z), max_windows, replace=False)
            Z, labels = Z[some], None if labels is None else np.asarray(labels)[some]
        points, axes = flattened(StandardScaler().fit_transform(Z), method, random_state)
        return cls(points, labels, axes, name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, encoder, X, labels=None, **kwargs):
        """Embed windows, flatten and draw them.

        Parameters
        ----------
        encoder : fitted transformer
        X : array of shape (n_windows, ...)
        labels : array of shape (n_windows,), default=None
        **kwargs
            Of `from_embeddings`.

        Returns
        -------
        EmbeddingDisplay
        """
        return cls.from_embeddings(encoder.transform(X), labels, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw a point a window.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.scatter``.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = on_axes(ax)
        style = {"s": 14, "alpha": 0.7, "linewidths": 0} | kwargs
        labels = None if self.labels is None else np.asarray(self.labels)
        self.points_ = []
        if labels is None:
            self.points_.append(self.ax_.scatter(*self.points.T, **{"color": COLOURS[0]} | style))
        elif labels.dtype.kind == "f" or (labels.dtype.kind in "iu" and len(np.unique(labels)) > len(COLOURS)):
            self.points_.append(self.ax_.scatter(*self.points.T, c=labels, cmap="cividis", **style))
            self.figure_.colorbar(self.points_[0], ax=self.ax_, label=self.name)
        else:
            self._plot_names(labels.astype(str), style)
        self.ax_.set_xlabel(self.axes[0])
        self.ax_.set_ylabel(self.axes[1])
        self.ax_.set_xticks([])
        self.ax_.set_yticks([])
        return self

    def _plot_names(self, labels, style):
        names = sorted(set(labels))
        if len(names) > DISTINCT:
            raise ValueError(
                f"Expected at most {DISTINCT} names, got {len(names)}, which no eye tells apart. Draw fewer."
            )
        for n, one in enumerate(names):
            look = {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n // len(COLOURS) if len(names) > 7 else n]}
            own = labels == one
            look["zorder"] = 3 - own.mean()  # the rare on top of the common
            self.points_.append(self.ax_.scatter(*self.points[own].T, label=one, **look | style))
        legend = add_legend(self.ax_, title=self.name or None, ncols=1 + (len(names) - 1) // 18)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
            handle.set_sizes([30])


def flattened(Z, method, random_state):
    if method == "pca":
        model = PCA(2, random_state=random_state)
        points = model.fit_transform(Z)
        share = [f"{100 * part:.0f} % of the variance" for part in model.explained_variance_ratio_]
        return points, (f"first component, {share[0]}", f"second component, {share[1]}")
    if method == "tsne":
        near = min(30.0, (len(Z) - 1) / 3)
        return TSNE(2, perplexity=near, init="pca", random_state=random_state).fit_transform(Z), ("t-SNE 1", "t-SNE 2")
    raise ValueError(f"Expected method to be pca or tsne, got {method!r}.")
