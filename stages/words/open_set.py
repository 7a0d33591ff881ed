"""Whether none of the labels fits a clip, judged by how the labels usually score on clips of this source.

Every label's log-odds are compared with those it has on unlabelled clips of the source (its null distribution). A clip
is "none of these" if no label fits it better than usual clips, by a threshold that `percept calibrate` chose for a
budget of false alarms. The clips' embeddings are stored, so that any list of labels can be scored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ModelError
from stages.words import scoring
from stages.words.head_share import mixed
from stages.words.label_side import LabelSide
from stages.words.reliability import Signals, reliability

OPEN_SET_FILE = "open-set.safetensors"
FUSED = "fused"
"""Stands among the modalities of a clip whose embeddings the fusion head changed: such clips score differently."""
PREFIX = f"{FUSED}."
"""Begins the names of fused embeddings in the file."""
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

    usual: by the modalities that a clip has, such as "audio+image", or "audio+fused+image" with the fusion head.
    """

    threshold: float
    usual: Mapping[str, Usual]

    @property
    def knows_head(self) -> bool:
        """Whether it was fitted on clips that the fusion head changed. Without them, the head is left out."""
        return any(FUSED in name.split("+") for name in self.usual)

    def judge(
        self,
        log_odds: Mapping[str, Array],
        weights: Mapping[str, float],
        with_head: Mapping[str, Array] | None = None,
    ) -> dict[str, Any]:
        """A clip's score and verdict, from the labels' log-odds "C" and the weight of each modality that it has.

        with_head: the log-odds with the fusion head; None if it changed nothing.
        """
        present = frozenset(log_odds)
        if with_head is not None and self.knows_head:
            log_odds, present = with_head, present | {FUSED}
        score = self.usual_of(present).score(evidence(log_odds, weights))
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
    """Unlabelled clips of a source: embeddings "N D" of unit length by modality, zeros if a clip has none.

    fused: the same after the fusion head; zeros for clips that it does not change.
    """

    embeddings: Mapping[str, Array]
    signals: Sequence[Signals]
    fused: Mapping[str, Array] = field(default_factory=dict)

    def take(self, rows: Array) -> "SourceClips":
        """The clips in these rows, in this order."""
        own, fused = ({name: of[rows] for name, of in each.items()} for each in (self.embeddings, self.fused))
        return SourceClips(own, [self.signals[row] for row in rows.tolist()], fused)

    @cached_property
    def is_fused(self) -> Array:
        """Which clips the fusion head changes, bool "N"."""
        changed = [np.any(of != 0, axis=1) for of in self.fused.values()]
        result: Array = np.any(changed, axis=0) if changed else np.zeros(len(self.signals), bool)
        return result

    def usual(self, sides: Mapping[str, LabelSide], head_share: Array | None = None) -> dict[str, Usual]:
        """Each label's usual log-odds, for every combination of modalities that both clips and label sides have."""
        return {together: usual(found) for together, found in self.evidence(sides, head_share).items()}

    def odds(self, sides: Mapping[str, LabelSide]) -> dict[str, Array]:
        """Log-odds "N C" of the clips by modality, without the head."""
        return {name: sides[name].compare(self.embeddings[name])[2] for name in self._names(sides)}

    def odds_with_head(self, sides: Mapping[str, LabelSide], head_share: Array | None) -> dict[str, Array]:
        """Log-odds "N C" of the clips by modality, with the head where it changes a clip. head_share: "C"."""
        odds = self.odds(sides)
        if head_share is None:
            return odds
        for name in (name for name in odds if name in self.fused):
            changed = np.any(self.fused[name] != 0, axis=1)[:, None]
            head = sides[name].compare(self.fused[name])[2]
            odds[name] = np.where(changed, mixed(odds[name], head, head_share), odds[name])
        return odds

    def _names(self, sides: Mapping[str, LabelSide]) -> list[str]:
        return sorted(name for name in self.embeddings if name in sides)

    def evidence(self, sides: Mapping[str, LabelSide], head_share: Array | None = None) -> dict[str, Array]:
        """Evidence "n C" of the n clips that have all modalities of a combination, from these alone.

        With a fusion head, also of the clips that it changes, by the modalities that they have and `FUSED`.
        """
        names = self._names(sides)
        odds = self.odds(sides)
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
        if head_share is not None and self.is_fused.any():
            fused = self.odds_with_head(sides, head_share)
            by_key: dict[str, list[Array]] = {}
            for row in np.flatnonzero(self.is_fused).tolist():
                own = [name for name in names if present[name][row]]
                if own:
                    seen = evidence({m: fused[m][row] for m in own}, {m: weights[m][row] for m in own})
                    by_key.setdefault(modalities_key([*own, FUSED]), []).append(seen)
            found |= {key: np.stack(each) for key, each in by_key.items()}
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


def is_changed(embeddings: Mapping[str, Array], fused: Mapping[str, Array]) -> bool:
    """Whether the fusion head changed any embedding of a clip, "D" each by modality."""
    return any(not np.array_equal(of, embeddings[name]) for name, of in fused.items() if name in embeddings)


def load(spec: ModelSpec, sides: Mapping[str, LabelSide], head_share: Array | None = None) -> OpenSetScore | None:
    """The score for the labels of these sides; None if the model was not calibrated, or not for these modalities.

    head_share: that of the model's fusion head in each label's score, "C"; None without a head.

    Raises:
        ModelError: the file cannot be read.
    """
    if not spec.open_set:
        return None
    threshold, clips = read(Path(spec.directory) / spec.open_set)
    found = clips.usual(sides, head_share)
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
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: {error}; expected a file from percept calibrate. Calibrate again.") from error
    fused = {name.removeprefix(PREFIX): of for name, of in tensors.items() if name.startswith(PREFIX)}
    own = {name: of for name, of in tensors.items() if not name.startswith(PREFIX)}
    return float(about["threshold"]), SourceClips(own, about["signals"], fused)


def write(path: Path, threshold: float, clips: SourceClips, facts: Mapping[str, Any]) -> None:
    """Write one file, complete or not at all. facts: for people, about how the threshold was chosen."""
    from safetensors.numpy import save

    own = {**clips.embeddings, **{f"{PREFIX}{name}": of for name, of in clips.fused.items()}}
    tensors = {name: np.ascontiguousarray(of, np.float16) for name, of in own.items()}
    about = {"threshold": threshold, "signals": list(clips.signals), **facts}
    half = path.with_name(f"{path.name}.part")
    half.write_bytes(save(tensors, metadata={"about": json.dumps(about)}))
    half.replace(path)
