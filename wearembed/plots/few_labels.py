"""How well few labels do."""

from collections.abc import Mapping

from ..evaluation import label_efficiency
from .drawing import WORDS, add_legend, line_style, on_axes, whiskers


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
            if not len(rows_of(table, score, by)):
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
        self.ax_, self.figure_ = on_axes(ax)
        self.lines_ = []
        for n, (name, table) in enumerate(self.tables.items()):
            rows = rows_of(table, self.score, self.by).sort_values("size")
            shift = 1.03 ** (n - (len(self.tables) - 1) / 2)  # intervals beside each other, not on top
            style = line_style(n) | {"capsize": 3, "label": name} | kwargs
            line = self.ax_.errorbar(rows["size"] * shift, rows["mean"], yerr=whiskers(rows, "mean"), **style)
            self.lines_.append(line)
        self._label()
        return self

    def _label(self):
        sizes = sorted({size for t in self.tables.values() for size in rows_of(t, self.score, self.by)["size"]})
        share = self.by == "windows"
        self.ax_.set_xscale("log")
        self.ax_.set_xticks(sizes, [f"{100 * size:g} %" if share else f"{size:g}" for size in sizes])
        self.ax_.minorticks_off()
        self.ax_.set_xlabel("labelled windows of the training participants" if share else "labelled participants")
        self.ax_.set_ylabel(WORDS.get(self.score, self.score))
        self.ax_.grid(axis="y", alpha=0.3)
        if any(self.tables):
            add_legend(self.ax_)


def rows_of(table, score, by):
    return table[(table["score"] == score) & (table["by"] == by)]
