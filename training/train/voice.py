"""How far it is, on stderr: one live line on a terminal, else a line every ten seconds."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from commands.options import is_terminal
from commands.progress import LINE_EVERY_S, LIVE_EVERY_S, clock_text, fit
from pipeline.logs import before_lines, log

_CLEAR = "\r\x1b[K"
WIDTH = 100


class Voice:
    """Says things, and tells how far a count is and how long the rest will take."""

    def __init__(
        self, stream: TextIO | None = None, live: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._clock = stream or sys.stderr, clock
        self._live = is_terminal() if live is None else live
        self._shown = False
        if self._live:
            before_lines(self.clear)
        self.begin("", 0)

    def say(self, text: str) -> None:
        log(logging.INFO, text)

    def warn(self, text: str) -> None:
        log(logging.WARNING, text)

    def begin(self, what: str, total: int) -> None:
        """A new count."""
        self.clear()
        self._what, self._total = what, total
        self._began_s: float | None = None
        self._first = 0
        self._told_s = self._clock() - (LIVE_EVERY_S if self._live else 0.0)

    def tell(self, done: int, facts: Mapping[str, float | int] | None = None) -> None:
        """May be called as often as one likes."""
        now_s = self._clock()
        if self._began_s is None:  # what came before the first one, such as loading networks, tells nothing of the rest
            self._began_s, self._first = now_s, done
        if now_s - self._told_s < (LIVE_EVERY_S if self._live else LINE_EVERY_S):
            return
        self._told_s = now_s
        text = self._text(done, now_s, facts or {})
        if not self._live:
            log(logging.INFO, text)
            return
        self._stream.write(_CLEAR + fit(text, WIDTH))
        self._stream.flush()
        self._shown = True

    def _text(self, done: int, now_s: float, facts: Mapping[str, float | int]) -> str:
        """`training step 120 of 400, 0:28 left, loss 2.31, base 61.2`"""
        spent_s, made = now_s - (self._began_s or now_s), done - self._first
        left = f", {clock_text(spent_s / made * (self._total - done))} left" if made > 0 else ""
        more = "".join(f", {name} {value:.4g}" for name, value in facts.items())
        return f"{self._what} {done} of {self._total}{left}{more}"

    def clear(self) -> None:
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = False
