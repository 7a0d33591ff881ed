"""The source with labels, evidence and tracks drawn on it: one file per source, written as results arrive."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.clip import SourceInfo
from pipeline.errors import SourceError
from pipeline.result import ClipRecord
from pipeline.sinks.file import output_error, part_name
from pipeline.sinks.paths import source_paths
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec

if TYPE_CHECKING:
    from pipeline.arrays import Array
    from pipeline.sinks.draw import Artist, Place, Shapes
    from pipeline.sinks.rewrite import Area, Rewriter

_END_S = float("inf")


class LabelledVideo(Sink):
    """Writes labelled videos. A source that cannot be rewritten is a note, not a failure: its results are elsewhere."""

    is_slow = True

    def __init__(self, spec: OutputSpec) -> None:
        super().__init__(spec)
        self._paths: dict[str, str] = {}
        self._jobs: dict[int, Job] = {}
        self._by_source: dict[str, Job] = {}

    def open(self) -> None:
        self._paths = source_paths(self.spec)

    def file_of(self, source: str) -> str:
        return self._paths.get(source, self.spec.path)

    def source_started(self, info: SourceInfo) -> None:
        path = self._paths.get(info.source)
        if path is None or (self.spec.resume and os.path.exists(path)):
            return
        job = Job(info.source, path, self.spec)
        job.open()
        self._jobs[info.source_index] = self._by_source[info.source] = job

    def write(self, record: ClipRecord) -> None:
        job = self._by_source.get(record.source)
        if job is not None:
            job.add(record)

    def source_ended(self, source_index: int, clips: int) -> None:
        job = self._jobs.pop(source_index, None)
        if job is not None:
            self._by_source.pop(job.source, None)
            job.end()
            self._note(job)

    def close(self, complete: bool) -> None:
        while self._jobs:
            _, job = self._jobs.popitem()
            job.discard()
        self._by_source.clear()

    def _note(self, job: "Job") -> None:
        if job.problem:
            self.notes.append(f"{job.source}: no labelled video was written ({job.problem})")
        elif job.left_out:
            self.notes.append(f"{job.path}: left out of {job.source}: {', '.join(job.left_out)}")


class Job:
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
        self._shapes: Shapes | None = None
        self.left_out: list[str] = []

    def open(self) -> None:
        from pipeline.sinks.draw import Artist, Shapes
        from pipeline.sinks.film import open_film
        from pipeline.sinks.rewrite import Rewriter

        try:
            rewriter = Rewriter(open_film(self.source, self._spec.film), self._part, self._spec.video)
        except SourceError as error:
            self.problem = str(error).removeprefix(f"{self.source}: ")
            return
        artist = Artist(rewriter.width, rewriter.height, self._spec.video)
        try:
            rewriter.create(below_px=artist.strip_px)
        except OSError as error:
            self._fail(rewriter, str(error))
            raise output_error(self.path, error) from error
        self._rewriter, self._artist = rewriter, artist
        self._shapes = Shapes(self._spec.zones, self._spec.lines)

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
        self._guard(lambda: rewriter.draw_until(_END_S, lambda picture, time_s, area: None))
        self._guard(rewriter.close)
        self.left_out = rewriter.left_out
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
        from pipeline.sinks.draw import ClipDrawing, track_paths

        known = [self._before, record, following]
        paths = track_paths([each for each in known if each and each.epoch == record.epoch])
        shapes = self._shapes.after(record) if self._shapes and record.width and record.height else []
        drawing = ClipDrawing(artist, record, paths, shapes)

        def draw(picture: "Array", time_s: float, area: "Area") -> None:
            drawing.draw(picture, time_s, place_of(record, area))

        changes_s = (record.start_s, record.end_s)
        self._guard(lambda: rewriter.draw_until(min(until_s, record.end_s), draw, changes_s))
        self._guard(lambda: rewriter.draw_until(until_s, draw, changes_s))

    def _guard(self, step: Callable[[], None]) -> None:
        import av

        rewriter = self._rewriter
        if rewriter is None:
            return
        try:
            step()
        except (SourceError, av.error.FFmpegError, OSError, ValueError) as error:
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


def place_of(record: ClipRecord, area: "Area") -> "Place":
    """Where the boxes of a record are in a picture whose source is in `area`."""
    from pipeline.sinks.draw import Place

    width, height = record.width or area.source_width, record.height or area.source_height
    return Place((area.width / width, area.height / height), (area.left, area.top))


_FULL = {28, 27, 122, 30, 13, 2, 5}
"""ENOSPC, EFBIG, EDQUOT, EROFS, EACCES, ENOENT, EIO: errors of the output, because the source was read before."""
