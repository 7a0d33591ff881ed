"""The stage that follows moving objects through a source, clip by clip."""

from collections.abc import Iterator

import msgspec
import numpy as np

from pipeline.arrays import RECORD, Array, Spec, check_array
from pipeline.clip import Clip
from pipeline.stage import Fold, Outputs, StageOptions
from stages.track.state import TrackState, decode_state, encode_state
from stages.track.tracker import Detection, Sighting, TrackerOptions, alive, step


class TrackOptions(StageOptions):
    tracker: TrackerOptions = TrackerOptions()


class TrackStage(Fold):
    """Boxes that belong to one object get one id, unique within the source and never used again.

    A track is a record {"id", "boxes": [[time_s, x0, y0, x1, y1], ...], "label", "probability"}; boxes are in pixels of
    the upright source. It is reported from the frame in which it is confirmed.
    """

    required = ("boxes", "box_times_ns")
    optional = ("box_embeddings",)
    Options = TrackOptions
    options: TrackOptions

    def gives(self) -> dict[str, Spec]:
        return {"tracks": RECORD}

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
        return encode_state(memory), {"tracks": self._records(sightings, memory)}

    def _records(self, sightings: list[Sighting], memory: TrackState) -> list[dict[str, object]]:
        boxes: dict[int, list[list[float]]] = {}
        for seen in sightings:
            row = [round(seen.time_ns / 1e9, 3), *(round(value, 1) for value in seen.box)]
            boxes.setdefault(seen.id, []).append(row)
        return [{"id": id, "boxes": rows, "label": None, "probability": None} for id, rows in sorted(boxes.items())]


def by_frame(clip: Clip) -> Iterator[tuple[int, list[Detection]]]:
    """Detections of each frame that has any, in time order."""
    boxes, times_ns, vectors = clip["boxes"], clip["box_times_ns"], clip.get("box_embeddings")
    count = check_array("boxes", boxes, "N 6", "float32")["N"]
    if check_array("box_times_ns", times_ns, "N", "int64")["N"] != count:
        raise ValueError(f"box_times_ns must be int64 ({count},), got {times_ns.shape}")
    for time_ns in np.unique(times_ns):
        rows = np.flatnonzero(times_ns == time_ns)
        yield int(time_ns), [detection(boxes[i], None if vectors is None else vectors[i]) for i in rows]


def detection(row: Array, vector: Array | None) -> Detection:
    """Row "6" of `boxes` and row "D" of `box_embeddings`, which is all zeros where no crop was encoded."""
    x0, y0, x1, y1, score = (float(value) for value in row[1:])
    known = vector is not None and vector.any()
    return Detection((x0, y0, x1, y1), score, vector.astype(np.float32) if vector is not None and known else None)
