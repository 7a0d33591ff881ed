"""When a source was recorded, as its container tells it. The times of a file in its file system do not count."""

from collections.abc import Mapping
from datetime import UTC, datetime

_KEYS = ("com.apple.quicktime.creationdate", "creation_time")
"""Apple's has the offset of the place. The other is in UTC: MP4's mvhd, Matroska's DateUTC."""
_EXIF_KEYS = ("ExifIFD/DateTimeOriginal", "DateTimeOriginal")
_EXIF_OFFSET_KEYS = ("ExifIFD/OffsetTimeOriginal", "ExifIFD/0x9011", "OffsetTimeOriginal")
"""As FFmpeg calls these tags of a picture."""
_LEAST_YEAR = 1971
"""Cameras without a clock write the beginning of their era: 1904 or 1970."""


def start_wall(metadata: Mapping[str, str]) -> str:
    """ISO 8601 with offset: `2026-05-06T12:34:56.000+02:00`; "" if the container has no usable date."""
    for text in (*(metadata.get(key, "") for key in _KEYS), _exif_date(metadata)):
        try:
            found = datetime.fromisoformat(text.strip())
        except ValueError:
            continue
        if found.year >= _LEAST_YEAR:
            with_offset = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return with_offset.isoformat(timespec="milliseconds")
    return ""


def _exif_date(metadata: Mapping[str, str]) -> str:
    """The date of a picture, if it says in which time zone: many cameras do not."""
    date = next((metadata[key] for key in _EXIF_KEYS if key in metadata), "").strip()
    offset = next((metadata[key] for key in _EXIF_OFFSET_KEYS if key in metadata), "").strip()
    return f"{date[:10].replace(':', '-')}T{date[11:]}{offset}" if date and offset else ""
