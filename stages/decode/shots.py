"""Pictures with the number of their shot. A few are read ahead to know it."""

from collections import deque
from dataclasses import replace

from pipeline.arrays import Array
from stages.decode.cuts import Sketch, ends_fade, is_cut, is_faded, sketch
from stages.decode.frames import Shown
from stages.decode.grid import Pictures

AHEAD_NS = 250_000_000
"""A change that is undone sooner is a flash."""
MOST_AHEAD = 8
"""Pictures that are read ahead at most; each is held as it was decoded."""


class ShotPictures(Pictures):
    """The pictures of another source of pictures. No shot is shorter than `least_ns`: a short one is part of the next,
    and at the end part of the one before."""

    def __init__(self, pictures: Pictures, least_ns: int) -> None:
        super().__init__(pictures.failures)
        self._pictures = pictures
        self._least_ns = least_ns
        self._head: Shown | None = None
        self._ahead: deque[tuple[Shown, Sketch]] = deque()
        self._past: deque[Sketch] = deque(maxlen=MOST_AHEAD)
        self._last: Sketch | None = None
        """The last picture of this shot that has content."""
        self._shot = 0
        self._begin_ns: int | None = None
        self._place = (-1, -1)
        """Epoch and turns of the last picture."""

    @property
    def errors(self) -> int:  # type: ignore[override]
        return self._pictures.errors

    @property
    def broken_off(self) -> str:  # type: ignore[override]
        return self._pictures.broken_off

    def peek(self) -> Shown | None:
        if self._head is None:
            self._read_ahead()
            if self._ahead:
                self._head = self._numbered()
        return self._head

    def pop(self) -> Shown:
        head = self.peek()
        assert head is not None, "pop after the end"
        self._head = None
        return head

    def convert(self, shown: Shown) -> Array | None:
        return self._pictures.convert(shown)

    def small(self, shown: Shown) -> Array | None:
        return self._pictures.small(shown)

    def whole_until_ns(self, time_ns: int) -> int:
        return self._pictures.whole_until_ns(time_ns)

    def skip_to(self, time_ns: int) -> None:
        """Only before the first picture was read: shots are found on all pictures."""
        if self._begin_ns is None and not self._ahead:
            self._pictures.skip_to(time_ns)

    def _read_ahead(self) -> None:
        """Read until enough is known about the first picture that waits."""
        while len(self._ahead) <= MOST_AHEAD and not self._reaches(AHEAD_NS) and self._pictures.peek() is not None:
            shown = self._pictures.pop()
            small = self._pictures.small(shown)
            last = self._ahead[-1][1] if self._ahead else self._past[-1] if self._past else None
            if small is not None:
                self._ahead.append((shown, sketch(shown.time_ns, small)))
            elif last is not None:
                self._ahead.append((shown, replace(last, time_ns=shown.time_ns)))

    def _reaches(self, length_ns: int) -> bool:
        return bool(self._ahead) and self._ahead[-1][0].time_ns - self._ahead[0][0].time_ns >= length_ns

    def _numbered(self) -> Shown:
        shown, small = self._ahead.popleft()
        place = (shown.epoch, shown.turns)
        if place != self._place:
            self._place = place
            self._past.clear()
            self._last = None
            self._begin_ns = shown.time_ns
        elif self._begins_shot(shown, small):
            self._shot += 1
            self._last = None
            self._begin_ns = shown.time_ns
        self._past.append(small)
        if not small.is_flat:
            self._last = small
        return replace(shown, shot=self._shot)

    def _begins_shot(self, shown: Shown, small: Sketch) -> bool:
        assert self._begin_ns is not None
        future = [each for other, each in self._ahead if (other.epoch, other.turns) == self._place]
        ends_ns = [other.end_ns for other, _ in self._ahead] or [shown.end_ns]
        is_last = not self._reaches(AHEAD_NS) and self._pictures.peek() is None
        if shown.time_ns - self._begin_ns < self._least_ns:
            return False
        if is_last and ends_ns[-1] - shown.time_ns < self._least_ns:
            return False
        past = list(self._past)
        if is_faded(past) and not small.is_flat:
            return ends_fade(self._last, small)
        return is_cut(past, small, future)
