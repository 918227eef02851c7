"""Pictures of evaluations, as Display objects in scikit-learn's style; they ask for the extra ``plots``."""

from .comparison import ComparisonDisplay
from .drawing import COLOURS
from .embedding import EmbeddingDisplay
from .few_labels import LabelEfficiencyDisplay
from .retrieval import RetrievalDisplay

__all__ = ["COLOURS", "LabelEfficiencyDisplay", "RetrievalDisplay", "EmbeddingDisplay", "ComparisonDisplay"]
