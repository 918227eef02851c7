"""Stores through an encoder, part by part: on the processes of a machine or on a cluster, resumed where it stopped."""

from .cohort import embed_store, read_embeddings
from .manifest import unfinished_parts
from .parts import Part, embed_part

__all__ = ["Part", "embed_part", "embed_store", "read_embeddings", "unfinished_parts"]
