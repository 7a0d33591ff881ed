"""The streams of one source under way: streams that move to others, and files in which several are chained."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import av
from av.container import InputContainer

from stages.decode.container import TABLED, names_of
from stages.decode.source import Stream, Streams, is_cover, is_decodable

Kind = Literal["video", "audio"]
PROGRAMMES = {"mpegts", "mpeg"}
"""Containers whose streams may move to others."""
PAGE = b"OggS"
FIRST_PAGE = 2
"""Flag of the first page of a stream in Ogg."""
PIECE = 1 << 20
log = logging.getLogger("percept.decode")


@dataclass
class Link:
    """One opened container, and the streams that are read from it."""

    container: InputContainer
    current: dict[Kind, Stream]
    """By kind; the clock sees all of them."""
    spare: dict[int, tuple[Kind, Stream]] = field(default_factory=dict)
    """Streams that a current one may move to, by index."""
    skip_until: dict[Kind, int] = field(default_factory=dict)
    """Where the last packet was that was read from the link before, in bytes."""

    def __post_init__(self) -> None:
        read = {stream.index for stream in self.current.values()} | set(self.spare)
        for stream in self.container.streams:
            if stream.index not in read:
                stream.discard = av.stream.Discard.all

    @property
    def may_grow(self) -> bool:
        """Whether streams may appear that were unknown when it was opened."""
        return "mpegts" in names_of(self.container)

    def kind_of(self, index: int) -> Kind | None:
        """The kind of stream that a packet belongs to."""
        for kind, stream in self.current.items():
            if stream.index == index:
                return kind
        return self.spare[index][0] if index in self.spare else None

    def stream(self, index: int) -> Stream:
        return self.container.streams[index]

    def was_read(self, packet: Any, kind: Kind) -> bool:
        """Whether a packet was read from the link before."""
        if kind not in self.skip_until or packet.stream_index != self.current[kind].index:
            return False
        if packet.pos is None or packet.pos <= self.skip_until[kind]:
            return True
        del self.skip_until[kind]
        return False

    def prefer(self, kind: Kind, identity: int | None) -> None:
        """Go on with the stream of a kind that has an identity, such as a PID, if there is one."""
        for index, (of, stream) in list(self.spare.items()):
            if of == kind and stream.id == identity and self.current[kind].id != identity:
                self.move(kind, index)
                return

    def prefer_unknown(self, kind: Kind, before: "Link") -> None:
        """Go on with the first stream of a kind that the link before did not know, if there is one."""
        known = {stream.id for stream in before.container.streams}
        found = [stream for of, stream in self.spare.values() if of == kind and stream.id not in known]
        if found and self.current[kind].id in known:
            self.move(kind, found[0].index)

    def move(self, kind: Kind, index: int) -> None:
        """Go on with another stream of a kind."""
        before = self.current[kind]
        self.current[kind] = self.stream(index)
        self.spare.pop(index, None)
        self.spare[before.index] = (kind, before)


SILENT_PACKETS = 250
SILENT_BYTES = 1 << 18
"""A stream may have moved if nothing of it comes for so many packets of the other, or nothing for so many bytes."""
ATTEMPTS = 3


@dataclass
class Watch:
    """Notices that streams of a transport stream may have moved to others, which PyAV passes over in silence."""

    kinds: set[Kind]
    attempts: int = ATTEMPTS
    """How often the source may be opened again without finding anything."""
    _end: int = 0
    _silent: Counter[Kind] = field(default_factory=Counter)

    def may_have_moved(self, kind: Kind, position: int | None, size: int) -> bool:
        """Take note of a packet. Returns whether a stream may have moved before it."""
        self._silent.update(self.kinds)
        self._silent[kind] = 0
        is_far = self.has_passed(position)
        if position is not None:
            self._end = max(self._end, position + size + size // 16)  # with the headers of transport packets
        return self.attempts > 0 and (is_far or SILENT_PACKETS in self._silent.values())

    def has_passed(self, position: int | None) -> bool:
        """Whether many bytes before a position had nothing of these streams."""
        return position is not None and 0 < self._end < position - SILENT_BYTES and self.attempts > 0


Reopen = Callable[[int], Link | None]
"""Opens the source again from a byte on; None if there is nothing to read."""


def link_of(container: InputContainer, chosen: Streams, kind: Kind) -> Link:
    """The link to read one kind of stream. Where the clock needs it, both are read."""
    wanted: dict[Kind, Stream | None] = {"video": chosen.video, "audio": chosen.audio}
    streams: dict[Kind, Stream] = {
        each: container.streams[stream.index] for each, stream in wanted.items() if stream is not None
    }
    if TABLED & names_of(container) and all(stream.frames for stream in streams.values()):
        streams = {kind: streams[kind]}
    spare: dict[int, tuple[Kind, Stream]] = {}
    if PROGRAMMES & names_of(container):
        taken = {stream.index for stream in streams.values()}
        for stream in container.streams:
            if stream.type in streams and stream.index not in taken and is_decodable(stream) and not is_cover(stream):
                spare[stream.index] = (stream.type, stream)
    return Link(container, streams, spare)


def next_chain(path: Path, after: int) -> int | None:
    """Where the next chained stream begins in an Ogg file; None if there is none."""
    with path.open("rb") as file:
        file.seek(after)
        place, before = after, b""
        while piece := file.read(PIECE):
            data = before + piece
            start = place - len(before)
            found = data.find(PAGE)
            while 0 <= found <= len(data) - 6:
                if data[found + 5] & FIRST_PAGE and start + found > after:
                    return start + found
                found = data.find(PAGE, found + 1)
            place += len(piece)
            before = data[-5:]
    return None


def goes_on(before: Link, after: Link, kind: Kind) -> bool:
    """Whether a stream is the same one in the next link, so that its decoder goes on."""
    if kind not in before.current or kind not in after.current or "ogg" in names_of(after.container):
        return False
    one, other = before.current[kind], after.current[kind]
    return bool(one.id == other.id and one.codec_context.name == other.codec_context.name)


def demux(link: Link) -> Iterator[Any]:
    """All packets of the streams of a link."""
    streams = (*link.current.values(), *(stream for _, stream in link.spare.values()))
    with suppress(IndexError):  # at the end, PyAV flushes streams that it does not know: they appeared after open
        yield from link.container.demux(*streams)
