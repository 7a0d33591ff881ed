"""Events as a table (CSV, one file per run) and as subtitles (WebVTT and SubRip, one file per source)."""

import csv
import html
import io
from abc import abstractmethod
from itertools import pairwise

from pipeline.sinks.events import EventSink
from pipeline.sinks.file import WholeFile
from pipeline.sinks.paths import source_paths
from pipeline.status import EventRecord, OutputSpec, SummaryRecord

Cue = tuple[float, float, list[str]]
"""start_s, end_s and labels."""


class Csv(EventSink):
    """`source,label,start_s,end_s,probability,peak,clips`, one row per event, all sources in one file."""

    COLUMNS = ("source", "label", "start_s", "end_s", "probability", "peak", "clips")

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._file = WholeFile("/dev/stdout" if spec.path == "-" else spec.path)

    def open(self) -> None:
        self._file.open()
        self._file.write(csv_row(self.COLUMNS))

    def event(self, event: EventRecord) -> None:
        self._file.write(
            csv_row(
                (
                    event.source,
                    event.event,
                    f"{event.start_s:.3f}",
                    f"{event.end_s:.3f}",
                    event.probability,
                    event.peak,
                    event.clips,
                )
            )
        )

    def close(self, complete: bool) -> None:
        self._file.close(complete)


def csv_row(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


class Subtitles(EventSink):
    """Base class: holds the events of a source until it ends, then writes them as cues that do not overlap."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._paths: dict[str, str] = {}
        self._held: dict[str, list[EventRecord]] = {}

    def open(self) -> None:
        self._paths = source_paths(self.spec)

    def event(self, event: EventRecord) -> None:
        self._held.setdefault(event.source, []).append(event)

    def summary(self, summary: SummaryRecord) -> None:
        if not summary.clips or summary.source not in self._paths:
            return
        file = WholeFile(self._paths[summary.source])
        file.open()
        try:
            file.write(self.text(cues(self._held.pop(summary.source, []))))
        except BaseException:
            file.close(complete=False)
            raise
        file.close(complete=True)

    def close(self, complete: bool) -> None:
        self._held.clear()

    @abstractmethod
    def text(self, shown: list[Cue]) -> str:
        """The content of the file, from its cues in order."""


class Vtt(Subtitles):
    """WebVTT."""

    def text(self, shown: list[Cue]) -> str:
        return "WEBVTT\n" + "".join(
            f"\n{clock(start_s)} --> {clock(end_s)}\n"
            + "".join(f"{html.escape(one_line(t), quote=False)}\n" for t in labels)
            for start_s, end_s, labels in shown
        )


class Srt(Subtitles):
    """SubRip."""

    def text(self, shown: list[Cue]) -> str:
        return "".join(
            f"{number}\n{clock(start_s, ',')} --> {clock(end_s, ',')}\n"
            + "".join(f"{one_line(t)}\n" for t in labels)
            + "\n"
            for number, (start_s, end_s, labels) in enumerate(shown, 1)
        )


def cues(events: list[EventRecord]) -> list[Cue]:
    """Events as stretches with a constant set of labels, because players display overlapping cues badly."""
    edges = sorted({event.start_s for event in events} | {event.end_s for event in events})
    by_start = sorted(events, key=lambda event: event.start_s)
    shown: list[Cue] = []
    active: list[EventRecord] = []
    position = 0
    for start_s, end_s in pairwise(edges):
        while position < len(by_start) and by_start[position].start_s <= start_s:
            active.append(by_start[position])
            position += 1
        active = [event for event in active if event.end_s > start_s]
        labels = [event.event for event in sorted(active, key=lambda event: (-event.probability, event.event))]
        if labels:
            shown.append((start_s, end_s, labels))
    return shown


def clock(seconds: float, point: str = ".") -> str:
    """`00:01:02.500`"""
    total_ms = max(0, round(seconds * 1000))
    return (
        f"{total_ms // 3_600_000:02}:{total_ms // 60_000 % 60:02}:{total_ms // 1000 % 60:02}{point}{total_ms % 1000:03}"
    )


def one_line(text: str) -> str:
    """A label without line breaks and arrows, which would end its cue."""
    return " ".join(text.split()).replace("-->", "→")
