"""The source with labels, evidence and tracks drawn on it: one file per source, written as results arrive."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord
from pipeline.sinks.file import output_error, part_name
from pipeline.sinks.paths import source_paths
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec

if TYPE_CHECKING:
    from pipeline.arrays import Array
    from pipeline.sinks.draw import Artist, Panel, TrackPath
    from pipeline.sinks.rewrite import Rewriter

_END_S = float("inf")


class LabelledVideo(Sink):
    """Writes labelled videos. A source that cannot be rewritten is a note, not a failure: its results are elsewhere."""

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._paths: dict[str, str] = {}
        self._films: dict[int, Film] = {}
        self._by_source: dict[str, Film] = {}

    def open(self) -> None:
        self._paths = source_paths(self.spec)

    def source_started(self, info: SourceInfo) -> None:
        path = self._paths.get(info.source)
        if path is None or (self.spec.resume and os.path.exists(path)):
            return
        film = Film(info.source, path, self.spec)
        film.open()
        self._films[info.source_index] = self._by_source[info.source] = film

    def write(self, record: ClipRecord) -> None:
        film = self._by_source.get(record.source)
        if film is not None:
            film.add(record)

    def source_ended(self, source_index: int, clips: int) -> None:
        film = self._films.pop(source_index, None)
        if film is not None:
            self._by_source.pop(film.source, None)
            film.end()
            self._note(film)

    def close(self, complete: bool) -> None:
        while self._films:
            _, film = self._films.popitem()
            film.discard()
        self._by_source.clear()

    def _note(self, film: "Film") -> None:
        if film.problem:
            self.notes.append(f"{film.source}: no labelled video was written ({film.problem})")
        elif film.errors:
            self.notes.append(f"{film.path}: {film.errors} damaged packets of {film.source} were left out")


class Film:
    """One source that is rewritten. A clip is drawn once the next one is known, because tracks cross the border."""

    def __init__(self, source: str, path: str, spec: OutputSpec) -> None:
        self.source = source
        self.path = path
        self.problem = ""
        self._spec = spec
        self._part = part_name(path)
        self._last: ClipRecord | None = None
        self._before: ClipRecord | None = None
        self._rewriter: Rewriter | None = None
        self._artist: Artist | None = None

    @property
    def errors(self) -> int:
        return self._rewriter.errors if self._rewriter else 0

    def open(self) -> None:
        import av

        from pipeline.sinks.draw import Artist
        from pipeline.sinks.rewrite import NotAVideo, Rewriter

        rewriter = Rewriter(self.source, self._part, self._spec.video)
        try:
            rewriter.open()
        except (NotAVideo, av.error.FFmpegError, OSError, ValueError) as error:
            self._fail(rewriter, getattr(error, "strerror", None) or str(error))
            return
        try:
            rewriter.create()
        except OSError as error:
            self._fail(rewriter, str(error))
            raise output_error(self.path, error) from error
        self._rewriter = rewriter
        self._artist = Artist(rewriter.width, rewriter.height, rewriter.scale, self._spec.video.max_labels)

    def add(self, record: ClipRecord) -> None:
        if self._last is not None:
            self._draw(self._last, record, record.start_s)
        self._before, self._last = self._last, record

    def end(self) -> None:
        """Draw the rest and rename the file to its final name."""
        rewriter = self._rewriter
        if rewriter is None:
            return
        if self._last is not None:
            self._draw(self._last, None, _END_S)
        self._guard(lambda: rewriter.draw_until(_END_S, lambda picture, time_s: None))
        self._guard(rewriter.close)
        if self._rewriter is not None:
            try:
                os.replace(self._part, self.path)
            except OSError as error:
                raise output_error(self.path, error) from error

    def discard(self) -> None:
        if self._rewriter is not None:
            self._fail(self._rewriter, "interrupted")

    def _draw(self, record: ClipRecord, following: ClipRecord | None, until_s: float) -> None:
        """Draw the pictures up to `until_s`. Those after the end of the clip stay plain."""
        rewriter, artist = self._rewriter, self._artist
        if rewriter is None or artist is None:
            return
        from pipeline.sinks.draw import track_paths

        panel: Panel | None = artist.panel(record)
        known = [self._before, record, following]
        paths: list[TrackPath] = track_paths([each for each in known if each and each.epoch == record.epoch])
        last_of_source = following is None

        def draw(picture: "Array", time_s: float) -> None:
            if time_s < record.end_s or last_of_source:
                artist.tracks(picture, paths, time_s)
                if panel is not None and time_s >= record.start_s - 1e-3:
                    panel.blend(picture)

        self._guard(lambda: rewriter.draw_until(until_s, draw))

    def _guard(self, step: Callable[[], None]) -> None:
        import av

        rewriter = self._rewriter
        if rewriter is None:
            return
        try:
            step()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._fail(rewriter, str(error))
            number = getattr(error, "errno", None)
            if isinstance(error, OSError) and number in _FULL:
                raise output_error(self.path, OSError(number, os.strerror(number))) from error

    def _fail(self, rewriter: "Rewriter", problem: str) -> None:
        self.problem = problem
        self._rewriter = None
        with contextlib.suppress(OSError, ValueError):  # the file is removed anyway
            rewriter.discard()
        Path(self._part).unlink(missing_ok=True)


_FULL = {28, 27, 122, 30, 13, 2, 5}
"""ENOSPC, EFBIG, EDQUOT, EROFS, EACCES, ENOENT, EIO: errors of the output, because the source was read before."""
