"""Whether none of the labels fits a clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.arrays import Array


@dataclass(frozen=True)
class OpenSetScore:
    """What `percept calibrate` fitted: which score, and the threshold that the false-alarm budget asks for."""

    threshold: float

    def judge(self, background: Mapping[str, Array], pooled: Array) -> dict[str, Any]:
        """From the cosines with the background words, "V" by modality, and the labels' pooled log-odds "C"."""
        raise NotImplementedError
