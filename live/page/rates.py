"""How often a client may ask."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 1024


class Rate:
    """A token bucket per client: `burst` requests at once, then `per_s` a second."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """0 if the client may ask now, which is counted; else how long it has to wait."""
        now = self._clock()
        left, at = self._left.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        may = left >= 1
        self._left[client] = (left - may, now)
        if len(self._left) > MOST_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if may else (1 - left) / self._per_s
