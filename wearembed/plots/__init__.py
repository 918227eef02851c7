"""Pictures of evaluations, as Display objects in scikit-learn's style; they ask for the extra ``plots``."""

from .comparison import ComparisonDisplay
from .embedding import EmbeddingDisplay
from .few_labels import LabelEfficiencyDisplay
from .retrieval import RetrievalDisplay

__all__ = ["LabelEfficiencyDisplay", "RetrievalDisplay", "EmbeddingDisplay", "ComparisonDisplay"]
