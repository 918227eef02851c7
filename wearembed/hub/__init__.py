"""Checkpoints: ``config.json``, ``model.safetensors``, ``reference.safetensors``, ``README.md``; here or on the hub."""

from .files import read_official as read_official
from .files import sha256 as sha256
from .files import shortened as shortened
from .folder import Checkpoint as Checkpoint
from .folder import contents as contents
from .folder import read_config as read_config
from .folder import save as save
from .lineage import inherited as inherited
from .lineage import is_lineage as is_lineage
from .lineage import lineage as lineage
from .lineage import published as published
from .source import BUNDLED as BUNDLED
from .source import bundled as bundled
from .source import folder_of as folder_of
from .source import known as known
from .source import load as load
from .storage import pack as pack
from .storage import unpack as unpack
from .upload import Upload as Upload
