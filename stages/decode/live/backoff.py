"""How long to wait before a camera is tried again."""

import random

QUICK_S = 0.2
FIRST_S, LAST_S = 1.0, 60.0
JITTER = 0.25
"""So that cameras that were lost together do not all come back at the same instant."""


class Backoff:
    """A quick first try, then 1, 2, 4 ... 60 s; 60 s where the camera refuses."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._tries = 0

    def succeeded(self) -> None:
        """The camera was there for a while."""
        self._tries = 0

    def next_s(self, refused: bool = False) -> float:
        tries, self._tries = self._tries, self._tries + 1
        if not tries and not refused:
            return QUICK_S
        usual_s = LAST_S if refused else min(LAST_S, FIRST_S * 2 ** min(tries - 1, 16))
        return usual_s * self._random.uniform(1 - JITTER, 1 + JITTER)
