"""The machinery: clips, stages, processes, queues, sinks."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
"""ONNX Runtime reads it when it is imported, and else writes into the home directory and calls home."""
