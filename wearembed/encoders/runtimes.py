"""A net outside of torch: run by OpenVINO here, or written as ONNX for anywhere."""

import copy
import ctypes
import json
import logging
import sys
import warnings
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

MISSING = '{0} needs {1}. pip install "wearembed[{2}]".'

compiled: WeakKeyDictionary[nn.Module, tuple[int, dict]] = WeakKeyDictionary()  # by OpenVINO, with the weights it saw


def through_openvino(net: nn.Module, shape: tuple[int, ...], half: bool) -> Callable[[Tensor], np.ndarray]:
    """What OpenVINO makes of a net for batches of one shape.

    It is compiled once and kept while the net lives and has the same weights: that takes seconds.

    Parameters
    ----------
    net : nn.Module
        On the CPU.
    shape : tuple of int
    half : bool
        Whether to compute in bfloat16.
    """
    weights = fingerprint(net)
    seen, kept = compiled.get(net, (None, {}))
    if seen != weights:
        kept = {}
        compiled[net] = weights, kept
    key = (shape, half, torch.get_num_threads())
    if key not in kept:
        kept[key] = by_openvino(net, *key)
    request = kept[key].create_infer_request()  # each caller its own: one is not for two threads
    return lambda x: request.infer([x.numpy()])[0]


def by_openvino(net: nn.Module, shape: tuple[int, ...], half: bool, n_threads: int):
    openvino = import_openvino()
    net = copy.deepcopy(net).eval()  # what is compiled may share the memory of its weights
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with quiet(), torch.no_grad():
        model = openvino.convert_model(net, example_input=example, input=list(shape))
        wanted = net(example).numpy()
    how = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": n_threads}
    how["INFERENCE_PRECISION_HINT"] = "bf16" if half else "f32"
    with same_signal_stack():
        made = openvino.Core().compile_model(model, "CPU", how)
    if not np.allclose(made(example.numpy())[0], wanted, rtol=0, atol=0.05 * np.abs(wanted).max()):
        raise RuntimeError(
            f"OpenVINO {openvino.__version__} computes something else of this {type(net).__name__} than torch does, "
            f"which is an error of its own. Leave compile=False, or try another version of OpenVINO."
        )
    return made


class SignalStack(ctypes.Structure):
    """Where a thread handles signals; ``stack_t`` of Linux."""

    _fields_ = [("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def same_signal_stack():
    """Leave this thread with the stack for signals that it had.

    OpenVINO 2026.4 gives the thread that compiles a stack of its own, and when the model ends, the one that was there
    before. When two models end in the order in which they were made, that is the first one's, which is gone by then;
    the next signal that Python handles, such as that a child process ended, kills the process.
    """
    if sys.platform != "linux":
        yield
        return
    libc, before = ctypes.CDLL(None), SignalStack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)


def import_openvino():
    """OpenVINO without its telemetry, which would call out when it is imported."""
    modules: dict[str, Any] = sys.modules
    name = "openvino_telemetry"
    silenced = name not in modules
    if silenced:
        modules[name] = None
    try:
        import openvino
    except ImportError as error:
        raise ImportError(MISSING.format('compile="openvino"', "OpenVINO", "openvino")) from error
    finally:
        if silenced:
            del modules[name]
    return openvino


def to_onnx(net: nn.Module, shape: tuple[int, ...], any_length: bool, told: dict[str, Any]) -> bytes:
    """A net as the bytes of an ONNX file.

    Parameters
    ----------
    net : nn.Module
    shape : tuple of int
        Of a window: channels, samples.
    any_length : bool
        Whether windows of other lengths go in as well.
    told : dict
        What stands in the metadata; values are written as JSON, strings as they are.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(MISSING.format("export_onnx", "onnx and onnxscript", "onnx")) from error
    free = torch.export.Dim.DYNAMIC
    dims = ({0: free, 2: free} if any_length else {0: free},)
    net = copy.deepcopy(net).cpu().eval()
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(net, (torch.zeros(2, *shape),), dynamic_shapes=dims, strict=False)
            names: dict[str, Any] = {"input_names": ["windows"], "output_names": ["embedding"]}
            made: Any = torch.onnx.export(program, dynamo=True, verbose=False, **names)
    except (RuntimeError, ValueError) as error:
        of = "windows of any length" if any_length else f"windows of {shape[0]} channels x {shape[1]} samples"
        raise ValueError(f"torch cannot export this {type(net).__name__} for {of}: {error}") from error
    return tidy(made.model_proto, any_length, told).SerializeToString()


@contextmanager
def quiet():
    """Without the warnings of torch's own exporters, such as that torchvision, which no net here needs, is missing."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def tidy(model, any_length: bool, told: dict[str, Any]):
    """Name the free dimensions, tell what windows have to be, and leave out where the code of torch lies."""
    windows, embedding = model.graph.input[0], model.graph.output[0]
    windows.type.tensor_type.shape.dim[0].dim_param = "n_windows"
    embedding.type.tensor_type.shape.dim[0].dim_param = "n_windows"
    if any_length:
        windows.type.tensor_type.shape.dim[2].dim_param = "n_times"
    del model.graph.value_info[:]
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    del model.metadata_props[:]
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    return model


def fingerprint(module: nn.Module) -> int:
    """Tells weights apart, those of frozen parts too."""
    total = 0
    for name, tensor in module.state_dict().items():
        total = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), zlib.crc32(name.encode(), total))
    return total
