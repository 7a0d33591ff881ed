"""The files of an archive as an output of a run: one per source, complete or not there."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from archive.fingerprint import fingerprint_of
from archive.names import file_of
from archive.schema import Facts, Fingerprint
from archive.shard import Shard, encoded
from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.file import output_error
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import OutputSpec


class ArchiveOptions(SinkOptions, frozen=True, kw_only=True):
    names: dict[str, str] = msgspec.field(default_factory=dict)
    """The name of each source in the archive."""
    config: str = ""
    labels: tuple[str, ...] = ()
    words: str = ""
    whole: bool = False
    """Hash all of each source."""


class Archive(Sink):
    """`spec.path` is the folder of the archive. A source that was interrupted leaves nothing behind."""

    Options = ArchiveOptions
    options: ArchiveOptions

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._shards: dict[str, Shard] = {}
        self._sources: dict[int, str] = dict(enumerate(spec.sources))
        self._before: dict[str, Fingerprint | None] = {}

    def open(self) -> None:
        try:
            Path(self.spec.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.spec.path, error) from error

    def source_started(self, info: SourceInfo) -> None:
        self._sources[info.source_index] = info.source
        self._shards[info.source] = Shard(container_facts(info))
        self._before[info.source] = self._fingerprint(info.source)

    def write(self, record: ClipRecord) -> None:
        self._shards.setdefault(record.source, Shard({})).add(record)

    def source_ended(self, source_index: int, clips: int) -> None:
        source = self._sources.get(source_index, "")
        shard = self._shards.pop(source, None)
        if shard is None:
            return
        before, now = self._before.pop(source, None), self._fingerprint(source)
        if before is not None and now != before:
            shard = _changed(source)
        self._write(source, shard, now)

    def _write(self, source: str, shard: Shard, fingerprint: Fingerprint | None) -> None:
        name = self.options.names.get(source) or Path(source).name
        error = next((row["error"] for row in shard.rows if row["clip"] < 0 and row["error"]), "")
        facts = Facts(
            source=source,
            name=name,
            fingerprint=fingerprint,
            config=self.options.config,
            model=shard.model,
            labels=self.options.labels,
            words=self.options.words,
            dims=shard.dims,
            clips=len(shard.rows),
            labelled=shard.labelled,
            failed=shard.failed,
            seconds=round(shard.seconds, 3),
            error=error,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        path = Path(self.spec.path, file_of(name))
        half = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(encoded(shard.table(facts)))
            half.replace(path)
        except OSError as error_:
            half.unlink(missing_ok=True)
            raise output_error(str(path), error_) from error_

    def _fingerprint(self, source: str) -> Fingerprint | None:
        try:
            return fingerprint_of(source, self.options.whole)
        except OSError:
            return None

    def close(self, complete: bool) -> None:
        self._shards.clear()


def container_facts(info: SourceInfo) -> dict[str, str]:
    """What the container of a source tells about its recording, by column."""
    return {"timecode": info.timecode, "recorded": info.start_wall, "device": info.device}


def _changed(source: str) -> Shard:
    """One row that says why: what was read is neither the file as it was nor as it is."""
    shard = Shard({})
    text = f"{source}: changed while it was read; label it again when it has stopped growing"
    shard.add(ClipRecord(source=source, epoch=0, clip=-1, start_s=0, end_s=0, error=text))
    return shard
