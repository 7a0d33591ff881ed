"""One clip of the bundled sample, with every value between its pictures and sound and its record."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.config import load_config
from pipeline.plain import Passed, PlainLoop
from pipeline.run import place, private_directory
from stages.classify import EMBEDDING_OF, FUSED_OF, Scores, score_all
from stages.words.labels import LabelSet

SAMPLE = Path(__file__).resolve().parent.parent / "engines" / "bundled" / "sample.mp4"
CLIP = 2
LABELS = ("sheep", "rain", "siren")
SETTINGS = ("model.engine=onnxruntime", "model.device=cpu", f"labels.words={list(LABELS)}")
"""onnxruntime computes in fp32 on every machine, so the page's digits do not depend on the processor."""


@dataclass(frozen=True)
class Worked:
    """A clip that was labelled, and how.

    alone: the scores without the fusion head. head: log-odds "C" by modality from the head's embeddings.
    """

    clip: Passed
    label_set: LabelSet
    scores: Scores
    head: dict[str, Array]

    @property
    def labels(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.clip.values["labels"]
        return rows

    @property
    def signals(self) -> dict[str, dict[str, float]]:
        signals: dict[str, dict[str, float]] = self.clip.values["signals"]
        return signals


@cache
def worked() -> Worked:
    with private_directory() as directory:
        plan = place(make_plan(load_config(None, SETTINGS)), directory)
        with PlainLoop(plan, threads=1) as loop:
            clip = next(clip for clip in loop.run(str(SAMPLE)) if clip.info.index == CLIP)
            label_set: LabelSet = loop.stages["classify"].label_set  # type: ignore[attr-defined]
    present = {name: clip.values[key] for name, key in EMBEDDING_OF.items()}
    fused = {name: clip.values[key] for name, key in FUSED_OF.items()}
    scores = score_all(label_set, present, clip.values["signals"], fused)
    head = {name: label_set.sides[name].compare(vector[None])[2][0] for name, vector in fused.items()}
    return Worked(clip, label_set, scores, head)
