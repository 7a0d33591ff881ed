"""The files of an archive as an output of a run: one per source, complete or not there."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from archive.fingerprint import fingerprint_or_none
from archive.names import file_of
from archive.schema import Facts, Fingerprint
from archive.shard import Shard, encoded
from archive.store import store_of
from archive.ticket import Ticket, unpacked
from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import OutputSpec


class ArchiveOptions(SinkOptions, frozen=True, kw_only=True):
    config: str = ""
    settings: dict[str, Any] | None = None
    labels: tuple[str, ...] = ()
    words: str = ""
    model: str = ""
    """The one that is asked for; a file in which it labelled nothing names it too."""
    top_k: int = 0
    """Labels of a clip at most."""
    dims: dict[str, int] = msgspec.field(default_factory=dict)
    """Values of each vector that the model gives."""
    features: dict[str, int] = msgspec.field(default_factory=dict)
    """Values of the features of each modality, if they are asked for."""
    whole: bool = False
    """Hash all of each source."""


class Archive(Sink):
    """`spec.path` is the place of the archive. Sources are supplied with a `Ticket` each, one after another; one that
    was interrupted leaves nothing behind."""

    Options = ArchiveOptions
    options: ArchiveOptions

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._store = store_of(spec.path)
        self._ticket: Ticket | None = None
        self._shard = Shard({})
        self._info: SourceInfo | None = None

    def open(self) -> None:
        pass

    def source_supplied(self, source: str, ticket: bytes) -> None:
        self._ticket, self._shard, self._info = unpacked(ticket), Shard({}), None

    def source_started(self, info: SourceInfo) -> None:
        self._shard = Shard(container_facts(info))
        self._info = info

    def write(self, record: ClipRecord) -> None:
        self._shard.add(self._named(record))

    def source_ended(self, source_index: int, clips: int) -> None:
        ticket, shard = self._ticket, self._shard
        self._ticket, self._shard = None, Shard({})
        if ticket is None:
            return
        before, now = ticket.fingerprint, fingerprint_or_none(ticket.path, self.options.whole)
        if before is not None and now is not None and now != before:
            shard, before = _changed(ticket.source), None
        facts = self._facts(ticket, shard, before if now is not None or not error_of(shard) else None)
        table = shard.table(facts, self.options.dims, self.options.features)
        self._store.put(file_of(ticket.name), encoded(table))

    def _named(self, record: ClipRecord) -> ClipRecord:
        """A record that names its source as the archive does."""
        if self._ticket is None or self._ticket.source == record.source:
            return record
        error = record.error and record.error.replace(record.source, self._ticket.source)
        return msgspec.structs.replace(record, source=self._ticket.source, error=error)

    def _facts(self, ticket: Ticket, shard: Shard, fingerprint: Fingerprint | None) -> Facts:
        info = self._info or SourceInfo(ticket.source, 0)
        return Facts(
            source=ticket.source,
            name=ticket.name,
            fingerprint=fingerprint,
            config=self.options.config,
            settings=self.options.settings,
            model=shard.model or self.options.model,
            labels=self.options.labels,
            words=self.options.words,
            top_k=self.options.top_k,
            dims=shard.dims,
            features=shard.features,
            clips=len(shard.rows),
            labelled=shard.labelled,
            failed=shard.failed,
            seconds=round(shard.seconds, 3),
            failed_seconds=round(shard.failed_seconds, 3),
            error=error_of(shard),
            tries=ticket.tries,
            frame_rate_hz=info.frame_rate_hz,
            duration_s=round((info.duration_ns or 0) / 1e9, 6),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def close(self, complete: bool) -> None:
        self._ticket = None


def error_of(shard: Shard) -> str:
    """Why the source could not be read to its end; "" if it could."""
    return next((row["error"] for row in shard.rows if row["clip"] < 0 and row["error"]), "")


def container_facts(info: SourceInfo) -> dict[str, str]:
    """What the container of a source tells about its recording, by column."""
    return {"timecode": info.timecode, "recorded": info.start_wall, "device": info.device}


def _changed(source: str) -> Shard:
    """One row that says why: what was read is neither the file as it was nor as it is."""
    shard = Shard({})
    text = f"{source}: changed while it was read; it is labelled again in the next run"
    shard.add(ClipRecord(source=source, epoch=0, clip=-1, start_s=0, end_s=0, error=text))
    return shard
