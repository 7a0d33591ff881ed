"""The detector of a model: its head lies beside the picture tower, whose network it shares."""

from pathlib import Path

import msgspec

from engines.models.model import ModelSpec, TowerSpec
from engines.networks.detector_facts import WEIGHTS_FILE

DETECTOR = "concept_detector"


def detector_tower(spec: ModelSpec) -> TowerSpec | None:
    """The detector as a tower, for code that iterates over all networks of a model; None if the model has none."""
    if spec.image is None or not (Path(spec.image.directory) / WEIGHTS_FILE).is_file():
        return None
    return msgspec.structs.replace(spec.image, network=DETECTOR)
