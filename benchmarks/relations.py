"""Are the relations of `percept run --relations` true, and how many of the true ones are told?

    python -m benchmarks.relations [--data ../shared/data] [--model percept-mini] [--scenes 60] [--choices]

Films of 2 s with two things that were cut out of photos (`benchmarks.composed`), each with a relation of our making:
left of, above, on, in front of, moves toward, follows. They are looked at as a run does, with the names of all kinds as
labels, and no everyday words besides. A relation that is told is true if both tracks are on things of these names, and
if it is the one that the film was made for; left of, above and next to are also true if the true boxes say so.

found      of the relations that films were made for, those that are told
found of named things  the same where both things have a track with their name
true       of all that is told
names aside  the same, but a track may have a wrong name
verbs      does the picture tower read "person riding horse" rather than "horse riding person" in photos of VOC with a
           rider? Half would be chance; that it is no better is why verbs are not told

--choices uses the photos that choices were made on.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import numpy as np

from benchmarks import report
from benchmarks.accuracy import DATA
from benchmarks.composed import KINDS, Canvas, Thing, photos_of_pairs, things
from engines.models.checkpoint import read_model
from evidence.finding.candidates import read
from evidence.finding.finder import Finder, finding
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import DecodedClip
from pipeline.config import Config, load_config
from pipeline.plain import PlainLoop, make_reader
from pipeline.result import Relation, Track
from pipeline.run import place, private_directory
from stages.boxes import box_iou
from stages.phrase.geometry import HOLDS
from training.intervals import share

SCENES = 60
RATE_HZ, PICTURES = 8, 16
ONLY_LABELS = "stages.track.least_everyday_probability=2"
SEATS = ("horse", "sofa", "chair", "motorbike", "bicycle")
RIDDEN = ("horse", "bicycle", "motorbike")
BY_BOXES = {"left of": "left", "above": "above", "next to": "beside"}
"""What true boxes can tell of any film, by its function."""
ON_IT = 0.5
"""Intersection over union from which a track is on a thing."""


class Film(NamedTuple):
    """relation: of the first thing to the second. pictures: uint8 "T H W 3". boxes: "T 2 4", of both."""

    relation: str
    kinds: tuple[str, str]
    pictures: Array
    boxes: Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="percept-mini")
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--choices", action="store_true", help="the photos that choices were made on")
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"--data {options.data}: does not exist; expected a folder with boxes/")
    cuts = things(options.data, not options.choices, kinds=tuple(dict.fromkeys((*KINDS, *SEATS))))
    films = films_of(cuts, options.scenes)
    config = load_config(None, (f"model.path={options.model}", "stages.relations.most=8", ONLY_LABELS))
    config = msgspec.structs.replace(config, labels=msgspec.structs.replace(config.labels, words=sorted(cuts)))
    figures: dict[str, Any] = {"model": read_model(options.model).id, "films": options.scenes}
    figures |= on_films(config, films)
    with finding(load_config(None, (f"model.path={options.model}",)), every_s=2.0) as finder:
        figures |= on_verbs(finder, photos_of_pairs(options.data, not options.choices, RIDDEN))
    print("\n".join(f"{name:36} {value}" for name, value in figures.items()))
    if not options.choices:
        report.write("relations", msgspec.to_builtins(figures))


def films_of(cuts: dict[str, list[Thing]], count: int) -> Iterator[Film]:
    chance = np.random.default_rng(7)
    for number in range(count):
        yield MAKERS[number % len(MAKERS)](Stage(cuts, chance))


class Stage:
    """Draws two things of different kinds, and films them."""

    def __init__(self, cuts: dict[str, list[Thing]], chance: np.random.Generator) -> None:
        self.chance, self._cuts = chance, cuts
        self._level = chance.integers(70, 190, (6, 9, 3)).astype(np.uint8)

    def draw(self, among: Sequence[str] = KINDS, other: str = "") -> Thing:
        kind = str(self.chance.choice([kind for kind in among if kind != other and kind in self._cuts]))
        return self._cuts[kind][int(self.chance.integers(len(self._cuts[kind])))]

    def near(self, value: float, by: int = 12) -> float:
        return value + int(self.chance.integers(-by, by + 1))

    def film(
        self,
        relation: str,
        one: Thing,
        other: Thing,
        starts: Array,
        sizes: Sequence[float],
        ways: Array,
        first: int = 0,
    ) -> Film:
        """starts: middles "2 2" in pixels; ways: pixels per second, "2 2". first: which of both is drawn first."""
        pictures, boxes = [], []
        for number in range(PICTURES):
            canvas, put = Canvas(self._level), [np.zeros(4)] * 2
            for which in (first, 1 - first):
                x, y = starts[which] + ways[which] * number / RATE_HZ
                thing = (one, other)[which]
                put[which] = np.array(canvas.add(thing, "", (round(x), round(y)), round(sizes[which])).box, float)
            pictures.append(canvas.pixels)
            boxes.append(np.array(put))
        return Film(relation, (one.kind, other.kind), np.array(pictures), np.array(boxes))


STILL = np.zeros((2, 2))


def left(stage: Stage) -> Film:
    one = stage.draw()
    starts = np.array([[stage.near(130), stage.near(180, 30)], [stage.near(390), stage.near(180, 30)]])
    return stage.film("left of", one, stage.draw(other=one.kind), starts, (stage.near(150), stage.near(150)), STILL)


def above(stage: Stage) -> Film:
    one, x = stage.draw(), stage.near(270, 80)
    starts = np.array([[stage.near(x), 85], [stage.near(x), 270]])
    return stage.film("above", one, stage.draw(other=one.kind), starts, (stage.near(125), stage.near(145)), STILL)


def front(stage: Stage) -> Film:
    one = stage.draw()
    starts = np.array([[stage.near(270, 60), 265], [stage.near(270), 160]])
    return stage.film("in front of", one, stage.draw(other=one.kind), starts, (140, stage.near(245)), STILL, first=1)


def on(stage: Stage) -> Film:
    """Its lower edge is in the upper part of the seat."""
    seat, one = stage.draw(SEATS), stage.draw(("bird", "cat", "dog", "person"))
    size, own = stage.near(210), stage.near(125)
    high = size * seat.pixels.shape[0] / max(seat.pixels.shape[:2])
    tall = own * one.pixels.shape[0] / max(one.pixels.shape[:2])
    top = 350 - high
    starts = np.array([[stage.near(270, 20), top + 0.3 * high - tall / 2], [270, top + high / 2]])
    return stage.film("on", one, seat, starts, (own, size), STILL, first=1)


def toward(stage: Stage) -> Film:
    one = stage.draw()
    starts = np.array([[stage.near(80), stage.near(180)], [stage.near(450), stage.near(180)]])
    ways = np.array([[stage.near(110), 0], [0, 0]])
    return stage.film("moves toward", one, stage.draw(other=one.kind), starts, (120, 120), ways)


def after(stage: Stage) -> Film:
    one, way = stage.draw(), stage.near(110)
    starts = np.array([[stage.near(80), stage.near(180)], [stage.near(230), stage.near(180)]])
    return stage.film("follows", one, stage.draw(other=one.kind), starts, (110, 110), np.array([[way, 0], [way, 0]]))


MAKERS = (left, above, front, on, toward, after)


def on_films(config: Config, films: Iterator[Film]) -> dict[str, Any]:
    found, true = dict[str, list[bool]](), dict[str, list[bool]]()
    named, aside = list[bool](), list[bool]()
    with (
        tempfile.TemporaryDirectory(prefix="relations-") as folder,
        private_directory() as directory,
        PlainLoop(place(make_plan(config), directory), improve=False) as loop,
    ):
        for number, film in enumerate(films):
            path = write(film, Path(folder) / f"{number}.mp4")
            tracks, told = seen(loop, path)
            at = {track.id: thing_of(track, film) for track in tracks}
            on_thing = {
                track.id: thing
                for track in tracks
                if (thing := at[track.id]) is not None and track.label == film.kinds[thing]
            }
            is_found = any(is_made_for(each, film, on_thing) for each in told)
            found.setdefault(film.relation, []).append(is_found)
            if {0, 1} <= set(on_thing.values()):
                named.append(is_found)
            for each in told:
                true.setdefault(each.relation, []).append(is_true(each, film, on_thing))
                aside.append(is_true(each, film, at))
    every, all_told = [v for values in found.values() for v in values], [v for values in true.values() for v in values]
    return {
        "found": share(every),
        **{f"found_{name.replace(' ', '_')}": share(values) for name, values in found.items()},
        "found_of_named_things": share(named),
        "true": share(all_told),
        "true_names_aside": share(aside),
        **{f"true_{name.replace(' ', '_')}": share(values) for name, values in true.items()},
    }


def write(film: Film, path: Path) -> str:
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", rate=RATE_HZ, options={"crf": "16"})
        stream.height, stream.width, stream.pix_fmt = *film.pictures.shape[1:3], "yuv420p"
        for picture in film.pictures:
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        made.mux(stream.encode())
    return str(path)


def seen(loop: PlainLoop, path: str) -> tuple[list[Track], list[Relation]]:
    """The tracks and relations of the film's one clip."""
    reader = make_reader(loop.plan, path)
    try:
        reader.open()
        (clip,) = (each for each in reader.clips() if isinstance(each, DecodedClip))
        (passed,) = loop.settle([clip], {})
    finally:
        reader.close()
    values = passed.values
    return msgspec.convert(values["tracks"], list[Track]), msgspec.convert(values["relations"], list[Relation])


