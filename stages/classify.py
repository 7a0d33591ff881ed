"""Which of the given labels fit a clip: every tower scores them in its own text space, and the scores are pooled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import Array, Spec
from pipeline.clip import MODALITIES, Absent, Clip, Reason
from pipeline.part import Part
from pipeline.result import Category, Label, OpenSet
from pipeline.stage import Outputs, Resources, Stage
from stages.words import scoring
from stages.words.labels import LABELS_FILE, LabelSet, build_label_set
from stages.words.reliability import Signals, reliability
from stages.words.word import default_labels

EMBEDDING_OF: dict[str, str] = {name: f"{name}_embedding" for name in MODALITIES}
"""Which array each side of the label set reads."""
FUSED_OF: dict[str, str] = {name: f"fused_{name}" for name in MODALITIES}
"""The same after a fusion head, for models that have one."""
WORST_FIRST: tuple[Reason, ...] = ("failed", "gap", "too_short", "no_stream", "no_tower", "not_asked")


class Classify(Stage):
    """Gives `labels`: the `top_k` best labels of the clip with probability, share and the evidence of each modality.

    And `verdict`, on the clip as a whole: its category where labels form a hierarchy, and whether none of them fits
    where the model was calibrated for that.
    """

    optional = (*EMBEDDING_OF.values(), *FUSED_OF.values(), "signals")

    def gives(self) -> dict[str, Spec]:
        return {
            "labels": Part(type=list[Label], essential=True, doc="The best labels of the clip, best first."),
            "category": Part(
                type=Category | None, doc="Where the clip belongs in the hierarchy of labels, if they form one."
            ),
            "open_set": Part(
                type=OpenSet | None, doc="Whether none of the labels fits, if the model is calibrated for that."
            ),
        }

    def prepare(self, report: Callable[[str], None]) -> None:
        """Turn the run's labels into vectors and leave them in the run's directory, for every worker that scores."""
        from engines.models.checkpoint import read_model

        spec = read_model(self.run.model, self.run.audio_model)
        labels = self.run.labels or default_labels()
        build_label_set(spec, labels, self.run, report).save(Path(self.run.directory) / LABELS_FILE)

    def open(self, resources: Resources) -> None:
        path = Path(self.run.directory) / LABELS_FILE
        self.label_set = resources.get(("labels", str(path)), lambda: LabelSet.load(path))

    def describe(self) -> dict[str, str]:
        return {"labels": f"{len(self.label_set.labels)} against {len(self.label_set.background)} background words"}

    def process(self, clip: Clip) -> Outputs:
        return self.answer(self.label_set, clip)

    def answer(self, label_set: LabelSet, clip: Clip) -> Outputs:
        """The clip's labels and verdict, or why there are none."""
        present = {name: clip[key] for name, key in EMBEDDING_OF.items() if self._scores(name, key, clip)}
        if not present:
            reason = Absent(_reason(clip))
            return dict.fromkeys(self.gives(), reason)
        fused = {name: clip[key] for name, key in FUSED_OF.items() if self._scores(name, key, clip)}
        signals: Signals = clip.get("signals") or {}
        scores = score_all(label_set, present, signals, fused)
        return {"labels": rows(label_set, scores, self.run.top_k), **verdict(label_set, scores)}

    def _scores(self, name: str, key: str, clip: Clip) -> bool:
        return name in self.label_set.sides and key in clip.arrays


@dataclass(frozen=True)
class Scores:
    """What one clip got: arrays "C" over all labels in their order, by modality where one is named."""

    similarity: Mapping[str, Array]
    alone: Mapping[str, Array]
    """Log-odds by what the modality itself says: the evidence."""
    log_odds: Mapping[str, Array]
    """Log-odds that go into the pool: the same where there is no fusion head."""
    weights: Mapping[str, float]
    background: Mapping[str, Array]
    """Cosine with the background words, "V"."""
    pooled: Array
    """Log-odds of all modalities together."""
    share: Array


