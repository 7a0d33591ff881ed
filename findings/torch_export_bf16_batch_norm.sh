#!/usr/bin/env bash
# torch.onnx.export writes an invalid file when it folds a batch norm into a bf16 convolution.
#
# The exporter (dynamo=True) folds a BatchNorm2d that follows a Conv2d into the convolution's weights. For a bf16 module
# the folded weights come out as fp32, while the convolution's input stays bf16. ONNX wants one type for all inputs of a
# Conv, so the file is invalid. The exporter reports success. With fp16 the same fold keeps fp16. With optimize=False
# nothing is folded, and the bf16 file is valid.
#
# One would guess that the types of a strongly typed graph are those of the module, whatever the optimiser folds.
#
# It matters for nearly every convolutional network (ResNet, EfficientNet, flow networks) that is to run in bf16:
# TensorRT and ONNX Runtime refuse the file, far from the export that caused it. A type check after each export,
# onnx.checker with full_check, detects it at once.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
    torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnx-ir==1.1.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - 2>errors <<'PY' || { status=$?; tail -n 20 errors >&2; exit "$status"; }
import logging
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

import onnx
import onnxscript
import torch
from torch import nn

OPSET = 22  # the first in which a convolution may be bf16

print("Versions")
print(f"  torch {torch.__version__}\n  onnxscript {onnxscript.__version__}\n  onnx {onnx.__version__}")


def exported(dtype, optimize):
    """The node types, the types of the weights and the checker's verdict."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval().to(dtype)
    assert {tensor.dtype for tensor in module.state_dict().values() if tensor.is_floating_point()} == {dtype}
    feeds = (torch.randn(1, 3, 16, 16).to(dtype),)
    torch.onnx.export(
        module, feeds, "network.onnx", dynamo=True, verbose=False, opset_version=OPSET, optimize=optimize
    )
    model = onnx.load("network.onnx")
    nodes = "+".join(node.op_type for node in model.graph.node)
    types = {onnx.TensorProto.DataType.Name(weights.data_type) for weights in model.graph.initializer}
    try:
        onnx.checker.check_model(model, full_check=True)
        verdict = "valid"
    except onnx.shape_inference.InferenceError as error:
        verdict = "invalid: " + str(error).partition("): ")[2].splitlines()[0]
    return nodes, "+".join(sorted(types - {"INT64"})), verdict


print("Expected: the weights have the module's type, and the file is valid.")
print("Seen:")
seen = {}
for dtype, optimize in ((torch.float16, True), (torch.bfloat16, False), (torch.bfloat16, True)):
    name = f"{dtype}, optimize={optimize}".removeprefix("torch.")
    seen[name] = exported(dtype, optimize)
    print(f"  {name:24} {seen[name][0]:32} weights {seen[name][1]:9} {seen[name][2]}")

wanted = {
    "float16, optimize=True": ("Conv+Relu", "FLOAT16", "valid"),
    "bfloat16, optimize=False": ("Conv+BatchNormalization+Relu", "BFLOAT16", "valid"),
    "bfloat16, optimize=True": ("Conv+Relu", "FLOAT", "invalid: W has inconsistent type tensor(float)"),
}
changed = [f"{name} gives {got}" for name, got in seen.items() if got != wanted[name]]
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
