"""What the pictures share: colours, words, legends and axes."""

import numpy as np

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


def whiskers(rows, middle):
    """How far the ends of intervals are; an end on the wrong side of a value has no length."""
    return np.maximum([rows[middle] - rows["low"], rows["high"] - rows[middle]], 0)


def line_style(n):
    return {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)], "linewidth": 1.5}


def add_legend(ax, **kwargs):
    """Beside the axes, never on the data."""
    return ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, **kwargs)


def on_axes(ax):
    """The axes and their figure, made where there are none."""
    if ax is None:
        _, ax = pyplot().subplots(figsize=(7.2, 4.5), layout="constrained")
    return ax, ax.figure


def pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Pictures are drawn by matplotlib, which is not installed. Add it by: pip install "wearembed[plots]"'
        ) from error
    return plt
