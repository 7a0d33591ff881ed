"""The last seconds of what a camera sent, still encoded, from which films are cut.

A stretch of packets that can be in one film together is a part: one connection, one set of codec parameters. A
reconnect begins a new part, and so does a camera that changes its resolution.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.decode.live.film import FilmError, Piece, write_film
from stages.decode.live.headers import Header, make_header, parameter_sets
from stages.decode.live.masks import Mask

NS = 1_000_000_000
__all__ = ["Cut", "FilmError", "PacketRing"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cut:
    """What a film shows, on the monotonic clock."""

    from_ns: int
    until_ns: int
    note: str = ""
    """Why it is not all that was asked for."""


@dataclass(frozen=True)
class _Kept:
    part: Header
    piece: Piece
    is_start: bool
    """A film may begin with it: a key frame, or any sound where there are no pictures."""

    @property
    def time_ns(self) -> int:
        return self.piece.captured_ns


class PacketRing:
    """Keeps packets by age and bytes. One thread opens and adds; any thread may cut."""

    def __init__(self, keep_s: float, keep_bytes: int) -> None:
        self._keep_ns = round(keep_s * NS)
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._kept: deque[_Kept] = deque()
        self._starts: deque[int] = deque()
        """Times of the kept packets with which a film may begin; the first of them is the first packet."""
        self._bytes = 0
        self._streams: Sequence[Any] = ()
        self._header: Header | None = None
        self._sets = b""
        """Parameter sets of the connection's last key frame that had any."""

    @property
    def size_bytes(self) -> int:
        return self._bytes

    @property
    def newest_ns(self) -> int:
        """When the newest packet was captured; 0 if there is none."""
        with self._lock:
            return self._kept[-1].time_ns if self._kept else 0

    def open(self, streams: Sequence[Any]) -> None:
        """Begin a connection: its packets are of these `av` streams, and its container is open while they are added."""
        wanted = [stream for stream in streams if stream.type in ("video", "audio") and stream.codec_context]
        self._streams, self._header, self._sets = wanted if self._keep_ns > 0 else (), None, b""

    def add(self, packet: Any, captured_ns: int) -> None:
        """Keep an `av.Packet` that was captured at this instant of the monotonic clock."""
        stream = packet.stream
        if not packet.size or not any(each is stream for each in self._streams):
            return  # also what comes late, of a connection that was given up
        is_video = stream.type == "video"
        is_start = bool(packet.is_keyframe) if is_video else all(each.type != "video" for each in self._streams)
        if is_start:
            self._begin_part(packet, is_video)
        if self._header is None:
            return
        time_ns = None if packet.pts is None else int(packet.pts * packet.time_base * NS)
        number = self._header.numbers[packet.stream_index]
        piece = Piece(number, bytes(packet), time_ns, captured_ns, bool(packet.is_keyframe))
        with self._lock:
            self._append(_Kept(self._header, piece, is_start))

    def cut(self, path: str | Path, from_ns: int, until_ns: int, mask: Mask | None = None) -> Cut:
        """Write a film that begins with the last key frame at or before `from_ns`, and ends at `until_ns`.

        A film has one part: that of which the stretch holds the most, and the newest of equals. With a mask, pictures
        are encoded again; else they are written as they came, if a film can hold them. What a film lacks is said in its
        comment.

        Raises: FilmError.
        """
        with self._lock:
            kept = [each for each in self._kept if each.time_ns < until_ns]
        parts: dict[int, list[_Kept]] = {}
        for each in kept:
            parts.setdefault(id(each.part), []).append(each)
        stretches = [found for part in parts.values() if (found := _stretch(part, from_ns))]
        if not stretches:
            raise FilmError("no film: of that time nothing is kept that begins with a whole picture")
        chosen = max(reversed(stretches), key=lambda found: found[-1].time_ns - max(from_ns, found[0].time_ns))
        note = _note(len(stretches), chosen[0].time_ns - from_ns)
        write_film(Path(path), chosen[0].part, [each.piece for each in chosen], mask or None, note)
        return Cut(chosen[0].time_ns, chosen[-1].time_ns, note)

    def _begin_part(self, packet: Any, is_video: bool) -> None:
        """Make a header for the first start of a connection, and for a key frame that comes with other parameters."""
        codec = packet.stream.codec_context.codec.canonical_name
        sets = parameter_sets(codec, bytes(packet)) if is_video else b""
        is_changed = bool(sets and self._sets and sets != self._sets)
        self._sets = sets or self._sets
        if self._header is not None and not is_changed:
            return
        try:
            self._header = make_header(self._streams, packet)
        except (OSError, ValueError) as error:  # FFmpeg's errors are one or the other
            self._header, self._streams = None, ()
            logger.warning("nothing is kept for films: %s", getattr(error, "strerror", None) or type(error).__name__)

    def _append(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self._bytes += len(kept.piece.data)
        if kept.is_start:
            self._starts.append(kept.time_ns)
        while len(self._starts) > 1 and (
            self._starts[1] <= kept.time_ns - self._keep_ns or self._bytes > self._keep_bytes
        ):
            self._drop_first()
        if self._bytes > self._keep_bytes:
            self._drop_first()

    def _drop_first(self) -> None:
        """Drop the first packet and all up to the next start: what then comes first can begin a film."""
        self._starts.popleft()
        while self._kept:
            self._bytes -= len(self._kept.popleft().piece.data)
            if self._kept and self._kept[0].is_start:
                return
        # All is gone; nothing can begin a film until the next key frame, which makes a header again.
        self._header = None


def _stretch(part: Sequence[_Kept], from_ns: int) -> Sequence[_Kept]:
    """A part from its last start at or before `from_ns`, else from its first one; empty if it ends before `from_ns`."""
    starts = [place for place, each in enumerate(part) if each.is_start]
    if not starts or part[-1].time_ns < from_ns:
        return []
    before = [place for place in starts if part[place].time_ns <= from_ns]
    return part[before[-1] if before else starts[0] :]


def _note(parts: int, late_ns: int) -> str:
    if parts > 1:
        return "the camera was connected anew, or changed its picture: this is the longest part of the stretch"
    return f"begins {late_ns / NS:.1f} s late: nothing is kept from before" if late_ns > NS // 2 else ""
