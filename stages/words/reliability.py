"""How far to trust each modality of a clip: by its signal and by how decided its scores are, never by the labels."""

from collections.abc import Mapping
from typing import Any

from stages.words.scoring import ramp

CONTRAST = (0.01, 0.05)
"""Contrast of the picture in [0, 1], as in `stages.signals`: black or flat below, a normal picture above."""
LOUDNESS_DBFS = (-70.0, -45.0)
"""Loudness as the tower hears it (`stages.loudness`): nothing below, clear sound above."""
MOTION_ENERGY = (0.02, 0.10)
"""Mean speed in short sides per second: still below, moving above."""
BLUR_ENERGY = (1.5, 6.0)
"""Mean speed at which pictures begin to blur, and at which they are blurred throughout."""
BLURRED = 0.7
"""Factor of a blurred picture's weight."""
UNDECIDED = 0.7
"""Factor of a modality's weight if it fits all background words equally."""
HIGHEST = {"image": 0.95, "motion": 0.9, "audio": 0.9}
"""Below 1, so that no modality alone can make a label certain or silence another."""

Signals = Mapping[str, Mapping[str, float]]


def signal_weight(modality: str, signals: Signals, knows_stillness: bool = False) -> float:
    """In [0, 1], from the clip's signals; 1 for a signal that is missing.

    Picture: 0 without contrast, less with corrupt frames, slightly less with fast motion. Sound: 0 for silence, little
    for a noise floor, 1 for all other sound, however quiet. Motion: 0 for a still scene, even with a moving camera. A
    tower that was trained on both (`knows_stillness`) is distrusted only if the picture has no contrast.
    """
    of = signals.get(modality, {})
    if modality == "image":
        weight = _ramp(of, "contrast", CONTRAST) * (1.0 - min(1.0, max(0.0, of.get("corrupt_share", 0.0))))
        rush = ramp(signals.get("motion", {}).get("energy", 0.0), *BLUR_ENERGY)
        return weight * (1.0 - (1.0 - BLURRED) * rush)
    if modality == "motion" and knows_stillness:
        return _ramp(signals.get("image", {}), "contrast", CONTRAST)
    if modality == "motion":
        return _ramp(of, "energy", MOTION_ENERGY)
    if modality == "audio":
        # models that were calibrated by earlier versions have only the first
        return _ramp({"normalised_dbfs": of.get("loudness_dbfs", 0.0), **of}, "normalised_dbfs", LOUDNESS_DBFS)
    return 1.0


def reliability(modality: str, signals: Signals, peakedness: float, knows_stillness: bool = False) -> float:
    """The weight of a modality in the pool, in [0, 1]."""
    decided = UNDECIDED + (1.0 - UNDECIDED) * peakedness
    return HIGHEST.get(modality, 0.95) * signal_weight(modality, signals, knows_stillness) * decided


def _ramp(of: Mapping[str, Any], key: str, between: tuple[float, float]) -> float:
    return ramp(float(of[key]), *between) if key in of else 1.0
