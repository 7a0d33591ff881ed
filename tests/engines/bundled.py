"""Networks of the bundled model as ONNX files, which the installation of a checkout has exported already."""

from pathlib import Path

from engines.backends.table import Candidate
from engines.building.building import ensure_export, order_of
from engines.models.checkpoint import BUNDLED
from pipeline.stage import RunSettings


def exported_once(key: str) -> Path:
    """The fp32 file in the cache of this machine; it is exported if it is not there."""
    order = order_of(key, str(BUNDLED / "percept-mini"), Candidate("onnxruntime", "fp32", "cpu"), RunSettings())
    path = ensure_export(order, "fp32", lambda text: None)
    assert path is not None
    return path
