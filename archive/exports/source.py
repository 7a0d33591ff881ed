"""A source as the formats see it: clips, events and boxes on a grid of frames."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archive.exports.boxes import TrackPath, join_tracks
from archive.exports.frames import TICKS_HZ, frame_at, frames_to
from archive.exports.media import Media, Size
from archive.links import path_of
from pipeline.result import ClipRecord
from pipeline.sinks.hysteresis import Merger
from pipeline.status import EventOptions, EventRecord

if TYPE_CHECKING:
    from archive.schema import Facts


@dataclass(frozen=True)
class Source:
    """One source of an archive, with all that is exported of it."""

    facts: "Facts"
    clips: Sequence[ClipRecord]
    events: Sequence[EventRecord]
    """In order of start, as `percept run --events` makes them."""
    timecode: str
    """Of its first frame, as the container tells it."""
    media: Media
    least_probability: float = 0.0
    """Tracks whose name is less probable are left out, and so are those without a name, if it is above 0."""
    categories: tuple[str, ...] = ()
    """The names of all boxes in the archive, where a format numbers them; () if only this source is known."""
    counted_hz: Fraction | None = None
    """Count frames at this rate, in place of the source's own."""

    @property
    def name(self) -> str:
        """In the archive, such as `videos/2024/talk.mp4`."""
        return self.facts.name

    @property
    def url(self) -> str:
        """Where the media is: a URL."""
        path = self.facts.source
        return path if "://" in path else Path(os.path.abspath(path_of(path))).as_uri()

    @cached_property
    def rate_hz(self) -> Fraction:
        return self.counted_hz or self.media.rate_hz

    @property
    def has_rate(self) -> bool:
        return self.rate_hz != TICKS_HZ

    @cached_property
    def size(self) -> Size:
        """Upright, in square pixels; (0, 0) without pictures."""
        return next(((clip.width, clip.height) for clip in self.clips if clip.width and clip.height), (0, 0))

    @property
    def has_audio(self) -> bool:
        """Whether there is sound that was listened to."""
        return "audio" in self.facts.dims

    @cached_property
    def stored_size(self) -> Size:
        """Upright, in stored pixels: the size of pictures that other programs decode. `size` if the file is gone."""
        return self.media.stored_size if all(self.media.stored_size) else self.size

    @property
    def duration_s(self) -> float:
        return max([self.media.duration_s, *(clip.end_s for clip in self.clips)])

    @property
    def frames(self) -> int:
        return max(1, self.frame(self.duration_s))

    @property
    def first_frame(self) -> int:
        """The number that the timecode gives to the first frame."""
        return frames_to(self.timecode, self.rate_hz)

    def frame(self, time_s: float) -> int:
        """The number of the frame nearest to a time, from 0."""
        return max(0, frame_at(time_s, self.rate_hz))

    def span(self, event: EventRecord) -> tuple[int, int]:
        """The first frame of an event, and how many it has: at least one."""
        first = self.frame(event.start_s)
        return first, max(1, self.frame(event.end_s) - first)

    def tracks(self, size: Size) -> list[TrackPath]:
        """The tracks, with boxes in pixels of pictures of this size."""
        return [
            path
            for path in join_tracks(self.clips, self.frame, size)
            if not self.least_probability or path.probability >= self.least_probability
        ]

    @property
    def has_results(self) -> bool:
        """Whether any clip of it has a result."""
        return any(clip.is_result for clip in self.clips)


def source_of(
    table: Any, facts: "Facts", options: EventOptions, least_probability: float = 0.0, categories: tuple[str, ...] = ()
) -> Source:
    """A table of an archive and its facts as a source. Raises: ShardError: it has no records."""
    from archive.records import records_of

    clips = tuple(records_of(table, facts.name))
    merger = Merger(facts.source, options)
    events = [event for clip in clips for event in merger.add(clip)] + merger.end()[0]
    timecodes = table["timecode"].to_pylist() if "timecode" in table.column_names else []
    return Source(
        facts=facts,
        clips=clips,
        events=tuple(sorted(events, key=lambda event: (event.epoch, event.start_s, event.event))),
        timecode=next((text for text in timecodes if text), ""),
        media=Media(facts),
        least_probability=least_probability,
        categories=categories,
    )
