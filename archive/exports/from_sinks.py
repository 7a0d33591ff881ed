"""The formats that a run writes too, by the same code: see docs/results.md."""

from archive.exports.source import Source
from pipeline.sinks.events import event_line
from pipeline.sinks.jsonl import encode_record
from pipeline.sinks.subtitles import Srt, Subtitles, Vtt, cues
from pipeline.sinks.tables import BOM, Csv, cells, csv_row
from pipeline.status import OutputSpec


def csv(source: Source) -> str:
    """Events as a table. Texts that a spreadsheet would take for formulas are neutralised."""
    return BOM + csv_row(Csv.COLUMNS) + "".join(csv_row(cells(event)) for event in source.events)


def vtt(source: Source) -> str:
    """Events as WebVTT."""
    return _subtitles(Vtt, source)


def srt(source: Source) -> str:
    """Events as SubRip."""
    return _subtitles(Srt, source)


def json(source: Source) -> str:
    """All records, then the events, as a JSON array. `percept view` reads it."""
    lines = [encode_record(clip).decode() for clip in source.clips]
    lines += [event_line(event).rstrip() for event in source.events]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _subtitles(kind: type[Subtitles], source: Source) -> str:
    return kind(OutputSpec()).text(cues(list(source.events)))
