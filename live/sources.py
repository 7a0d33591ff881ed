"""What a camera's URL is, what is wrong with it, and the names that cameras get from theirs."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from live.settings import Camera
from pipeline.config import did_you_mean

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "srt", "rtp", "tcp")
"""Of cameras in the network."""
PACED = tuple(scheme for scheme in SCHEMES if not scheme.startswith("http"))
"""What comes at its own pace."""
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


def url_problems(camera: Camera) -> Iterator[str]:
    """What is wrong with a camera's URL. Its text is never shown: it may hold a password."""
    scheme = scheme_of(camera.url)
    if scheme:
        if scheme not in SCHEMES:
            hint = did_you_mean(scheme, SCHEMES)
            yield f"url begins with {scheme}://{hint}; expected one of {', '.join(SCHEMES)}"
        elif has_stray_login(camera.url):
            yield (
                "url has a user or password with /, ? or # in it; write these signs percent-encoded (/ is %2F), "
                "or use user with password_env"
            )
        elif not has_usable_port(camera.url):
            yield "url has a wrong port after the host; expected from 1 to 65535, such as rtsp://192.168.1.20:554/stream"
    elif is_file(camera.url) and not camera.realtime:
        yield "url is a file; add realtime = true (--realtime) to play it like a camera, or label it with percept run"
    elif not is_file(camera.url) and not is_device(camera.url):
        yield "url is neither a URL such as rtsp://…, nor a device such as /dev/video0, nor an existing file"
    if camera.realtime and (scheme in PACED or is_device(camera.url)):
        yield "realtime is for files; a camera is as fast as it is. Remove it"
    if camera.loop and not camera.realtime:
        yield "loop is for files; add realtime = true, or remove loop"


def has_usable_port(url: str) -> bool:
    """Whether the port in a URL is one, if there is any."""
    place = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    host = re.sub(r"^\[.*?\]", "", place.rpartition("@")[2])
    port = host.rpartition(":")[2] if ":" in host else ""
    return not port or (re.fullmatch("[0-9]{1,5}", port) is not None and 1 <= int(port) <= 65_535)


def has_stray_login(url: str) -> bool:
    """Whether a login has a sign in it that ends the host, such as /, and is not percent-encoded."""
    rest = url.partition("://")[2]
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return "@" not in place and "@" in rest and bool(re.fullmatch(r"[^:]*:\d*\D.*", place))


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
