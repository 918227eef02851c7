"""What wearables recorded, read from files and cut into windows."""

from .reading import read_recording
from .recording import Recording
from .windows import cut

__all__ = ["Recording", "cut", "read_recording"]
