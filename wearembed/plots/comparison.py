"""Encoders beside one another."""

import numpy as np

from .drawing import COLOURS, GREY, WORDS, pyplot, whiskers


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
            _, ax = pyplot().subplots(1, len(self.scores), sharey=True, figsize=size, layout="constrained")
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
        best = best_of(rows[rows["kind"] == "baseline"])
        if best is not None:
            ax.axvline(best, color=GREY, linestyle=":", linewidth=1.2, zorder=0)
        for kind, look in LOOKS.items():
            some = rows[rows["kind"] == kind]
            height = [names.index(name) for name in some["encoder"]]
            style = look | {"linestyle": "none", "capsize": 3} | kwargs
            ax.errorbar(some["pooled"], height, xerr=whiskers(some, "pooled"), **style)
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


def best_of(rows):
    if not len(rows):
        return None
    return rows["pooled"].max() if rows["better"].iloc[0] == "higher" else rows["pooled"].min()
