"""What a film must know of the streams of a camera, kept apart from the connection that they came by."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from stages.decode.picture import UPRIGHT, Orientation, orientation
from stages.decode.side_data import side_data_of

SET_TYPES = {"h264": (7, 8), "hevc": (32, 33, 34)}
"""NAL units with parameters: SPS and PPS; VPS, SPS and PPS."""


@dataclass(frozen=True)
class Header:
    """The streams of a part."""

    numbers: dict[int, int]
    """Of the streams in a film, by their index in the connection."""
    template: bytes
    """A file in memory with these streams and the part's first packet. It outlives the connection."""
    orientation: Orientation = UPRIGHT
    display_matrix: tuple[int, ...] = ()
    """Says the same to a player."""


def make_header(streams: Sequence[Any], first: Any) -> Header:
    """The header of a part that begins with the packet `first`, which is a key frame if there are pictures.

    Parameter sets in it hold, not those that came with the connection, which may be out of date.

    Raises: av.error.FFmpegError, ValueError.
    """
    memory = io.BytesIO()
    numbers = {stream.index: number for number, stream in enumerate(streams)}
    with av.open(memory, "w", format="nut") as template:
        for stream in streams:
            made = template.add_stream_from_template(stream, opaque=True).codec_context
            if stream is first.stream and parameter_sets(made.codec.canonical_name, bytes(first)):
                made.extradata = None
            if stream.type == "video" and not made.width:
                made.width = made.height = 16  # whoever opens the template finds the right size
        template.mux(_first_packet(bytes(first), template.streams[numbers[first.stream_index]]))
    turned = _turned(first.stream, bytes(first)) if first.stream.type == "video" else (UPRIGHT, ())
    return Header(numbers, memory.getvalue(), *turned)


def _first_packet(data: bytes, stream: Any) -> Any:
    packet = av.Packet(data)
    packet.pts, packet.dts, packet.duration, packet.time_base = 0, 0, 3600, Fraction(1, 90_000)
    packet.is_keyframe, packet.stream = True, stream
    return packet


def _turned(stream: Any, key: bytes) -> tuple[Orientation, tuple[int, ...]]:
    """How the pictures of a stream are turned upright, in our words and as a display matrix.

    The matrix belongs to the container, and PyAV tells it of decoded frames alone. A small film in memory keeps it.
    """
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format="mov") as film:
            film.mux(_first_packet(key, film.add_stream_from_template(stream, opaque=True)))
        memory.seek(0)
        with av.open(memory, "r") as film:
            frame = next(film.decode(video=0))
    except (OSError, ValueError, StopIteration):
        return UPRIGHT, ()  # not in a container that could have a matrix
    matrix = side_data_of(frame, "DISPLAYMATRIX")
    return orientation(frame), () if matrix is None else tuple(
        int(each) for each in np.frombuffer(matrix, np.int32)[:9]
    )


def parameter_sets(codec: str, data: bytes) -> bytes:
    """The parameter sets in a key frame; empty if not all are there, or the stream does not store them so (Annex B)."""
    types = SET_TYPES.get(codec)
    if types is None or not data.startswith((b"\0\0\1", b"\0\0\0\1")):
        return b""
    found, kinds = [], set()
    for unit in data.split(b"\0\0\1")[1:]:
        kind = -1 if not unit else unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind in types:
            found.append(unit.rstrip(b"\0"))
            kinds.add(kind)
    found = list(dict.fromkeys(found))  # some encoders repeat them within a key frame, now and then
    return b"\0\0\1".join(found) if len(kinds) == len(types) else b""
