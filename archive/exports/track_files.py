"""The tracks of a run in a format of other programs: one file per source, written when it ends or is cut short."""

from collections import defaultdict

import msgspec

from archive.exports.formats import FORMATS
from archive.exports.media import Media
from archive.exports.source import Source
from archive.schema import Facts
from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord, clock_text
from pipeline.sinks.file import WholeFile
from pipeline.sinks.paths import source_paths
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec


class TrackFiles(Sink):
    """Holds the tracks of each source until it ends. The kind of the output is the format: mot, coco or cvat."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._names: dict[int, str] = dict(enumerate(spec.sources))
        self._paths: dict[str, str] = {}
        self._infos: dict[str, SourceInfo] = {}
        self._clips: defaultdict[str, list[ClipRecord]] = defaultdict(list)

    def open(self) -> None:
        self._paths = source_paths(self.spec)

    def source_started(self, info: SourceInfo) -> None:
        self._names[info.source_index] = info.source
        self._infos[info.source] = info

    def write(self, record: ClipRecord) -> None:
        if record.is_result:
            parts = {name: value for name, value in record.parts.items() if name == "tracks"}
            self._clips[record.source].append(msgspec.structs.replace(record, parts=parts))

    def source_ended(self, source_index: int, clips: int) -> None:
        self._write(self._names.get(source_index, ""))

    def close(self, complete: bool) -> None:
        """Of a source that was cut short, its tracks so far are written."""
        for name, clips in list(self._clips.items()):
            if self._write(name):
                until = clock_text(clips[-1].end_s)
                text = f"has the tracks of {name} until {until}, because the run was cut short there"
                self.notes.append(f"{self._paths[name]}: {text}")

    def _write(self, name: str) -> bool:
        """Write the file of a source. Returns whether it has one."""
        held = self._clips.pop(name, [])
        if not held or name not in self._paths:
            return False
        source = self._source(name, held)
        if all(source.size) and not source.has_rate:
            self.notes.append(f"{name}: its frame rate is unknown, so frames of its tracks are thousandths of a second")
        file = WholeFile(self._paths[name])
        file.open()
        try:
            file.write(FORMATS[self.spec.kind].text(source))
        except BaseException:
            file.close(complete=False)
            raise
        file.close(complete=True)
        return True

    def _source(self, name: str, clips: list[ClipRecord]) -> Source:
        info = self._infos.get(name) or SourceInfo(name, 0)
        facts = Facts(
            source=name,
            name=name,
            model=next((clip.model for clip in clips if clip.model), ""),
            frame_rate_hz=info.frame_rate_hz,
            duration_s=(info.duration_ns or 0) / 1e9,
        )
        return Source(facts=facts, clips=clips, events=(), timecode=info.timecode, media=Media(facts))
