"""Small pictures of moments of a video, as data URIs."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.arrays import Array
from pipeline.media import open_media

LONG_SIDE_PX = 256
POSTER_PX = 960
QUALITY = 72
LARGE_BYTES = 150_000
"""A poster of `POSTER_PX` may be as large."""
BUDGET_BYTES = 1_500_000
"""Of all thumbnails of a page together, as data URIs."""
GO_ON_S = 3.0
"""To a moment that is no further ahead, decoding goes on; to others it seeks."""
MOST_DECODED = 400
"""Pictures that are decoded on the way from a key frame to a moment; then the one at hand is taken."""


def thumbnails(path: str, times_s: Sequence[float], size: tuple[int, int]) -> Iterator[str]:
    """A data URI for each time, in order; "" where there is no picture. `size`: upright width and height."""
    with open_media(path) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            yield from ("" for _ in times_s)
            return
        stream.thread_type = "AUTO"
        origin_s = (container.start_time or 0) / 1e6
        frames = _Frames(container, stream)
        for time_s in times_s:
            frame = frames.at(time_s + origin_s)
            yield "" if frame is None else data_uri(upright(frame, fitted(size, LONG_SIDE_PX)))


def poster(path: str, size: tuple[int, int], budget_bytes: int = BUDGET_BYTES) -> str:
    """The first picture of a file: large, or as small as a thumbnail where the budget is small."""
    side_px = POSTER_PX if budget_bytes >= LARGE_BYTES else LONG_SIDE_PX
    with open_media(path) as container:
        frame = next(container.decode(video=0), None)
        return "" if frame is None else data_uri(upright(frame, fitted(size, side_px)))


def within_budget(uris: Sequence[str], budget_bytes: int = BUDGET_BYTES) -> list[str]:
    """The pictures, with every second one left out ("") until they fit."""
    kept = list(uris)
    step = 2
    while sum(map(len, kept)) > budget_bytes:
        kept = [uri if place % step == 0 else "" for place, uri in enumerate(kept)]
        step *= 2
    return kept


def fitted(size: tuple[int, int], long_side_px: int) -> tuple[int, int]:
    scale = min(1.0, long_side_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def upright(frame: Any, size: tuple[int, int]) -> Array:
    """A decoded picture, turned upright and scaled to `size`: uint8 "H W 3" BGR."""
    import numpy as np

    width, height = size
    turns = round(frame.rotation / 90) % 4
    if turns % 2:
        width, height = height, width
    picture = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, turns))


def data_uri(picture: Array) -> str:
    import cv2

    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


class _Frames:
    """Finds pictures by time. Times that rise by little are decoded in one go."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self._decoded: Iterator[Any] = iter(())
        self._shown: Any = None
        self._next: Any = None

    def at(self, time_s: float) -> Any:
        """The picture on show at a time of the container; None if none can be decoded."""
        import av

        try:
            if self._shown is None or not 0 <= time_s - self._shown.time <= GO_ON_S:
                self._seek(time_s)
            for _ in range(MOST_DECODED):
                if self._next is None or (self._shown is not None and self._next.time > time_s):
                    break
                self._shown, self._next = self._next, self._decode()
        except (av.error.FFmpegError, ValueError):
            self._next = None
        return self._shown

    def _seek(self, time_s: float) -> None:
        self._container.seek(max(0, round(time_s / self._stream.time_base)), stream=self._stream)
        self._decoded = self._container.decode(self._stream)
        self._shown, self._next = None, self._decode()

    def _decode(self) -> Any:
        return next((frame for frame in self._decoded if frame.time is not None), None)
