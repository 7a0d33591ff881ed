"""Which tracks are where a phrase says: "the man left of the bus"."""

from collections.abc import Mapping, Sequence

from stages.track.paths import Path
from stages.words.relations import Relation

MOST = 0.5
"""A relation holds in a clip if it does in more than this share of the pictures that show both."""


def related(paths: Sequence[Path], labels: Mapping[int, str | None], relations: Sequence[Relation]) -> dict[int, str]:
    """The phrase that fits each track, by its id; the first one, if several do.

    labels: what each track is, by id.
    """
    found: dict[int, str] = {}
    for relation in relations:
        things = [path for path in paths if _is(labels.get(path.track.id), relation.thing)]
        others = [path for path in paths if _is(labels.get(path.track.id), relation.other)]
        for path in things:
            if any(_holds(relation, path, other) for other in others if other is not path):
                found.setdefault(path.track.id, relation.phrase)
    return found


def _is(label: str | None, name: str) -> bool:
    return label is not None and label.casefold() == name.casefold()


def _holds(relation: Relation, path: Path, other: Path) -> bool:
    there = {place.time_ns: place.box for place in other.places}
    both = [(place.box, there[place.time_ns]) for place in path.places if place.time_ns in there]
    return sum(relation.holds(*boxes) for boxes in both) > MOST * len(both) if both else False
