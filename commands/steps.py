"""How far a long step is: one live line on a terminal, else a line every ten seconds."""

import logging
import time
from collections.abc import Callable
from typing import TextIO

from commands.progress import LINE_EVERY_S, LIVE_EVERY_S, clock_text
from pipeline.logs import before_lines, log

_CLEAR = "\r\x1b[K"


class Steps:
    """`tick(done, total, failed)` may be called as often as one likes; `clear` at the end."""

    def __init__(self, what: str, stream: TextIO, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._stream, self._live, self._clock = what, stream, live, clock
        self._began_s = self._told_s = clock()
        self._before = -1
        self._shown = False
        if live:
            before_lines(self.clear)

    def tick(self, done: int, total: int, failed: int = 0) -> None:
        now_s = self._clock()
        if self._before < 0:
            self._before, self._began_s = done - 1, self._told_s
        if done < total and now_s - self._told_s < (LIVE_EVERY_S if self._live else LINE_EVERY_S):
            return
        self._told_s = now_s
        left_s = (now_s - self._began_s) / max(1, done - self._before) * (total - done)
        if not self._live:
            log(logging.INFO, self._what, done=done, total=total, failed=failed, left_s=round(left_s))
            return
        line = f"{self._what} {done}/{total}  {failed} failed  {clock_text(left_s)} left"
        self._stream.write(_CLEAR + line)
        self._stream.flush()
        self._shown = True

    def clear(self) -> None:
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = False
