"""Answers to questions about cameras and settings, and changes of them."""

import re
import time
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from live.page.backend import ASK_S, Backend
from live.page.board import KEPT
from live.page.calls import CameraView, PreviewAsked, SettingsView
from live.page.replies import Refused, body_of, json_reply
from live.page.shown import (
    CameraChange,
    NewCamera,
    masked_url,
    shown_camera,
    shown_settings,
    wrong_name,
    wrong_url,
)
from live.settings import Camera
from live.status import CameraStatus, Status

FEW = 4
"""Records of each camera in the list of all."""
MOST_LABELS, LONGEST_LABEL = 5000, 500
NO_ANSWER = (
    f"The watch did not answer within {ASK_S:.0f} s. It may be busy, and what was asked may still take effect: "
    "look at its status and settings before you ask again."
)


class CameraCalls:
    """What the API does with cameras."""

    def __init__(self, backend: Backend, has_login: bool) -> None:
        self._backend = backend
        self._has_login = has_login

    async def status(self, request: Request) -> Response:
        return json_reply(self._backend.status)

    async def settings(self, request: Request) -> Response:
        shown = shown_settings(self._backend.settings)
        return json_reply(SettingsView(self._backend.status.version, shown, self._has_login))

    async def cameras(self, request: Request) -> Response:
        return json_reply([self._view(camera, FEW) for camera in self._backend.settings.cameras])

    async def camera(self, request: Request) -> Response:
        return json_reply(self._view(camera_of(self._backend, request)))

    async def add(self, request: Request) -> Response:
        camera = await body_of(request, NewCamera)
        if sentence := wrong_name(camera.name) or wrong_url(camera.url):
            raise Refused(400, sentence)
        if any(known.name == camera.name for known in self._backend.settings.cameras):
            raise Refused(409, f"There is a camera {camera.name} already.")
        _check_labels(camera.labels)
        return await self._do({"do": "add", "camera": msgspec.to_builtins(camera)}, 201)

    async def change(self, request: Request) -> Response:
        return await self._change(camera_of(self._backend, request).name, request)

    async def change_all(self, request: Request) -> Response:
        return await self._change(None, request)

    async def _change(self, camera: str | None, request: Request) -> Response:
        change = await body_of(request, CameraChange)
        _check_labels(change.labels)
        fields = msgspec.to_builtins(change)
        if not fields:
            raise Refused(400, "The change is empty.")
        return await self._do({"do": "change", "camera": camera, "change": fields})

    async def remove(self, request: Request) -> Response:
        return await self._do({"do": "remove", "camera": camera_of(self._backend, request).name})

    async def preview(self, request: Request) -> Response:
        camera = camera_of(self._backend, request)
        asked = await body_of(request, PreviewAsked)
        _check_labels(asked.labels)
        return await self._do({"do": "preview", "camera": camera.name, "labels": list(asked.labels)})

    async def save(self, request: Request) -> Response:
        return await self._do({"do": "save"})

    async def test_alert(self, request: Request) -> Response:
        return await self._do({"do": "test_alert"})

    async def _do(self, command: dict[str, Any], status: int = 200) -> Response:
        """Raises: Refused: the watch says no, or says nothing."""
        try:
            answer = await self._backend.ask(command)
        except TimeoutError:
            raise Refused(504, NO_ANSWER) from None
        if answer.get("ok"):
            return json_reply(answer, status)
        code = answer.get("status", 400)
        sentence = self._without_urls(str(answer.get("error") or "The watch refused, without a reason."))
        raise Refused(code if isinstance(code, int) and 400 <= code < 600 else 400, sentence)

    def _without_urls(self, text: str) -> str:
        for camera in self._backend.settings.cameras:
            if camera.url:
                text = text.replace(camera.url, masked_url(camera.url))
        return re.sub(r"\b[a-z]+://\S+", lambda found: masked_url(found.group()), text)

    def _view(self, camera: Camera, most: int = KEPT) -> CameraView:
        recent = self._backend.board.recent(camera.name)[-most:]
        status = status_of(self._backend.status, camera.name)
        return CameraView(shown_camera(camera), status, tuple(recent), time.monotonic())


def camera_of(backend: Backend, request: Request) -> Camera:
    """The camera that the path names. Raises: Refused: there is none."""
    name = request.path_params["name"]
    for camera in backend.settings.cameras:
        if camera.name == name:
            return camera
    raise Refused(404, "There is no camera of this name.")


def status_of(status: Status, name: str) -> CameraStatus:
    return next((camera for camera in status.cameras if camera.name == name), CameraStatus(name=name))


def _check_labels(labels: Any) -> None:
    """Raises: Refused"""
    if labels is msgspec.UNSET:
        return
    words = [label if isinstance(label, str) else label.label for label in labels]
    if len(words) > MOST_LABELS:
        raise Refused(400, f"These are {len(words)} labels; expected at most {MOST_LABELS}.")
    for word in words:
        if not word.strip() or len(word) > LONGEST_LABEL:
            raise Refused(400, f"A label is empty or longer than {LONGEST_LABEL} characters.")
