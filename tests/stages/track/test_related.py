"""A phrase fits the tracks that are where it says, for most of a clip."""

from stages.boxes import Box, BoxKind
from stages.track.motion_model import MotionOptions, start
from stages.track.paths import Path, Place
from stages.track.related import related
from stages.track.state import TrackMemory
from stages.words.relations import relations_of


def path(number: int, *boxes: Box, first: int = 0) -> Path:
    memory = TrackMemory(number, number, BoxKind.NETWORK, start(boxes[0], MotionOptions()), 3, 9.0, 0, 0)
    return Path(memory, [Place(first + index, box) for index, box in enumerate(boxes)])


def at(x: float) -> Box:
    return (x, 0.0, x + 10, 20.0)


def test_the_man_left_of_the_bus_and_not_the_other_one() -> None:
    paths = [path(1, at(0), at(2)), path(2, at(90), at(90)), path(3, at(50), at(50))]
    labels = {1: "man", 2: "Man", 3: "bus"}
    assert related(paths, labels, relations_of(["man left of the bus"])) == {1: "man left of the bus"}
    assert related(paths, labels, relations_of(["man right of bus", "man next to man"])) == {2: "man right of bus"}


def test_it_has_to_hold_in_most_pictures_that_show_both() -> None:
    bus = path(3, at(50), at(50), at(50))
    relations = relations_of(["man left of bus"])
    assert related([path(1, at(0), at(0), at(90)), bus], {1: "man", 3: "bus"}, relations)
    assert not related([path(1, at(0), at(90), at(90)), bus], {1: "man", 3: "bus"}, relations)
    assert not related([path(1, at(0), first=10), bus], {1: "man", 3: "bus"}, relations), "never together"
    assert not related([path(1, at(0)), bus], {1: "man", 3: None}, relations)
