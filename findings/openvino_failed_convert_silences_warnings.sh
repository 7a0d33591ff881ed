#!/usr/bin/env bash
# A failed `openvino.convert_model` changes the root logger: level ERROR, and a handler that writes to stderr.
#
# The conversion here fails for a valid reason: it requests an input that the network does not have. OpenVINO raises its
# own error, which a program can catch, but before that it configures Python's root logger and does not restore it. From
# then on, every logger of the program without a level of its own drops warnings. `logging.basicConfig()`, called later,
# does nothing, because the root logger now has a handler. A conversion that succeeds changes nothing.
#
# One would guess that a library does not configure the root logger, as the logging HOWTO requires of libraries, and
# that an error that was caught has no further effect.
#
# It matters for programs that try one backend and fall back to the next: the warning about the fallback is the first
# one lost, and all later ones are lost too. Tests that capture warnings pass or fail depending on their order.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'PY'
import logging
import platform
import sys

sys.modules["openvino_telemetry"] = None  # it would report this import

import onnx
import openvino
from onnx import TensorProto, helper

x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), "relu.onnx")

root, mine = logging.getLogger(), logging.getLogger("mine")


def state():
    return logging.getLevelName(root.level), len(root.handlers), mine.isEnabledFor(logging.WARNING)


print(f"Python {platform.python_version()}, openvino {openvino.__version__}, onnx {onnx.__version__}")
print(f"{'':34} {'level':8} {'handlers':9} a warning is logged")
seen = {"before": state()}
openvino.convert_model("relu.onnx")
seen["after a conversion"] = state()
try:
    openvino.convert_model("relu.onnx", input="z")
except Exception as error:
    print(f"raised and caught: {type(error).__name__}")
seen["after one that failed"] = state()
logging.basicConfig(level=logging.INFO)
seen["after basicConfig(level=INFO)"] = state()
for when, (level, handlers, warns) in seen.items():
    print(f"{when:34} {level:8} {handlers:<9} {'yes' if warns else 'NO'}")

expected = [("WARNING", 0, True), ("WARNING", 0, True), ("ERROR", 1, False), ("ERROR", 1, False)]
if list(seen.values()) != expected:
    sys.exit(f"changed: expected {expected}")
print("as described: the failed conversion silenced warnings for the rest of the process")
PY
