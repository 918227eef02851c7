"""What wearables recorded, read from files, cut into windows, and embedded as it is."""

from .encoder import RecordingEncoder
from .reading import read_recording
from .recording import Recording
from .stream import StreamEmbedder
from .windows import cut

__all__ = ["Recording", "RecordingEncoder", "StreamEmbedder", "cut", "read_recording"]
