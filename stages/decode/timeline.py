"""Repairs the times of one stream: in order, none missing, and continued after a reset of the clock."""

from collections import deque

from stages.decode.reader import NS

RESET_NS = NS // 2
"""A clock that goes back by more than this was reset; if by less, frames are out of order."""
LEAP_NS = 10 * NS
KEPT_FAILURES = 100


class Resets:
    """Offsets that continue the clock after each reset, shared by the streams of one source."""

    def __init__(self) -> None:
        self._offsets_ns = [0]

    def offset_ns(self, count: int, proposal_ns: int) -> int:
        """The offset to add after `count` resets; the stream that meets a reset first proposes it for all."""
        while len(self._offsets_ns) <= count:
            self._offsets_ns.append(proposal_ns)
        return self._offsets_ns[count]


class Timeline:
    """Turns the raw times of one stream into increasing times."""

    def __init__(self, resets: Resets, duration_ns: int) -> None:
        self.duration_ns = duration_ns
        """Duration of a frame without its own."""
        self.end_ns = 0
        """End of the last frame: the time of the next one if that has none."""
        self.resets = 0
        self._shared = resets
        self._offset_ns = 0
        self._last_ns: int | None = None

    def is_out_of_line(self, raw_ns: int | None) -> bool:
        """Whether a time would be a reset or a leap; if the next one is in line again, only this one is wrong."""
        if raw_ns is None or self._last_ns is None:
            return False
        step_ns = raw_ns + self._offset_ns - self._last_ns
        return not -RESET_NS <= step_ns <= LEAP_NS

    def place(self, raw_ns: int | None, duration_ns: int) -> tuple[int, bool]:
        """The time of the next frame, and whether it is an estimate (packet order x frame duration)."""
        duration_ns = duration_ns or self.duration_ns
        time_ns, estimated = self._time(raw_ns)
        self._last_ns = time_ns
        self.end_ns = time_ns + duration_ns
        return time_ns, estimated

    def _time(self, raw_ns: int | None) -> tuple[int, bool]:
        if raw_ns is None:
            return self.end_ns, True
        time_ns = raw_ns + self._offset_ns
        if self._last_ns is None or time_ns > self._last_ns:
            return time_ns, False
        if time_ns < self._last_ns - RESET_NS:
            self.resets += 1
            self._offset_ns = self._shared.offset_ns(self.resets, self.end_ns - raw_ns)
            return max(self.end_ns, raw_ns + self._offset_ns), False
        return self.end_ns, True

    def mapped_ns(self, raw_ns: int) -> int:
        """A raw time on the repaired clock."""
        return raw_ns + self._offset_ns

    def jump_to(self, time_ns: int) -> None:
        """Continue at `time_ns` after a seek, whatever came before."""
        self._last_ns = None
        self.end_ns = time_ns


class Failures:
    """Stretches whose packets could not be decoded."""

    def __init__(self) -> None:
        self.end_ns = 0
        """Latest end of a packet that failed."""
        self._stretches: deque[tuple[int, int]] = deque(maxlen=KEPT_FAILURES)

    def add(self, start_ns: int, end_ns: int) -> None:
        """Add a packet that failed; packets less than 1 s apart are one stretch."""
        self.end_ns = max(self.end_ns, end_ns)
        if self._stretches and abs(start_ns - self._stretches[-1][1]) < NS:
            first_ns, last_ns = self._stretches.pop()
            start_ns, end_ns = min(start_ns, first_ns), max(end_ns, last_ns)
        self._stretches.append((start_ns, end_ns))

    def overlap(self, start_ns: int, end_ns: int) -> bool:
        """Whether anything between the two times could not be decoded."""
        return any(first_ns < end_ns and start_ns < last_ns for first_ns, last_ns in self._stretches)
