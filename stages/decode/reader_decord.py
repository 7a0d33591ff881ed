"""The decord reader: random access to the pictures of a local file; the sound is read with PyAV.

decord turns pictures upright itself and ignores the pixel aspect. It reports no decode errors, so damaged files need
the PyAV reader.
"""

from bisect import bisect_right
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array
from pipeline.errors import ConfigError, SourceError
from pipeline.media import is_url
from stages.decode.canvas import frame_size
from stages.decode.clock import Rules
from stages.decode.frames import DecodedStream, Shown
from stages.decode.grid import Pictures
from stages.decode.picture import PictureConverter
from stages.decode.reader import NS
from stages.decode.reader_av import AvReader
from stages.decode.source import shown_name
from stages.decode.timeline import Failures
from stages.decode.tone import is_hdr

MISSING = "decord is not installed. Run: pip install 'percept-av[decord]', or choose the reader av."


def import_decord() -> Any:
    """The decord module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import decord
    except ImportError:
        raise ConfigError(MISSING) from None
    return decord


class DecordPictures(Pictures):
    """Pictures by number; only those that are converted are decoded."""

    def __init__(self, video: Any, first: Shown, converter: PictureConverter, rules: Rules) -> None:
        super().__init__(Failures())
        self._video = video
        self._converter = converter
        spans_s = video.get_frame_timestamp(np.arange(len(video))).astype(np.float64)
        spans_ns = np.round((spans_s - spans_s[0, 0]) * NS).astype(np.int64) + first.time_ns
        self._starts_ns: list[int] = np.maximum.accumulate(spans_ns[:, 0]).tolist()
        self._ends_ns: list[int] = spans_ns[:, 1].tolist()
        pauses = np.flatnonzero(np.diff(spans_ns[:, 0]) > rules.gap_ns)
        self._whole_until_ns: int = self._starts_ns[pauses[0] if len(pauses) else -1]
        starts = self._starts_ns
        self._epochs_ns = [starts[place + 1] for place in pauses if rules.is_gap(starts[place + 1] - starts[place])]
        self._next = 0

    def peek(self) -> Shown | None:
        if self._next >= len(self._starts_ns):
            return None
        start_ns = self._starts_ns[self._next]
        epoch = bisect_right(self._epochs_ns, start_ns)
        return Shown(start_ns, self._ends_ns[self._next], self._next, epoch)

    def pop(self) -> Shown:
        head = self.peek()
        assert head is not None, "pop after the end"
        self._next += 1
        return head

    def convert(self, shown: Shown) -> Array | None:
        decord = import_decord()
        try:
            picture = self._video[shown.picture].asnumpy()
        except decord.DECORDError:
            self.errors += 1
            self.failures.add(shown.time_ns, shown.end_ns)
            return None
        return self._converter.convert(av.VideoFrame.from_ndarray(picture))

    def whole_until_ns(self, time_ns: int) -> int:
        return min(time_ns, self._whole_until_ns)

    def skip_to(self, time_ns: int) -> None:
        place = bisect_right(self._starts_ns, min(time_ns, self._whole_until_ns)) - 1
        self._next = max(self._next, place)


class DecordReader(AvReader):
    """Reads pictures with decord; opening, limits, sizes and sound are those of `AvReader`."""

    @classmethod
    def missing(cls) -> str:
        return "" if find_spec("decord") else MISSING

    def _pictures(self, video: DecodedStream | None, notes: list[str]) -> tuple[Pictures | None, tuple[int, int]]:
        name = shown_name(self.source)
        decord = import_decord()
        pictures, size = super()._pictures(video, notes)
        if video is None or pictures is None:
            return pictures, size
        first = video.peek()
        assert first is not None
        if is_url(self.source):
            raise SourceError(f"{name}: decord reads local files only. Choose the reader av.")
        if is_hdr(first.picture):
            raise SourceError(f"{name}: decord reads HDR with too few bits. Choose the reader av.")
        try:
            path = str(Path(self.source).absolute())
            opened = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=self.options.threads)
        except (decord.DECORDError, RuntimeError) as error:
            raise SourceError(
                f"{name}: decord cannot open it ({str(error).splitlines()[0]}). Choose the reader av."
            ) from error
        first = replace(first, picture=None)
        return DecordPictures(
            opened, first, PictureConverter(*frame_size(size, self.options), self.options.max_pixels), video.clock.rules
        ), size
