"""Log lines on stderr: text, or JSON with --log-json. Credentials are masked in both."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

LOGGER = logging.getLogger("percept")

_MOVES_CURSOR = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of writing, and surrogates, which no terminal shows."""
_USER = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*@")
_SECRET = re.compile(
    r"([?&](?:[\w-]*(?:token|key|secret|password|passwd|signature|sig|auth)[\w-]*)=)[^&\s#]+", re.IGNORECASE
)
_PLAIN = re.compile(r"[^\s\"=]+")
_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m"}


def redact(text: str) -> str:
    """`rtsp://user:word@cam/1?token=abc` -> `rtsp://***@cam/1?token=***`. A password may contain `@`."""
    return _SECRET.sub(r"\1***", _USER.sub(r"\1***@", text))


def visible(text: str) -> str:
    """One line that shows what it holds and moves no cursor: white space is a space, other control characters `?`."""
    return _MOVES_CURSOR.sub("?", " ".join(text.split()))


def visible_lines(text: str) -> str:
    """The same for each line of a text."""
    return "\n".join(_MOVES_CURSOR.sub("?", line.expandtabs(4)) for line in text.split("\n"))


def key_values(fields: Mapping[str, object]) -> str:
    """`source=talk.mp4 note="two words"`"""
    return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _value(value: object) -> str:
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return (
        text
        if _PLAIN.fullmatch(text) and visible(text) == text
        else visible_lines(json.dumps(text, ensure_ascii=False))
    )


def log(level: int, text: str, **fields: object) -> None:
    """Log one line. `fields` follow the text, or are keys of the JSON object."""
    LOGGER.log(level, text, extra={"fields": fields})


class TextLines(logging.Formatter):
    """`percept: warning: worker encode-0 died and was replaced worker=encode-0`"""

    def __init__(self, coloured: bool = False) -> None:
        super().__init__()
        self._colours = _COLOURS if coloured else {}

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        if colour := self._colours.get(record.levelno):
            level = f"{colour}{level}\x1b[0m"
        fields = key_values(getattr(record, "fields", {}))
        text = f"percept: {level}{visible_lines(record.getMessage())}{' ' if fields else ''}{fields}"
        if record.exc_info:
            text += "\n" + visible_lines(self.formatException(record.exc_info))
        return redact(text)


class JsonLines(logging.Formatter):
    """`{"time": "2026-01-31T12:00:00.000+00:00", "level": "info", "message": "progress", "clips_in": 7}`"""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False, default=str))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines to its stream, or passes them to `write`, which shows them above what is live on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.write: Callable[[str], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.write is None:
            super().emit(record)
        else:
            self.write(self.format(record))


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads the stream on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def start_logging(verbosity: int = 0, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Call once per process. `verbosity`: -1 errors only, 0 normal, 1 everything."""
    stream = stream or sys.stderr
    handler = _Handler(stream)
    handler.setFormatter(JsonLines() if as_json else TextLines(is_terminal(stream) and not os.environ.get("NO_COLOR")))
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(logging.ERROR if verbosity < 0 else logging.DEBUG if verbosity > 0 else logging.INFO)


def lines_to(write: Callable[[str], None] | None) -> None:
    """Pass log lines, which may have colours, to `write`; with None to the stream again."""
    for handler in LOGGER.handlers:
        if isinstance(handler, _Handler):
            handler.write = write
