"""How good embeddings are, with participants apart: probes, few labels, tables of encoders, a report."""

from ..metrics import (
    dispersion_ratio,
    effective_rank,
    partial_auc,
    procrustes_align,
    retrieval,
    retrieval_within,
)
from .comparison import compare, comparison_table, to_markdown
from .few_labels import label_efficiency
from .probes import fine_tune, linear_probe, mlp_probe
from .protocols import ChannelScaler, haresamudram_folds, haresamudram_windows, yuan_folds, yuan_windows
from .report import embedding_report
from .result import Evaluation
from .scores import bootstrap_participants

__all__ = [
    "linear_probe",
    "mlp_probe",
    "fine_tune",
    "label_efficiency",
    "compare",
    "comparison_table",
    "to_markdown",
    "embedding_report",
    "bootstrap_participants",
    "yuan_folds",
    "yuan_windows",
    "haresamudram_folds",
    "haresamudram_windows",
    "ChannelScaler",
    "Evaluation",
    "dispersion_ratio",
    "effective_rank",
    "partial_auc",
    "procrustes_align",
    "retrieval",
    "retrieval_within",
]
