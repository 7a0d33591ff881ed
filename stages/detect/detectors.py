"""The detectors that we can read, by what their file looks like."""

from pathlib import Path

from engines.models.checkpoint import read_model
from engines.models.detector import detector_tower
from engines.models.owl import read_owl
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages.detect.detector import Detector
from stages.detect.owl import OwlDetector
from stages.detect.own import OwnDetector
from stages.detect.yolox import Yolox, names_of

OWN, NONE = "own", "none"


def make_detector(path: str, names: str, least_score: float, run: RunSettings) -> Detector | None:
    """The detector in a file or directory; for "own" that of the model, or None if it has none or pictures are not
    asked for; for "none" None.

    names: a file with one name per line; "" for those of COCO if their number fits, and no names otherwise.

    Raises:
        ConfigError: there is no such file, it is of a kind that is not known, or there are no words to look for.
        ModelError: a directory is not that of a detector, or a file in it is missing.
    """
    if path == NONE:
        return None
    if path == OWN:
        if "image" not in run.modalities:
            return None  # pictures are not to be looked at
        tower = detector_tower(read_model(run.model, run.audio_model))
        return None if tower is None else OwnDetector(tower.directory, least_score, run)
    file = Path(path).expanduser().absolute()
    if looks_for_words(path):
        if names:
            raise ConfigError(f"detect.names: {path} looks for the words of the run; use --find or --labels, no names")
        return OwlDetector(read_owl(file), least_score, run)
    if not file.is_file():
        raise ConfigError(
            f"--detector {path}: not a file; expected own, none, a network in ONNX format, such as yolox_nano.onnx, or "
            "a directory of OWL-ViT or OWLv2"
        )
    if file.suffix != ".onnx":
        raise ConfigError(
            f"--detector {path}: expected an ONNX file (.onnx) with the outputs of YOLOX, or a directory of OWL-ViT or "
            "OWLv2"
        )
    return Yolox(file, names_of(names), least_score, run)


def looks_for_words(path: str) -> bool:
    """Whether the detector that this names is told in words what to look for."""
    return path not in (OWN, NONE) and Path(path).expanduser().is_dir()
