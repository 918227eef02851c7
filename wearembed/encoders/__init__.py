"""Encoders: scikit-learn's face of nets and objectives."""

from .base import Encoder
from .pretrained import from_pretrained
from .relcon import RelConDistance, RelConEncoder

__all__ = ["Encoder", "RelConDistance", "RelConEncoder", "from_pretrained"]
