"""Tracks as `Detections` of the package supervision."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from percept._tables import Records, _each

if TYPE_CHECKING:
    from supervision import Detections


def to_supervision(results: Records) -> "Iterator[tuple[float, Detections]]":
    """Tracks, picture by picture, for the annotators, zones and metrics of supervision.

        for time_s, detections in percept.to_supervision(percept.run("street.mp4", labels=["person", "bus"])):
            print(time_s, detections.tracker_id, detections["class_name"])

    Pictures are those that were looked at, 8 a second by default, in the order of the records; those without a track
    are left out. `time_s` is in seconds of the source. `xyxy` is in pixels of the upright source, `tracker_id` is the
    id of the track, `confidence` the probability of its name (0 without one), and `class_id` counts the names of all
    records so far from 0. `data` has `class_name` ("" without a name) and `filled` (a box between two sightings).

    Args:
        results: What `percept.run` or `percept.read` gives, a list of records, one record, or the name of a file of
            results.

    Raises:
        ImportError: supervision is not installed; the message has the command.
    """
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        if error.name != "supervision":
            raise
        raise ImportError("supervision is not installed. Run: pip install supervision", name="supervision") from None
    import numpy as np

    numbers: dict[str, int] = {}
    for record in _each(results):
        rows: defaultdict[float, list[Any]] = defaultdict(list)
        for track in getattr(record, "tracks", None) or ():
            name = track.label or ""
            about = (track.id, numbers.setdefault(name, len(numbers)), name, track.probability or 0.0)
            for place, (time_s, *box) in enumerate(track.boxes):
                rows[time_s].append((box, *about, place in track.filled))
        for time_s, seen in sorted(rows.items()):
            boxes, ids, classes, names, scores, filled = zip(*seen, strict=True)
            yield (
                time_s,
                Detections(
                    xyxy=np.array(boxes, np.float32),
                    confidence=np.array(scores, np.float32),
                    class_id=np.array(classes, int),
                    tracker_id=np.array(ids, int),
                    data={"class_name": np.array(names), "filled": np.array(filled, bool)},
                ),
            )
