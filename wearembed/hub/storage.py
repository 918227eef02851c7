"""How weights are stored: as they are, as bfloat16, or as rows of int8 with a scale each."""

import torch
from torch import Tensor

DTYPES = ("float32", "bfloat16", "int8")
SCALE = "scale:"  # before the name of the tensor whose rows it is of


def pack(tensors: dict[str, Tensor], dtype: str = "float32") -> dict[str, Tensor]:
    """Tensors as they are stored; whole numbers stay as they are.

    Parameters
    ----------
    tensors : dict of str to Tensor
    dtype : {"float32", "bfloat16", "int8"}, default="float32"
        ``"int8"``: each row of a matrix or of a convolution's filters is rounded to 255 steps between plus and minus
        its largest entry. What has a single dimension, such as biases and norms, stays in float32.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is one of {', '.join(DTYPES)}; got {dtype!r}.")
    packed = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu()
        if not tensor.is_floating_point():
            packed[name] = tensor
        elif dtype != "int8":
            packed[name] = tensor.to(getattr(torch, dtype))
        elif tensor.ndim > 1:
            packed[name], packed[SCALE + name] = in_steps(tensor.float())
        else:
            packed[name] = tensor.float()
    return packed


def in_steps(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers from -127 to 127, and the scale of each row, ``(n_rows, 1, ...)``."""
    scale = tensor.abs().amax(tuple(range(1, tensor.ndim)), keepdim=True).clamp_min(1e-30) / 127
    return (tensor / scale).round().to(torch.int8), scale


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors in float32, whatever they are stored in."""
    tensors = {}
    for name, tensor in packed.items():
        scale = packed.get(SCALE + name)
        if name.startswith(SCALE):
            if name.removeprefix(SCALE) not in packed:
                raise ValueError(f"the scale {name!r} is of no tensor")
        elif scale is not None:
            tensors[name] = tensor.float() * fitting(scale, tensor, name)
        else:
            tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def fitting(scale: Tensor, tensor: Tensor, name: str) -> Tensor:
    """The scale, if it is one number for each row: any other shape might blow the product up."""
    rows = (*tensor.shape[:1], *(1 for _ in tensor.shape[1:]))
    if tensor.dtype != torch.int8 or scale.dtype != torch.float32 or tuple(scale.shape) != rows:
        raise ValueError(f"{name!r} and its scale do not fit each other")
    return scale
