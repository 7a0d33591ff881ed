"""The page of results as an output of a run. Previews are made as results arrive."""

import os
from collections.abc import Callable

import av

from pages.page import make_preview, open_preview, preview_path, write_page
from pages.preview import Preview
from pages.recording import Recording
from pages.source import PageSource
from pipeline.clip import SourceInfo
from pipeline.errors import PerceptError
from pipeline.result import ClipRecord
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec


class Page(Sink):
    """Holds what the page shows of every source, and writes it when the run has ended."""

    is_slow = True

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._names: dict[int, str] = dict(enumerate(spec.sources))
        self._sources: dict[str, PageSource] = {}
        self._previews: dict[str, Preview] = {}

    def open(self) -> None:
        """Everything is written at the end."""

    def source_started(self, info: SourceInfo) -> None:
        self._names[info.source_index] = info.source
        source = self._source(info.source)
        if source.needs_preview and source.kind == "video":
            path = preview_path(self.spec.path, info.source_index, self.spec.sources)
            if preview := open_preview(source, path, self.spec.film):
                self._previews[info.source] = preview

    def write(self, record: ClipRecord) -> None:
        self._source(record.source).recording.add(record)
        if preview := self._previews.get(record.source):
            self._guard(record.source, lambda: preview.write(record.end_s))

    def source_ended(self, source_index: int, clips: int) -> None:
        name = self._names.get(source_index, "")
        source = self._sources.get(name)
        if preview := self._previews.get(name):
            self._guard(name, preview.close)
            if self._previews.pop(name, None) and source is not None:
                source.preview, source.preview_start_s = preview.path, preview.start_s
        elif source is not None and source.needs_preview and source.kind == "sound":
            make_preview(source, preview_path(self.spec.path, source_index, self.spec.sources), self.spec.film)

    def close(self, complete: bool) -> None:
        for preview in self._previews.values():
            preview.discard()
        self._previews.clear()
        if not complete:
            text = "no page was written, because the run did not end. `percept view` makes one from results in a file"
            self.notes.append(f"{self.spec.path}: {text}")
        elif self._sources:
            write_page(self.spec.path, list(self._sources.values()))
            self.notes += [f"{self.spec.path}: {text}" for each in self._sources.values() for text in each.warnings]

    def _guard(self, name: str, step: Callable[[], None]) -> None:
        """A preview that fails is a warning on the page; the page itself needs none."""
        try:
            step()
        except (PerceptError, av.error.FFmpegError, OSError, ValueError) as error:
            self._previews.pop(name).discard()
            self._source(name).failed(error)

    def _source(self, name: str) -> PageSource:
        if name not in self._sources:
            recording = Recording(name, self.spec.events)
            self._sources[name] = PageSource(recording, name if os.path.isfile(name) else None)
        return self._sources[name]
