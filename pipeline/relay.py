"""Warnings that stages and engines log in a worker, to the supervisor: a worker's own log is deleted with the run."""

import logging
import sys

from pipeline.bus import Bus
from pipeline.logs import LOGGER
from pipeline.messages import Warned

MOST_TEXTS = 100
"""Different ones that a process tells; more stand in its log only, which is quoted when it dies."""


class Relay(logging.Handler):
    """Sends each text once, from whatever thread. What goes wrong here never reaches the code that warned."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(logging.WARNING)
        self._bus = bus
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage().encode(errors="replace").decode()  # a path may hold what is no UTF-8
            print(text, file=sys.stderr, flush=True)
            if text not in self._told and len(self._told) < MOST_TEXTS:
                self._told.add(text)
                self._bus.post(Warned(text))
        except Exception:
            self.handleError(record)


def relay_warnings(bus: Bus) -> None:
    """From here on, in this process, what is logged under "percept" as a warning or worse is told to the user."""
    LOGGER.addHandler(Relay(bus))
    LOGGER.setLevel(logging.WARNING)
