"""What wearables recorded, read from files, cut into windows, and embedded as it is."""

from .encoder import RecordingEncoder
from .reading import read_recording
from .recording import Recording
from .stored import cut_into
from .stream import StreamEmbedder
from .windows import cut

__all__ = ["Recording", "RecordingEncoder", "StreamEmbedder", "cut", "cut_into", "read_recording"]
