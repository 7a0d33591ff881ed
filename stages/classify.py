"""Scores the labels for a clip: every tower scores them in its own text space, and the scores are pooled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array, Spec
from pipeline.clip import MODALITIES, Absent, Clip, Reason
from pipeline.part import Part
from pipeline.result import Category, Label, OpenSet, TextLine
from pipeline.stage import Budget, Outputs, Resources, RunSettings, Stage, StageOptions
from stages.text.phrases import read_rows
from stages.words import scoring
from stages.words.contributions import contributions
from stages.words.head_share import mixed
from stages.words.labels import LABELS_FILE, LabelSet, build_label_set
from stages.words.near_synonyms import LEAST_PROBABILITY, near_synonyms
from stages.words.open_set import is_changed
from stages.words.reliability import Signals, reliability
from stages.words.word import default_labels

EMBEDDING_OF: dict[str, str] = {name: f"{name}_embedding" for name in MODALITIES}
"""The array that each side of the label set reads, by modality."""
FUSED_OF: dict[str, str] = {name: f"fused_{name}" for name in MODALITIES}
"""The same after the fusion head, for models that have one."""
WORST_FIRST: tuple[Reason, ...] = ("failed", "gap", "too_short", "no_stream", "no_tower", "key_frames", "not_asked")


class Classify(Stage):
    """Gives `labels`: the `top_k` best labels of the clip with probability, share and the evidence of each modality.

    Also gives `category` if the labels form a hierarchy, and `open_set`, whether none of the labels fits, if the model
    is calibrated for that. Both are None otherwise.
    """

    optional = (*EMBEDDING_OF.values(), *FUSED_OF.values(), "signals")

    def __init__(self, options: StageOptions, run: RunSettings, budget: Budget) -> None:
        super().__init__(options, run, budget)
        if run.phrases:  # without them, nothing waits for what is read
            self.optional = (*self.optional, "text")

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
        """Compute the vectors of the run's labels and write them to the run's directory, for all workers."""
        from engines.models.checkpoint import read_model

        spec = read_model(self.run.model, self.run.audio_model)
        labels = self.run.labels or default_labels()
        build_label_set(spec, labels, self.run, report).save(Path(self.run.directory) / LABELS_FILE)

    def open(self, resources: Resources) -> None:
        path = Path(self.run.directory) / LABELS_FILE
        self.label_set = resources.get(("labels", str(path)), lambda: LabelSet.load(path))

    def describe(self) -> dict[str, str]:
        counts = len(self.label_set.labels), len(self.label_set.background)
        return {"labels": f"{counts[0]}, compared with {counts[1]} background words"}

    def process(self, clip: Clip) -> Outputs:
        return self.answer(self.label_set, clip)

    def answer(self, label_set: LabelSet, clip: Clip) -> Outputs:
        """The outputs for one clip; all are absent, with the reason, if no embedding can be scored."""
        present = {name: clip[key] for name, key in EMBEDDING_OF.items() if self._scores(name, key, clip)}
        if not present:
            reason = Absent(_reason(clip))
            return dict.fromkeys(self.gives(), reason)
        fused = {name: clip[key] for name, key in FUSED_OF.items() if self._scores(name, key, clip)}
        signals: Signals = clip.get("signals") or {}
        scores = score_all(label_set, present, signals, fused)
        found = rows(label_set, scores, self.run.top_k)
        if self.run.phrases:
            found += read_rows(self.run.phrases, msgspec.convert(clip.get("text") or [], list[TextLine]))
            found = sorted(found, key=lambda row: -row["probability"])[: self.run.top_k]
        return {"labels": found, **verdict(label_set, scores)}

    def _scores(self, name: str, key: str, clip: Clip) -> bool:
        return name in self.label_set.sides and key in clip.arrays


@dataclass(frozen=True)
class Scores:
    """The scores of one clip: arrays "C" in label order; mappings are by modality."""

    similarity: Mapping[str, Array]
    alone: Mapping[str, Array]
    """Log-odds from the modality's own embedding: the evidence."""
    log_odds: Mapping[str, Array]
    """Log-odds that are pooled; equal to `alone` without a fusion head."""
    weights: Mapping[str, float]
    background: Mapping[str, Array]
    """Cosine with the background words, "V"."""
    pooled: Array
    """Log-odds pooled over all modalities."""
    share: Array
    is_fused: bool = False
    """Whether the fusion head changed an embedding of the clip."""


def score_all(
    label_set: LabelSet, embeddings: Mapping[str, Array], signals: Signals, fused: Mapping[str, Array] | None = None
) -> Scores:
    """Score all labels with the unit embeddings ("D") of the present modalities and, if given, the fused ones."""
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
    is_fused = label_set.head_share is not None and is_changed(embeddings, fused or {})
    return Scores(similarity, alone, odds, weights, backgrounds, pooled, scoring.shares(pooled), is_fused)


def rows(label_set: LabelSet, scores: Scores, top_k: int) -> list[dict[str, Any]]:
    """The `top_k` best labels as result rows, best first.

    Share and probability rise together within a clip, so the order is the same for exclusive and other labels.
    """
    shown = scoring.applied(scores.weights)
    probability = scoring.sigmoid(scores.pooled)
    alone = {name: scoring.sigmoid(z) for name, z in scores.alone.items()}
    best = _best(scores.pooled, label_set.labels, top_k)
    probable = [index for index in best if probability[index] >= LEAST_PROBABILITY]
    near = near_synonyms([label_set.labels[index] for index in probable], probable, label_set.sides)
    base, added = contributions({name: z[best] for name, z in scores.log_odds.items()}, scores.weights)
    result = []
    for place, index in enumerate(best):
        evidence = {
            name: {
                "probability": float(alone[name][index]),
                "similarity": float(scores.similarity[name][index]),
                "weight": shown[name],
                "contribution": float(added[name][place]),
            }
            for name in scores.log_odds
        }
        row = {
            "label": label_set.labels[index],
            "probability": float(probability[index]),
            "share": float(scores.share[index]),
            "base_log_odds": base,
        }
        others = near.get(label_set.labels[index])
        result.append(row | {"evidence": evidence} | ({"near": list(others)} if others else {}))
    return result


def verdict(label_set: LabelSet, scores: Scores) -> dict[str, Any]:
    """`category` and `open_set` of the clip, None if they do not apply."""
    hierarchy, open_set = label_set.hierarchy, label_set.open_set
    with_head = scores.log_odds if scores.is_fused else None
    return {
        "category": hierarchy.category(label_set.labels, scores.share) if hierarchy is not None else None,
        "open_set": open_set.judge(scores.alone, scores.weights, with_head) if open_set is not None else None,
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
    """Indices of the `top_k` largest values, largest first; ties by label name, so input order has no effect."""
    count = min(top_k, len(values))
    if count <= 0:
        return []
    least = np.partition(values, len(values) - count)[len(values) - count]
    candidates = np.flatnonzero(values >= least).tolist()
    return sorted(candidates, key=lambda index: (-values[index], labels[index]))[:count]


def _reason(clip: Clip) -> Reason:
    """Why nothing can be scored: the worst of the embeddings' reasons."""
    reasons = {clip.absent.get(key) for key in EMBEDDING_OF.values()}
    return next((reason for reason in WORST_FIRST if reason in reasons), "failed")
