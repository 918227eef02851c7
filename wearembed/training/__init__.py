"""Anchors and their mates, the skorch learner, and training that can be killed and taken up again."""

from ..distributed import is_first_process as is_first_process
from .anchors import SAMPLERS as SAMPLERS
from .anchors import Anchors as Anchors
from .devices import PRECISIONS as PRECISIONS
from .devices import autocast as autocast
from .devices import find_device as find_device
from .devices import is_half as is_half
from .devices import seeded as seeded
from .learner import Learner as Learner
from .resume import run_seed as run_seed
from .run import Recipe as Recipe
from .run import train as train
