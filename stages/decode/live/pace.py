"""Plays a file at its own pace, as if it came from a camera."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from av.container import InputContainer

from stages.decode.source import nanoseconds

NS = 1_000_000_000


def paced(
    container: InputContainer, streams: list[Any], again: Callable[[], InputContainer] | None, stop: threading.Event
) -> Iterator[tuple[Any, int]]:
    """Packets of the streams, each when its turn has come, and the instant on the monotonic clock.

    again: opens the file once more when it ends, and it is played with times that go on; None: it is played once.

    Raises: OSError: the file is another one now.
    """
    start_ns, played_ns = time.monotonic_ns(), 0
    first_ns: int | None = None
    for packets in rounds(container, streams, again):
        end_ns = played_ns
        for packet in packets:
            ticks = packet.dts if packet.dts is not None else packet.pts
            if not packet.size or ticks is None:
                continue
            time_ns = nanoseconds(ticks, packet.time_base)
            first_ns = time_ns if first_ns is None else first_ns
            at_ns = time_ns - first_ns + played_ns
            end_ns = max(end_ns, at_ns + (nanoseconds(packet.duration, packet.time_base) if packet.duration else 0))
            move(packet, played_ns)
            due_ns = start_ns + max(0, at_ns)
            if stop.wait(max(0.0, (due_ns - time.monotonic_ns()) / NS)):
                return
            yield packet, due_ns
        if stop.is_set() or end_ns <= played_ns:
            return
        played_ns = end_ns


def rounds(
    container: InputContainer, streams: list[Any], again: Callable[[], InputContainer] | None
) -> Iterator[Iterator[Any]]:
    """The packets of a file, each time that it is played. They are always of `streams`, whose decoders go on.

    The container is not sought: that flushes the decoders, which another thread uses at the same time, and crashes.
    """
    known = list(map(_kind, streams))
    yield container.demux(streams)
    while again is not None:
        with again() as same:
            found = [same.streams[stream.index] for stream in streams if stream.index < len(same.streams)]
            if list(map(_kind, found)) != known:
                raise OSError(errno.ESTALE, "the file is another one now")
            yield _as_of(streams, same.demux(found))


def _as_of(streams: list[Any], packets: Iterator[Any]) -> Iterator[Any]:
    """Packets as if they were of these streams."""
    of_index = {stream.index: stream for stream in streams}
    for packet in packets:
        packet.stream = of_index[packet.stream_index]
        yield packet


def _kind(stream: Any) -> tuple[Any, ...]:
    """What a decoder must know of a stream before its first packet."""
    context = stream.codec_context
    return stream.time_base, context.name, context.extradata


def move(packet: Any, by_ns: int) -> None:
    ticks = round(by_ns / NS / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
