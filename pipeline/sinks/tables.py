"""Events as a table for spreadsheets: CSV, one file per run."""

import csv
import io
import unicodedata

from pipeline.sinks.events import SortedEvents
from pipeline.sinks.file import WholeFile, is_special
from pipeline.sinks.subtitles import clock
from pipeline.status import EventRecord, OutputSpec, SummaryRecord

BOM = "\ufeff"
"""Excel takes a file without it for one of the local code page, and garbles every letter that is not ASCII without a
word. pandas, polars, DuckDB and R skip it; Python's csv needs `encoding="utf-8-sig"`."""


class Csv(SortedEvents):
    """One row per event, all sources in one file; a source's rows are in order of start.

    `start`, `end` and `duration` are times that spreadsheets know, `hh:mm:ss.mmm`; the same in seconds follows.
    `start_wall` and `end_wall` are ISO 8601 with offset, empty where the source does not tell when it was recorded.
    A file begins with `BOM`, standard output does not.
    """

    COLUMNS = (
        "source", "label", "start", "end", "duration", "start_s", "end_s", "duration_s",
        "probability", "peak", "clips", "alternatives", "start_wall", "end_wall",
    )  # fmt: skip

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._file = WholeFile(spec.path)

    def open(self) -> None:
        self._file.open()
        mark = "" if is_special(self.spec.path) else BOM
        self._file.write(mark + csv_row(self.COLUMNS))

    def events(self, events: list[EventRecord], summary: SummaryRecord) -> None:
        for event in events:
            self._file.write(csv_row(cells(event)))

    def close(self, complete: bool) -> None:
        super().close(complete)
        self._file.close(complete)
        if not complete and not is_special(self.spec.path):
            self.notes.append(f"{self.spec.path}: no events were written, because the run did not end")


def cells(event: EventRecord) -> tuple[object, ...]:
    """The row of an event. Texts are neutralised, numbers stay numbers."""
    times_ms = [round(time_s * 1000) for time_s in (event.start_s, event.end_s)]
    times_ms.append(times_ms[1] - times_ms[0])
    return (
        neutral(event.source),
        neutral(event.event),
        *map(clock, times_ms),
        *(f"{time / 1000:.3f}" for time in times_ms),
        event.probability,
        event.peak,
        event.clips,
        neutral("; ".join(f"{each.label} ({each.probability:.2f})" for each in event.alternatives)),
        event.start_wall,
        event.end_wall,
    )


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that begins like one gets an apostrophe in front.

    A formula begins with = + - @, a tab or a line end; also after spaces and invisible characters, and in full width.
    """
    if text[:1] in ("\t", "\r", "\n"):
        return f"'{text}"
    for letter in text:
        if not (letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf")):
            return f"'{text}" if unicodedata.normalize("NFKC", letter)[:1] in ("=", "+", "-", "@", "−") else text
    return text


def csv_row(values: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)  # with another end, Python leaves a lone \r unquoted
    return text.getvalue().removesuffix("\r\n") + "\n"