def thing_of(track: Track, film: Film) -> int | None:
    """The thing that a track is on, by its boxes."""
    rows = [min(PICTURES - 1, round(time_s * RATE_HZ)) for time_s, *_ in track.boxes]
    boxes = np.array([row[1:] for row in track.boxes])
    overlaps = [float(np.diagonal(box_iou(boxes, film.boxes[rows, thing])).mean()) for thing in (0, 1)]
    best = int(np.argmax(overlaps))
    return best if overlaps[best] >= ON_IT else None


def is_made_for(told: Relation, film: Film, on_thing: Mapping[int, int | None]) -> bool:
    return told.relation == film.relation and (on_thing.get(told.subject_track), on_thing.get(told.object_track)) == (
        0,
        1,
    )


def is_true(told: Relation, film: Film, on_thing: Mapping[int, int | None]) -> bool:
    one, other = on_thing.get(told.subject_track), on_thing.get(told.object_track)
    if one is None or other is None:
        return False
    if told.relation not in BY_BOXES:
        return is_made_for(told, film, on_thing)
    held = HOLDS[BY_BOXES[told.relation]](film.boxes[:, one], film.boxes[:, other])
    return bool(np.diagonal(held).mean() >= 0.5)


def on_verbs(finder: Finder, photos: Iterator[tuple[str, Array]]) -> dict[str, Any]:
    """Whether the tower tells who rides whom, without any boxes."""
    right = []
    for kind, pixels in photos:
        side = finder.judge(f"person riding {kind}").side_of([f"person riding {kind}", f"{kind} riding person"])
        height, width = pixels.shape[:2]
        vectors, _ = read(np.ascontiguousarray(pixels), np.array([[0.0, 0.0, width, height]]), finder.tower)
        cosines = side.compare(vectors)[0][0]
        right.append(bool(cosines[0] > cosines[1]))
    return {"tower_tells_who_rides_whom": share(right)}


if __name__ == "__main__":
    main()
