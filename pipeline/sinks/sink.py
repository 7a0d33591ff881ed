"""A sink takes the records of a run in order and writes them somewhere. No torch, no numpy in this file."""

from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, ClassVar

import msgspec

from pipeline.clip import SourceInfo
from pipeline.messages import Configured, Counted, FilmAsked, FilmWritten, Told
from pipeline.result import ClipRecord
from pipeline.status import OutputSpec, Row, SummaryRecord


class SinkOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of a sink's options; fields are the keys under `[sinks.<kind>]` in a config."""


class Sink(ABC):
    """Calls come as `open (source_supplied? source_started? write* source_ended?)* close`, in order.

    `source_started` is missing for a source that could not be opened (it has one error record, clip -1).
    `source_ended` says that the source was read to its end, or failed; an interrupted one is only closed.
    Every method raises OutputError, a plain sentence, when something cannot be written.
    """

    Options: ClassVar[type[SinkOptions]] = SinkOptions
    is_slow: bool = False
    """It takes much longer than the results. Other sinks do not wait for it, and its progress is shown."""

    def __init__(self, spec: OutputSpec) -> None:
        self.spec = spec
        self.options: Any = msgspec.convert(spec.options, self.Options)
        self.notes: list[str] = []
        """Sentences for the user. Whoever passes them on empties the list."""
        self.rows: list[Row] = []
        """Rows for the terminal. Whoever passes them on empties the list."""
        self.asked: list[FilmAsked] = []
        """Films of cameras that it wants. Whoever passes them on empties the list."""
        self.told: list[Told] = []
        """Sentences to be shown at once. Whoever passes them on empties the list."""

        self.counts: Counter[str] = Counter()
        """Events so far, by source, of a sink that makes them in a watch."""

    @abstractmethod
    def open(self) -> None: ...

    def source_supplied(self, source: str, ticket: bytes) -> None:
        """A source that was not in `spec.sources` follows. `ticket`: what its supply tells of it."""

    def source_started(self, info: SourceInfo) -> None:
        """The source is open; its records follow."""

    @abstractmethod
    def write(self, record: ClipRecord) -> None: ...

    def source_ended(self, source_index: int, clips: int) -> None:
        """No record of this source will follow; `clips` is how many it had."""

    @abstractmethod
    def close(self, complete: bool) -> None:
        """Called once. With complete=False, files that are only valid whole are not left behind."""

    def tick(self) -> None:
        """Called at least twice a second, also while nothing comes, in a watch."""

    def counted(self) -> Counted:
        """What has been counted so far, in a watch."""
        return Counted(dict(self.counts))

    def film_written(self, film: FilmWritten) -> None:
        """A film that it asked for is written, or cannot be."""

    def connection(self, camera: str, state: str, text: str) -> None:
        """A camera is reached, lost, or refuses us: see `pipeline.messages.Connection`."""

    def configure(self, configured: Configured) -> None:
        """What is watched has changed. It applies to the records that follow."""

    def file_of(self, source: str) -> str:
        """The file that holds what is written about a source."""
        return self.spec.path

    def summaries(self) -> tuple[SummaryRecord, ...]:
        """One per source that ended, from sinks that make events."""
        return ()
