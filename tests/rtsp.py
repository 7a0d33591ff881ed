"""A minimal RTSP camera for tests: H.264 in RTP, interleaved with the commands on one TCP connection.

    with RtspCamera(access_units, rate_hz=25) as url: ...

It sends the film once, faster than real time, to every client, and closes the connection.
"""

import base64
import socket
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import av
from av.bitstream import BitStreamFilterContext

CLOCK_HZ = 90_000
LARGEST = 1400
"""Bytes of payload in one RTP packet."""


def access_units(path: Path) -> list[list[bytes]]:
    """The NAL units of each picture of an H.264 film."""
    units = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            for each in to_annex_b.filter(packet if packet.size else None):
                data = bytes(each).replace(b"\0\0\0\1", b"\0\0\1")
                units.append([unit for unit in data.split(b"\0\0\1") if unit])
    return units


class RtspCamera:
    """Serves pictures at `rate_hz` by their RTP times; `start` is the RTP time of the first."""

    def __init__(self, pictures: Sequence[list[bytes]], rate_hz: int, start: int = 123_456_789) -> None:
        self._pictures = pictures
        self._step = CLOCK_HZ // rate_hz
        self._start = start
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> str:
        self._threads[0].start()
        return f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/film"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(20)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # the camera was switched off
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(20)
        with client, client.makefile("rb") as lines:
            try:
                while request := lines.readline().decode().split():
                    headers = dict(
                        iter(lambda: tuple(lines.readline().decode().strip().partition(": ")[::2]), ("", ""))
                    )
                    client.sendall(self._answer(request[0], headers))
                    if request[0] == "PLAY":
                        return self._play(client)
                    if request[0] == "TEARDOWN":
                        return None
            except OSError:
                return None  # the client has gone

    def _answer(self, command: str, headers: dict[str, str]) -> bytes:
        lines, body = [f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}"], ""
        if command == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif command == "DESCRIBE":
            body = self._description()
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif command == "SETUP":
            if "TCP" not in headers["Transport"]:
                lines[0] = lines[0].replace("200 OK", "461 Unsupported Transport")
            lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        elif command == "PLAY":
            lines += ["Session: 1", "Range: npt=0-"]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def _description(self) -> str:
        sets = [unit for unit in self._pictures[0] if unit[0] & 31 in (7, 8)]
        sprop = ",".join(base64.b64encode(unit).decode() for unit in sets)
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=film\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\n"
            f"a=rtpmap:96 H264/{CLOCK_HZ}\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n"
            "a=control:streamid=0\r\n"
        )

    def _play(self, client: socket.socket) -> None:
        sequence = 0
        for number, units in enumerate(self._pictures):
            payloads = [payload for unit in units for payload in fragments(unit)]
            for place, payload in enumerate(payloads):
                is_last = place == len(payloads) - 1
                time = (self._start + number * self._step) & 0xFFFFFFFF
                header = struct.pack(">BBHII", 0x80, 96 | is_last << 7, sequence & 0xFFFF, time, 7)
                client.sendall(struct.pack(">cBH", b"$", 0, 12 + len(payload)) + header + payload)
                sequence += 1


def fragments(unit: bytes) -> list[bytes]:
    """A NAL unit as RTP payloads: itself, or FU-A fragments (RFC 6184)."""
    if len(unit) <= LARGEST:
        return [unit]
    pieces = [unit[at : at + LARGEST] for at in range(1, len(unit), LARGEST)]
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 31
    last = len(pieces) - 1
    return [
        bytes([indicator, (place == 0) << 7 | (place == last) << 6 | kind]) + piece
        for place, piece in enumerate(pieces)
    ]
