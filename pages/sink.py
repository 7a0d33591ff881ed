"""The page of results as an output of a run. Previews are made as results arrive."""

import os

from pages.page import make_preview, open_preview, preview_path, write_page
from pages.preview import Preview
from pages.recording import Recording
from pages.source import PageSource
from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec


class Page(Sink):
    """Holds what the page shows of every source, and writes it when the run has ended."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._sources: dict[str, PageSource] = {}
        self._previews: dict[str, Preview] = {}

    def open(self) -> None:
        """Everything is written at the end."""

    def source_started(self, info: SourceInfo) -> None:
        source = self._source(info.source)
        if source.needs_preview and source.media is not None and source.media.kind == "video":
            path = preview_path(self.spec.path, info.source_index)
            if preview := open_preview(source, path, self.spec.film):
                self._previews[info.source] = preview

    def write(self, record: ClipRecord) -> None:
        self._source(record.source).recording.add(record)
        if record.source in self._previews:
            self._previews[record.source].write(record.end_s)

    def source_ended(self, source_index: int, clips: int) -> None:
        name = self.spec.sources[source_index]
        source, preview = self._source(name), self._previews.pop(name, None)
        if preview is not None:
            preview.close()
            source.preview, source.preview_start_s = preview.path, preview.start_s
        elif source.needs_preview and source.media is not None and source.media.kind == "sound":
            make_preview(source, preview_path(self.spec.path, source_index), self.spec.film)

    def close(self, complete: bool) -> None:
        for preview in self._previews.values():
            preview.discard()
        self._previews.clear()
        if complete and self._sources:
            write_page(self.spec.path, list(self._sources.values()))
            self.notes += [f"{self.spec.path}: {text}" for each in self._sources.values() for text in each.warnings]

    def _source(self, name: str) -> PageSource:
        if name not in self._sources:
            recording = Recording(name, self.spec.events)
            self._sources[name] = PageSource(recording, name if os.path.isfile(name) else None)
        return self._sources[name]
