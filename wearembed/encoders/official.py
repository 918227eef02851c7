"""Checkpoints of RelCon's official trainer: their keys, and what net they are of."""

from pathlib import Path

import torch

from .. import hub


def official_encoder(net: dict[str, torch.Tensor]) -> tuple[dict, int, dict[str, torch.Tensor]]:
    """Architecture, channels and renamed tensors of an encoder's state; blocks are numbered through from 0."""
    parts = {
        **{"first_block_conv": "conv", "first_block_bn": "norm", "basicblock_list": "blocks"},
        **{"bn1": "norm1", "bn2": "norm2", "projection_conv": "project"},
    }
    tensors = renamed(net, parts)
    first = needed(tensors, "net.conv.weight", "an encoder")
    convs: list[torch.Size] = []
    while (key := f"net.blocks.{len(convs)}.conv1.weight") in tensors:
        convs.append(tensors[key].shape)
    widths = [n_out for n_out, _, _ in convs]
    stages = sorted(set(widths))
    shape = {
        "width": first.shape[0],
        "blocks": tuple(widths.count(n) for n in stages),
        "kernels": tuple(convs[widths.index(n)][2] for n in stages),
    }
    return shape, first.shape[1], tensors


def official_distance(net: dict[str, torch.Tensor]) -> tuple[dict, int, dict[str, torch.Tensor]]:
    """Architecture, channels and renamed tensors of a distance's state."""
    parts = {
        **{"revin.affine_weight": "scale", "revin.affine_bias": "shift", "out_proj": "out", "bottle": "reduce"},
        **{
            "q_func": "query",
            "k_func": "key",
            "v_func": "value",
            "layer0.dilated_conv": "first",
            "dilated_conv": "conv",
        },
    }
    tensors = renamed(net, parts)
    first = needed(tensors, "net.query.first.weight", "a distance")
    n_dilated = 0
    while f"net.query.layers.{n_dilated}.reduce.weight" in tensors:
        n_dilated += 1
    reduce = tensors["net.query.layers.0.reduce.weight"] if n_dilated else first
    shape = {"dim": first.shape[0], "kernel": first.shape[2], "n_dilated": n_dilated, "bottleneck": reduce.shape[0]}
    return shape, first.shape[1], tensors


def renamed(net: dict[str, torch.Tensor], parts: dict[str, str]) -> dict[str, torch.Tensor]:
    tensors = {}
    for key, tensor in net.items():
        for theirs, ours in parts.items():
            key = key.replace(theirs, ours)
        tensors[f"net.{key}"] = tensor
    return tensors


def needed(tensors: dict[str, torch.Tensor], key: str, what: str) -> torch.Tensor:
    if key not in tensors:
        raise ValueError(
            f"The state dict is not that of {what} of RelCon's official code: its keys begin with "
            f"{', '.join(sorted(k.removeprefix('net.') for k in tensors)[:3])}."
        )
    return tensors[key]


def official_checkpoint(estimator, file: Path, shape: dict, n_channels: int, tensors) -> hub.Checkpoint:
    """2.56 s at 100 Hz in g, as the paper trains; the official code itself says neither rate nor units."""
    config = {
        "estimator_class": type(estimator).__name__,
        "params": shape,
        "contract": {"n_channels": n_channels, "n_times": 256, "sfreq": 100.0, "units": "g"},
        "training": {"began_from": f"RelCon's official code, {file.name}"},
        "model_sha256": hub.sha256(file.read_bytes()),
    }
    return hub.Checkpoint(file, config, tensors, {})
