"""Windows on disk, indexed by participant and read when they are wanted."""

from .lazy import LazyWindows
from .store import WindowStore
from .zarr import ZarrWindows

__all__ = ["LazyWindows", "WindowStore", "ZarrWindows"]
