"""What an evaluation gives back."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores on participants who were not trained on.

    Parameters
    ----------
    summary : DataFrame
        One row a score: ``mean`` and ``sd`` over the folds, ``pooled`` of all tested windows together, and ``low`` and
        ``high``, the interval of ``pooled`` over participants (`bootstrap_participants`).
    scores : DataFrame
        One row a fold: windows and participants on either side, what was chosen within, seconds of training, scores.
    predictions : DataFrame
        One row a tested window: ``window``, its row in `X`; ``participant``, ``fold``, ``y_true``, ``y_pred``, and for
        a classification ``p_<class>``.
    task : str
        ``"classification"`` or ``"regression"``.
    seconds_per_window : float
        Of the encoder's ``transform`` (of ``predict``, where an estimator was fine-tuned), in this process.
    n_parameters, n_bytes : int or None
        Of the encoder's ``net_``; None where it has none.
    """

    summary: pd.DataFrame
    scores: pd.DataFrame
    predictions: pd.DataFrame
    task: str
    seconds_per_window: float
    n_parameters: int | None = None
    n_bytes: int | None = None

    def __repr__(self) -> str:
        people = self.predictions["participant"].nunique()
        head = f"{len(self.predictions)} windows of {people} participants tested in {len(self.scores)} folds"
        return f"{head}\n{self.summary.round(3).to_string()}"
