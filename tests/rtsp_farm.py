"""Real cameras for tests: an RTSP server with several paths, whose pictures and sound tell their own time.

    with farm({"door": camera(folder, "door")}) as cameras:
        cameras.url("door"); cameras.kill(); cameras.start(); cameras.stall(); cameras.resume()

A path plays a clock film (`tests/clock_film.py`) of `LENGTH_S` again and again, without a seam. Killing the server is a
camera that lost its power, stalling it one that hangs. It is GStreamer's; CI has it, and elsewhere the tests that need
it are skipped without it.
"""

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
import pytest

from tests.clock_film import FAST, Picture, Sound, draw, wave

FILM = Picture()
LENGTH_S = 16.0
"""A whole number of packets of 8 kHz and 16 kHz sound."""
PYTHON = "/usr/bin/python3"
HEAD = struct.Struct("<qqq")
PACKAGES = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good,bad}"
CODECS = {"libx264": "h264", "libx265": "h265", "mjpeg": "mjpeg"}
SERVED = {
    "libx264": {"sc_threshold": "0"},
    "libx265": {"x265-params": "log-level=none:pools=none:frame-threads=1:bframes=0:scenecut=0:repeat-headers=1"},
}
Stream = dict[str, Any]


def camera(
    folder: Path,
    name: str,
    pictures: Picture | Sequence[tuple[Picture, float]] | None = FILM,
    sound: str = "pcmu",
    sound_until_s: float | None = None,
) -> list[Stream]:
    """The streams of a path. `pictures`: one after the other, each until a told time. `sound`: "pcmu", "aac" or ""."""
    streams = []
    if pictures is not None:
        shots = [(pictures, LENGTH_S)] if isinstance(pictures, Picture) else list(pictures)
        file, from_s = folder / f"{name}.video", 0.0
        with file.open("wb") as units:
            for shot, until_s in shots:
                write_units(units, picture_units(shot, from_s, until_s))
                from_s = until_s
        streams.append({"codec": CODECS[shots[0][0].codec], "file": str(file)})
    if sound:
        file = folder / f"{name}.sound"
        with file.open("wb") as units:
            write_units(units, pcmu_units() if sound == "pcmu" else aac_units(folder / f"{name}.aac"))
        streams.append({"codec": sound, "file": str(file), "until_s": sound_until_s, "rate_hz": 16_000, "channels": 1})
    return streams


def write_units(file: Any, units: Iterator[tuple[float, float, bytes]]) -> None:
    for time_s, duration_s, data in units:
        file.write(HEAD.pack(round(time_s * 1e9), round(duration_s * 1e9), len(data)) + data)


def picture_units(shot: Picture, from_s: float, until_s: float) -> Iterator[tuple[float, float, bytes]]:
    rate = Fraction(shot.rate)
    context: Any = av.CodecContext.create(shot.codec, "w")
    context.width, context.height = shot.size
    context.pix_fmt = "yuvj420p" if shot.codec == "mjpeg" else "yuv420p"
    context.framerate, context.time_base, context.gop_size = rate, 1 / rate, shot.gop
    context.options = FAST.get(shot.codec, {}) | SERVED.get(shot.codec, {}) | shot.options
    for number in range(round(from_s * rate), round(until_s * rate)):
        frame = draw(number / float(rate), replace(shot, pixel_format="yuv420p"))
        frame.pts, frame.time_base = number, 1 / rate
        for packet in context.encode(frame):
            yield float(packet.pts / rate), float(1 / rate), bytes(packet)
    for packet in context.encode(None):
        yield float(packet.pts / rate), float(1 / rate), bytes(packet)


def tone(rate_hz: int) -> Any:
    """The sound of a whole film, int16."""
    times_s = np.arange(round(LENGTH_S * rate_hz)) / rate_hz
    return np.round(wave(Sound(), times_s) * 0.3 * 32767).astype(np.int16)


def pcmu_units() -> Iterator[tuple[float, float, bytes]]:
    context: Any = av.CodecContext.create("pcm_mulaw", "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    samples = tone(8000)
    for place in range(0, len(samples), 320):
        frame = av.AudioFrame.from_ndarray(samples[None, place : place + 320], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, place, Fraction(1, 8000)
        yield place / 8000, 0.04, b"".join(bytes(packet) for packet in context.encode(frame))


def aac_units(path: Path) -> Iterator[tuple[float, float, bytes]]:
    samples = tone(16_000)
    with av.open(str(path), "w", format="adts") as container:
        stream: Any = container.add_stream("aac", rate=16_000, layout="mono")
        for place in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, place : place + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, place, Fraction(1, 16_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data, at, number = path.read_bytes(), 0, 0
    while at + 7 <= len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        if number:  # the first packet is the encoder's run-up
            yield (number - 1) * 0.064, 0.064, data[at : at + size]
        at, number = at + size, number + 1


def check_server() -> None:
    """Skip the test without GStreamer; with CI set, fail it."""
    code = 'import gi; gi.require_version("GstRtspServer", "1.0")'
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, timeout=60, check=False)
    if found.returncode:
        text = f"no RTSP server for tests: apt-get install {PACKAGES}"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


class Farm:
    """One server process. Its port stays the same when it is killed and started again."""

    def __init__(self, paths: dict[str, list[Stream]], login: str, transport: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.login = login
        self._order = {"port": self.port, "login": login, "transport": transport, "paths": paths}
        self._server: subprocess.Popen[str] | None = None

    def url(self, path: str, login: str | None = None) -> str:
        login = self.login if login is None else login
        user, _, password = (quote(word, safe=":") for word in login.partition(":"))
        return f"rtsp://{f'{user}:{password}@' if login else ''}127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        self._server = subprocess.Popen(
            [PYTHON, str(Path(__file__).with_name("rtsp_server.py")), json.dumps(self._order)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n", "the RTSP server did not start"

    def kill(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.kill()
            server.wait(10)
            if server.stdout:
                server.stdout.close()

    def stall(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)


@contextmanager
def farm(paths: dict[str, list[Stream]], login: str = "", transport: str = "") -> Iterator[Farm]:
    """A running server. `login`: "user:password". `transport`: "tcp" or "udp" alone; empty: both."""
    check_server()
    cameras = Farm(paths, login, transport)
    cameras.start()
    try:
        yield cameras
    finally:
        cameras.kill()
