"""Pictures of cameras, from the files that their readers leave in the run folder."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from live.page.api import camera_of
from live.page.backend import Backend
from live.page.events import inside
from live.page.replies import Refused
from live.page.stream import Endless

MOST_CLIENTS = 12
LOOK_S = 0.05
"""Time between two looks at the file of the newest picture."""
TOUCH_S = 1.0
"""The reader writes the newest picture while the file `watched` was touched less than 5 s ago."""
AGAIN_S = 5.0
"""An old picture is sent again, so that a client that left is noticed."""
LARGEST_BYTES = 4 << 20
BOUNDARY = "percept-picture"


class PictureCalls:
    """Pictures of clips, and the live picture."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._clients = 0

    async def clip(self, request: Request) -> Response:
        index = request.path_params["index"]
        folder = self._folder(request)
        path = inside(folder, f"clip-{index}.jpg") if index.isascii() and index.isdigit() else None
        data = read_picture(path) if path else None
        if data is None:
            raise Refused(404, "The picture of this clip is not kept any more.")
        return Response(data[0], media_type="image/jpeg")

    async def live(self, request: Request) -> Response:
        folder = self._folder(request)
        if self._clients >= MOST_CLIENTS:
            raise Refused(503, f"{MOST_CLIENTS} live pictures are watched already.", retry_s=5)
        headers = {"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"}
        return Endless(self._parts(folder), headers)  # type: ignore[return-value]

    async def _parts(self, folder: Path) -> AsyncIterator[bytes]:
        """Each newer picture as a part. A slow client misses pictures."""
        self._clients += 1
        last_ns, sent_s, touched_s = 0, time.monotonic(), 0.0
        try:
            while True:
                now_s = time.monotonic()
                if now_s - touched_s >= TOUCH_S:
                    touched_s = now_s
                    touch(folder / "watched")
                changed_ns = changed(folder / "live.jpg")
                is_due = changed_ns != last_ns or now_s - sent_s > AGAIN_S
                if changed_ns and is_due and (found := read_picture(folder / "live.jpg")):
                    last_ns, sent_s = found[1], now_s
                    yield part(*found)
                await asyncio.sleep(LOOK_S)
        finally:
            self._clients -= 1

    def _folder(self, request: Request) -> Path:
        name = camera_of(self._backend, request).name
        cameras = self._backend.run_directory / "cameras"
        if "/" in name or name in ("", ".", ".."):
            raise Refused(404, "There are no pictures of this camera.")
        return cameras / name


def part(picture: bytes, changed_ns: int) -> bytes:
    """One part of the stream. `X-Captured` is on this machine's monotonic clock, as `captured_s` of records is."""
    captured_s = time.monotonic() - (time.time_ns() - changed_ns) / 1e9
    head = (
        f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n"
        f"X-Captured: {captured_s:.3f}\r\n\r\n"
    )
    return head.encode() + picture + b"\r\n"


def read_picture(path: Path) -> tuple[bytes, int] | None:
    """A JPEG and when it was captured, Unix time in nanoseconds; None if there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
            changed_ns = os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None
    whole = len(data) <= LARGEST_BYTES and data.startswith(b"\xff\xd8") and data.rstrip(b"\0").endswith(b"\xff\xd9")
    return (data, changed_ns) if whole else None


def changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def touch(path: Path) -> None:
    """Tell the reader that somebody looks. Without a folder there is no reader yet."""
    try:
        path.touch()
    except OSError:
        return
