"""Questions to a running watch, through the Unix socket in its state folder."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from live.page.socket_name import SOCKET, short
from pipeline.errors import PerceptError

TIMEOUT_S = 30.0
API = "/api/v1"


class Refusal(PerceptError):
    """The watch says no. `status` is that of HTTP."""

    exit_code = 2

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Control:
    """A running watch. Every method raises `PerceptError` if it cannot be reached, `Refusal` if it says no."""

    def __init__(self, directory: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = directory / SOCKET
        self._timeout_s = timeout_s

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "/status")

    def settings(self) -> dict[str, Any]:
        return self._ask("GET", "/settings")

    def camera(self, name: str) -> dict[str, Any]:
        return self._ask("GET", f"/cameras/{quote(name, safe='')}")

    def add(self, camera: dict[str, Any]) -> dict[str, Any]:
        return self._ask("POST", "/cameras", camera)

    def remove(self, name: str) -> dict[str, Any]:
        return self._ask("DELETE", f"/cameras/{quote(name, safe='')}")

    def change(self, name: str | None, change: dict[str, Any]) -> dict[str, Any]:
        """`change`: fields of the camera; of all cameras if there is no name."""
        return self._ask("PATCH", "/cameras" if name is None else f"/cameras/{quote(name, safe='')}", change)

    def preview(self, name: str, labels: list[str]) -> dict[str, Any]:
        return self._ask("POST", f"/cameras/{quote(name, safe='')}/preview", {"labels": labels})

    def events(self, **query: Any) -> dict[str, Any]:
        """query: camera, kind, before, limit"""
        pairs = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        return self._ask("GET", f"/events{'?' if pairs else ''}{pairs}")

    def save(self) -> dict[str, Any]:
        return self._ask("POST", "/save", {})

    def test_alert(self) -> dict[str, Any]:
        return self._ask("POST", "/test_alert", {})

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        connection = _UnixConnection(self._path, self._timeout_s)
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, API + path, data, {"Content-Type": "application/json", "X-Percept": "1"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (FileNotFoundError, ConnectionRefusedError):
            raise PerceptError(f"{self._path.parent}: no watch is running there. Start one: percept watch") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PerceptError(f"{self._path}: the watch does not answer ({error or type(error).__name__})") from None
        finally:
            connection.close()
        if response.status >= 400:
            raise Refusal(response.status, str(answer.get("error", response.reason)))
        return dict(answer)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            with short(self._path) as name:
                self.sock.connect(name)
        except OSError:
            self.sock.close()
            raise
