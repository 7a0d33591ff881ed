"""New files of a folder, as soon as they have stopped growing."""

import time
from collections.abc import Callable, Iterable

from archive.verdict import Wanted

LEAST_EVERY_S = 1.0
SHARE = 0.05
"""Of the time, at most, that is spent looking."""

Stamp = tuple[int, int]


class Follow:
    """look: all sources that are there now. taken: those that need not be looked at again until they change."""

    def __init__(
        self,
        look: Callable[[], Iterable[Wanted]],
        settle_s: float,
        taken: Iterable[Wanted] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._settle_s, self._clock = look, settle_s, clock
        self._taken = {each.source: stamp(each) for each in taken}
        self._seen: dict[str, tuple[Stamp, float]] = {}
        """What may still grow, and since when it has not."""
        self._next_s = 0.0

    def __call__(self) -> list[Wanted]:
        """Sources that are new or have changed, and whose size and time have stayed the same for a while."""
        now_s = self._clock()
        if now_s < self._next_s:
            return []
        found = [each for each in self._look() if self._is_settled(each, now_s)]
        took_s = self._clock() - now_s
        self._next_s = now_s + max(min(LEAST_EVERY_S, self._settle_s), took_s / SHARE)
        return found

    def _is_settled(self, wanted: Wanted, now_s: float) -> bool:
        here = stamp(wanted)
        if wanted.size < 0 or self._taken.get(wanted.source) == here:
            return False
        before, since_s = self._seen.get(wanted.source, (None, now_s))
        if before != here:
            self._seen[wanted.source] = here, now_s
            return False
        if now_s - since_s < self._settle_s:
            return False
        del self._seen[wanted.source]
        self._taken[wanted.source] = here
        return True


def stamp(wanted: Wanted) -> Stamp:
    return wanted.size, wanted.mtime_ns


def is_old(wanted: Wanted, settle_s: float) -> bool:
    """Whether a file has not changed for so long, by its own time."""
    return time.time() - wanted.mtime_ns / 1e9 >= settle_s
