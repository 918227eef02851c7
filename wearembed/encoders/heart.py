"""What the encoders of Apple's two heart papers share: sensors, sizes, standardised windows."""

from numbers import Integral
from typing import Literal

from torch import nn

from ..augment import Augment, ahms_changes
from ..nets import EfficientNet1d, PatchTransformer
from .base import Encoder
from .contract import is_acceleration

SIZES = {  # width, layers and units of feed-forward (our default: the paper's ladder is not known)
    "L": (256, 8, 1024),
    "M": (256, 4, 1024),
    "S": (192, 4, 768),
    "XS": (128, 6, 512),
}
TIME_WARPS = ("apple", "fixed", "none")


class HeartEncoder(Encoder):
    """An encoder of standardised windows of one sensor, whose net is named by its `size`."""

    _sensor: Literal["ppg", "ecg", "accel"]
    _standardized = True
    _architecture: tuple[str, ...] = ("size",)
    size: str | tuple

    def _make_net(self, n_channels):
        return sized(self.size, n_channels, 6 if self._sensor == "ecg" else 7)

    def _augment(self, n_channels: int, time_warp: Literal["apple", "fixed", "none"]) -> Augment:
        return Augment(ahms_changes(self._sensor, n_channels, time_warp))

    def _check_parameters(self):
        super()._check_parameters()
        if not self._moves and is_acceleration(self.units):
            raise ValueError(
                f"units of {type(self).__name__} is not one of acceleration; got {self.units!r}. An accelerometer is "
                f"for AccelContrastiveEncoder, AccelMaskedEncoder or DistilledAccelEncoder."
            )
        check_size(type(self).__name__, self.size)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        return tags


def sized(size: str | tuple, n_channels: int, expansion: int = 7, dim: int | None = None) -> nn.Module:
    """The net that a `size` names, see `check_size`."""
    if size == "efficientnet":
        return EfficientNet1d(n_channels, expansion, dim=dim)
    numbers = SIZES[size] if isinstance(size, str) else tuple(size)
    if len(numbers) == 2:
        return EfficientNet1d(n_channels, numbers[1], numbers[0], dim=dim)
    return PatchTransformer(n_channels, *numbers, dim=dim)


def is_transformer(size: str | tuple) -> bool:
    return size in SIZES if isinstance(size, str) else len(size) == 3


def check_size(name: str, size):
    """An error unless `size` is a name, (width, expansion) or (width, layers, hidden)."""
    if isinstance(size, str) and size in (*SIZES, "efficientnet"):
        return
    listed = isinstance(size, (tuple, list)) and len(size) in (2, 3)
    if listed and all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0 for n in size):
        return
    raise ValueError(
        f"size of {name} is one of {', '.join(SIZES)}, efficientnet, or numbers: (width, layers, hidden) of a "
        f"transformer, (width, expansion) of an EfficientNet; got {size!r}."
    )


def given(names: dict) -> dict:
    """The arguments among the local names of an ``__init__`` that repeats another's parameters with other defaults."""
    return {name: value for name, value in names.items() if name not in ("self", "__class__")}
