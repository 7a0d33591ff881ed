"""The newest records of every camera, for whoever opens the page now."""

import time
from collections import deque

import msgspec

from pipeline.result import ClipRecord, encode_json

KEPT = 150
"""Records of a camera: five minutes of clips of 2 s."""


class Noted(msgspec.Struct, frozen=True):
    """A record as the page gets it."""

    camera: str
    captured_s: float
    """When the clip ended, by this machine's monotonic clock. Pictures carry the same clock."""
    record: msgspec.Raw


class Board:
    """Newest records by camera; memory is bounded."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Noted]] = {}

    def add(self, record: ClipRecord) -> Noted:
        noted = Noted(record.source, time.monotonic() - record.age_s, msgspec.Raw(encode_json(record)))
        self._kept.setdefault(record.source, deque(maxlen=KEPT)).append(noted)
        return noted

    def recent(self, camera: str) -> list[Noted]:
        """In the order they came."""
        return list(self._kept.get(camera, ()))

    def keep_only(self, cameras: set[str]) -> None:
        """Forget cameras that are watched no longer."""
        for name in self._kept.keys() - cameras:
            del self._kept[name]
