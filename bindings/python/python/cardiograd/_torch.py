"""From PyTorch, which is needed for nothing else: a module as ONNX in memory, a state dict as safetensors."""

from __future__ import annotations

import io
import json
import struct
import warnings
from typing import Any, Mapping

import numpy as np

from ._arrays import numbers


def safetensors(tensors: Mapping[str, Any]) -> bytes:
    """The bytes of a safetensors file with these tensors, floats as float32 (float64 stays), integers as int64."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    offset = 0
    for name, tensor in tensors.items():
        array = np.asarray(tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else tensor)
        if array.dtype.kind in "iu":
            array, kind = np.ascontiguousarray(array, dtype=np.int64), "I64"
        else:
            shape = array.shape
            array = numbers(array, f"tensor {name!r}").reshape(shape)
            kind = "F64" if array.dtype == np.float64 else "F32"
        data = array.tobytes()
        header[str(name)] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + len(data)]}
        parts.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def exported(module: Any, example: Any) -> bytes:
    """The bytes of an ONNX model of a module in evaluation, with any number of ECGs in a batch."""
    import torch

    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"a torch.nn.Module is expected, not a {type(module).__name__}")
    if not isinstance(example, torch.Tensor):
        example = torch.as_tensor(numbers(example, "the example"))
    parameter = next(module.parameters(), None)
    if parameter is not None:
        example = example.to(parameter.device, parameter.dtype)
    example = example.unsqueeze(0) if example.dim() == 2 else example
    states = [(part, part.training) for part in module.modules()]
    module.eval()
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (example,),
                buffer,
                input_names=["ecg"],
                output_names=["prediction"],
                dynamic_axes={"ecg": {0: "N"}, "prediction": {0: "N"}},
                opset_version=17,
                do_constant_folding=False,
                dynamo=False,
            )
    finally:
        for part, training in states:
            part.training = training
    return buffer.getvalue()
