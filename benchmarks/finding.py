"""Does `percept find` find what a phrase describes?

    python -m benchmarks.finding [--data ../shared/data] [--model percept-mini] [--choices]

scenes     300 pictures of things that were cut out of photos (`benchmarks.composed`), with a phrase that fits one of
           them and half fits others: a colour, a place, a size, a relation, or a colour and a relation. Pairs of colour
           and thing are those that nothing was chosen on. Is the best box around the right thing, and does a phrase
           with its roles swapped fit less well? Is a thing that is not there said not to be? The same
           without re-ranking (`--quick`).
pairs      photos of VOC with one person and one thing to ride, of which one is in the other's box or meets it: does
           "person riding horse" fit better than "horse riding person"?

--choices uses the photos and pairs that choices were made on.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA
from benchmarks.composed import HUES, Canvas, Thing, is_held_out, photos_of_pairs, things
from engines.models.checkpoint import read_model
from evidence.finding.answer import Finding
from evidence.finding.finder import Finder, finding
from pipeline.arrays import Array
from pipeline.config import load_config
from stages.boxes import box_iou
from training.intervals import share

SCENES = 300
ABSENT_EVERY = 4
"""In each so-manieth scene something is asked for that is not there."""
RIGHT = 0.5
"""Intersection over union from which a box is around a thing."""
SPOTS = ((95, 180), (270, 180), (445, 180))
LARGE, SMALL = 165, 105
RELATIONS = {"left of": (0, 1, 2), "right of": (2, 1, 0)}
"""The spot of what is asked for, of what it is related to, and of another one of its kind."""
RIDDEN = ("horse", "bicycle", "motorbike")


class Scene(NamedTuple):
    pixels: Array
    kind: str
    phrase: str
    swapped: str
    """The same words in other roles; "" where there are none."""
    absent: str
    """The same of a thing that is not there."""
    boxes: Array
    """Of all things, the right one first."""
    alike: int
    """How many of them have its name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--choices", action="store_true", help="the photos and pairs that choices were made on")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with boxes/")
    scenes = list(scenes_of(things(options.data, not options.choices), options.scenes, not options.choices))
    figures: dict[str, Any] = {"model": read_model(options.model).id, "scenes": len(scenes)}
    figures["chance"] = round(float(np.mean([1 / scene.alike for scene in scenes])), 3)
    pairs = list(photos_of_pairs(options.data, not options.choices, RIDDEN))
    for is_quick in (False, True):
        config = load_config(None, (f"model.path={options.model}",))
        with (
            tempfile.TemporaryDirectory(prefix="finding-") as folder,
            finding(config, is_quick=is_quick, every_s=2.0) as finder,
        ):
            told = on_scenes(finder, scenes, Path(folder)) | on_pairs(finder, pairs, Path(folder))
            figures |= {f"{name}_quick" if is_quick else name: value for name, value in told.items()}
    figures["quick_takes"] = round(figures["look_s_quick"]["median"] / figures["look_s"]["median"], 3)
    print("\n".join(f"{name:36} {value}" for name, value in figures.items()))
    if not options.choices:
        report.write("finding", msgspec.to_builtins(figures))


def scenes_of(cuts: dict[str, list[Thing]], count: int, held_out: bool) -> Iterator[Scene]:
    chance = np.random.default_rng(5)
    makers = (by_colour, by_relation, by_both, by_size, by_place)
    for number in range(count):
        yield makers[number % len(makers)](Drawn(cuts, chance, held_out))


class Drawn:
    """Draws what a scene is made of."""

    def __init__(self, cuts: dict[str, list[Thing]], chance: np.random.Generator, held_out: bool) -> None:
        self.chance, self._cuts, self._held_out = chance, cuts, held_out
        self.kinds = [str(kind) for kind in chance.permutation(sorted(cuts))]
        level = chance.integers(70, 190, (6, 9, 3)).astype(np.uint8)
        self.canvas = Canvas(level)

    def colours(self, kind: str, count: int) -> list[str]:
        """Different colours, the first of which makes a pair to report on, or one for choices."""
        able = [colour for colour in HUES if is_held_out(colour, kind) == self._held_out]
        first = str(self.chance.choice(able))
        near = {
            "red": "orange pink",
            "orange": "red yellow",
            "yellow": "orange",
            "purple": "pink blue",
            "pink": "red purple",
            "blue": "purple",
        }
        others = [each for each in HUES if each != first and each not in near.get(first, "").split()]
        return [first, *map(str, self.chance.permutation(others)[: count - 1])]

    def put(self, kind: str, colour: str, spot: Sequence[int], size_px: int) -> Array:
        cut = self._cuts[kind][int(self.chance.integers(len(self._cuts[kind])))]
        x, y = spot[0] + int(self.chance.integers(-12, 13)), spot[1] + int(self.chance.integers(-60, 61))
        return np.array(self.canvas.add(cut, colour, (x, y), size_px).box, float)

    def size(self) -> int:
        return int(self.chance.integers(125, 170))

    def scene(self, kind: str, phrase: str, swapped: str, boxes: Sequence[Array], alike: int) -> Scene:
        absent = phrase.replace(self.kinds[0], self.kinds[2])
        return Scene(self.canvas.pixels, kind, phrase, swapped, absent, np.array(boxes), alike)


def by_colour(drawn: Drawn) -> Scene:
    """ "the red dog", beside a blue dog and a red cat."""
    one, other = drawn.kinds[:2]
    first, second = drawn.colours(one, 2)
    spots = drawn.chance.permutation(np.array(SPOTS)).tolist()
    boxes = [
        drawn.put(kind, colour, spot, drawn.size())
        for (kind, colour), spot in zip(((one, first), (one, second), (other, first)), spots, strict=True)
    ]
    return drawn.scene("colour", f"the {first} {one}", "", boxes, 2)


