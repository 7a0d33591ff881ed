"""Real receivers of alerts: an HTTP server with scripted answers, and a mosquitto with a configuration of its own."""

import getpass
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Hook:
    """An HTTP server that keeps what it is sent. `answers` come first, then 200."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.delay_s = 0.0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.requests.append((dict(self.headers), body))
                time.sleep(hook.delay_s)
                self.send_response(hook.answers.pop(0) if hook.answers else 200)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/services/T0/SECRET"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@contextmanager
def hook(port: int = 0) -> Iterator[Hook]:
    server = Hook(port)
    try:
        yield server
    finally:
        server.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Broker:
    """A mosquitto on a free port. It can be killed and started again at the same port."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        ours = (f"listener {self.port} 127.0.0.1", "persistence false", f"user {getpass.getuser()}")
        self._config.write_text("\n".join((*ours, *(lines or ("allow_anonymous true",)))))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [mosquitto(), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: is_listening(self.port), "mosquitto to listen")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and bytes, and answers nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@contextmanager
def broker(folder: Path, *lines: str) -> Iterator[Broker]:
    server = Broker(folder, *lines)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def mosquitto() -> str:
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("mosquitto is not installed")
    return found


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Listener:
    """A client that keeps every message of a broker, in order, and the newest retained one of each topic."""

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        self.messages: list[tuple[str, bytes]] = []
        self.lost = threading.Event()
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _, __, message: self.messages.append((message.topic, message.payload))
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def of(self, topic: str) -> list[bytes]:
        return [content for found, content in self.messages if found == topic]

    def last(self, topic: str) -> bytes | None:
        found = self.of(topic)
        return found[-1] if found else None

    def publish(self, topic: str, content: bytes) -> None:
        self._client.publish(topic, content, qos=1).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listener(port: int) -> Iterator[Listener]:
    client = Listener(port)
    try:
        yield client
    finally:
        client.close()


def wait_until(is_so: Callable[[], object], what: str, longest_s: float = 30.0) -> None:
    until_s = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < until_s, f"waited {longest_s:g} s for {what}"
        time.sleep(0.01)


class Gate:
    """A way to a port of this machine that can be shut, which cuts all connections, and opened again."""

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self._to = to
        self._server: socket.socket | None = None
        self._open: list[socket.socket] = []

    def open(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def shut(self) -> None:
        for each in [self._server, *self._open]:
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        self._open.clear()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
                far = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:
                return
            far.settimeout(None)
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                target.sendall(content)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate(to: int) -> Iterator[Gate]:
    way = Gate(to)
    way.open()
    try:
        yield way
    finally:
        way.shut()
