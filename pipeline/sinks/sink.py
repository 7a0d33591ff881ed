"""A sink takes the records of a run in order and writes them somewhere. No torch, no numpy in this file."""

import os
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

from pipeline.clip import SourceInfo
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord
from pipeline.sinks.file import is_special
from pipeline.status import OutputSpec, SummaryRecord

PER_SOURCE = {"vtt": ".vtt", "srt": ".srt", "video": ".mp4"}
"""Kinds that write one file per source, and its suffix in a folder."""


class Sink(ABC):
    """Calls come as `open (source_started? write* source_ended?)* close`; sources and clips in order.

    `source_started` is missing for a source that could not be opened (it has one error record, clip -1).
    `source_ended` says that the source was read to its end, or failed; an interrupted one is only closed.
    Every method raises OutputError, a plain sentence, when something cannot be written.
    """

    def __init__(self, spec: OutputSpec) -> None:
        self.spec = spec
        self.notes: list[str] = []
        """What the user should read, each a full sentence; emptied by whoever tells it."""

    @abstractmethod
    def open(self) -> None: ...

    def source_started(self, info: SourceInfo) -> None:
        """The source is open; its records follow."""

    @abstractmethod
    def write(self, record: ClipRecord) -> None: ...

    def source_ended(self, source_index: int, clips: int) -> None:
        """No record of this source will follow; `clips` is how many it had."""

    @abstractmethod
    def close(self, complete: bool) -> None:
        """Called once. With complete=False, files that are only valid whole are not left behind."""

    def summaries(self) -> tuple[SummaryRecord, ...]:
        """One per source that ended, from sinks that make events."""
        return ()


def make_sink(spec: OutputSpec) -> Sink:
    """The sink for one output; heavy imports (PyAV, OpenCV) wait until its `open`."""
    if spec.kind != "jsonl" and spec.resume and spec.resume_from:
        from pipeline.sinks.resumed import Resumed

        return Resumed(_make_sink(spec))
    return _make_sink(spec)


def _make_sink(spec: OutputSpec) -> Sink:
    if spec.kind == "jsonl":
        from pipeline.sinks.jsonl import Jsonl

        return Jsonl(spec)
    if spec.kind == "events":
        from pipeline.sinks.events import EventLines

        return EventLines(spec)
    if spec.kind == "video":
        from pipeline.sinks.video import LabelledVideo

        return LabelledVideo(spec)
    from pipeline.sinks.tables import Csv, Srt, Vtt

    kinds: dict[str, type[Sink]] = {"csv": Csv, "vtt": Vtt, "srt": Srt}
    return kinds[spec.kind](spec)


def source_paths(spec: OutputSpec) -> dict[str, str]:
    """For kinds with one file per source: source name -> path to write.

    `path` is a pattern in which `*` stands for the source's name, or a file for one source, or a folder. Two sources of
    one name become `talk.vtt` and `talk-2.vtt`.
    """
    suffix = PER_SOURCE[spec.kind]
    if "*" not in spec.path and len(spec.sources) == 1 and Path(spec.path).suffix and not os.path.isdir(spec.path):
        return {spec.sources[0]: spec.path}
    paths: dict[str, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for source in spec.sources:
        stem = Path(source.rstrip("/")).stem or "source"
        name = stem
        while name in taken:
            numbers[stem] += 1
            name = f"{stem}-{numbers[stem] + 1}"
        taken.add(name)
        paths[source] = spec.path.replace("*", name) if "*" in spec.path else os.path.join(spec.path, name + suffix)
    return paths


def check_outputs(specs: list[OutputSpec]) -> None:
    """Before anything starts: would the run overwrite something, or write where it cannot?

    Raises: ConfigError: every problem, with what to do.
    """
    problems: list[str] = []
    for spec in specs:
        problems += _problems(spec)
    written = [os.path.realpath(path) for spec in specs for path in _paths(spec) if path != "-"]
    for path in sorted(path for path, count in Counter(written).items() if count > 1):
        problems.append(f"{path}: two outputs would write this file. Give each its own.")
    sources = {os.path.realpath(source) for spec in specs for source in spec.sources if os.path.exists(source)}
    for path in sorted(set(written) & sources):
        problems.append(f"{path}: is a source of this run and would be overwritten. Choose another output.")
    if problems:
        raise ConfigError("\n".join(problems))


def _paths(spec: OutputSpec) -> list[str]:
    return list(source_paths(spec).values()) if spec.kind in PER_SOURCE else [spec.path]


def _problems(spec: OutputSpec) -> list[str]:
    if spec.path == "-":
        return ["--resume needs a file to go on with. Give one: -o results.jsonl"] if spec.resume else []
    problems = []
    if spec.kind in PER_SOURCE and len(spec.sources) > 1 and os.path.isfile(spec.path):
        return [f"{spec.path}: is a file; expected a folder for {len(spec.sources)} sources."]
    if spec.kind not in PER_SOURCE and os.path.isdir(spec.path):
        return [f"{spec.path}: is a folder; expected a file, such as {os.path.join(spec.path, 'results.jsonl')}"]
    folder = os.path.dirname(spec.path) or "."
    if spec.kind not in PER_SOURCE and not os.path.isdir(folder):
        return [f"{spec.path}: the folder {folder} does not exist. Make it first: mkdir -p {folder}"]
    for path in _paths(spec):
        if os.path.exists(path) and not is_special(path) and not (spec.overwrite or spec.resume):
            also = ", or --resume to go on with it" if spec.kind == "jsonl" else ""
            problems.append(f"{path}: exists already. Choose another name, or add --overwrite{also}.")
    return problems
