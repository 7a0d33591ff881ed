"""The stage that follows objects through a source, clip by clip."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path as FilePath

import msgspec
import numpy as np

from pipeline.arrays import Array, Spec, check_array
from pipeline.clip import Clip, ClipInfo
from pipeline.part import Part
from pipeline.places import Places
from pipeline.result import Crossing, Movement, Track, TrackEvidence, ZoneVisits
from pipeline.stage import Fold, Outputs, Resources
from stages.boxes import BoxKind
from stages.track.costs import Detection
from stages.track.counting import Followed, count
from stages.track.evidence import evidence
from stages.track.examples import EXAMPLES_FILE, Examples, check_examples, write_examples
from stages.track.movement import movement, with_stillness
from stages.track.naming import Name, Naming, Which
from stages.track.options import TrackOptions
from stages.track.paths import Path, follow, told_box
from stages.track.scene import REST, Scene
from stages.track.state import Known, after_stillness, decode_state, encode_state
from stages.track.tracker import alive
from stages.words.labels import LABELS_FILE, LabelSet

STILL_STEP_NS = 400_000_000


class TrackStage(Fold):
    """Gives boxes of the same object one id, unique within the source and never reused.

    A track is a record {"id", "boxes": [[time_s, x0, y0, x1, y1], ...], "label", "probability", "filled", "kind"};
    boxes are in pixels of the upright source. As the whole clip is at hand, a track is told from its first box in the
    clip in which it is confirmed, and short gaps are filled. With zones or lines, what is in them and what crosses them
    are records of their own.
    """

    required = ("boxes", "box_times_ns")
    optional = (
        "box_embeddings",
        "box_crops",
        "box_kinds",
        "box_names",
        "box_vectors",
        "box_colours",
        "detect_times_ns",
        "cut_times_ns",
        "scene_spans_ns",
        "scene_rates",
    )
    Options = TrackOptions
    options: TrackOptions

    _labels: LabelSet | None = None
    _examples: Examples | None = None

    def gives(self) -> dict[str, Spec]:
        return {
            "tracks": Part(type=list[Track], doc="Objects that were followed, each with its boxes in this clip."),
            "zones": Part(
                type=list[ZoneVisits] | None,
                doc="If zones were asked for: which tracks were in each of them, and for how long.",
            ),
            "crossings": Part(
                type=list[Crossing] | None,
                doc="If lines were asked for: which tracks crossed them, when, and which way.",
            ),
        }

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        memory = decode_state(state)
        if memory.epoch != clip.info.epoch:
            memory = msgspec.structs.replace(memory, epoch=clip.info.epoch, tracks=())
        elif clip.info.live is not None and clip.info.live.still_ns:
            memory = after_stillness(memory, clip.info.live.still_ns)
        options = {BoxKind.MOTION: self.options.tracker, BoxKind.NETWORK: self.options.network}
        looked_at = clip.get("detect_times_ns")
        times_ns = (clip["box_times_ns"] if looked_at is None else looked_at).tolist()
        if clip.info.reuse is not None:
            times_ns = spread_out(sorted(set(times_ns)))
        cuts = clip.get("cut_times_ns")
        cuts_ns = [] if cuts is None else cuts.tolist()
        scene = Scene(clip.get("scene_spans_ns"), clip.get("scene_rates"), clip.info.width, clip.info.height)
        carrying = scene if self.options.camera else REST
        frames = [frame for frame in by_frame(clip) if clip.info.reuse is None or frame[0] in times_ns]
        memory, paths = follow(memory, frames, sorted(set(times_ns)), options, cuts_ns, carrying)
        remaining = alive(memory.tracks, clip.info.end_ns, options)
        naming, moves, known = self.naming(clip.info), dict[int, Movement | None](), dict(memory.known)
        names, reasons = naming.names(paths), dict[int, TrackEvidence | None]()
        for path in paths:
            number, moved = path.track.id, movement(path.places, scene)
            moves[number], seen = with_stillness(moved, path.places, known.get(number, Known()))
            reasons[number], known[number] = evidence(path, names[number], naming, clip.info, seen)
        told = [path for path in paths if naming.is_told(names[path.track.id].label)]
        followed = [Followed(path.track.id, names[path.track.id].label, path.places) for path in told]
        size = clip.info.width, clip.info.height
        places = clip.info.places or Places(self.run.zones, self.run.lines)
        known, visits, crossings = count(known, followed, places.zones, places.lines, size)
        ids = {track.id for track in remaining}
        known = {number: value for number, value in known.items() if number in ids}
        memory = msgspec.structs.replace(memory, tracks=tuple(remaining), known=known)
        return encode_state(memory), {
            "tracks": [
                record_of(path, clip.info, names[path.track.id], reasons[path.track.id], moves[path.track.id])
                for path in told
            ],
            "zones": visits if places.zones else None,
            "crossings": crossings if places.lines else None,
        }

    def check(self) -> None:
        if self.run.like:
            check_examples(self.run)

    def prepare(self, report: Callable[[str], None]) -> None:
        if self.run.like:
            write_examples(self.run, report)

    def open(self, resources: Resources) -> None:
        examples = FilePath(self.run.directory) / EXAMPLES_FILE
        if self.run.like and examples.is_file():
            self._examples = Examples.load(examples)
        path = FilePath(self.run.directory) / LABELS_FILE
        if path.is_file():  # written by classify; without it tracks have no labels
            self._labels = resources.get(("labels", str(path)), lambda: LabelSet.load(path))

    def naming(self, info: ClipInfo) -> Naming:
        """What names the tracks of a clip."""
        return self._naming

    @cached_property
    def _naming(self) -> Naming:
        return self.naming_by(self.run.find, self.run.follow, self._labels)

    def naming_by(self, find: Sequence[str], follow: Which, labels: LabelSet | None) -> Naming:
        names = labels.box_names if labels is not None else None
        return Naming(self.options, find, self.run.like, follow, names, self._examples)


def spread_out(times_ns: Sequence[int]) -> list[int]:
    """Those of ascending times that are `STILL_STEP_NS` apart, and the last: where nothing changes, they tell all."""
    kept = list(times_ns[:1])
    for time_ns in times_ns[1:]:
        if time_ns - kept[-1] >= STILL_STEP_NS or time_ns == times_ns[-1]:
            kept.append(time_ns)
    return kept


def record_of(
    path: Path, info: ClipInfo, name: Name, reason: TrackEvidence | None, moved: Movement | None
) -> dict[str, object]:
    """A track of a clip as a record."""
    rows = [[round(place.time_ns / 1e9, 3), *told_box(place.box, info)] for place in path.places]
    return {
        "id": path.track.id,
        "boxes": rows,
        "label": name.label,
        "probability": name.probability,
        "evidence": reason,
        "filled": [row for row, place in enumerate(path.places) if place.filled],
        "kind": path.track.kind.name.lower(),
        "movement": moved,
    }


def by_frame(clip: Clip) -> Iterator[tuple[int, list[Detection]]]:
    """Detections of each frame that has any, in time order."""
    boxes, times_ns = clip["boxes"], clip["box_times_ns"]
    count = check_array("boxes", boxes, "N 6", "float32")["N"]
    if check_array("box_times_ns", times_ns, "N", "int64")["N"] != count:
        raise ValueError(f"box_times_ns must be int64 ({count},), got {times_ns.shape}")
    vectors, crops = vectors_of(clip)
    kinds, names = clip.get("box_kinds"), clip.get("box_names")
    kinds = [0] * count if kinds is None else kinds.tolist()
    names = [""] * count if names is None else names
    colours = colours_of(clip)
    for time_ns in np.unique(times_ns):
        here = np.flatnonzero(times_ns == time_ns).tolist()
        yield (
            int(time_ns),
            [detection(boxes[i], vectors.get(i), i in crops, kinds[i], names[i], colours.get(i)) for i in here],
        )


def colours_of(clip: Clip) -> dict[int, Array]:
    """The colours of boxes, by row, where they were measured."""
    told = clip.get("box_colours")
    return {} if told is None else {row: told[row] for row in np.flatnonzero(told.any(axis=1)).tolist()}


def vectors_of(clip: Clip) -> tuple[dict[int, Array], set[int]]:
    """What boxes look like, by row: what the tower says of a crop, or else what the detector says of the place. And the
    rows of crops."""
    vectors: dict[int, Array] = {}
    told, crops, rows = clip.get("box_vectors"), clip.get("box_embeddings"), clip.get("box_crops")
    if told is not None:
        vectors = {row: told[row].astype(np.float32) for row in np.flatnonzero(told.any(axis=1)).tolist()}
    if crops is None or rows is None:
        return vectors, set()
    return vectors | dict(zip(rows.tolist(), crops.astype(np.float32), strict=True)), set(rows.tolist())


def detection(
    row: Array, vector: Array | None, is_crop: bool, kind: int, name: str, colours: Array | None = None
) -> Detection:
    """The detection in a row "6" of `boxes`."""
    x0, y0, x1, y1, score = (float(value) for value in row[1:])
    return Detection((x0, y0, x1, y1), score, vector, is_crop, BoxKind(kind), name, colours)
