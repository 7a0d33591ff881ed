"""Says early how long a part of a training will take, measured on its first steps."""

from collections.abc import Mapping
from time import monotonic

from training.train.console import Console, Steps

MEASURED = 4
"""So many steps are timed. The first one is not: libraries and networks are loaded in it."""
WORTH_SAYING_S = 20.0
"""Shorter parts are not announced."""


class Announced:
    """A counter of steps that also says once how long all of them take. what: such as "encoding clips"."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._steps: Steps = console.steps(what)
        self._first: tuple[float, int] | None = None
        self._is_said = False

    def __call__(self, done: int, total: int, failed: int = 0, facts: Mapping[str, float] | None = None) -> None:
        now_s = monotonic()
        if self._first is None:
            self._first = now_s, done
        made = done - self._first[1]
        if not self._is_said and made >= MEASURED:
            self._is_said = True
            left_s = (now_s - self._first[0]) / made * (total - done)
            if left_s >= WORTH_SAYING_S:
                self._console.say(f"{self._what}: {about(left_s)} for the other {total - done} of {total}")
        self._steps(done, total, failed, facts)


def about(seconds: float) -> str:
    """`about 40 s`, `about 12 min`, `about 3.5 h`"""
    if seconds < 90:
        return f"about {10 * max(1, round(seconds / 10))} s"
    if seconds < 5_400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3_600:.1f} h"
