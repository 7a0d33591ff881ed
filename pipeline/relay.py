"""Relays the warnings that stages and engines log in a worker to the supervisor, which shows them to the user."""

import logging
import sys

from pipeline.bus import Bus
from pipeline.logs import LOGGER
from pipeline.messages import Warned

MOST_TEXTS = 100
"""Most different warnings that a process relays. More are only in its log, which is quoted if it dies."""


class Relay(logging.Handler):
    """Sends each text once, from any thread. Its own errors never reach the code that logged the warning."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(logging.WARNING)
        self._bus = bus
        self._sent: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage().encode(errors="replace").decode()  # a path may not be valid UTF-8
            print(text, file=sys.stderr, flush=True)
            if text not in self._sent and len(self._sent) < MOST_TEXTS:
                self._sent.add(text)
                self._bus.post(Warned(text))
        except Exception:
            self.handleError(record)


def relay_warnings(bus: Bus) -> None:
    """From now on, show the user what this process logs under "percept" as a warning or an error."""
    LOGGER.addHandler(Relay(bus))
    LOGGER.setLevel(logging.WARNING)
