"""Events as subtitles, WebVTT and SubRip: one file per source, written when the source ends."""

import html
import unicodedata
from abc import abstractmethod
from itertools import pairwise

from pipeline.sinks.events import SortedEvents
from pipeline.sinks.file import WholeFile
from pipeline.sinks.paths import source_paths
from pipeline.status import EventRecord, OutputSpec, SummaryRecord

Cue = tuple[int, int, list[str]]
"""Start and end in milliseconds, and labels."""
MIN_CUE_MS = 100
"""Shorter cues flicker, and some players drop them."""
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u2028\u2029\ufeff")
"""Characters that change the direction of the text around them. Right-to-left letters need none."""


class Subtitles(SortedEvents):
    """Base class: the events of a source as cues that do not overlap. Labels at the same time are lines of one cue."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._paths: dict[str, str] = {}

    def open(self) -> None:
        self._paths = source_paths(self.spec)

    def events(self, events: list[EventRecord], summary: SummaryRecord) -> None:
        if not summary.clips or summary.source not in self._paths:
            return
        file = WholeFile(self._paths[summary.source])
        file.open()
        try:
            file.write(self.text(cues(events)))
        except BaseException:
            file.close(complete=False)
            raise
        file.close(complete=True)

    @abstractmethod
    def text(self, shown: list[Cue]) -> str:
        """The content of the file, from its cues in order."""


class Vtt(Subtitles):
    """WebVTT."""

    def text(self, shown: list[Cue]) -> str:
        return "WEBVTT\n" + "".join(
            f"\n{clock(start_ms)} --> {clock(end_ms)}\n" + "".join(f"{html.escape(t, quote=False)}\n" for t in labels)
            for start_ms, end_ms, labels in shown
        )


class Srt(Subtitles):
    """SubRip. It has no escapes, so what players take for a tag gets other brackets."""

    def text(self, shown: list[Cue]) -> str:
        return "".join(
            f"{number}\n{clock(start_ms, ',')} --> {clock(end_ms, ',')}\n"
            + "".join(f"{t.translate(_NO_TAGS)}\n" for t in labels)
            + "\n"
            for number, (start_ms, end_ms, labels) in enumerate(shown, 1)
        )


_NO_TAGS = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")", "\\": "/"})


def cues(events: list[EventRecord]) -> list[Cue]:
    """Events as stretches with a constant set of labels, because players display overlapping cues badly.

    Edges closer than `MIN_CUE_MS` become one edge, and shorter events are made that long, so no cue is shorter.
    """
    spans = [(round(event.start_s * 1000), round(event.end_s * 1000), event) for event in events]
    spans = [(start, max(end, start + MIN_CUE_MS), event) for start, end, event in spans if line(event.event)]
    edges: dict[int, int] = {}
    last = -MIN_CUE_MS
    for edge in sorted({edge for start, end, _ in spans for edge in (start, end)}):
        last = edge if edge - last >= MIN_CUE_MS else last
        edges[edge] = last
    by_start = sorted(((edges[start], edges[end], event) for start, end, event in spans), key=lambda span: span[0])
    shown: list[Cue] = []
    active: list[tuple[int, int, EventRecord]] = []
    position = 0
    for start, end in pairwise(sorted(set(edges.values()))):
        while position < len(by_start) and by_start[position][0] <= start:
            active.append(by_start[position])
            position += 1
        active = [span for span in active if span[1] > start]
        ranked = sorted((event for _, _, event in active), key=lambda event: (-event.probability, event.event))
        if labels := list(dict.fromkeys(line(event.event) for event in ranked)):
            shown.append((start, end, labels))
    return shown


def clock(milliseconds: int, point: str = ".") -> str:
    """`00:01:02.500`; hours have as many digits as they need."""
    total = max(0, milliseconds)
    return f"{total // 3_600_000:02}:{total // 60_000 % 60:02}:{total // 1000 % 60:02}{point}{total % 1000:03}"


def line(text: str) -> str:
    """A label as one line: no line breaks, control characters and arrows, which would end or garble its cue."""
    text = "".join(
        " " if unicodedata.category(letter) == "Cc" else letter for letter in text if letter not in _OVERRIDES
    )
    return " ".join(text.split()).replace("-->", "→")
