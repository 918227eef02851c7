"""Pictures of evaluations, as Display objects in scikit-learn's style; they ask for the extra ``plots``."""

from collections.abc import Mapping

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from .evaluation import label_efficiency, retrieval

__all__ = ["LabelEfficiencyDisplay", "RetrievalDisplay", "EmbeddingDisplay", "ComparisonDisplay"]

# Okabe and Ito: told apart by all kinds of eyes; a marker of its own goes with each, for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6b6b6b"
WORDS = {
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "Cohen's kappa",
    "auc": "area under the ROC curve",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "pearson": "Pearson correlation",
    "r2": "R²",
}
DISTINCT = len(COLOURS) * len(MARKERS)


class LabelEfficiencyDisplay:
    """What few labels are enough for, with intervals over participants.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Of `evaluation.label_efficiency`, by the name of the encoder.
    score : str
        Among those of the tables.
    by : {"participants", "windows"}

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of ErrorbarContainer
        One an encoder.

    Examples
    --------
    >>> import pandas as pd
    >>> from wearembed.plots import LabelEfficiencyDisplay
    >>> row = {"by": "participants", "score": "macro_f1", "sd": 0.02}
    >>> few = [row | {"size": n, "mean": m, "low": m - 0.1, "high": m + 0.1} for n, m in [(1, 0.5), (5, 0.7)]]
    >>> display = LabelEfficiencyDisplay.from_result(pd.DataFrame(few))
    >>> display.ax_.get_ylabel()
    'macro F1'
    """

    def __init__(self, tables, score, by):
        self.tables, self.score, self.by = tables, score, by

    @classmethod
    def from_result(cls, tables, *, score=None, by="participants", ax=None, **kwargs):
        """Draw what `label_efficiency` gave.

        Parameters
        ----------
        tables : DataFrame or dict of str to DataFrame
            Several encoders by name.
        score : str, default=None
            None: the first one.
        by : {"participants", "windows"}, default="participants"
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        LabelEfficiencyDisplay
        """
        tables = dict(tables) if isinstance(tables, Mapping) else {"": tables}
        score = next(iter(tables.values()))["score"].iloc[0] if score is None else score
        for name, table in tables.items():
            if not len(_rows(table, score, by)):
                raise ValueError(f"Expected rows of {score} by {by}{f' of {name}' if name else ''}, got none.")
        return cls(tables, score, by).plot(ax, **kwargs)

    @classmethod
    def from_estimator(cls, encoder, X, y, groups, *, by="participants", ax=None, **asked):
        """Evaluate an encoder, then draw.

        Parameters
        ----------
        encoder, X, y, groups
            As in `evaluation.label_efficiency`.
        by : {"participants", "windows"}, default="participants"
        ax : matplotlib Axes, default=None
        **asked
            Of `evaluation.label_efficiency`.

        Returns
        -------
        LabelEfficiencyDisplay
        """
        return cls.from_result(label_efficiency(encoder, X, y, groups, **asked), by=by, ax=ax)

    def plot(self, ax=None, **kwargs):
        """Draw a line an encoder.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = _axes(ax)
        self.lines_ = []
        for n, (name, table) in enumerate(self.tables.items()):
            rows = _rows(table, self.score, self.by).sort_values("size")
            shift = 1.03 ** (n - (len(self.tables) - 1) / 2)  # intervals beside each other, not on top
            style = _style(n) | {"capsize": 3, "label": name} | kwargs
            line = self.ax_.errorbar(rows["size"] * shift, rows["mean"], yerr=_whiskers(rows, "mean"), **style)
            self.lines_.append(line)
        self._label()
        return self

    def _label(self):
        sizes = sorted({size for t in self.tables.values() for size in _rows(t, self.score, self.by)["size"]})
        share = self.by == "windows"
        self.ax_.set_xscale("log")
        self.ax_.set_xticks(sizes, [f"{100 * size:g} %" if share else f"{size:g}" for size in sizes])
        self.ax_.minorticks_off()
        self.ax_.set_xlabel("labelled windows of the training participants" if share else "labelled participants")
        self.ax_.set_ylabel(WORDS.get(self.score, self.score))
        self.ax_.grid(axis="y", alpha=0.3)
        if any(self.tables):
            _legend(self.ax_)


class RetrievalDisplay:
    """How often a window's other half is among the k most similar, beside blind guessing.

    Parameters
    ----------
    results : dict of str to dict
        Of `metrics.retrieval` or `metrics.retrieval_within`, by name.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of ErrorbarContainer
        One a result.
    chance_ : Line2D

    Examples
    --------
    >>> from wearembed.plots import RetrievalDisplay
    >>> rng = np.random.default_rng(0)
    >>> ppg = rng.normal(size=(60, 8))
    >>> display = RetrievalDisplay.from_embeddings(ppg + rng.normal(size=(60, 8)), ppg, random_state=0)
    >>> display.ax_.get_xlabel()
    'k of a gallery of 60 windows'
    """

    def __init__(self, results):
        self.results = results

    @classmethod
    def from_result(cls, results, *, ax=None, **kwargs):
        """Draw what `retrieval` gave.

        Parameters
        ----------
        results : dict
            Of one call, or several of them by name, which have to be of galleries of one size.
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        RetrievalDisplay
        """
        results = {"": results} if "mean_rank" in results else dict(results)
        sizes = {result["gallery_size"] for result in results.values()}
        if len(sizes) != 1 or len({tuple(_ks(result)) for result in results.values()}) != 1:
            raise ValueError(
                f"Expected results of the same k and of galleries of one size, got galleries of "
                f"{', '.join(f'{size:g}' for size in sorted(sizes))}: ranks grow with them. Set gallery_size alike."
            )
        return cls(results).plot(ax, **kwargs)

    @classmethod
    def from_embeddings(cls, queries, gallery, *, groups=None, k=(1, 2, 5, 10, 20, 50), ax=None, **asked):
        """Look windows up, then draw.

        Parameters
        ----------
        queries, gallery : array of shape (n_windows, dim)
        groups : array of shape (n_windows,), default=None
        k : sequence of int, default=(1, 2, 5, 10, 20, 50)
            Those beyond the gallery are left out.
        ax : matplotlib Axes, default=None
        **asked
            Of `metrics.retrieval`.

        Returns
        -------
        RetrievalDisplay
        """
        k = [one for one in k if one <= len(queries)]
        return cls.from_result(retrieval(queries, gallery, groups=groups, k=k, **asked), ax=ax)

    def plot(self, ax=None, **kwargs):
        """Draw a line a result, and chance.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = _axes(ax)
        self.lines_ = []
        for n, (name, result) in enumerate(self.results.items()):
            ks = _ks(result)
            found, spread = ([result[f"top_{k}{end}"] for k in ks] for end in ("", "_sd"))
            rank = f"mean rank {result['mean_rank']:.3g}"
            style = _style(n) | {"capsize": 3, "label": f"{name}, {rank}" if name else rank} | kwargs
            self.lines_.append(self.ax_.errorbar(ks, found, yerr=spread, **style))
        blind = f"chance, mean rank {result['chance_mean_rank']:.3g}"
        chance = [result[f"chance_top_{k}"] for k in ks]
        (self.chance_,) = self.ax_.plot(ks, chance, color=GREY, linestyle="--", label=blind)
        self._label(ks, result["gallery_size"])
        return self

    def _label(self, ks, size):
        self.ax_.set_xscale("log")
        self.ax_.set_xticks(ks, [str(k) for k in ks])
        self.ax_.minorticks_off()
        self.ax_.set_ylim(0, 1.02)
        self.ax_.set_xlabel(f"k of a gallery of {size:,g} windows")
        self.ax_.set_ylabel("share of windows found among the k nearest")
        self.ax_.grid(axis="y", alpha=0.3)
        _legend(self.ax_, handles=[*self.lines_, self.chance_])


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
        points, axes = _flattened(StandardScaler().fit_transform(Z), method, random_state)
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
        self.ax_, self.figure_ = _axes(ax)
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
        legend = _legend(self.ax_, title=self.name or None, ncols=1 + (len(names) - 1) // 18)
        for handle in legend.legend_handles:
            handle.set_alpha(1)
            handle.set_sizes([30])


class ComparisonDisplay:
    """Encoders beside their baselines, with intervals over participants, a panel for each data set.

    Parameters
    ----------
    comparison : DataFrame
        Of `evaluation.compare`.
    scores : dict of str to str
        The score to draw of each data set.

    Attributes
    ----------
    ax_ : matplotlib Axes, or array of them where there are several data sets
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from wearembed.plots import ComparisonDisplay
    >>> row = {"dataset": "walks", "score": "macro_f1", "better": "higher"}
    >>> mine = row | {"encoder": "mine", "kind": "encoder", "pooled": 0.8, "low": 0.7, "high": 0.9}
    >>> blind = row | {"encoder": "majority or mean", "kind": "baseline", "pooled": 0.2, "low": 0.1, "high": 0.3}
    >>> display = ComparisonDisplay.from_result(pd.DataFrame([mine, blind]))
    >>> display.ax_.get_xlabel().splitlines()
    ['macro F1, higher is better', 'dotted: the best baseline']
    """

    def __init__(self, comparison, scores):
        self.comparison, self.scores = comparison, scores

    @classmethod
    def from_result(cls, comparison, *, score=None, ax=None, **kwargs):
        """Draw what `compare` gave.

        Parameters
        ----------
        comparison : DataFrame
        score : str, default=None
            None: the first one of each data set.
        ax : matplotlib Axes, or sequence of as many as data sets, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        ComparisonDisplay
        """
        scores = {}
        for name, part in comparison.groupby("dataset", sort=False):
            scores[name] = part["score"].iloc[0] if score is None else score
            if scores[name] not in set(part["score"]):
                known = ", ".join(part["score"].unique())
                raise ValueError(f"Expected score to be among {known}, which {name} has, got {score!r}.")
        return cls(comparison, scores).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Draw a panel for each data set.

        Parameters
        ----------
        ax : matplotlib Axes, or sequence of as many as data sets, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        self
        """
        names = list(self.comparison["encoder"].unique())
        if ax is None:
            size = (2.2 + 2.8 * len(self.scores), 1.4 + 0.34 * len(names))
            _, ax = _pyplot().subplots(1, len(self.scores), sharey=True, figsize=size, layout="constrained")
        axes = np.atleast_1d(ax)
        if len(axes) != len(self.scores):
            raise ValueError(f"Expected {len(self.scores)} axes, one a data set, got {len(axes)}.")
        for one, (dataset, score) in zip(axes, self.scores.items()):
            self._panel(one, dataset, score, names, kwargs)
        self.figure_, self.ax_ = axes[0].figure, axes if len(axes) > 1 else axes[0]
        return self

    def _panel(self, ax, dataset, score, names, kwargs):
        rows = self.comparison[(self.comparison["dataset"] == dataset) & (self.comparison["score"] == score)]
        rows = rows.dropna(subset="pooled")
        best = _best(rows[rows["kind"] == "baseline"])
        if best is not None:
            ax.axvline(best, color=GREY, linestyle=":", linewidth=1.2, zorder=0)
        for kind, look in LOOKS.items():
            some = rows[rows["kind"] == kind]
            height = [names.index(name) for name in some["encoder"]]
            style = look | {"linestyle": "none", "capsize": 3} | kwargs
            ax.errorbar(some["pooled"], height, xerr=_whiskers(some, "pooled"), **style)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        better = f", {rows['better'].iloc[0]} is better" if len(rows) else ""
        dotted = "" if best is None else "\ndotted: the best baseline"
        ax.set_xlabel(WORDS.get(score, score) + better + dotted)
        ax.set_title(dataset, fontsize="medium")
        ax.grid(axis="x", alpha=0.3)


LOOKS = {
    "encoder": {"color": COLOURS[0], "marker": "o"},
    "baseline": {"color": GREY, "marker": "o", "markerfacecolor": "white"},
}


def _best(rows):
    if not len(rows):
        return None
    return rows["pooled"].max() if rows["better"].iloc[0] == "higher" else rows["pooled"].min()


def _rows(table, score, by):
    return table[(table["score"] == score) & (table["by"] == by)]


def _ks(result):
    return sorted(int(name[4:]) for name in result if name.startswith("top_") and name[4:].isdigit())


def _whiskers(rows, middle):
    """How far the ends of intervals are; an end on the wrong side of a value has no length."""
    return np.maximum([rows[middle] - rows["low"], rows["high"] - rows[middle]], 0)


def _flattened(Z, method, random_state):
    if method == "pca":
        model = PCA(2, random_state=random_state)
        points = model.fit_transform(Z)
        share = [f"{100 * part:.0f} % of the variance" for part in model.explained_variance_ratio_]
        return points, (f"first component, {share[0]}", f"second component, {share[1]}")
    if method == "tsne":
        near = min(30.0, (len(Z) - 1) / 3)
        return TSNE(2, perplexity=near, init="pca", random_state=random_state).fit_transform(Z), ("t-SNE 1", "t-SNE 2")
    raise ValueError(f"Expected method to be pca or tsne, got {method!r}.")


def _style(n):
    return {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)], "linewidth": 1.5}


def _legend(ax, **kwargs):
    """Beside the axes, never on the data."""
    return ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, **kwargs)


def _axes(ax):
    """The axes and their figure, made where there are none."""
    if ax is None:
        _, ax = _pyplot().subplots(figsize=(7.2, 4.5), layout="constrained")
    return ax, ax.figure


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Pictures are drawn by matplotlib, which is not installed. Add it by: pip install "wearembed[plots]"'
        ) from error
    return plt
