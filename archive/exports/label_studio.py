"""Label Studio: a task with a prediction: boxes as `videorectangle`, events as `timelinelabels`."""

import json
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from archive.exports.boxes import Box, TrackPath
from archive.exports.source import Source
from pipeline.status import EventRecord

LOCAL = "/data/local-files/?d="
"""Where Label Studio serves files below its LOCAL_FILES_DOCUMENT_ROOT: the folder above the one that was labelled."""


def text(source: Source) -> str:
    """Frames count from 1, and coordinates are percent of the picture, so pixels need not be square.

    In the labelling interface, the tags for boxes, their labels and events are named `box`, `label` and `event`, the
    video `video`, with `framerate="$fps"`.
    """
    path = source.facts.source
    task = {
        "data": {
            "video": path if "://" in path else LOCAL + quote(unquote_to_bytes(source.name)),
            "fps": float(source.rate_hz),
        },
        "predictions": [
            {
                "model_version": source.facts.model,
                "result": [
                    *(_boxes(source, path) for path in source.tracks((100, 100))),
                    *(_event(source, number, event) for number, event in enumerate(source.events, 1)),
                ],
            }
        ],
    }
    return json.dumps([task], ensure_ascii=False, indent=1) + "\n"


def _boxes(source: Source, path: TrackPath) -> dict[str, Any]:
    sequence = []
    for stretch in path.stretches:
        for place, (frame, box) in enumerate(stretch, 1):
            sequence.append(_keyframe(source, frame, box, goes_on=place < len(stretch)))
    value = {
        "framesCount": source.frames,
        "duration": round(source.duration_s, 3),
        "sequence": sequence,
        "labels": [path.label],
    }
    return {"id": f"track{path.id}", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}


def _keyframe(source: Source, frame: int, box: Box, goes_on: bool) -> dict[str, Any]:
    """goes_on: the object is in sight until the next one; else only in this frame."""
    x0, y0, x1, y1 = box
    return {
        "frame": frame + 1,
        "enabled": goes_on,
        "rotation": 0,
        "x": round(x0, 4),
        "y": round(y0, 4),
        "width": round(x1 - x0, 4),
        "height": round(y1 - y0, 4),
        "time": round(float((frame + 1) / source.rate_hz), 6),
    }


def _event(source: Source, number: int, event: EventRecord) -> dict[str, Any]:
    first, frames = source.span(event)
    return {
        "id": f"event{number}",
        "type": "timelinelabels",
        "from_name": "event",
        "to_name": "video",
        "score": event.probability,
        "value": {"ranges": [{"start": first + 1, "end": first + frames}], "timelinelabels": [event.event]},
    }
