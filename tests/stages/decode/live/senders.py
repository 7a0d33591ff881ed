"""Cameras of other protocols than RTSP: a transport stream by UDP, and motion JPEG by HTTP."""

import functools
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.clock_film import Picture, draw
from tests.clock_ts import packets_of, payload
from tests.rtsp_farm import LENGTH_S

VIDEO_PID = 0x100
NOTHING = bytes([0x47, 0x1F, 0xFF, 0x10]) + bytes(184)
"""A packet that a transport stream is filled with."""
PER_DATAGRAM = 7
TABLES = 3 * 188
"""The packets with which a stream tells what is in it."""


@contextmanager
def send_ts(path: Path, rate_hz: float = 25.0, skip: int = 0) -> Iterator[str]:
    """Sends a film by UDP in real time, whatever its timestamps say: one picture after the other at `rate_hz`.

    It begins when somebody listens. `skip`: bytes after the tables that are left out, so that it begins anywhere.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, stop = path.read_bytes(), threading.Event()
    sender = threading.Thread(
        target=send, args=(data[:TABLES] + data[TABLES + skip // 188 * 188 :], port, rate_hz, stop), daemon=True
    )
    sender.start()
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        stop.set()
        sender.join(10)


def send(data: bytes, port: int, rate_hz: float, stop: threading.Event) -> None:
    wait_for_listener(port, stop)
    start_s, pictures, waiting = time.monotonic(), 0, b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for place, pid in packets_of(data):
            if pid == VIDEO_PID and payload(data, place) is not None:
                out.sendto(waiting, ("127.0.0.1", port)) if waiting else None
                waiting = b""
                if stop.wait(max(0.0, start_s + pictures / rate_hz - time.monotonic())):
                    return
                pictures += 1
            waiting += data[place : place + 188]
            if len(waiting) >= PER_DATAGRAM * 188:
                out.sendto(waiting, ("127.0.0.1", port))
                waiting = b""


def wait_for_listener(port: int, stop: threading.Event) -> None:
    """Send empty packets until one of them is not refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        while not stop.is_set():
            try:
                out.send(NOTHING)
                stop.wait(0.05)  # a refusal is told at the next call
                out.send(NOTHING)
                return
            except ConnectionRefusedError:
                continue


def jpeg(told_s: float) -> bytes:
    context: Any = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuvj420p"
    context.time_base = Fraction(1, 25)
    frame = draw(told_s, Picture()).reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


class Pictures(http.server.BaseHTTPRequestHandler):
    """Motion JPEG as cameras send it, ten pictures a second."""

    rate_hz = 10

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        start_s, number = time.monotonic(), 0
        try:
            while True:
                data = jpeg(number / self.rate_hz % LENGTH_S)
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                number += 1
                time.sleep(max(0.0, start_s + number / self.rate_hz - time.monotonic()))
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def picture_server() -> Iterator[str]:
    """The address of a motion JPEG camera."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/cam.mjpg?token=secret"
        server.shutdown()
        thread.join(10)


class Segments(http.server.SimpleHTTPRequestHandler):
    """A list that grows by a segment a second."""

    began_s = 0.0

    def do_GET(self) -> None:
        if not self.path.endswith(".m3u8"):
            super().do_GET()
            return
        lines = Path(self.directory, "list.m3u8").read_text().splitlines()
        first = next(place for place, line in enumerate(lines) if line.startswith("#EXTINF"))
        data = "\n".join(lines[: first + 2 * (3 + int(time.monotonic() - self.began_s))]).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def hls_server(film: Path, folder: Path) -> Iterator[str]:
    """The address of a film in segments, of which three are there at once and then one more each second."""
    options = {"hls_time": "1", "hls_list_size": "0", "hls_flags": "omit_endlist"}
    folder.mkdir()
    with av.open(str(film)) as source, av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
    kind = type("Own", (Segments,), {"began_s": time.monotonic()})
    handler = functools.partial(kind, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/list.m3u8"
        server.shutdown()
        thread.join(10)
