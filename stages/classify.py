"""Which of the given labels fit a clip: every tower scores them in its own text space, and the scores are pooled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import RECORD, Array, Spec
from pipeline.clip import Absent, Clip, Reason
from pipeline.stage import Outputs, Resources, Stage
from stages import scoring
from stages.labels import LABELS_FILE, LabelSet, build_label_set, default_labels
from stages.reliability import Signals, reliability

EMBEDDING_OF = {
    "image": "image_embedding",
    "motion": "motion_embedding",
    "audio": "audio_embedding",
    "fused": "embedding",
}
"""Which array each side of the label set reads. "fused" is the embedding of a fusion head, for models that have one."""
WORST_FIRST: tuple[Reason, ...] = ("failed", "gap", "too_short", "no_stream", "no_tower", "not_asked")


class Classify(Stage):
    """Gives `labels`: the `top_k` best labels of the clip with probability, share and the evidence of each modality."""

    optional = (*EMBEDDING_OF.values(), "signals")

    def gives(self) -> dict[str, Spec]:
        return {"labels": RECORD}

    def prepare(self, report: Callable[[str], None]) -> None:
        """Turn the run's labels into vectors and leave them in the run's directory, for every worker that scores."""
        from engines.checkpoint import read_model

        spec = read_model(self.run.model, self.run.audio_model)
        labels = self.run.labels or default_labels()
        build_label_set(spec, labels, self.run, report).save(Path(self.run.directory) / LABELS_FILE)

    def open(self, resources: Resources) -> None:
        path = Path(self.run.directory) / LABELS_FILE
        self.label_set = resources.get(("labels", str(path)), lambda: LabelSet.load(path))

    def describe(self) -> dict[str, str]:
        return {"labels": f"{len(self.label_set.labels)} against {len(self.label_set.background)} background words"}

    def process(self, clip: Clip) -> Outputs:
        present = {
            name: clip[key] for name, key in EMBEDDING_OF.items() if name in self.label_set.sides and key in clip.arrays
        }
        if not present:
            return {"labels": Absent(_reason(clip))}
        signals: Signals = clip.get("signals") or {}
        return {"labels": score(self.label_set, present, signals, self.run.top_k)}


def score(label_set: LabelSet, embeddings: dict[str, Array], signals: Signals, top_k: int) -> list[dict[str, Any]]:
    """The best labels first, from the embeddings ("D", unit length) of the modalities that are present.

    Share and probability rise together within a clip: the order is the same for exclusive labels and for others.
    """
    similarity: dict[str, Array] = {}
    odds: dict[str, Array] = {}
    weights: dict[str, float] = {}
    for name, embedding in embeddings.items():
        side = label_set.sides[name]
        near, background, z = side.compare(embedding[None])
        similarity[name], odds[name] = near[0], z[0]
        weights[name] = reliability(name, signals, scoring.peakedness(background[0], side.temperature))
    pooled = scoring.pool(odds, weights)
    share = scoring.shares(pooled)
    shown = scoring.normalised(weights)
    probability, alone = scoring.sigmoid(pooled), {name: scoring.sigmoid(z) for name, z in odds.items()}
    result = []
    for index in _best(pooled, label_set.labels, top_k):
        evidence = {
            name: {
                "probability": float(alone[name][index]),
                "similarity": float(similarity[name][index]),
                "weight": shown[name],
            }
            for name in embeddings
        }
        row = {"label": label_set.labels[index], "probability": float(probability[index]), "share": float(share[index])}
        result.append(row | {"evidence": evidence})
    return result


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
