"""What a container tells of its recording: timecode, and the make and model of the device."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from av.container import InputContainer

_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d{2,3}")
_MAKE_AND_MODEL = (
    ("com.apple.quicktime.make", "com.apple.quicktime.model"),
    ("com.android.manufacturer", "com.android.model"),
    ("make", "model"),
)
"""Keys of phones and cameras; the last are those of QuickTime's user data, of Exif and of Matroska."""
_MAKERS = ("GoPro",)
"""Makers that name themselves in each track only."""
LONGEST = 100
"""Characters of a device."""


def tags_of(container: InputContainer, video: Any | None) -> list[Mapping[str, str]]:
    """The tags of a container, of the pictures that are read, and of its other streams."""
    streams = sorted(container.streams, key=lambda stream: video is None or stream.index != video.index)
    return [container.metadata, *(stream.metadata for stream in streams)]


def timecode(tags: Iterable[Mapping[str, str]]) -> str:
    """The first timecode in the tags of a container and its streams: `01:02:03:04`; "" if there is none."""
    for each in tags:
        found = next((value.strip() for key, value in each.items() if key.lower() == "timecode"), "")
        if _TIMECODE.fullmatch(found):
            return found
    return ""


def device(tags: Iterable[Mapping[str, str]]) -> str:
    """Make and model, such as `Apple iPhone 15 Pro`, in the tags of a container and its streams; "" if unknown."""
    for each in tags:
        lower = {key.lower(): " ".join(value.split()) for key, value in each.items()}
        for make_key, model_key in _MAKE_AND_MODEL:
            if found := _joined(lower.get(make_key, ""), lower.get(model_key, "")):
                return found
        for maker in _MAKERS:
            if lower.get("handler_name", "").startswith(maker):
                return _joined(maker, lower.get("firmware", ""))
    return ""


def _joined(make: str, model: str) -> str:
    text = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return "".join(character for character in text.strip() if character.isprintable())[:LONGEST]
