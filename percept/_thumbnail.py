"""A small picture of a clip's middle, from the source if that is a file that can be read here."""

import os
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from percept._records import ClipRecord

LONG_SIDE_PX = 240
MAX_S = 1.0
"""How long reading may take; then the newest picture is used."""
EARLIER_S = (0.0, 5.0, None)
"""How far before the time reading begins, in turn, as not every container finds a key picture; None: at the start."""
CLOSE_S = 0.5
"""How far after the time a picture may be."""
MAX_PIXELS = 8192 * 8192


def thumbnail(record: "ClipRecord") -> tuple[bytes, int, int] | None:
    """JPEG, width and height; None if there is no picture of the clip here."""
    if not os.path.isfile(record.source):
        return None
    import av

    try:
        frame = _frame_at(os.path.abspath(record.source), (record.start_s + record.end_s) / 2)
        return None if frame is None else _jpeg(frame, record)
    except (av.FFmpegError, OSError, ValueError, MemoryError):
        return None  # moved, changed or unreadable since the run: a record is shown without a picture


def _frame_at(path: str, time_s: float) -> Any:
    """The picture at a time of the seek bar, as it is stored; an earlier one if reading takes too long."""
    deadline_s = time.monotonic() + MAX_S
    frame = None
    for earlier_s in EARLIER_S:
        frame, is_close = _frame_after_seek(path, time_s, earlier_s, deadline_s)
        if is_close:
            break
    return frame


def _frame_after_seek(path: str, time_s: float, earlier_s: float | None, deadline_s: float) -> tuple[Any, bool]:
    """The last picture before the time, or else the first one; and whether it is not after it."""
    import av

    options = {"protocol_whitelist": "file"}  # a playlist must not make a notebook reach the network
    with av.open(f"file:{path}", container_options=options, timeout=(MAX_S, MAX_S)) as container:
        stream = container.streams.best("video")
        if stream is None or stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            return None, True
        wanted_s = (container.start_time or 0) / 1e6 + time_s
        if earlier_s is not None and container.duration:
            container.seek(round((wanted_s - earlier_s) * 1e6))
        newest = None
        for frame in container.decode(stream):
            at_s = wanted_s if frame.time is None else frame.time
            newest = frame if newest is None or at_s <= wanted_s else newest
            if at_s >= wanted_s or time.monotonic() > deadline_s:
                break
        return newest, newest is not None and (newest.time or 0.0) <= wanted_s + CLOSE_S


def _jpeg(frame: Any, record: "ClipRecord") -> tuple[bytes, int, int]:
    import av
    import numpy as np

    turns = round(frame.rotation / 90) % 4
    width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    if record.width and record.height:  # of the upright picture, in square pixels
        width, height = record.width, record.height
    scale = min(1.0, LONG_SIDE_PX / max(width, height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    stored = (height, width) if turns % 2 else (width, height)
    pixels = np.rot90(frame.reformat(*stored, format="rgb24").to_ndarray(), turns)
    upright = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"q:v": "4"}
    data = b"".join(map(bytes, [*encoder.encode(upright.reformat(format="yuvj420p")), *encoder.encode(None)]))
    return data, width, height
