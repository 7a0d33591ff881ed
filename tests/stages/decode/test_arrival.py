"""Cameras whose stream has no times: motion JPEG, over HTTP and TCP. The camera draws its clock into each picture."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.decode.arrival import spread
from stages.decode.timing import ARRIVED, ESTIMATED
from tests.media import draw, read_time_ms
from tests.stages.decode.reading import Reading, read

SIZE = (320, 240)
SLOW_MS = 350
"""How late a picture may be seen on a busy machine."""


def jpeg(time_s: float, size: tuple[int, int] = SIZE, comments: int = 0) -> bytes:
    """`comments`: blocks of 64 kB that are added."""
    file = io.BytesIO()
    Image.fromarray(draw(time_s, *size)).save(file, "JPEG", quality=90)
    data, comment = file.getvalue(), b"\xff\xfe\xff\xff" + bytes(65533)
    return data[:2] + comments * comment + data[2:]


def live(pauses_s: list[float], send: Callable[[bytes], object], comments: int = 0) -> None:
    """Send a picture after each pause."""
    start_s = time.monotonic()
    for pause_s in pauses_s:
        time.sleep(pause_s)
        send(jpeg(time.monotonic() - start_s, comments=comments))


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of a server that answers every request in this way."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            try:
                answer(self)
            except OSError:
                return  # the reader has gone

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}/video.mjpg"
        finally:
            http.shutdown()
            thread.join()


def camera(pauses_s: list[float], has_lengths: bool, chunked: bool, handler: BaseHTTPRequestHandler) -> None:
    """Answer like a network camera: one part of an endless multipart message for each picture."""

    def send(data: bytes) -> None:
        handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n" if chunked else data)

    def part(picture: bytes) -> None:
        length = f"Content-Length: {len(picture)}\r\n" if has_lengths else ""
        send(f"--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode() + picture + b"\r\n")

    handler.send_response(200)
    handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    if chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    live(pauses_s, part)
    send(b"--frame--\r\n")


def check_clock(reading: Reading) -> None:
    """Check that times are those of the camera's clock, since its first picture."""
    drawn = np.array([read_time_ms(picture) for clip in reading.clips for picture in clip.arrays["frames"]])
    times = np.concatenate([clip.arrays["frame_times_ns"] for clip in reading.clips]) // 1_000_000
    assert times[0] == 0
    assert abs(times - times[0] - (drawn - drawn[0])).max() < SLOW_MS, (times, drawn)
    assert all(clip.info.estimated_times for clip in reading.clips)


@pytest.mark.parametrize(
    ("rate_hz", "has_lengths", "chunked"), [(10, True, False), (6, False, False), (33, True, True)]
)
def test_pictures_of_a_camera_get_their_time_of_arrival(rate_hz: float, has_lengths: bool, chunked: bool) -> None:
    pauses_s = [1 / rate_hz] * round(2.4 * rate_hz)
    with web(partial(camera, pauses_s, has_lengths, chunked)) as url:
        reading = read(url, is_cut=not chunked)
    check_clock(reading)
    assert reading.info.notes == (ARRIVED,)


def test_a_camera_that_pauses_is_not_hurried() -> None:
    with web(partial(camera, [0.1] * 8 + [1.3] + [0.1] * 5, True, False)) as url:
        reading = read(url, is_cut=True)
    check_clock(reading)
    times_ms = [time // 1_000_000 for clip in reading.clips for time in clip.arrays["frame_times_ns"].tolist()]
    assert max(after - before for before, after in pairwise(times_ms)) > 1000


def test_raw_pictures_over_tcp_get_their_time_of_arrival() -> None:
    """FFmpeg reads 5 MB of them to open the stream; they come all at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                live([0.05] * 44, client.sendall, comments=5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        reading = read(f"tcp://127.0.0.1:{server.getsockname()[1]}", modalities=("image",))
        thread.join(20)
    check_clock(reading)
    assert reading.info.notes == (ARRIVED,)


def recorded(count: int, has_length: bool, handler: BaseHTTPRequestHandler) -> None:
    data = b"".join(jpeg(number / 25, (64, 48)) for number in range(count))
    handler.send_response(200)
    handler.send_header("Content-Type", "video/x-motion-jpeg")
    if has_length:
        handler.send_header("Content-Length", str(len(data)))
    else:
        handler.send_header("Transfer-Encoding", "chunked")
        data = f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n"
    handler.end_headers()
    handler.wfile.write(data)


@pytest.mark.parametrize(("count", "has_length"), [(60, True), (300, False)])
def test_a_recording_on_a_server_keeps_the_usual_rate(count: int, has_length: bool) -> None:
    with web(partial(recorded, count, has_length)) as url:
        reading = read(url)
    assert reading.spans_s[-1][1] == count / 25
    assert reading.info.notes == (ESTIMATED,)
    assert all(clip.info.estimated_times for clip in reading.clips)


def test_a_recording_on_disk_keeps_the_usual_rate(tmp_path: Path) -> None:
    path = tmp_path / "video.mjpg"
    path.write_bytes(
        b"".join(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(number / 25) + b"\r\n" for number in range(60))
    )
    reading = read(path)
    assert reading.spans_s == [(0, 2.4)]
    assert reading.info.notes == (ESTIMATED,)


@pytest.mark.parametrize(
    ("arrivals_ms", "times_ms"),
    [
        ([0, 0, 0, 100, 210, 300], [-200, -100, 0, 100, 210, 300]),
        ([0, 1, 12, 13, 113, 213, 313], [-287, -187, -87, 13, 113, 213, 313]),
        ([5], [5]),
        ([0, 1, 2], [-78, -38, 2]),
        ([0, 500, 1100], [0, 500, 1100]),
    ],
)
def test_pictures_that_came_together_are_spread_before_the_rest(arrivals_ms: list[int], times_ms: list[int]) -> None:
    assert spread([time * 1_000_000 for time in arrivals_ms]) == [time * 1_000_000 for time in times_ms]
