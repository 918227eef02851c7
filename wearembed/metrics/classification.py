"""A classifier where alarms are few."""

import numpy as np
from sklearn.metrics import roc_auc_score


def partial_auc(y_true, y_score, max_fpr=0.1):
    """The mean sensitivity of a score while it raises few false alarms.

    The area under the ROC curve from no false positives up to `max_fpr`, divided by `max_fpr`. It is 1 at best and
    ``max_fpr / 2`` by chance; with ``max_fpr=1`` it is the usual area.

    Parameters
    ----------
    y_true : array of shape (n,)
        Two classes; the one that sorts last is the positive one.
    y_score : array of shape (n,)
        Higher for the positive class.
    max_fpr : float, default=0.1
        Above 0, at most 1.

    Returns
    -------
    float
        From 0 to 1.

    Notes
    -----
    Paper: up to 10 % false positives. Our default: this scale, on which the number is a sensitivity. The other scale
    in use puts chance at 0.5 (McClish): ``sklearn.metrics.roc_auc_score(y_true, y_score, max_fpr=max_fpr)``, from which
    this one is computed.

    References
    ----------
    McClish. Analyzing a portion of the ROC curve. Medical Decision Making 9, 1989.

    Examples
    --------
    >>> round(partial_auc([0, 0, 1, 1], [0.1, 0.3, 0.2, 0.9]), 6)  # one of two found before the first false alarm
    0.5
    """
    y_true = np.asarray(y_true)
    classes = np.unique(y_true)
    if len(classes) != 2:
        raise ValueError(
            f"Expected labels of two classes, got {len(classes)}: {classes[:5].tolist()}. "
            f"Score one class against the rest, on samples that hold both."
        )
    standardized = roc_auc_score(y_true == classes[1], y_score, max_fpr=max_fpr)
    return float(max_fpr / 2 + (standardized - 0.5) * (2 - max_fpr))
