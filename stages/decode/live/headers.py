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
class Track:
    """One stream of a part."""

    number: int
    """Of the stream in `Header.template`."""
    codec: str
    is_video: bool


@dataclass(frozen=True)
class Header:
    """The streams of a part."""

    tracks: dict[int, Track]
    """By the index of the stream in its container."""
    template: bytes
    """A file in memory with these streams and the part's first packet. It outlives the connection."""
    sets: bytes
    """The parameter sets that came with the first key frame, if they come in the stream."""

    orientation: Orientation = UPRIGHT
    display_matrix: tuple[int, ...] = ()
    """Says the same to a player."""

    @property
    def has_video(self) -> bool:
        return any(track.is_video for track in self.tracks.values())


def make_header(streams: Sequence[Any], first: Any, is_changed: bool = False) -> Header:
    """The header of a part that begins with the packet `first`, which is a key frame if there are pictures.

    `is_changed`: what the streams say of their pictures is out of date, and the parameter sets in `first` hold.

    Raises: av.error.FFmpegError, ValueError.
    """
    memory = io.BytesIO()
    container = av.open(memory, "w", format="nut")
    tracks = {}
    for number, stream in enumerate(streams):
        made = container.add_stream_from_template(stream, opaque=True)
        is_video = stream.type == "video"
        tracks[stream.index] = Track(number, stream.codec_context.codec.canonical_name, is_video)
        if is_video and is_changed:
            made.codec_context.extradata = None
        if is_video and not made.codec_context.width:
            made.codec_context.width = made.codec_context.height = 16  # what opens the template finds the right one
    packet = av.Packet(bytes(first))
    packet.pts = packet.dts = 0
    packet.time_base, packet.is_keyframe = first.time_base, True
    packet.stream = container.streams[tracks[first.stream_index].number]
    container.mux(packet)
    container.close()
    sets = parameter_sets(tracks[first.stream_index].codec, bytes(first))
    is_video = tracks[first.stream_index].is_video
    turned = _turned(streams[tracks[first.stream_index].number], bytes(first)) if is_video else (UPRIGHT, ())
    return Header(tracks, memory.getvalue(), sets, *turned)


def _turned(stream: Any, key: bytes) -> tuple[Orientation, tuple[int, ...]]:
    """How the pictures of a stream are turned upright, in our words and as a display matrix.

    The matrix belongs to the container, and PyAV tells it of decoded frames alone. A small film in memory keeps it.
    """
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format="mov") as film:
            made = film.add_stream_from_template(stream, opaque=True)
            packet = av.Packet(key)
            packet.pts, packet.dts, packet.duration, packet.time_base = 0, 0, 3600, Fraction(1, 90_000)
            packet.is_keyframe, packet.stream = True, made
            film.mux(packet)
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
    """The parameter sets in a key frame; empty if there are none, or the stream does not store them there (Annex B)."""
    types = SET_TYPES.get(codec)
    if types is None or not data.startswith((b"\0\0\1", b"\0\0\0\1")):
        return b""
    found = []
    for unit in data.split(b"\0\0\1")[1:]:
        kind = -1 if not unit else unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if kind in types:
            found.append(unit.rstrip(b"\0"))
    return b"\0\0\1".join(found)
