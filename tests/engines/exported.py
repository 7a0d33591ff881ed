"""Networks as ONNX files from the cache of this machine, where the installation puts those of the bundled model."""

from pathlib import Path

from engines.backends.table import Candidate
from engines.building.building import ensure_export, order_of
from engines.models.checkpoint import BUNDLED
from pipeline.stage import RunSettings


def exported_once(key: str, directory: Path = BUNDLED / "percept-mini") -> Path:
    """The fp32 file; it is exported if it is not there."""
    order = order_of(key, str(directory), Candidate("onnxruntime", "fp32", "cpu"), RunSettings())
    path = ensure_export(order, "fp32", lambda text: None)
    assert path is not None
    return path
