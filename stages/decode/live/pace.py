"""Plays a file at its own pace, as if it came from a camera."""

import threading
import time
from collections.abc import Iterator
from typing import Any

from av.container import InputContainer

from stages.decode.source import nanoseconds

NS = 1_000_000_000


def paced(
    container: InputContainer, streams: list[Any], loop: bool, stop: threading.Event
) -> Iterator[tuple[Any, int]]:
    """Packets of the streams, each when its turn has come, and the instant on the monotonic clock.

    `loop`: play it again when it ends, with times that go on.
    """
    start_ns, played_ns = time.monotonic_ns(), 0
    first_ns: int | None = None
    while not stop.is_set():
        end_ns = played_ns
        for packet in container.demux(streams):
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
        if not loop or end_ns <= played_ns:
            return
        played_ns = end_ns
        container.seek(0)


def move(packet: Any, by_ns: int) -> None:
    ticks = round(by_ns / NS / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
