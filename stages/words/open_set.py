"""Whether none of the labels fits a clip, judged by how the labels usually score on clips of this source.

Every label's log-odds are compared with those it has on unlabelled clips of the source (its null distribution). A clip
is "none of these" if no label fits it better than usual clips, by a threshold that `percept calibrate` chose for a
budget of false alarms. The clips' embeddings are stored, so that any list of labels can be scored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ModelError
from stages.words import scoring
from stages.words.label_side import LabelSide
from stages.words.reliability import Signals, reliability

OPEN_SET_FILE = "open-set.safetensors"
FEW = 10.0
"""The mean over all labels counts as this many clips in each label's mean and variance."""


@dataclass(frozen=True)
class Usual:
    """Each label's log-odds, "C", on clips of the source that have the same modalities."""

    mean: Array
    spread: Array
    """Standard deviation."""

    def score(self, found: Array) -> float:
        """How little the labels fit a clip, from its `evidence` "C"; higher is less."""
        return -float(np.max((found - self.mean) / self.spread))


def evidence(log_odds: Mapping[str, Array], weights: Mapping[str, float]) -> Array:
    """Log-odds "C" pooled over all modalities, with the most trusted one at full weight.

    So a quiet and dark clip does not count as unknown for that reason alone.
    """
    most = max((weights[name] for name in log_odds), default=0.0)
    return scoring.pool(log_odds, {name: weights[name] / most if most > 0 else 0.0 for name in log_odds})


@dataclass(frozen=True)
class OpenSetScore:
    """The open-set score that `percept calibrate` fitted, for one list of labels.

    usual: by the modalities that a clip has, such as "audio+image".
    """

    threshold: float
    usual: Mapping[str, Usual]

    def judge(self, log_odds: Mapping[str, Array], weights: Mapping[str, float]) -> dict[str, Any]:
        """A clip's score and verdict, from the labels' log-odds "C" and the weight of each modality that it has."""
        score = self.usual_of(frozenset(log_odds)).score(evidence(log_odds, weights))
        return {"score": score, "threshold": self.threshold, "none_of_these": score > self.threshold}

    def usual_of(self, present: frozenset[str]) -> Usual:
        """That of clips with these modalities; if there were none, of clips with the most similar modalities."""
        nearest = max(self.usual, key=lambda name: (len(present & {*name.split("+")}), -len(name.split("+")), name))
        return self.usual.get(modalities_key(present), self.usual[nearest])

    def to_json(self) -> str:
        usual = {name: [of.mean.tolist(), of.spread.tolist()] for name, of in self.usual.items()}
        return json.dumps({"threshold": self.threshold, "usual": usual})

    @classmethod
    def from_json(cls, text: str) -> "OpenSetScore":
        read = json.loads(text)
        usual = {name: Usual(np.array(mean), np.array(spread)) for name, (mean, spread) in read["usual"].items()}
        return cls(read["threshold"], usual)


@dataclass(frozen=True)
class SourceClips:
    """Unlabelled clips of a source: embeddings "N D" of unit length by modality, zeros if a clip has none."""

    embeddings: Mapping[str, Array]
    signals: Sequence[Signals]

    def usual(self, sides: Mapping[str, LabelSide]) -> dict[str, Usual]:
        """Each label's usual log-odds, for every combination of modalities that both clips and label sides have."""
        return {together: usual(found) for together, found in self.evidence(sides).items()}

    def evidence(self, sides: Mapping[str, LabelSide]) -> dict[str, Array]:
        """Evidence "n C" of the n clips that have all modalities of a combination, from these alone."""
        names = sorted(name for name in self.embeddings if name in sides)
        odds = {name: sides[name].compare(self.embeddings[name])[2] for name in names}
        weights = {name: self.weights(name, sides[name]) for name in names}
        present = {name: np.any(self.embeddings[name] != 0, axis=1) for name in names}
        found = {}
        for size in range(1, len(names) + 1):
            for together in combinations(names, size):
                rows = np.flatnonzero(np.all([present[name] for name in together], axis=0)).tolist()
                if rows:
                    each = [
                        evidence({m: odds[m][row] for m in together}, {m: weights[m][row] for m in together})
                        for row in rows
                    ]
                    found[modalities_key(together)] = np.stack(each)
        return found

    def weights(self, name: str, side: LabelSide) -> list[float]:
        """How far a modality of each clip is trusted, "N"."""
        background = np.asarray(self.embeddings[name], np.float64) @ side.background.T
        return [
            reliability(name, of, scoring.peakedness(near, side.temperature), side.knows_stillness)
            for near, of in zip(background, self.signals, strict=True)
        ]


def usual(found: Array) -> Usual:
    """Mean and spread of each label's evidence "N C" over clips, shrunk slightly towards those of all labels."""
    count = len(found)
    mean, variance = found.mean(axis=0), found.var(axis=0)
    # sorted, so that the order of labels changes no digit
    all_mean, all_variance = (float(np.sort(values).mean()) for values in (mean, variance))
    mean = (count * mean + FEW * all_mean) / (count + FEW)
    variance = (count * variance + FEW * all_variance) / (count + FEW)
    return Usual(mean, np.sqrt(np.maximum(variance, 1e-12)))


def modalities_key(names: Sequence[str] | frozenset[str]) -> str:
    return "+".join(sorted(names))


def load(spec: ModelSpec, sides: Mapping[str, LabelSide]) -> OpenSetScore | None:
    """The score for the labels of these sides; None if the model was not calibrated, or not for these modalities.

    Raises:
        ModelError: the file cannot be read.
    """
    if not spec.open_set:
        return None
    threshold, clips = read(Path(spec.directory) / spec.open_set)
    found = clips.usual(sides)
    return OpenSetScore(threshold, found) if found else None


def read(path: Path) -> tuple[float, SourceClips]:
    """Threshold and clips from a file.

    Raises:
        ModelError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            about = json.loads(file.metadata()["about"])
            embeddings = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: {error}; expected a file from percept calibrate. Calibrate again.") from error
    return float(about["threshold"]), SourceClips(embeddings, about["signals"])


def write(path: Path, threshold: float, clips: SourceClips, facts: Mapping[str, Any]) -> None:
    """Write one file, complete or not at all. facts: for people, about how the threshold was chosen."""
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(of, np.float16) for name, of in clips.embeddings.items()}
    about = {"threshold": threshold, "signals": list(clips.signals), **facts}
    half = path.with_name(f"{path.name}.part")
    half.write_bytes(save(tensors, metadata={"about": json.dumps(about)}))
    half.replace(path)
