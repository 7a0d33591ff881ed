#!/usr/bin/env bash
# An OpenVINO compiled model computes attention wrongly from then on if its first call had a single key token.
#
# The network is four ONNX nodes: Transpose, MatMul, Softmax, MatMul, with dynamic token counts.
# OpenVINO fuses them into one attention kernel. If the very first inference of a compiled model has exactly one key
# token, every later inference with at least one vector register of keys (8 with AVX2, 16 with AVX-512) is wrong: in
# fp32 the attention weights no longer sum to 1, in bf16 outputs are about 1e37, or NaN. There is no error and no
# warning. A new infer request of the same compiled model is wrong too. A first call with two tokens prevents it.
#
# One would guess that the order of calls cannot matter: a compiled model has no state, and a dynamic axis is there to
# change. So people warm a model up with the smallest input they can think of, which is one token.
#
# It matters wherever the number of tokens depends on the input: frames of a clip, segments of a sound, boxes, words. A
# check at one size passes, and so does a check that goes from large inputs to small ones.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
    openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6

cd "$work"
export ORT_DISABLE_TELEMETRY=1
"$work/venv/bin/python" - <<'PY'
import sys
from pathlib import Path

sys.modules["openvino_telemetry"] = None  # it would report this import

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper

WIDTH, QUERIES = 8, 3
KEYS = (2, 4, 16, 32, 64)
TOLERANCE = {"f32": 1e-4, "bf16": 2e-2}

print("Versions")
print(f"  openvino {openvino.__version__}\n  onnxruntime {onnxruntime.__version__}\n  onnx {onnx.__version__}")

info = Path("/proc/cpuinfo")
if not info.is_file() or "avx2" not in info.read_text():
    print("This needs an x86 CPU with AVX2. The behaviour cannot be shown here.")
    sys.exit(0)

axes = {name: ["batch", count, WIDTH] for name, count in {"q": "queries", "k": "keys", "v": "keys"}.items()}
graph = helper.make_graph(
    [
        helper.make_node("Transpose", ["k"], ["k_turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k_turned"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "v"], ["found"]),
    ],
    "attention",
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in axes.items()],
    [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["batch", "queries", WIDTH])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "attention.onnx")
random = np.random.default_rng(0)
core = openvino.Core()
reference = onnxruntime.InferenceSession("attention.onnx", providers=["CPUExecutionProvider"])


def feeds(keys):
    """All values are 1, so that every output, a weighted mean of them, must be 1."""
    q, k = (random.standard_normal((1, count, WIDTH), np.float32) for count in (QUERIES, keys))
    return {"q": q, "k": k, "v": np.ones((1, keys, WIDTH), np.float32)}


def openvino_errors(first, precision="f32", new_requests=False):
    """The largest difference from 1 for each of KEYS, after a first call with `first` keys."""
    compiled = core.compile_model("attention.onnx", "CPU", {"INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()
    request.infer(feeds(first))
    errors = []
    for keys in KEYS:
        if new_requests:
            request = compiled.create_infer_request()
        errors.append(np.abs(request.infer(feeds(keys))[0] - 1).max())
    return errors


print("Expected: every output is 1, whatever was computed before.")
print("Seen: largest difference from 1")
print(f"  {'number of keys':42}" + "".join(f"{keys:>9}" for keys in KEYS))
reference.run(None, feeds(1))
rows = {"ONNX Runtime, first call with 1 key": [np.abs(reference.run(None, feeds(k))[0] - 1).max() for k in KEYS]}
rows["OpenVINO f32, first call with 2 keys"] = openvino_errors(2)
rows["OpenVINO f32, first call with 1 key"] = openvino_errors(1)
rows["OpenVINO f32, the same, new requests"] = openvino_errors(1, new_requests=True)
if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
    rows["OpenVINO bf16, first call with 2 keys"] = openvino_errors(2, "bf16")
    rows["OpenVINO bf16, first call with 1 key"] = openvino_errors(1, "bf16")
else:
    print("  (this CPU has no bf16 arithmetic: those rows are left out)")
for name, errors in rows.items():
    print(f"  {name:42}" + "".join(f"{error:9.2g}" for error in errors))

changed = []
for name, errors in rows.items():
    limit = TOLERANCE["bf16" if "bf16" in name else "f32"]
    right = [bool(error <= limit) for error in errors]  # NaN is not
    wanted = [True] * 2 + [False] * 3 if name.startswith("OpenVINO") and "2 keys" not in name else [True] * 5
    if right != wanted:
        changed.append(f"{name}: right for {[keys for keys, is_right in zip(KEYS, right) if is_right]} keys")
print("The behaviour has changed: " + "; ".join(changed) if changed else "The behaviour is as described.")
sys.exit(bool(changed))
PY
