"""Flow, detect and track on real video, read by our own reader: do the tracks match what a person sees?"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from pipeline.clip import Absent, Clip, DecodedClip
from pipeline.stage import Budget, RunSettings
from stages.decode.reader import ReaderOptions, make_reader
from stages.detect.stage import Detect
from stages.flow import Flow
from stages.track.stage import TrackStage

SECOND = 1_000_000_000


def tracks_of(path: Path, end_s: float) -> dict[int, list[list[float]]]:
    run, budget = RunSettings(modalities=("motion",)), Budget()
    stages = [Flow(Flow.Options(), run, budget), Detect(Detect.Options(), run, budget)]
    track, state = TrackStage(TrackStage.Options(), run, budget), b""
    found: dict[int, list[list[float]]] = defaultdict(list)
    reader = make_reader(str(path), 0, ReaderOptions(modalities=("motion",), end_ns=round(end_s * SECOND)))
    reader.open()
    for decoded in reader.clips():
        assert isinstance(decoded, DecodedClip)
        arrays: dict[str, Any] = dict(decoded.arrays)
        for stage in stages:
            if all(name in arrays for name in stage.required):
                outputs = stage.process(Clip(decoded.info, arrays))
                arrays |= {name: value for name, value in outputs.items() if not isinstance(value, Absent)}
        if "boxes" in arrays:
            state, outputs = track.update(state, Clip(decoded.info, arrays))
            for record in outputs["tracks"]:
                found[record["id"]] += record["boxes"]
    reader.close()
    return found


def seconds(boxes: list[list[float]]) -> float:
    return boxes[-1][0] - boxes[0][0]


def test_a_man_who_juggles_a_ball_is_one_track_from_start_to_end(shared_data: Path) -> None:
    tracks = tracks_of(shared_data / "clips" / "juggling_soccer_ball_a895c0.mp4", 10)
    longest = max(tracks.values(), key=len)
    assert seconds(longest) > 8.5
    assert len(longest) > 45
    assert len(tracks) <= 5
    assert all(600 < (row[1] + row[3]) / 2 < 900 for row in longest)


def test_people_who_enter_a_room_one_by_one_are_one_track_each(shared_data: Path) -> None:
    tracks = tracks_of(shared_data / "clips" / "people_walking_through_room_9937c5.mp4", 30)
    long = [boxes for boxes in tracks.values() if seconds(boxes) > 1.5]
    assert [round(boxes[0][0]) in (near, near + 1) for boxes, near in zip(long, (6, 18, 23), strict=True)] == [True] * 3
    assert len(tracks) <= 5


def test_pedestrians_from_above_keep_their_ids_for_seconds(shared_data: Path) -> None:
    tracks = tracks_of(shared_data / "clips" / "crowd_walking_8b4f99.mp4", 14)
    assert sum(seconds(boxes) > 3 for boxes in tracks.values()) >= 20
    assert len(tracks) < 80
