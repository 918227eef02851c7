"""Metrics: arrays in, floats out."""

from .classification import partial_auc
from .embeddings import dispersion_ratio, effective_rank, procrustes_align
from .matches import retrieval, retrieval_within

__all__ = [
    "dispersion_ratio",
    "effective_rank",
    "partial_auc",
    "procrustes_align",
    "retrieval",
    "retrieval_within",
]
