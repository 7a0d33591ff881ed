"""Detection by words: OWL-ViT or OWLv2 looks for the things that the words of a run name."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from engines.models.owl import PROMPT, Owl
from pipeline.arrays import Array
from pipeline.stage import Resources, RunSettings
from stages.boxes import box_iou
from stages.built_network import BuiltNetwork
from stages.detect.asked import asked_words
from stages.detect.detector import Found
from stages.detect.owl_pictures import pictures_of, seen_size
from stages.detect.own import shifted
from stages.words.scoring import sigmoid
from stages.words.text_cache import TextCache

SHIFT = 1.5
"""Added to the log-odds of scores, because frames of a track add up evidence, and these scores are low: transformers
keeps boxes from 0.1 on, which becomes 0.33; 0.34 becomes 0.7, which starts a track. A guess: no published checkpoint
could be tried."""
SAME_WORD = 0.5
"""Intersection over union above which two boxes for one word show the same object."""
SAME = 0.7
"""The same for two words, which may mean one thing, such as dog and puppy."""
MOST = 100
"""Most boxes of a picture, the best ones."""
MOST_PATCHES = 1_000
"""Boxes that are compared with each other, the best ones."""


class OwlDetector(BuiltNetwork):
    """See `stages.detect.detector.Detector`. The words are encoded once, and are no part of the engine."""

    def __init__(self, owl: Owl, least_score: float, run: RunSettings) -> None:
        super().__init__(owl.image.network, owl.image.directory, run, "detector")
        self.owl = owl
        self.frames_per_clip = 2 if owl.kind == "owlvit" else 1
        self._least_score = least_score
        self.words = asked_words(run)
        self._queries: Array | None = None

    @property
    def short_side_px(self) -> int:
        return self.owl.image.size_px * 3 // 4

    @property
    def name(self) -> str:
        return f"{self.owl.directory.name}-{self.engine.name}@{self.owl.image.size_px}"

    @property
    def opens_early(self) -> bool:
        return False

    def prepare(self, report: Callable[[str], None]) -> None:
        self._encoded(report)
        super().prepare(report)

    def open(self, resources: Resources) -> None:
        super().open(resources)
        self._queries = self._encoded(lambda line: None)  # `prepare` has left them in the cache

    def detect(self, frames: Sequence[Array]) -> list[Found]:
        given = self.engine.run({"pictures": pictures_of(frames, self.owl)})
        height, width = frames[0].shape[:2]
        size = seen_size(height, width, self.owl)
        found = []
        for vectors, shifts, boxes in zip(given["vectors"], given["shifts"], given["boxes"], strict=True):
            scores, which = best_queries(vectors, shifts, self._open_queries)
            corners, words = corners_of(boxes, *size), self._owners[which]
            kept = np.flatnonzero((scores >= self._least_score) & has_area(corners, width, height))
            kept = kept[distinct(corners[kept], scores[kept], words[kept])]
            names = [self.words[word].name for word in words[kept]]
            found.append(Found(corners[kept], shifted(scores[kept], SHIFT), names))
        return found

    @property
    def _open_queries(self) -> Array:
        if self._queries is None:
            raise RuntimeError("detector is not open")
        return self._queries

    @cached_property
    def _owners(self) -> Array:
        """int64 "Q": the word that each query is a name of."""
        return np.repeat(np.arange(len(self.words)), [len(word.names) for word in self.words])

    def _encoded(self, report: Callable[[str], None]) -> Array:
        """float32 "Q D", of unit length: a query for every name of every word."""
        prompts = [PROMPT.format(name) for word in self.words for name in word.names]
        return TextCache(self.owl.texts, self.owl.kind, self.run).vectors(prompts, report)


def best_queries(vectors: Array, shifts: Array, queries: Array) -> tuple[Array, Array]:
    """For every patch the score in [0, 1] of the query that fits best, "P", and which that is, "P".

    vectors "P D" and shifts "P": see `engines.networks.owl_towers.OwlVision`.
    """
    logits = vectors @ queries.T + shifts[:, None]
    which = logits.argmax(axis=1)
    return sigmoid(logits[np.arange(len(logits)), which]).astype(np.float32), which


def corners_of(boxes: Array, width: int, height: int) -> Array:
    """Boxes "P 4" as centre, width and height in shares of a picture -> float32 x0, y0, x1, y1 in pixels."""
    half = boxes[:, 2:] / 2
    shares = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return shares * np.array([width, height, width, height], np.float32)


def has_area(corners: Array, width: int, height: int) -> Array:
    """bool "P": which boxes have at least a pixel inside the frame. OWLv2 also looks at what is around it."""
    inside = np.clip(corners, 0, [width, height, width, height])
    large: Array = (inside[:, 2:] - inside[:, :2]).min(axis=1) >= 1
    return large


def distinct(boxes: Array, scores: Array, words: Array) -> Array:
    """Indices of the boxes that show objects of their own, best first: greedily, as without words, but two words for
    one object need a larger overlap than one word; at most `MOST`."""
    order = np.argsort(-scores, kind="stable")[:MOST_PATCHES]
    limits = np.where(words[order, None] == words[order], SAME_WORD, SAME)
    doubles = box_iou(boxes[order], boxes[order]) > limits
    kept: list[int] = []
    for row in range(len(order)):
        if len(kept) < MOST and not doubles[row, kept].any():
            kept.append(row)
    return order[kept]
