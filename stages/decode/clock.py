"""The clock of one source: which times of its packets are right, and where it jumps, starts again or repeats itself.

Every packet of the streams that are read passes here in file order. A time that its stream goes on from is right.
Any other is judged by what comes before and after it in its own stream, and by where the other stream is at that place
of the file:

* a few times that lead away and back are damaged; they are replaced by an estimate;
* a clock of all streams that starts again is continued, and a new epoch begins;
* a clock of one stream that starts again is continued where the other stream is;
* a clock that goes back a little and then on was right all the time: what it says twice is left out;
* a leap of all streams is a gap in the recording, and a new epoch begins after it.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

NS = 1_000_000_000
STEP_NS = NS
"""Two packets of a stream that are no further apart need no judgement."""
SLACK_NS = 2 * NS
"""How far apart two streams may be at the same place of a file."""
LEAP_NS = 10 * NS
"""The last time of a source is not that far from the one before."""
SETBACK_NS = NS // 2
"""A clock that goes back by less was right before and is right after: something is told twice."""
OVERLAP_NS = 2 * NS
"""So is one of all streams that goes back by less than this, unless it goes back to its start."""
LONGEST_OVERLAP_NS = 60 * NS
"""So is one that goes back by less than this to packets of the same sizes as before."""
SAME_PACKETS = 5
"""Fewer packets of the same sizes may be chance."""
LONGEST_HOLD_NS = 3600 * NS
"""Longest pause of the pictures in which the last one stays, if no other stream tells that time goes on."""
KEPT_SIZES = 4000
DAMAGED = 4
"""Most times in a row that are damaged rather than a clock that was set back."""
AHEAD = 12
"""Packets of each stream that are looked at before a time is judged."""


@dataclass(slots=True)
class Stamp:
    """The times of one packet on the container's clock. `stream` is any number that identifies its stream.

    A packet without a time of decoding is not judged.
    """

    stream: int
    decode_ns: int | None
    show_ns: int | None
    duration_ns: int = 0
    size: int = 0
    """Bytes."""

    @property
    def first_ns(self) -> int:
        """When it is shown, or decoded if that is unknown; the packet has a time."""
        first_ns = self.decode_ns if self.show_ns is None else self.show_ns
        assert first_ns is not None
        return first_ns


@dataclass(frozen=True)
class Rules:
    """What the kind of source says about its clock."""

    gap_ns: int
    """A leap of all streams that is longer is a gap."""
    holds: bool
    """A picture is shown until the next one, however long that takes."""
    declared_end_ns: int | None = None

    def is_gap(self, pause_ns: int, is_shared: bool = False) -> bool:
        """Whether a pause of one stream is a gap in the recording. `is_shared`: all streams are known to pause."""
        return pause_ns > (LONGEST_HOLD_NS if self.holds and not is_shared else self.gap_ns)


@dataclass
class Track:
    """What is known about one stream. Times are repaired ones unless they are called raw."""

    offset_ns: int = 0
    last_ns: int | None = None
    """When the last packet is decoded."""
    end_ns: int = 0
    """Latest time to which a packet is shown."""
    step_ns: int = 0
    """From one packet to the next."""
    lag_ns: int = 0
    """How far it is ahead of the other stream at the same place of the file."""
    resets: int = 0
    begin_raw_ns: int | None = None
    """Where its clock started."""
    told_again_ns: int | None = None
    """The last packet, while it tells again what was told before `last_ns`."""
    pause: tuple[int, int] | None = None
    """A stretch in which nothing is shown, until the packets that are decoded have passed it."""
    sizes: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT_SIZES))
    """When the last packets are shown on the raw clock, and their sizes."""

    def time_ns(self, stamp: Stamp) -> int | None:
        raw_ns = stamp.decode_ns
        return None if raw_ns is None else raw_ns + self.offset_ns


@dataclass
class Clock:
    """Places the packets of one or two streams, in file order."""

    rules: Rules
    epochs_ns: list[int] = field(default_factory=list)
    """Where new epochs begin."""
    repeats: list[tuple[int, int]] = field(default_factory=list)
    """Stretches that a stream tells twice."""
    damaged: int = 0
    """Times that were wrong."""
    remark: str = ""
    """What was done about the last packet that needed anything."""
    _tracks: dict[int, Track] = field(default_factory=dict)
    _offsets_ns: list[int] = field(default_factory=list)
    """After each reset of the whole clock."""

    def epoch_at(self, time_ns: int) -> int:
        return bisect_right(self.epochs_ns, time_ns)

    def is_repeat(self, time_ns: int) -> bool:
        return any(begin_ns <= time_ns <= end_ns for begin_ns, end_ns in self.repeats)

    def repaired_ns(self, stream: int, raw_ns: int) -> int:
        """A time of a stream's container on the repaired clock, as it is now."""
        track = self._tracks.get(stream)
        return raw_ns + (track.offset_ns if track is not None else 0)

    def jump(self) -> None:
        """Forget the last packets, after a seek."""
        for track in self._tracks.values():
            track.last_ns = None

    def place(self, stamp: Stamp, ahead: Callable[[], Iterable[Stamp]]) -> int | None:
        """What to add to the packet's times; None if they are wrong. `ahead`: the packets after it."""
        track = self._tracks.setdefault(stamp.stream, Track())
        time_ns = track.time_ns(stamp)
        if time_ns is None:
            return track.offset_ns
        last_ns = track.last_ns
        if last_ns is not None and 0 <= time_ns - last_ns <= STEP_NS:
            return self._accept(track, stamp)
        again_ns = track.told_again_ns
        if last_ns is not None and again_ns is not None and again_ns <= time_ns <= last_ns:
            return self._accept(track, stamp)
        return self._judge(track, stamp, time_ns, list(ahead()))

    def _judge(self, track: Track, stamp: Stamp, time_ns: int, ahead: list[Stamp]) -> int | None:
        own, others = _sorted(stamp.stream, ahead)
        if track.last_ns is None:
            is_right = self._begin(track, stamp, own)
        elif time_ns > track.last_ns:
            is_right = self._leap(track, stamp, time_ns, own, others)
        else:
            is_right = self._set_back(track, stamp, time_ns, ahead)
        if is_right:
            return self._accept(track, stamp)
        self.damaged += 1
        return None

    def _accept(self, track: Track, stamp: Stamp) -> int:
        raw_ns = stamp.decode_ns
        assert raw_ns is not None
        time_ns = raw_ns + track.offset_ns
        if track.last_ns is None or time_ns >= track.last_ns:
            if track.last_ns is not None and 0 < time_ns - track.last_ns <= STEP_NS:
                track.step_ns = time_ns - track.last_ns
            track.last_ns, track.told_again_ns = time_ns, None
        else:
            track.told_again_ns = time_ns
        track.sizes.append((stamp.first_ns, stamp.size))
        if track.begin_raw_ns is None:
            track.begin_raw_ns = raw_ns
        show_ns = stamp.first_ns + track.offset_ns
        track.pause = self._pause_before(track, time_ns, show_ns)
        track.end_ns = max(track.end_ns, show_ns + (stamp.duration_ns or track.step_ns))
        other = self._other(stamp.stream)
        if other is not None and other.last_ns is not None:
            track.lag_ns = time_ns - other.last_ns
        return track.offset_ns

    def _pause_before(self, track: Track, time_ns: int, show_ns: int) -> tuple[int, int] | None:
        if show_ns > track.end_ns + STEP_NS:
            return (track.end_ns, show_ns)
        if track.pause is None or time_ns >= track.pause[1]:
            return None
        from_ns, until_ns = track.pause
        return (from_ns, show_ns if from_ns + STEP_NS < show_ns < until_ns else until_ns)

    def _other(self, stream: int) -> Track | None:
        return next((track for number, track in self._tracks.items() if number != stream), None)

    # The first packet of a stream

    def _begin(self, track: Track, stamp: Stamp, own: list[Stamp]) -> bool:
        """False if what follows is long before."""
        other = self._other(stamp.stream)
        if other is not None and track.begin_raw_ns is None and other.resets > track.resets:
            track.offset_ns, track.resets = self._offsets_ns[-1], len(self._offsets_ns)
        raw_ns = stamp.decode_ns
        times = [after.decode_ns for after in own[:2] if after.decode_ns is not None]
        return (
            raw_ns is None
            or len(times) < 2
            or not (0 <= times[1] - times[0] <= STEP_NS and times[1] + SETBACK_NS < raw_ns)
        )

    def is_shown_in_time(self, stamp: Stamp, ahead: Callable[[], Iterable[Stamp]]) -> bool:
        """Whether a packet is shown soon after it is decoded, or where those after it are."""
        if stamp.decode_ns is None or stamp.show_ns is None:
            return True
        delay_ns = stamp.show_ns - stamp.decode_ns
        if -STEP_NS <= delay_ns <= LEAP_NS:
            return True
        end_ns = self.rules.declared_end_ns if self.rules.holds else None
        if delay_ns > 0 and end_ns is not None and stamp.show_ns <= end_ns + NS:
            return True
        own, _ = _sorted(stamp.stream, list(ahead()))
        return delay_ns > 0 and any(abs(after.first_ns - stamp.show_ns) <= LEAP_NS for after in own)

    # A time later than expected

    def _leap(self, track: Track, stamp: Stamp, time_ns: int, own: list[Stamp], others: list[Stamp]) -> bool:
        assert track.last_ns is not None
        other = self._other(stamp.stream)
        for count, after in enumerate(own, 2):
            after_ns = track.time_ns(after)
            assert after_ns is not None
            if after_ns < time_ns and -SETBACK_NS <= after_ns - track.last_ns <= count * STEP_NS:
                return False
        if other is not None and other.last_ns is not None and time_ns - other.last_ns <= SLACK_NS:
            return True
        is_last = len(own) < DAMAGED - 1 and len(others) < DAMAGED
        if is_last and self._ends_before(time_ns, track, other):
            return False
        follows = self._first_unlike(other, others)
        from_ns, until_ns = self._pause_until(track, [stamp, *own])
        if other is None or other.last_ns is None or not others:
            self._pause(from_ns, until_ns)
        elif follows is not None and follows > other.last_ns + STEP_NS:
            self._pause(from_ns, min(until_ns, follows), is_shared=True)
        elif time_ns - other.last_ns - max(0, track.lag_ns) > SLACK_NS:
            self._continue(track, stamp, other)
        return True

    def _ends_before(self, time_ns: int, track: Track, other: Track | None) -> bool:
        """Whether the source ends long before a time, which is among the last."""
        assert track.last_ns is not None
        leap_ns = time_ns - track.last_ns
        if other is not None and other.last_ns is not None:
            leap_ns = time_ns - max(other.end_ns, track.last_ns)
            return leap_ns > (LEAP_NS if self.rules.holds else STEP_NS)
        if not self.rules.holds:
            return leap_ns > LEAP_NS
        end_ns = self.rules.declared_end_ns
        return leap_ns > LONGEST_HOLD_NS or (leap_ns > LEAP_NS and end_ns is not None and time_ns > end_ns + NS)

    def _first_unlike(self, other: Track | None, others: list[Stamp]) -> int | None:
        """The next time of the other stream that does not go on from its last one."""
        if other is None or other.last_ns is None:
            return None
        last_ns = other.last_ns
        for after in others:
            after_ns = other.time_ns(after)
            assert after_ns is not None
            if not -SETBACK_NS <= after_ns - last_ns <= STEP_NS:
                return after_ns
            last_ns = after_ns
        return None

    def _pause_until(self, track: Track, stamps: list[Stamp]) -> tuple[int, int]:
        """The stretch in which nothing is shown before packets that are decoded later than expected."""
        from_ns, until_ns = track.pause or (track.end_ns, None)
        shown_ns = [stamp.first_ns + track.offset_ns for stamp in stamps]
        shown_ns += [until_ns] if until_ns is not None else []
        return from_ns, min((show_ns for show_ns in shown_ns if show_ns > from_ns), default=from_ns)

    def _pause(self, from_ns: int, until_ns: int, is_shared: bool = False) -> None:
        """Nothing of one stream is shown in a stretch; nothing of any stream, if that is known to be shared."""
        is_known = self.epoch_at(until_ns) > self.epoch_at(from_ns)
        if not is_known and self.rules.is_gap(until_ns - from_ns, is_shared):
            self.epochs_ns.append(until_ns)

    # A time earlier than expected

    def _set_back(self, track: Track, stamp: Stamp, time_ns: int, ahead: list[Stamp]) -> bool:
        assert track.last_ns is not None
        own, others = _sorted(stamp.stream, ahead)
        back_ns = track.last_ns - time_ns
        if self._is_damaged(track, own) or (not own and back_ns > SETBACK_NS):
            return False
        other = self._other(stamp.stream)
        if back_ns > SETBACK_NS and track.resets < len(self._offsets_ns):
            track.offset_ns = self._offsets_ns[track.resets]
            track.resets += 1
            self._restart(track, stamp)
            return True
        is_alone = other is not None and self._goes_on(other, others)
        if other is not None and is_alone and (back_ns > SETBACK_NS or self._stays_behind(track, stamp, other, ahead)):
            self._continue(track, stamp, other)
        elif back_ns <= SETBACK_NS or self._is_overlap(track, stamp, own, other, back_ns):
            self._tell_again(time_ns, max(track.last_ns, track.end_ns))
        else:
            self._reset(track, stamp, own, other, others)
        return True

    def _goes_on(self, other: Track, others: list[Stamp]) -> bool:
        """Whether the other stream is not set back."""
        if other.last_ns is None or other.told_again_ns is not None or not others:
            return False
        follows_ns = self._first_unlike(other, others)
        return follows_ns is None or follows_ns > other.last_ns

    def _is_overlap(self, track: Track, stamp: Stamp, own: list[Stamp], other: Track | None, back_ns: int) -> bool:
        """Whether a clock that goes back was right: what follows is told a second time."""
        if other is not None and other.told_again_ns is not None:
            return True
        raw_ns, begin_ns = stamp.decode_ns, track.begin_raw_ns
        assert raw_ns is not None
        if begin_ns is not None and abs(raw_ns - begin_ns) <= SETBACK_NS:
            return False
        if back_ns <= OVERLAP_NS:
            return True
        return back_ns <= LONGEST_OVERLAP_NS and _are_same([stamp, *own], dict(track.sizes))

    def _stays_behind(self, track: Track, stamp: Stamp, other: Track, ahead: list[Stamp]) -> bool:
        """Whether a stream that goes back a little is still behind when it has told again what it told before."""
        time_ns = track.time_ns(stamp)
        assert time_ns is not None
        assert track.last_ns is not None
        back_ns, beside_ns = track.last_ns - time_ns, other.last_ns
        for after in ahead:
            after_ns = (track if after.stream == stamp.stream else other).time_ns(after)
            if after_ns is None or beside_ns is None:
                continue
            if after.stream != stamp.stream:
                beside_ns = after_ns
            elif after_ns > track.last_ns:
                return back_ns > NS // 10 and after_ns - beside_ns < track.lag_ns - back_ns // 2
        return False

    def _is_damaged(self, track: Track, own: list[Stamp]) -> bool:
        """Whether the stream goes on after a few packets as if they had taken their time."""
        assert track.last_ns is not None
        for count, after in enumerate(own[:DAMAGED], 1):
            after_ns = track.time_ns(after)
            assert after_ns is not None
            if after_ns > track.last_ns:
                return after_ns - track.last_ns > (count + 0.5) * track.step_ns > 0
        return False

    def _tell_again(self, from_ns: int, until_ns: int) -> None:
        self.remark = "the clock goes back a little; what it tells twice is left out"
        self.repeats.append((from_ns, until_ns))

    def _reset(self, track: Track, stamp: Stamp, own: list[Stamp], other: Track | None, others: list[Stamp]) -> None:
        """The whole clock starts again: it is continued after the latest end."""
        begins = [(track, _first_shown([stamp, *own]))]
        if other is not None and other.last_ns is not None:
            back = [after for after in others if other.time_ns(after) is not None and self._is_behind(other, after)]
            if back:
                begins.append((other, _first_shown(back)))
        self.remark = "the clock starts again; it is continued"
        offsets_ns = [of.end_ns - begin_ns for of, begin_ns in begins]
        offset_ns = max(offsets_ns) if max(offsets_ns) - min(offsets_ns) > NS // 10 else self._steadier(begins)
        self._offsets_ns.append(offset_ns)
        self.epochs_ns.append(max([*self.epochs_ns[-1:], min(begin_ns for _, begin_ns in begins) + offset_ns]))
        track.offset_ns, track.resets = offset_ns, len(self._offsets_ns)
        self._restart(track, stamp)

    def _is_behind(self, track: Track, stamp: Stamp) -> bool:
        time_ns = track.time_ns(stamp)
        return time_ns is not None and track.last_ns is not None and time_ns < track.last_ns - SETBACK_NS

    def _steadier(self, begins: list[tuple[Track, int]]) -> int:
        """The offset of the pictures, which have the lower number: sound may begin with a little silence."""
        numbers = {id(track): number for number, track in self._tracks.items()}
        track, begin_ns = min(begins, key=lambda each: numbers[id(each[0])])
        return track.end_ns - begin_ns

    def _continue(self, track: Track, stamp: Stamp, other: Track) -> None:
        """The clock of one stream starts again: it is continued, or placed where the other stream is."""
        raw_ns = stamp.decode_ns
        assert raw_ns is not None
        assert track.last_ns is not None
        assert other.last_ns is not None
        next_ns, beside_ns = track.last_ns + track.step_ns, other.last_ns + track.lag_ns
        self.remark = "the clock of one stream starts again; it is continued"
        place_ns = next_ns if abs(next_ns - beside_ns) <= STEP_NS else max(next_ns, beside_ns)
        track.offset_ns = place_ns - raw_ns
        self._restart(track, stamp)

    def _restart(self, track: Track, stamp: Stamp) -> None:
        track.last_ns = track.told_again_ns = track.pause = None
        track.begin_raw_ns = stamp.decode_ns


def _first_shown(stamps: list[Stamp]) -> int:
    """The earliest of the times of the first packets, as long as they are in order."""
    times: list[int] = []
    for stamp in stamps:
        if times and abs(stamp.first_ns - times[-1]) > STEP_NS:
            break
        times.append(stamp.first_ns)
    return min(times)


def _sorted(stream: int, stamps: list[Stamp]) -> tuple[list[Stamp], list[Stamp]]:
    """Those of a stream that have a time, and those of the other."""
    timed = [stamp for stamp in stamps if stamp.decode_ns is not None]
    return [each for each in timed if each.stream == stream], [each for each in timed if each.stream != stream]


def _are_same(stamps: list[Stamp], sizes: dict[int, int]) -> bool:
    """Whether packets have the sizes of those that were shown at their times before. Equal sizes prove nothing."""
    pairs = [(stamp.size, sizes[stamp.first_ns]) for stamp in stamps if stamp.first_ns in sizes]
    return len({size for size, _ in pairs}) >= SAME_PACKETS and all(one == other for one, other in pairs)
