#!/usr/bin/env bash
# torch.onnx.export writes a file with a fixed batch although a dynamic one was requested, and reports success.
#
# If a module reads a size as a Python number (len(x), int(x.shape[0]), a loop over the batch), the size is fixed in the
# graph. torch.export.export refuses this if the axis was declared as torch.export.Dim: "Constraints violated", with the
# suggestion to make it 2. torch.onnx.export(dynamo=True) catches the refusal, follows the suggestion and exports again,
# without a warning. With a plain string instead of the Dim, len(x) stays dynamic.
#
# One would guess that a declared dynamic axis is a requirement, as in torch.export, and that an export that succeeds
# has it.
#
# It matters for every pipeline with variable batches: the file works in the test with the batch it was traced with, and
# fails, or is refused, at the first other batch, in production. Comparing the axes of the file with the requested ones
# after each export detects it.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
    torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnx-ir==1.1.0 onnxruntime==1.31.1 numpy==2.4.6

cd "$work"
export ORT_DISABLE_TELEMETRY=1
"$work/venv/bin/python" - 2>errors <<'PY' || { status=$?; tail -n 20 errors >&2; exit "$status"; }
import sys
import warnings
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=64)


class ByShape(nn.Module):
    """x plus zeros, made with x.shape[0]."""

    def forward(self, x):
        return x + torch.zeros(x.shape[0], 1)


class ByLen(nn.Module):
    """x plus zeros, made with len(x)."""

    def forward(self, x):
        return x + torch.zeros(len(x), 1)


class ByLoop(nn.Module):
    """Running sums, row by row."""

    def forward(self, x):
        return torch.stack([row.cumsum(0) for row in x])


def with_torch_export(module, shapes):
    try:
        torch.export.export(module, (torch.randn(2, 5),), dynamic_shapes=shapes)
    except Exception as error:
        return " ".join(str(error).split()[:2])
    return "passes"


def with_onnx_export(module, shapes):
    """The file's axes, the number of warnings about the batch, and whether it accepts a batch of 3."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.onnx.export(
            module, (torch.randn(2, 5),), "network.onnx", dynamo=True, verbose=False, dynamic_shapes=shapes
        )
    shape = onnx.load("network.onnx").graph.input[0].type.tensor_type.shape
    axes = [axis.dim_param or axis.dim_value for axis in shape.dim]
    session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    try:
        session.run(None, {session.get_inputs()[0].name: np.zeros((3, 5), np.float32)})
        verdict = "accepts 3"
    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument:
        verdict = "refuses 3"
    return axes, sum("batch" in str(each.message) or "onstraint" in str(each.message) for each in caught), verdict


print("Versions")
print(f"  torch {torch.__version__}\n  onnxscript {version('onnxscript')}\n  onnxruntime {onnxruntime.__version__}")
print("Expected: both exports have a dynamic batch, or refuse.")
print("Seen: traced with a batch of 2")
seen = {}
for module in (ByShape(), ByLen(), ByLoop()):
    name = type(module).__name__
    refusal = with_torch_export(module.eval(), ({0: BATCH},))
    axes, count, verdict = with_onnx_export(module, ({0: BATCH},))
    seen[name] = (refusal, axes, count, verdict)
    print(f"  {name:8} torch.export: {refusal:21} torch.onnx.export: axes {axes}, {count} warnings, {verdict}")
axes, _, verdict = with_onnx_export(ByLen().eval(), ({0: "batch"},))
seen["ByLen, a string instead of the Dim"] = axes
print(f"  ByLen, with a string instead of the Dim: axes {axes}, {verdict}")

wanted = {
    "ByShape": ("passes", ["batch", 5], 0, "accepts 3"),
    "ByLen": ("Constraints violated", [2, 5], 0, "refuses 3"),
    "ByLoop": ("Constraints violated", [2, 5], 0, "refuses 3"),
    "ByLen, a string instead of the Dim": ["batch", 5],
}
changed = [f"{name} gives {got}" for name, got in seen.items() if got != wanted[name]]
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
