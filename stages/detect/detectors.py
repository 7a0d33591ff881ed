"""The detectors that we can read, by what their file looks like."""

from pathlib import Path

from engines.models.checkpoint import read_model
from engines.models.detector import detector_tower
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.detect.detector import Detector
from stages.detect.own import OwnDetector
from stages.detect.yolox import Yolox, names_of

OWN, NONE = "own", "none"


def make_detector(path: str, names: str, least_score: float, run: RunSettings) -> Detector | None:
    """The detector in a file; for "own" that of the model, or None if it has none or pictures are not asked
    for; for "none" None.

    names: a file with one name per line; "" for those of COCO if their number fits, and no names otherwise.

    Raises:
        ConfigError: there is no such file, or it is of a kind that is not known.
    """
    if path == NONE:
        return None
    if path == OWN:
        if "image" not in run.modalities:
            return None  # pictures are not to be looked at
        tower = detector_tower(read_model(run.model, run.audio_model))
        return None if tower is None else OwnDetector(tower.directory, least_score, run)
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ConfigError(
            f"--detector {path}: not a file; expected own, none, or a network in ONNX format, such as yolox_nano.onnx"
        )
    if file.suffix != ".onnx":
        raise ConfigError(f"--detector {path}: expected an ONNX file (.onnx) with the outputs of YOLOX")
    return Yolox(file, names_of(names), least_score, run)
