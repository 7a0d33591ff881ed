"""What a camera's URL is, and the names that cameras get from theirs."""

import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "srt", "rtp", "tcp")
"""Of cameras in the network."""
LONGEST_NAME = 40


def scheme_of(url: str) -> str:
    """`rtsp`; "" of a path or a device."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
    return match.group(1).lower() if match else ""


def is_device(url: str) -> bool:
    """Whether it is a capture device: /dev/video0, or its number."""
    return url.startswith("/dev/") or bool(re.fullmatch(r"\d{1,3}", url))


def device_path(url: str) -> str:
    """`0` -> `/dev/video0`; anything else as it is."""
    return f"/dev/video{int(url)}" if re.fullmatch(r"\d{1,3}", url) else url


def is_file(url: str) -> bool:
    return not scheme_of(url) and not is_device(url) and Path(url).is_file()


def name_for(url: str, taken: Collection[str]) -> str:
    """A name for a camera, made of its host and path, never of its login or parameters, and not taken yet.

    `rtsp://me:word@cam.local:8554/live/1?token=x` -> `cam.local-live-1`
    """
    name = re.sub(r"[^A-Za-z0-9._]+", "-", _spoken(url)).strip("-._")[:LONGEST_NAME].strip("-._") or "camera"
    used = {each.casefold() for each in taken}
    unique, number = name, 1
    while unique.casefold() in used:
        number += 1
        unique = f"{name}-{number}"
    return unique


def _spoken(url: str) -> str:
    if not scheme_of(url):
        return Path(device_path(url)).stem
    place = url.partition("://")[2].partition("?")[0].partition("#")[0].rpartition("@")[2]
    parts = urlsplit(f"//{place}")
    try:
        host = parts.hostname or ""
    except ValueError:
        host = ""
    return f"{host}-{parts.path}"
