"""Says how the things of a clip stand to one another."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import msgspec
import numpy as np

from pipeline.arrays import Spec
from pipeline.clip import Clip
from pipeline.errors import ConfigError
from pipeline.part import Part
from pipeline.result import Relation, Track
from pipeline.stage import Outputs, Stage, StageOptions
from stages.boxes import box_cover, box_iou
from stages.relations import moving, standing
from stages.relations.pair import Pair, pair_of
from stages.relations.standing import Held

WORDS = standing.WORDS | moving.WORDS
SAME = 0.7
"""Intersection over union from which two tracks are one thing."""
LEAST_MOMENTS = 2
"""Pictures of a clip that show both, at least."""
PART = 0.85
"""Share of a thing in another one of its name from which it is a part of it."""


class RelationOptions(StageOptions, frozen=True, kw_only=True):
    most: int = 8
    """Relations of a clip, the surest ones."""
    least_probability: float = 0.6
    """A track whose name is less probable is left out."""
    least_held: float = 0.7
    """How far a relation must hold between the boxes, on average, where 0.5 is just so."""


class RelationStage(Stage):
    """Gives `relations`: how the named tracks of a clip stand to one another, such as "dog on sofa", and whether one
    moves toward the other or follows it. Off, unless it is asked for.

    Each is told once: not that the other one is right of it, too. The score is the geometric mean of both names'
    probabilities and of how far the relation holds between the boxes.
    """

    required = ("tracks",)
    Options = RelationOptions
    options: RelationOptions

    def gives(self) -> dict[str, Spec]:
        doc = "If it was asked for: how the named tracks stand to one another, the surest first."
        return {"relations": Part(type=list[Relation], doc=doc)}

    def check(self) -> None:
        if self.options.most < 1:
            raise ConfigError(f"stages.relations.most is {self.options.most}; expected at least 1")
        if self.run.follow == "none":
            raise ConfigError("--relations: they are those of tracks, and none are followed. Leave out --detect none")

    def process(self, clip: Clip) -> Outputs:
        tracks = msgspec.convert(clip["tracks"], list[Track])
        named = [each for each in tracks if each.label and (each.probability or 0.0) >= self.options.least_probability]
        found = sorted(self._relations(named), key=lambda each: -each.score)
        return {"relations": found[: self.options.most]}

    def _relations(self, tracks: Sequence[Track]) -> Iterator[Relation]:
        for one, other in combinations(tracks, 2):
            pair = pair_of(one, other)
            if len(pair.times_s) >= LEAST_MOMENTS and not _are_one(pair):
                for held in (
                    *standing.standing(pair, self.options.least_held),
                    *moving.moving(pair, self.options.least_held),
                ):
                    yield _told(held)


def _are_one(pair: Pair) -> bool:
    """Whether two tracks are around the same thing, or around a thing and a part of it."""
    same, part = (float(np.diagonal(of(pair.ones, pair.others)).mean()) for of in (box_iou, box_cover))
    return same >= SAME or (pair.one.label == pair.other.label and part >= PART)


def _told(held: Held) -> Relation:
    one, other = held.pair.one, held.pair.other
    holds = np.flatnonzero(held.scores >= 0.5)
    score = (float(held.scores.mean()) * (one.probability or 0.0) * (other.probability or 0.0)) ** (1 / 3)
    return Relation(
        subject=one.label or "",
        subject_track=one.id,
        relation=WORDS[held.kind],
        object=other.label or "",
        object_track=other.id,
        score=round(score, 4),
        start_s=float(held.pair.times_s[holds[0]]),
        end_s=float(held.pair.times_s[holds[-1]]),
    )
