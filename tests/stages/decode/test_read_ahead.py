"""Packets are looked at before they are decoded, in order, and none is lost or given twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from stages.decode.key_frames import Sent
from stages.decode.read_ahead import LONGEST_NS, ReadAhead
from stages.decode.reader import NS


@dataclass(frozen=True)
class Packet:
    """One of a tenth of a second."""

    pts: int | None
    dts: int | None
    is_keyframe: bool = False
    size: int = 10
    time_base: Fraction = Fraction(1, 10)


def ahead_of(packets: Sequence[Packet]) -> ReadAhead:
    sent: Iterator[Sent] = (Sent(packet, "decoder") for packet in packets)
    return ReadAhead(sent, lambda ticks, base: int(ticks * base * NS))


def plain(count: int, key_every: int = 10) -> list[Packet]:
    return [Packet(place, place, place % key_every == 0) for place in range(count)]


def test_what_is_looked_at_is_still_given_in_order() -> None:
    packets = plain(60)
    ahead = ahead_of(packets)
    given = [next(ahead).packet for _ in range(5)]
    seen = ahead.stretch(0, 2 * NS, 3 * NS)
    assert seen is not None
    assert [each.time_ns for each in seen] == [place * NS // 10 for place in range(20)], "those that are gone as well"
    assert [each.key is not None for each in seen].index(True, 1) == 10
    assert given + [each.packet for each in ahead] == packets


def test_pictures_are_those_shown_in_a_stretch_in_the_order_in_which_they_are_decoded() -> None:
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]
    packets = [Packet(shown, place - 2, shown == 0) for place, shown in enumerate(order)]
    seen = ahead_of(packets).stretch(NS // 10, 7 * NS // 10, 9 * NS // 10)
    assert seen is not None
    assert [each.time_ns * 10 // NS for each in seen] == [3, 1, 2, 6, 4, 5]


def test_nothing_is_said_of_a_stretch_at_the_end_or_of_pictures_without_times() -> None:
    assert ahead_of(plain(20)).stretch(0, 2 * NS, 2 * NS) is None
    unknown = [*plain(5), Packet(None, None), *plain(40)[5:]]
    ahead = ahead_of(unknown)
    assert ahead.stretch(0, NS, NS) is None
    assert ahead.stretch(2 * NS, 3 * NS, 3 * NS) is not None


def test_the_key_frame_after_a_stretch_is_waited_for_only_so_long() -> None:
    key = ahead_of(plain(60, 25)).key_after(NS)
    assert key is not None
    assert key.time_ns == 5 * NS // 2
    ahead = ahead_of(plain(400, 300))
    assert ahead.key_after(NS) is None
    seen = ahead.stretch(0, 60 * NS, 0)
    assert seen is not None
    assert NS + LONGEST_NS < seen[-1].time_ns < 2 * NS + LONGEST_NS


def test_packets_are_dropped_up_to_the_last_key_frame_before_a_time() -> None:
    ahead = ahead_of(plain(60))
    assert ahead.stretch(0, 2 * NS, 4 * NS) is not None
    assert ahead.drop_to(23 * NS // 10)
    assert next(ahead).packet.pts == 20
    assert not ahead.drop_to(29 * NS // 10), "decoding goes on where it is"
    assert [each.packet.pts for each in ahead] == list(range(21, 60))


def test_what_was_shown_long_ago_is_forgotten() -> None:
    ahead = ahead_of(plain(60))
    assert ahead.stretch(0, 2 * NS, 4 * NS) is not None
    ahead.forget(3 * NS)
    assert ahead.stretch(0, 4 * NS, 0) == ahead.stretch(3 * NS, 4 * NS, 0)
