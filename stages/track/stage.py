"""The stage that follows moving objects through a source, clip by clip."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from pipeline.arrays import Array, Spec, check_array
from pipeline.clip import Clip, ClipInfo
from pipeline.part import Part
from pipeline.result import Track
from pipeline.stage import Fold, Outputs, Resources, StageOptions
from stages.boxes import Box
from stages.track.state import TrackMemory, TrackState, decode_state, encode_state
from stages.track.tracker import Detection, Sighting, TrackerOptions, alive, step
from stages.words.labels import LABELS_FILE, LabelSet


class TrackOptions(StageOptions, frozen=True, kw_only=True):
    tracker: TrackerOptions = TrackerOptions()
    least_probability: float = 0.5
    """A label of the run names a track if it is a thing and at least so probable."""
    least_everyday_probability: float = 0.8
    """Otherwise an everyday word of the model's background vocabulary does, if it is at least so probable. Above 1,
    tracks have labels of the run only."""


class TrackStage(Fold):
    """Gives boxes of the same object one id, unique within the source and never reused.

    A track is a record {"id", "boxes": [[time_s, x0, y0, x1, y1], ...], "label", "probability"}; boxes are in pixels of
    the upright source. It is reported from the frame in which it is confirmed.
    """

    required = ("boxes", "box_times_ns")
    optional = ("box_embeddings", "box_crops")
    Options = TrackOptions
    options: TrackOptions

    _labels: LabelSet | None = None

    def gives(self) -> dict[str, Spec]:
        return {"tracks": Part(type=list[Track], doc="Moving objects, each with its boxes in this clip.")}

    def update(self, state: bytes, clip: Clip) -> tuple[bytes, Outputs]:
        memory = decode_state(state)
        if memory.epoch != clip.info.epoch:
            memory = msgspec.structs.replace(memory, epoch=clip.info.epoch, tracks=())
        sightings: list[Sighting] = []
        for time_ns, detections in by_frame(clip):
            memory, seen = step(memory, time_ns, detections, self.options.tracker)
            sightings += seen
        remaining = alive(memory.tracks, clip.info.end_ns, self.options.tracker)
        memory = msgspec.structs.replace(memory, tracks=tuple(remaining))
        return encode_state(memory), {"tracks": self._records(sightings, memory, clip.info)}

    def open(self, resources: Resources) -> None:
        path = Path(self.run.directory) / LABELS_FILE
        if path.is_file():  # written by classify; without it tracks have no labels
            self._labels = resources.get(("labels", str(path)), lambda: LabelSet.load(path))

    def _records(self, sightings: list[Sighting], memory: TrackState, info: ClipInfo) -> list[dict[str, object]]:
        boxes: dict[int, list[list[float]]] = {}
        for seen in sightings:
            row = [round(seen.time_ns / 1e9, 3), *(round(value, 1) for value in within(seen.box, info))]
            boxes.setdefault(seen.id, []).append(row)
        tracks = {track.id: track for track in memory.tracks}
        return [{"id": id, "boxes": boxes[id], **self._named(tracks.get(id))} for id in sorted(boxes)]

    def _named(self, track: TrackMemory | None) -> dict[str, object]:
        """What the mean of a track's crops shows, and its probability."""
        vector = track.vector() if track is not None else None
        names = self._labels.box_names if self._labels is not None else None
        if vector is not None and names is not None:
            named = names.name(vector, self.options.least_probability, self.options.least_everyday_probability)
            if named is not None:
                return {"label": named[0], "probability": named[1]}
        return {"label": None, "probability": None}


def within(box: Box, info: ClipInfo) -> Box:
    """The part of a box that is inside the picture, if the picture's size is known."""
    if not info.width or not info.height:
        return box
    x0, x1 = (min(max(x, 0.0), float(info.width)) for x in (box[0], box[2]))
    y0, y1 = (min(max(y, 0.0), float(info.height)) for y in (box[1], box[3]))
    return x0, y0, x1, y1


def by_frame(clip: Clip) -> Iterator[tuple[int, list[Detection]]]:
    """Detections of each frame that has any, in time order."""
    boxes, times_ns = clip["boxes"], clip["box_times_ns"]
    count = check_array("boxes", boxes, "N 6", "float32")["N"]
    if check_array("box_times_ns", times_ns, "N", "int64")["N"] != count:
        raise ValueError(f"box_times_ns must be int64 ({count},), got {times_ns.shape}")
    crops, rows = clip.get("box_embeddings"), clip.get("box_crops")
    vectors = {} if crops is None or rows is None else dict(zip(rows.tolist(), crops.astype(np.float32), strict=True))
    for time_ns in np.unique(times_ns):
        here = np.flatnonzero(times_ns == time_ns).tolist()
        yield int(time_ns), [detection(boxes[i], vectors.get(i)) for i in here]


def detection(row: Array, vector: Array | None) -> Detection:
    """The detection in a row "6" of `boxes`."""
    x0, y0, x1, y1, score = (float(value) for value in row[1:])
    return Detection((x0, y0, x1, y1), score, vector)