def by_relation(drawn: Drawn) -> Scene:
    """ "the dog left of the cat", with another dog right of it."""
    one, other = drawn.kinds[:2]
    way = str(drawn.chance.choice(sorted(RELATIONS)))
    boxes = [
        drawn.put(kind, "", SPOTS[spot], drawn.size())
        for kind, spot in zip((one, other, one), RELATIONS[way], strict=True)
    ]
    return drawn.scene("relation", f"the {one} {way} the {other}", "", boxes, 2)


def by_both(drawn: Drawn) -> Scene:
    """ "the red dog left of the blue cat": two things, in colours, and their roles may be swapped."""
    one, other = drawn.kinds[:2]
    first, second = drawn.colours(one, 2)
    way = str(drawn.chance.choice(sorted(RELATIONS)))
    spots = RELATIONS[way]
    boxes = [
        drawn.put(one, first, SPOTS[spots[0]], drawn.size()),
        drawn.put(other, second, SPOTS[spots[1]], drawn.size()),
    ]
    boxes.append(drawn.put(one, second, SPOTS[spots[2]], drawn.size()))
    phrase, swapped = (
        f"the {a} {way} the {b}"
        for a, b in ((f"{first} {one}", f"{second} {other}"), (f"{second} {other}", f"{first} {one}"))
    )
    return drawn.scene("both", phrase, swapped, boxes, 2)


def by_size(drawn: Drawn) -> Scene:
    """ "the big dog", beside a small one and a big cat."""
    one, other = drawn.kinds[:2]
    spots = drawn.chance.permutation(np.array(SPOTS)).tolist()
    word = str(drawn.chance.choice(("big", "small")))
    sizes = (LARGE, SMALL) if word == "big" else (SMALL, LARGE)
    cut = drawn._cuts[one][int(drawn.chance.integers(len(drawn._cuts[one])))]
    boxes = [
        np.array(drawn.canvas.add(cut, "", tuple(spot), size).box, float)
        for spot, size in zip(spots[:2], sizes, strict=True)
    ]
    boxes.append(drawn.put(other, "", spots[2], sizes[0]))
    return drawn.scene("size", f"the {word} {one}", "", boxes, 2)


def by_place(drawn: Drawn) -> Scene:
    """ "the dog on the left", with another one on the right, and the other way round."""
    one, other = drawn.kinds[:2]
    side = str(drawn.chance.choice(("left", "right")))
    order = (0, 2, 1) if side == "left" else (2, 0, 1)
    boxes = [
        drawn.put(kind, "", SPOTS[spot], drawn.size()) for kind, spot in zip((one, one, other), order, strict=True)
    ]
    return drawn.scene("place", f"the {one} on the {side}", "", boxes, 2)


def on_scenes(finder: Finder, scenes: Sequence[Scene], folder: Path) -> dict[str, Any]:
    right, seconds = dict[str, list[bool]](), list[float]()
    points, swapped, there, absent = list[bool](), list[bool](), list[bool](), list[bool]()
    finder.learn([text for scene in scenes for text in (scene.phrase, scene.swapped, scene.absent) if text])
    for number, scene in enumerate(scenes):
        file = folder / f"{number}.png"
        cv2.imwrite(str(file), scene.pixels[..., ::-1])
        judge = finder.judge(scene.phrase)
        began_s = time.perf_counter()
        (picture,) = finder.pictures(str(file))
        found = finder.look(picture, judge)
        seconds.append(time.perf_counter() - began_s)
        overlaps = overlaps_of(found, scene.boxes)
        right.setdefault(scene.kind, []).append(bool(overlaps[0] >= RIGHT))
        points.append(bool(overlaps.argmax() == 0 and overlaps.max() > 0))
        there.append(found.is_there)
        if number % ABSENT_EVERY == 0:
            absent.append(not finder.look(picture, finder.judge(scene.absent)).is_there)
        if scene.swapped:
            swapped.append(best(finder.look(picture, finder.judge(scene.swapped))) < best(found))
    every = [value for values in right.values() for value in values]
    return {
        "right_box": share(every),
        **{f"right_box_{kind}": share(values) for kind, values in right.items()},
        "points_at_the_right_thing": share(points),
        "said_to_be_there": share(there),
        "absent_said_not_to_be_there": share(absent),
        "swapped_roles_score_lower": share(swapped),
        "look_s": report.min_median_max([round(value, 3) for value in seconds[1:]]),
    }


def on_pairs(finder: Finder, photos: Sequence[tuple[str, Array]], folder: Path) -> dict[str, Any]:
    finder.learn([text for kind in RIDDEN for text in (f"person riding {kind}", f"{kind} riding person")])
    lower = []
    for number, (kind, pixels) in enumerate(photos):
        file = folder / f"pair-{number}.png"
        cv2.imwrite(str(file), pixels[..., ::-1])
        right, wrong = (
            best(next(finder.at(str(file), finder.judge(text))))
            for text in (f"person riding {kind}", f"{kind} riding person")
        )
        lower.append(wrong < right)
    return {"photos_of_riders": len(lower), "swapped_riders_score_lower": share(lower)}


def overlaps_of(found: Finding, boxes: Array) -> Array:
    """Of the best box with each thing; zeros where nothing was found."""
    return box_iou(np.array([found.answers[0].box]), boxes)[0] if found.answers else np.zeros(len(boxes))


def best(found: Finding) -> float:
    return found.answers[0].score if found.answers else 0.0


if __name__ == "__main__":
    main()
