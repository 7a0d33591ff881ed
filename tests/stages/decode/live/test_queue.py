"""The queue between reading and decoding: in order, never waiting, and bounded."""

import threading
import time
from types import SimpleNamespace

from hypothesis import example, given
from hypothesis import strategies as some

from stages.decode.links import Kind
from stages.decode.live.queue import Arrived, ClockSet, Item, PacketQueue, Shed

NS = 1_000_000_000
HOUR_S = 3600.0


def packet(kind: Kind, number: int, is_key: bool = False, size: int = 100, arrival_ns: int | None = None) -> Arrived:
    data = SimpleNamespace(size=size, is_keyframe=is_key)
    return Arrived(kind, data, number, time.monotonic_ns() if arrival_ns is None else arrival_ns)


def numbers(items: list[Item], kind: Kind = "video") -> list[int]:
    return [item.decode_ns for item in items if isinstance(item, Arrived) and item.kind == kind]


def test_what_is_put_is_taken_in_order() -> None:
    queue = PacketQueue(HOUR_S)
    put: list[Item] = [packet("video", 0, True), packet("audio", 1), ClockSet(), packet("video", 2)]
    for item in put:
        queue.put(item)
    assert queue.take(0) == put
    assert queue.take(0) == []
    assert queue.size_bytes == 0


def test_taking_waits_for_the_next_item() -> None:
    queue = PacketQueue(HOUR_S)
    threading.Timer(0.05, queue.put, [ClockSet()]).start()
    assert queue.take(10) == [ClockSet()]


KEY = some.sampled_from([True, *[False] * 9])


@example([(False, True, 2), (False, True, 59), *[(False, True, 60)] * 4, (True, False, 1)])
@given(some.lists(some.tuples(some.booleans(), KEY, some.integers(1, 60)), max_size=200))
def test_it_is_bounded_and_what_it_keeps_can_be_decoded(given_packets: list[tuple[bool, bool, int]]) -> None:
    """After a loss of pictures the next one is a key frame, and every packet is kept or counted."""
    queue = PacketQueue(HOUR_S, most_bytes=300)
    for number, (is_video, is_key, size) in enumerate(given_packets):
        queue.put(packet("video" if is_video else "audio", number, is_key, size))
        assert queue.size_bytes <= 300
    items = queue.take(0)
    shed = sum(item.count for item in items if isinstance(item, Shed))
    kept = [item for item in items if isinstance(item, Arrived)]
    assert shed + len(kept) == len(given_packets)
    assert [item.decode_ns for item in kept] == sorted(item.decode_ns for item in kept)
    pictures = [item for item in kept if item.kind == "video"]
    if len(pictures) < sum(is_video for is_video, _, _ in given_packets):
        assert not pictures or pictures[0].starts


def test_groups_of_pictures_are_thrown_away_whole() -> None:
    queue = PacketQueue(HOUR_S, most_bytes=2500)
    for number in range(30):
        queue.put(packet("video", number, is_key=number % 10 == 0))
    assert numbers(queue.take(0)) == list(range(10, 30))


def test_nothing_waits_for_too_long() -> None:
    queue = PacketQueue(2.05)
    now_ns = time.monotonic_ns()
    for number in range(50):
        queue.put(packet("video", number, number % 10 == 0, arrival_ns=now_ns - (50 - number) * NS // 10))
    kept = numbers(queue.take(0))
    assert kept[0] == 30
    assert kept[-1] == 49
