"""Sources of exports made for tests: events and boxes at times that the test knows."""

from collections.abc import Sequence
from typing import Any

from archive.exports.source import Source, source_of
from archive.schema import Facts
from archive.shard import Shard
from pipeline.result import ClipRecord, Label, Track
from pipeline.status import EventOptions

EVIL = '</dog> & "x" --> \x00\x0b\ufffe =1+1'
"""A label that would break each format if it were written as it is."""


def clip_with(
    number: int,
    start_s: float,
    end_s: float,
    labels: Sequence[tuple[str, float]] = (),
    tracks: Sequence[Track] = (),
    size: tuple[int, int] = (640, 360),
) -> ClipRecord:
    parts: dict[str, Any] = {"labels": [Label(name, share, share) for name, share in labels], "tracks": list(tracks)}
    return ClipRecord(
        source="videos/talk.mp4",
        epoch=0,
        clip=number,
        start_s=start_s,
        end_s=end_s,
        width=size[0],
        height=size[1],
        parts=parts,
        model="percept-mini@3",
    )


def clips_at(edges_s: Sequence[float], labels: Sequence[str] = ("dog", "rain"), **more: Any) -> list[ClipRecord]:
    """One clip, and one event, from each edge to the next, with the labels in turn."""
    return [
        clip_with(number, edges_s[number], edges_s[number + 1], [(labels[number % len(labels)], 0.9)], **more)
        for number in range(len(edges_s) - 1)
    ]


def source_with(
    clips: Sequence[ClipRecord],
    rate_hz: float = 25.0,
    timecode: str = "",
    duration_s: float = 0.0,
    least_probability: float = 0.0,
    **facts: Any,
) -> Source:
    """The source of an archive that holds these clips. Its file does not exist."""
    shard = Shard({"timecode": timecode})
    for clip in clips:
        shard.add(clip)
    given = {"source": "videos/talk.mp4", "name": "videos/talk.mp4", "model": "percept-mini@3", "dims": shard.dims}
    told = Facts(**(given | {"frame_rate_hz": rate_hz, "duration_s": duration_s} | facts))
    return source_of(shard.table(told), told, EventOptions(), least_probability)
