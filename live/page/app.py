"""The web page, the HTTP API and what monitoring asks for, as one application."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from live.event import LiveEvent
from live.page import calls
from live.page.api import CameraCalls
from live.page.assets import Assets
from live.page.backend import Backend
from live.page.calls import Call
from live.page.door import SESSION_S, Door
from live.page.events import EventCalls
from live.page.guard import Guard
from live.page.metrics import CONTENT_TYPE, metrics
from live.page.openapi import openapi
from live.page.pictures import PictureCalls
from live.page.replies import Refused, body_of, json_reply, refusal
from live.page.shown import CameraChange, NewCamera
from live.page.stream import Endless, messages
from live.status import Status
from pipeline.logs import log

MOST_STREAMS = 32
ALIVE_S = 10.0
"""The supervisor tells its state once a second. Without it for so long, the watch is not healthy."""
API = "/api/v1"


def create_app(backend: Backend, door: Door | None = None, version: str = "1") -> Starlette:
    """The application over a watch. It must be served on the event loop that the backend lives on."""
    assets = Assets()
    table = call_table(backend, door or Door(), version)
    routes = [
        Route("/", assets.index),
        Route("/login", assets.login),
        Route("/static/{version}/{name}", assets.file),
        *(Route(call.path, call.handler, methods=[call.method]) for call in table),
    ]
    handlers: dict[Any, Any] = {Refused: _refused, HTTPException: _http_error, Exception: _failed}
    app = Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(Guard, door=door or Door())])
    app.state.calls = table
    return app


def call_table(backend: Backend, door: Door, version: str) -> list[Call]:
    """Every call that the OpenAPI document lists."""
    cameras, events, pictures = CameraCalls(backend, bool(door.token)), EventCalls(backend), PictureCalls(backend)
    watch = WatchCalls(backend, door)
    camera = f"{API}/cameras/{{name}}"
    table = [
        Call("GET", f"{API}/status", cameras.status, "State of the watch", Status),
        Call("GET", f"{API}/settings", cameras.settings, "What is watched", calls.SettingsView),
        Call("GET", f"{API}/cameras", cameras.cameras, "All cameras", tuple[calls.CameraView, ...]),
        Call("POST", f"{API}/cameras", cameras.add, "Add a camera", calls.Done, NewCamera, status=201),
        Call("PATCH", f"{API}/cameras", cameras.change_all, "Change all cameras", calls.Done, CameraChange),
        Call("GET", camera, cameras.camera, "One camera", calls.CameraView),
        Call("PATCH", camera, cameras.change, "Change a camera", calls.Done, CameraChange),
        Call("DELETE", camera, cameras.remove, "Watch a camera no longer", calls.Done),
        Call(
            "POST",
            f"{camera}/preview",
            cameras.preview,
            "Score labels on the last minute",
            calls.Preview,
            calls.PreviewAsked,
        ),
        Call("GET", f"{camera}/live.mjpg", pictures.live, "Live pictures", "multipart/x-mixed-replace"),
        Call("GET", f"{camera}/clip/{{index}}.jpg", pictures.clip, "The picture of a clip", "image/jpeg"),
        Call(
            "GET",
            f"{API}/events",
            events.events,
            "Events, newest first",
            calls.EventPage,
            query=(
                ("camera", str, "Only of this camera."),
                ("kind", str, "Only of this kind: label, rule, health, connection or test."),
                ("before", str, "Only older ones than the event of this id, or than this time (ISO 8601 with offset)."),
                ("limit", int, "At most so many: 1 to 200."),
            ),
        ),
        Call("GET", f"{API}/events/{{id}}", events.event, "One event", LiveEvent),
        Call("GET", f"{API}/events/{{id}}/snapshot.jpg", events.snapshot, "Its picture", "image/jpeg"),
        Call("GET", f"{API}/events/{{id}}/recording.mp4", events.recording, "Its film, or a range of it", "video/mp4"),
        Call("GET", f"{API}/stream", watch.stream, "Records, status and events as they come", "text/event-stream"),
        Call("POST", f"{API}/save", cameras.save, "Write the settings back to the config", calls.Done),
        Call("POST", f"{API}/test_alert", cameras.test_alert, "Send a test event everywhere", calls.Done),
        Call("POST", f"{API}/login", watch.login, "Begin a session by cookie", calls.Done, calls.Login),
        Call("POST", f"{API}/logout", watch.logout, "End the session", calls.Done),
        Call("GET", "/metrics", watch.metrics, "Metrics for Prometheus", "text/plain"),
        Call("GET", "/healthz", watch.healthz, "Whether the processes are alive", calls.Health),
        Call("GET", "/readyz", watch.readyz, "Whether models are loaded and right", calls.Health),
    ]
    document = f"{API}/openapi.json"
    table.append(Call("GET", document, _document(table, version), "This document", dict[str, Any]))
    return table


class WatchCalls:
    """What is asked of the watch as a whole."""

    def __init__(self, backend: Backend, door: Door) -> None:
        self._backend = backend
        self._door = door

    async def stream(self, request: Request) -> Response:
        broadcast = self._backend.broadcast
        if len(broadcast) >= MOST_STREAMS:
            raise Refused(503, f"{MOST_STREAMS} pages are open already.", retry_s=5)
        first = b"event: status\ndata: %s\n\n" % msgspec.json.encode(self._backend.status)
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        return Endless(messages(broadcast, first), headers)  # type: ignore[return-value]

    async def login(self, request: Request) -> Response:
        offered = await body_of(request, calls.Login)
        if not self._door.token:
            return json_reply(calls.Done(text="No token is needed here."))
        if not self._door.has_token(offered.token.strip()):
            raise Refused(401, "The token is wrong.")
        reply = json_reply(calls.Done())
        self._set_cookie(reply, request, self._door.new_session(), SESSION_S)
        return reply

    async def logout(self, request: Request) -> Response:
        reply = json_reply(calls.Done())
        self._set_cookie(reply, request, "", 0)
        return reply

    async def metrics(self, request: Request) -> Response:
        return Response(metrics(self._backend.status), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(self, request: Request) -> Response:
        """Details stand in the status, which needs the token."""
        text = "" if self._backend.silent_s() < ALIVE_S else "The supervisor says nothing."
        is_dead = any(process.pid <= 0 for process in self._backend.status.processes)
        text = text or ("A process is dead." if is_dead else "")
        return json_reply(calls.Health(not text, text), 503 if text else 200)

    async def readyz(self, request: Request) -> Response:
        status = self._backend.status
        text = "" if status.ready else "Models are being loaded."
        text = text or ("" if status.canary.ok else "The canary clip has not passed.")
        return json_reply(calls.Health(not text, text), 503 if text else 200)

    def _set_cookie(self, reply: Response, request: Request, value: str, seconds: int) -> None:
        reply.set_cookie(
            self._door.cookie,
            value,
            max_age=seconds,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )


def _document(table: Sequence[Call], version: str) -> calls.Handler:
    async def document(request: Request) -> Response:
        return json_reply(openapi(table, version))

    return document


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {404: "There is nothing here.", 405: f"{request.method} is not possible here."}
    return refusal(Refused(error.status_code, sentences.get(error.status_code, error.detail)))


async def _failed(request: Request, error: Exception) -> Response:
    log(logging.ERROR, f"page: {type(error).__name__}", path=request.url.path)
    return refusal(Refused(500, "The page made a mistake. Its log has the details."))