def score_all(
    label_set: LabelSet, embeddings: Mapping[str, Array], signals: Signals, fused: Mapping[str, Array] | None = None
) -> Scores:
    """From the embeddings ("D", unit length) of the modalities present, and what a fusion head made of them."""
    similarity: dict[str, Array] = {}
    alone: dict[str, Array] = {}
    odds: dict[str, Array] = {}
    weights: dict[str, float] = {}
    backgrounds: dict[str, Array] = {}
    for name, embedding in embeddings.items():
        side = label_set.sides[name]
        near, background, z = side.compare(embedding[None])
        similarity[name], alone[name], backgrounds[name] = near[0], z[0], background[0]
        odds[name] = alone[name]
        if fused and name in fused and label_set.head_share is not None:
            odds[name] = mixed(alone[name], side.compare(fused[name][None])[2][0], label_set.head_share)
        decided = scoring.peakedness(background[0], side.temperature)
        weights[name] = reliability(name, signals, decided, side.knows_stillness)
    pooled = scoring.pool(odds, weights)
    return Scores(similarity, alone, odds, weights, backgrounds, pooled, scoring.shares(pooled))


def mixed(frozen: Array, head: Array, head_share: Array) -> Array:
    """Log-odds of the frozen encoder and of a trained head, mixed geometrically with a share per label: all "C".

    F-VLM (Kuo et al. 2023, arXiv 2209.15639, eq. 4). A head that changes nothing gives the frozen odds to the bit.
    """
    result: Array = frozen + head_share * (head - frozen)
    return result


def rows(label_set: LabelSet, scores: Scores, top_k: int) -> list[dict[str, Any]]:
    """The best labels first.

    Share and probability rise together within a clip: the order is the same for exclusive labels and for others.
    """
    shown = scoring.normalised(scores.weights)
    probability = scoring.sigmoid(scores.pooled)
    alone = {name: scoring.sigmoid(z) for name, z in scores.alone.items()}
    result = []
    for index in _best(scores.pooled, label_set.labels, top_k):
        evidence = {
            name: {
                "probability": float(alone[name][index]),
                "similarity": float(scores.similarity[name][index]),
                "weight": shown[name],
            }
            for name in scores.log_odds
        }
        row = {
            "label": label_set.labels[index],
            "probability": float(probability[index]),
            "share": float(scores.share[index]),
        }
        result.append(row | {"evidence": evidence})
    return result


def verdict(label_set: LabelSet, scores: Scores) -> dict[str, Any]:
    """The clip as a whole; None for what does not apply. The open-set score leaves out the fusion head."""
    hierarchy, open_set = label_set.hierarchy, label_set.open_set
    return {
        "category": hierarchy.category(label_set.labels, scores.share) if hierarchy is not None else None,
        "open_set": open_set.judge(scores.alone, scores.weights) if open_set is not None else None,
    }


def score(
    label_set: LabelSet,
    embeddings: Mapping[str, Array],
    signals: Signals,
    top_k: int,
    fused: Mapping[str, Array] | None = None,
) -> list[dict[str, Any]]:
    """`rows` of `score_all`."""
    return rows(label_set, score_all(label_set, embeddings, signals, fused), top_k)


def _best(values: Array, labels: tuple[str, ...], top_k: int) -> list[int]:
    """Indices of the largest values, largest first; equals by name, so that no input order shows."""
    count = min(top_k, len(values))
    if count <= 0:
        return []
    least = np.partition(values, len(values) - count)[len(values) - count]
    candidates = np.flatnonzero(values >= least).tolist()
    return sorted(candidates, key=lambda index: (-values[index], labels[index]))[:count]


def _reason(clip: Clip) -> Reason:
    """Why there is nothing to score: the worst of the embeddings' reasons."""
    reasons = {clip.absent.get(key) for key in EMBEDDING_OF.values()}
    return next((reason for reason in WORST_FIRST if reason in reasons), "failed")
