"""When a source was recorded, as its container tells it. The times of a file in its file system do not count."""

from collections.abc import Mapping
from datetime import UTC, datetime

_KEYS = ("com.apple.quicktime.creationdate", "creation_time")
"""Apple's has the offset of the place. The other is in UTC: MP4's mvhd, Matroska's DateUTC."""
_LEAST_YEAR = 1971
"""Cameras without a clock write the beginning of their era: 1904 or 1970."""


def start_wall(metadata: Mapping[str, str]) -> str:
    """ISO 8601 with offset: `2026-05-06T12:34:56.000+02:00`; "" if the container has no usable date."""
    for key in _KEYS:
        try:
            found = datetime.fromisoformat(metadata.get(key, "").strip())
        except ValueError:
            continue
        if found.year >= _LEAST_YEAR:
            with_offset = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return with_offset.isoformat(timespec="milliseconds")
    return ""
