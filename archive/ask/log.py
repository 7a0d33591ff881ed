"""A log that can be asked: what happened in each of its sources, and the words that it has."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive.ask.happening import Happening
from archive.ask.source_log import SourceLog, SourceReader
from archive.store import archive_at, no_archive
from pages.read import read_results
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord
from pipeline.status import EventOptions

RESULTS = "results"
"""The folder of a watch's state that has its results."""
Report = Callable[[str], None]


@dataclass
class Log:
    """All sources of a log, in its order, and its words."""

    where: str
    sources: list[SourceLog] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    """Those that any clip was compared with, as far as the log tells: of each clip it has the best alone."""
    zones: set[str] = field(default_factory=set)
    lines: set[str] = field(default_factory=set)
    has_tracks: bool = False
    has_text: bool = False
    """Whether pictures were read, with `--text`."""
    model: str = ""

    @property
    def names(self) -> set[str]:
        """What tracks are called."""
        return {track.what for source in self.sources for track in source.tracks if track.what}

    @property
    def end_s(self) -> float:
        return max((end_s for source in self.sources for _, end_s in source.spans.values()), default=0.0)


def log_of(records: Iterable[ClipRecord], options: EventOptions, where: str = "the log") -> Log:
    """The log that records make. Those of one source come in order; sources may be mixed."""
    log = Log(where)
    readers: dict[str, SourceReader] = {}
    for record in records:
        reader = readers.get(record.source)
        if reader is None:
            reader = readers[record.source] = SourceReader(record.source, options)
        reader.add(record)
        log.labels.update(label.label for label in record.labels or ())
        log.zones.update(zone.zone for zone in record.zones or ())
        log.lines.update(crossing.line for crossing in record.crossings or ())
        log.has_tracks |= record.tracks is not None and record.is_result
        log.has_text |= record.text is not None
        log.model = log.model or record.model
    log.sources = [reader.end() for reader in readers.values()]
    return log


def read_log(where: str, options: EventOptions, report: Report = lambda text: None) -> Log:
    """The log at a path: a file of results, a folder of them or of a watch, or an archive.

    options: how clips become events. report: is told of files that cannot be read.

    Raises: ConfigError: there is none, or it has no results.
    """
    folder = Path(where)
    if "://" not in where and not folder.is_dir():
        log = log_of(_records(where), options, where)
    elif files := results_in(folder) if "://" not in where else []:
        log = log_of((record for file in files for record in _records(str(file))), options, where)
    else:
        log = _archive_log(where, options, report)
    if not any(source.spans for source in log.sources):
        raise ConfigError(f"{where}: has no clip with a result, so there is nothing to ask")
    return log


def results_in(folder: Path) -> list[Path]:
    """The files of results in a folder, or in that of a watch, in order of their names."""
    return sorted(folder.glob("*.jsonl")) or sorted(folder.glob(f"{RESULTS}/*.jsonl"))


def _records(path: str) -> Iterator[ClipRecord]:
    return (record for record in read_results(path) if isinstance(record, ClipRecord))


def _archive_log(where: str, options: EventOptions, report: Report) -> Log:
    from archive.pieces import pieces_of, tables
    from archive.records import records_of

    store = archive_at(where)
    pieces = pieces_of(store, report)
    if not pieces:
        raise no_archive(store)
    labels = {label for piece in pieces for label in _names(piece.facts)}

    def records() -> Iterator[ClipRecord]:
        for piece, table in tables(store, pieces, _columns(), report):
            yield from records_of(table, piece.name)

    log = log_of(records(), options, where)
    log.labels |= labels
    return log


def _columns() -> list[str]:
    from pipeline.sinks.parquet import table_schema

    return list(table_schema().names)


def _names(facts: Any) -> Iterator[str]:
    from stages.words.word import words_of

    yield from (word.name for word in words_of(facts.labels))


def as_plain(log: Log) -> dict[str, Any]:
    """The log as JSON, for a program that answers in our place: events and tracks, without clips."""
    return {
        "log": log.where,
        "labels": sorted(log.labels),
        "zones": sorted(log.zones),
        "lines": sorted(log.lines),
        "sources": [
            {
                "source": source.name,
                "start_s": min((low for low, _ in source.spans.values()), default=0.0),
                "end_s": max((high for _, high in source.spans.values()), default=0.0),
                "events": [_plain(each) for each in source.events],
                "tracks": [_plain(each) for each in source.tracks],
                "visits": [_plain(each) for each in source.visits],
                "crossings": [_plain(each) for each in source.crossings],
            }
            for source in log.sources
        ],
    }


def _plain(each: Happening) -> Mapping[str, Any]:
    named: dict[str, Any] = {
        "track": each.track,
        "place": each.place,
        "way": each.way,
        "start_wall": each.wall,
        "part": each.part,
    }
    numbers = {"start_s": round(each.start_s, 3), "end_s": round(each.end_s, 3)}
    numbers["probability"] = round(each.probability, 4)
    return {
        "what": each.what,
        **numbers,
        **{name: value for name, value in named.items() if value not in (None, "", 0)},
    }
