"""The times of the frames of one stream: none missing, and those of pictures in order."""

from collections import deque

from stages.decode.reader import NS

KEPT_FAILURES = 100


class Timeline:
    """Places decoded frames whose packets the clock has placed."""

    def __init__(self, duration_ns: int) -> None:
        self.duration_ns = duration_ns
        """Duration of a frame without its own."""
        self.end_ns = 0
        """End of the last frame: the time of the next one if that has none."""
        self._last_ns: int | None = None

    def is_late(self, raw_ns: int) -> bool:
        """Whether a picture's time is not after that of the one before."""
        return self._last_ns is not None and raw_ns <= self._last_ns

    def catches_up(self, raw_ns: int, before_ns: int) -> bool:
        """Whether a late picture is left out: the next one is later than it, and late as well."""
        return raw_ns < before_ns and self.is_late(before_ns)

    def place(self, raw_ns: int | None, duration_ns: int, before_ns: int | None = None) -> tuple[int, bool]:
        """The time of the next picture, and whether it is an estimate.

        A picture without a time follows the one before. So does a late one, but before the next one, at `before_ns`.
        """
        duration_ns = duration_ns or self.duration_ns
        time_ns, estimated = (self.end_ns, True) if raw_ns is None else (raw_ns, False)
        if self._last_ns is not None and time_ns <= self._last_ns:
            step_ns = max(1, self.end_ns - self._last_ns)
            if before_ns is not None and before_ns > self._last_ns + 1:
                step_ns = min(step_ns, (before_ns - self._last_ns) // 2)
            time_ns, estimated = self._last_ns + step_ns, True
        self._last_ns = time_ns
        self.end_ns = time_ns + duration_ns
        return time_ns, estimated

    def place_sound(self, raw_ns: int | None, duration_ns: int) -> tuple[int, bool]:
        """The time of the next piece of sound, and whether it is an estimate. A late one overlaps what was before."""
        time_ns = self.end_ns if raw_ns is None else raw_ns
        self.end_ns = time_ns + (duration_ns or self.duration_ns)
        return time_ns, raw_ns is None

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
