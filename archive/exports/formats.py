"""The formats of exports, one line each."""

from collections.abc import Callable
from dataclasses import dataclass

from archive.exports import coco, cvat, fcpxml, from_sinks, label_studio, mot, otio
from archive.exports.source import Source

CLIPS = (
    *("source", "epoch", "clip", "start_s", "end_s", "wall_time", "width", "height", "error", "dropped", "gap"),
    "timecode",
)
EVENTS = (*CLIPS, *(f"labels.list.element.{name}" for name in ("label", "probability", "share", "near")))
TRACKS = (*CLIPS, "tracks")
BOTH = (*EVENTS, "tracks")


@dataclass(frozen=True)
class Format:
    """A format, of which each source is a file of its own.

    about: what it is for.
    suffix: of its files, after the name of the source.
    text: the content of a file.
    columns: what it is made of; None: everything but vectors and thumbnails.
    needs: the package that it imports, and the extra that installs it.
    in_frames: it says numbers of frames, not times.
    has_categories: it numbers the names of boxes.
    """

    about: str
    suffix: str
    text: Callable[[Source], str]
    columns: tuple[str, ...] | None
    needs: tuple[str, str] | None = None
    in_frames: bool = False
    has_categories: bool = False


FORMATS: dict[str, Format] = {
    "csv": Format("events as a table for spreadsheets", ".csv", from_sinks.csv, EVENTS),
    "vtt": Format("events as WebVTT subtitles", ".vtt", from_sinks.vtt, EVENTS),
    "srt": Format("events as SubRip subtitles", ".srt", from_sinks.srt, EVENTS),
    "json": Format("records and events, for percept view", ".json", from_sinks.json, None),
    "otio": Format("events as markers of OpenTimelineIO", ".otio", otio.text, EVENTS, needs=("opentimelineio", "otio")),
    "fcpxml": Format("events as markers of Final Cut Pro and DaVinci Resolve", ".fcpxml", fcpxml.text, EVENTS),
    "cvat": Format("tracks for CVAT", ".cvat.xml", cvat.text, TRACKS, in_frames=True),
    "labelstudio": Format(
        "tracks and events for Label Studio", ".labelstudio.json", label_studio.text, BOTH, in_frames=True
    ),
    "coco": Format("boxes as in COCO", ".coco.json", coco.text, TRACKS, in_frames=True, has_categories=True),
    "mot": Format("tracks as in MOTChallenge", ".txt", mot.text, TRACKS, in_frames=True),
}
