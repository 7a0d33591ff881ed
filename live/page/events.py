"""Events and their files."""

import stat
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from live.event import LiveEvent
from live.page.backend import Backend
from live.page.calls import EventPage
from live.page.replies import Refused, json_reply

PAGE, MOST = 50, 200
LONGEST_ID = 200
MEDIA = {"snapshot": "image/jpeg", "recording": "video/mp4"}


class EventCalls:
    """What the API tells of events."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def events(self, request: Request) -> Response:
        query = request.query_params
        try:
            limit = int(query.get("limit", PAGE))
        except ValueError:
            limit = 0
        if not 1 <= limit <= MOST:
            raise Refused(400, f"`limit` is a number from 1 to {MOST}.")
        wanted = {name: query[name] for name in ("camera", "kind", "before") if query.get(name)}
        try:
            found = await self._past("events", **wanted, limit=limit + 1)
        except ValueError as error:
            raise Refused(400, f"`before`: {error}") from None
        page = tuple(found[:limit])
        return json_reply(EventPage(page, page[-1].id if len(found) > limit else ""))

    async def event(self, request: Request) -> Response:
        return json_reply(await self._event(request))

    async def snapshot(self, request: Request) -> Response:
        return await self._media(request, "snapshot")

    async def recording(self, request: Request) -> Response:
        """Any range of the film."""
        return await self._media(request, "recording")

    async def _event(self, request: Request) -> LiveEvent:
        id = request.path_params["id"]
        event = await self._past("event", id=id) if len(id) <= LONGEST_ID else None
        if not isinstance(event, LiveEvent):
            raise Refused(404, "There is no event of this id. It may be older than what is kept.")
        return event

    async def _media(self, request: Request, what: str) -> Response:
        event = await self._event(request)
        name = getattr(event, what)
        folder = self._backend.directory / "media"
        if not name or not (path := inside(folder, name)):
            raise Refused(404, f"The event has no {what}, or it is no longer kept.")
        return FileResponse(path, media_type=MEDIA[what], stat_result=path.stat())

    async def _past(self, method: str, **arguments: Any) -> Any:
        try:
            return await self._backend.past(method, **arguments)
        except (LookupError, TimeoutError):
            raise Refused(503, "The history cannot be read now.", retry_s=2) from None


def inside(folder: Path, name: str) -> Path | None:
    """The plain file of this name in a folder or below it; None if there is none, or the name leads out of it."""
    try:
        path = (folder / name).resolve()
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return None
    return path if is_file and path.is_relative_to(folder.resolve()) else None
