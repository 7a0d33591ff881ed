"""Judges candidates by a phrase: towers say what fits a name, pixels and geometry all that can be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.models.patch_tower import PatchTower
from evidence.finding.aligned import moved
from evidence.finding.answer import Answer, Box, Finding, Part
from evidence.finding.candidates import Candidates, Picture, read, tightness, wholeness
from evidence.finding.measured import measured
from evidence.finding.ranked import Chosen, Term, ranked
from pipeline.arrays import Array
from stages.boxes import box_cover, box_iou
from stages.maps.stuff import is_stuff
from stages.phrase.geometry import HOLDS, between
from stages.phrase.lexicon import GUESSED
from stages.phrase.parts import Phrase, Relation, Thing
from stages.words.label_side import LabelSide
from stages.words.scoring import sigmoid

LEAST_SCORE = 0.4
"""Below it, an answer is none."""
BARELY = 0.3
"""Score of the detector at which a box is as well around no thing, but a part of one."""
VOTE = 0.25
"""Weight of the towers' vote on a verb beside its geometry. Text vectors hardly know who does what to whom, so the vote
decides only where geometry does not."""
SAME = 0.7
"""Intersection over union from which two boxes are not two things."""
COVERED = 0.6
"""Share of the smaller of two boxes from which the worse answer is left out."""
MOST_PAIRS = 6
"""Pairs of boxes whose crops are voted on, the best ones."""


def prompts_of(phrase: Phrase) -> list[str]:
    """All that text towers are asked of a phrase, each once."""
    asked = [name for thing in phrase.things for name in (thing.name, _with_motion(phrase, thing))]
    for relation in phrase.relations:
        asked += sentences_of(phrase, relation)
    return list(dict.fromkeys(asked))


def sentences_of(phrase: Phrase, relation: Relation) -> list[str]:
    """For a verb: the sentence, the swapped one, and one without the verb."""
    if not relation.verb or len(relation.others) != 1:
        return []
    names = phrase.things[relation.subject].name, phrase.things[relation.others[0]].name
    return [phrase.sentence(relation), phrase.sentence(relation, is_swapped=True), " and ".join(names)]


def _with_motion(phrase: Phrase, thing: Thing) -> str:
    """The name for pictures in which nothing moves: "running dog"."""
    return " ".join([*(phrase.read(each.span).casefold() for each in thing.of("motion")), thing.name])


@dataclass(frozen=True)
class Place:
    """The boxes of one thing: rows of the candidates, or parts of them for clothes."""

    boxes: Array
    fits: Array
    """ "N": how well its name fits each."""


class Judge:
    """Compares with the vectors of a phrase: `side` has a row for each of `prompts_of(phrase)`.

    words: the tokens of the names of things, "m D", for the comparison with places of a box (`aligned`).
    """

    def __init__(
        self,
        phrase: Phrase,
        side: LabelSide,
        tower: PatchTower,
        is_quick: bool,
        words: Mapping[str, Array] | None = None,
    ) -> None:
        self._words = words or {}
        self.phrase, self._tower, self._is_quick = phrase, tower, is_quick
        self._side = side
        self._row = {prompt: row for row, prompt in enumerate(prompts_of(phrase))}

    def finding(self, picture: Picture, found: Candidates, least: float = LEAST_SCORE) -> Finding:
        if not len(found):
            return Finding(self.phrase, picture, (), least)
        odds = self._side.compare(found.vectors)[2]
        places = [self._place(thing, picture.frame, found, odds) for thing in self.phrase.things]
        terms, notes = self._terms(picture, found, places)
        counts = [len(place.boxes) for place in places]
        chosen = ranked(self.phrase.asked, counts, list(terms.values()), self._apart(places))
        if not self._is_quick:
            chosen = self._voted(picture.frame, places, terms, chosen, counts)
        scale = np.array([picture.width / picture.frame.shape[1], picture.height / picture.frame.shape[0]] * 2)
        own = self._distinct(chosen, places[self.phrase.asked].boxes)
        answers = [self._answer(each, places, terms, notes, found, scale) for each in own]
        return Finding(self.phrase, picture, tuple(answers), least)

    def _distinct(self, chosen: Sequence[Chosen], boxes: Array) -> list[Chosen]:
        """Without answers whose box covers, or is covered by, that of a better one: they are parts of it."""
        kept: list[Chosen] = []
        for each in chosen:
            row, rows = each.boxes[self.phrase.asked], [other.boxes[self.phrase.asked] for other in kept]
            if not kept or box_cover(boxes[[row]], boxes[rows]).max() < COVERED:
                kept.append(each)
        return kept

    def side_of(self, names: Sequence[str]) -> LabelSide:
        """The rows of these names."""
        rows = [self._row[name] for name in names]
        known = None if self._side.known is None else self._side.known[rows]
        return replace(self._side, labels=self._side.labels[rows], kept=self._side.kept[rows], known=known)

    def fits(self, found: Candidates) -> Array:
        """How well the name of each thing fits each candidate, "T N"."""
        odds = self._side.compare(found.vectors)[2]
        return np.array([self._fits(thing, found, odds) for thing in self.phrase.things]).reshape(-1, len(found))

    def _fits(self, thing: Thing, found: Candidates, odds: Array) -> Array:
        sure = found.scores / (found.scores + BARELY) * wholeness(found.boxes, found.scores)
        if thing.is_any:
            return sure
        name = _with_motion(self.phrase, thing) if not any(found.moves) else thing.name
        own = odds[:, self._row[name]]
        if found.grey is not None and thing.of("colour"):
            own = (own + self._side.compare(found.grey)[2][:, self._row[name]]) / 2
        if thing.name in self._words:
            cosines = self._side.compare(found.vectors)[0][:, self._row[name]]
            own = own + moved(cosines, self._words[thing.name], found.patches) / self._side.temperature
        likely, mapped = sigmoid(own), found.by_map.get(thing.name, np.zeros(len(found)))
        # In the box of a map's part the tower must read the thing, too; in that of grass, it reads what stands on it.
        fits = np.maximum(likely * sure, mapped if is_stuff(thing.name) else np.minimum(likely, mapped))
        tight: Array = fits * tightness(found.boxes, found.scores, fits)
        return tight

    def _place(self, thing: Thing, frame: Array, found: Candidates, odds: Array) -> Place:
        if thing.worn is None or not self._is_worn(thing):
            return Place(found.boxes, self._fits(thing, found, odds))
        boxes, (begin, end) = found.boxes.copy(), thing.worn
        height = found.boxes[:, 3] - found.boxes[:, 1]
        boxes[:, 1], boxes[:, 3] = found.boxes[:, 1] + begin * height, found.boxes[:, 1] + end * height
        vectors, _ = read(frame, boxes, self._tower)
        return Place(boxes, sigmoid(self._side.compare(vectors)[2][:, self._row[thing.name]]))

    def _is_worn(self, thing: Thing) -> bool:
        number = self.phrase.things.index(thing)
        return any(each.kind == "worn" and number in each.others for each in self.phrase.relations)

    Key = tuple[str, int, int]
    """"thing", "attribute" or "relation"; the number of the thing or relation; the number of the attribute."""

    def _terms(
        self, picture: Picture, found: Candidates, places: Sequence[Place]
    ) -> tuple[dict[Key, Term], dict[Key, str]]:
        terms, notes = dict[Judge.Key, Term](), dict[Judge.Key, str]()
        for number, (thing, place) in enumerate(zip(self.phrase.things, places, strict=True)):
            terms["thing", number, 0] = Term((number,), place.fits)
            if thing.judged:
                notes["thing", number, 0] = f"{' '.join(thing.judged)!r} is judged by the picture tower, with the name"
            here = Candidates(place.boxes, found.scores, found.vectors, found.patches, found.tracks, found.moves)
            for row, attribute in enumerate(thing.attributes):
                scores, why = measured(attribute, picture.frame, here, place.fits)
                if scores is None and attribute.kind == "motion":
                    why = "judged by the picture tower, with the name: " + why
                if scores is not None:
                    terms["attribute", number, row] = Term((number,), scores)
                if why:
                    notes["attribute", number, row] = why
        for number, relation in enumerate(self.phrase.relations):
            terms["relation", number, 0] = Term((relation.subject, *relation.others), _held(relation, places))
            if relation.kind in GUESSED or relation.verb:
                notes["relation", number, 0] = "a guess from the boxes"
        return terms, notes

    def _apart(self, places: Sequence[Place]) -> dict[tuple[int, int], Array]:
        """Boxes that two things cannot both have; clothes lie in their wearers."""
        free = {
            number for number, thing in enumerate(self.phrase.things) if thing.worn is None or not self._is_worn(thing)
        }
        return {
            (one, other): box_iou(places[one].boxes, places[other].boxes) >= SAME
            for one in free
            for other in free - {one}
        }

    def _voted(
        self, frame: Array, places: Sequence[Place], terms: dict[Key, Term], chosen: list[Chosen], counts: Sequence[int]
    ) -> list[Chosen]:
        """Ranked once more, after the tower has voted on the pairs of the best answers, for each verb."""
        changed = False
        for number, relation in enumerate(self.phrase.relations):
            asked = sentences_of(self.phrase, relation)
            if not asked:
                continue
            rows = [self._row[sentence] for sentence in asked]
            pairs = list(dict.fromkeys((c.boxes[relation.subject], c.boxes[relation.others[0]]) for c in chosen))[
                :MOST_PAIRS
            ]
            ones, others = (places[thing].boxes for thing in (relation.subject, relation.others[0]))
            around = np.array([_around(ones[one], others[other]) for one, other in pairs])
            vectors, _ = read(frame, around, self._tower)
            logits = self._side.compare(vectors)[0][:, rows] / self._side.temperature
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            votes = (shares / shares.sum(axis=1, keepdims=True))[:, 0]
            term = terms["relation", number, 0]
            scores = term.scores.copy()
            for pair, vote in zip(pairs, votes, strict=True):
                scores[pair] = scores[pair] ** (1 - VOTE) * min(1.0, 1.5 * float(vote)) ** VOTE
            terms["relation", number, 0] = Term(term.things, scores)
            changed = True
        return ranked(self.phrase.asked, counts, list(terms.values()), self._apart(places)) if changed else chosen

    def _answer(
        self,
        chosen: Chosen,
        places: Sequence[Place],
        terms: dict[Key, Term],
        notes: dict[Key, str],
        found: Candidates,
        scale: Array,
    ) -> Answer:
        boxes = [_told(places[number].boxes[row] * scale) for number, row in enumerate(chosen.boxes)]
        score_of = {
            key: float(term.scores[tuple(chosen.boxes[thing] for thing in term.things)]) for key, term in terms.items()
        }
        parts = []
        for number, thing in enumerate(self.phrase.things):
            key: Judge.Key = ("thing", number, 0)
            parts.append(Part("thing", thing.span, number, boxes[number], score_of.get(key), notes.get(key, "")))
            for row, attribute in enumerate(thing.attributes):
                key = "attribute", number, row
                parts.append(
                    Part(attribute.kind, attribute.span, number, boxes[number], score_of.get(key), notes.get(key, ""))
                )
        for number, relation in enumerate(self.phrase.relations):
            key = "relation", number, 0
            box = boxes[relation.subject]
            for other in relation.others:
                box = _told(_around(np.array(box), np.array(boxes[other])))
            parts.append(
                Part(relation.kind, relation.span, relation.subject, box, score_of.get(key), notes.get(key, ""))
            )
        asked = self.phrase.asked
        return Answer(boxes[asked], chosen.score, tuple(parts), found.tracks[chosen.boxes[asked]])


def _held(relation: Relation, places: Sequence[Place]) -> Array:
    """How far a relation holds between the boxes of its things, from geometry alone."""
    subject, first = places[relation.subject], places[relation.others[0]]
    if relation.kind == "between":
        return between(subject.boxes, first.boxes, places[relation.others[1]].boxes)
    if relation.kind == "worn":
        return np.eye(len(subject.boxes))
    held = HOLDS[relation.kind](subject.boxes, first.boxes)
    if relation.kind == "nearest":  # of those that the name fits
        rivals = subject.fits >= 0.5 * subject.fits.max()
        other_box = box_iou(subject.boxes, first.boxes) < SAME
        held = held / np.maximum(np.where(other_box & rivals[:, None], held, 0).max(axis=0, keepdims=True), 1e-9)
    return np.clip(held, 0.0, 1.0)


def _around(one: Array, other: Array) -> Array:
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])


def _told(box: Array) -> Box:
    x0, y0, x1, y1 = (round(float(side), 1) for side in box)
    return x0, y0, x1, y1
