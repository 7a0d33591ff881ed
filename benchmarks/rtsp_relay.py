"""A bad network between a camera and its client: RTSP over UDP goes through here, and some of it is lost.

The relay speaks RTSP with both sides and rewrites the ports in SETUP, so that all media pass its own sockets.
`loss` is the share of RTP packets that are lost; `clock_s` is added to the time of day in the camera's sender reports.
Both may be changed at any moment.
"""

import asyncio
import contextlib
import random
import re
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Self, cast

SENDER_REPORT = 200
_CLIENT_PORTS = re.compile(rb"client_port=(\d+)-(\d+)")
_SERVER_PORTS = re.compile(rb"server_port=(\d+)-(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SEQUENCE = re.compile(rb"\r\ncseq: *(\d+)", re.IGNORECASE)


Change = Callable[[bytes], Awaitable[bytes]]


class Relay:
    """Listens on `port`. A context manager; it runs in a thread of its own."""

    def __init__(self, camera_port: int, loss: float = 0.0, seed: int = 0) -> None:
        self.loss = loss
        self.clock_s = 0.0
        self.port = 0
        self.lost = 0
        self.passed = 0
        self._camera_port = camera_port
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def url(self, name: str) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _finish(self) -> None:
        self._server.close()
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        for task in sessions:
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session: two directions, until either side leaves."""
        with contextlib.suppress(OSError, asyncio.CancelledError):
            up, down = await asyncio.open_connection("127.0.0.1", self._camera_port)
            session = _Session(self)
            try:
                pairs = ((reader, down, session.request), (up, writer, session.answer))
                tasks = [asyncio.create_task(_copy(source, target, change)) for source, target, change in pairs]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                session.close()
                down.close()
        writer.close()

    def passes(self) -> bool:
        """Whether the next RTP packet gets through."""
        if self._random.random() < self.loss:
            self.lost += 1
            return False
        self.passed += 1
        return True

    def shifted(self, data: bytes) -> bytes:
        """An RTCP packet with `clock_s` added to the NTP time of its sender report."""
        if not self.clock_s or len(data) < 16 or data[1] != SENDER_REPORT:
            return data
        (seconds,) = struct.unpack_from(">I", data, 8)
        return data[:8] + struct.pack(">I", (seconds + round(self.clock_s)) % (1 << 32)) + data[12:]


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, change: Change) -> None:
    """Pass RTSP messages on, each through `change`."""
    while True:
        head = await source.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await source.readexactly(int(length[1])) if length else b""
        target.write(await change(head) + body)
        await target.drain()


class _Session:
    """The ports of one RTSP session."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._asked: dict[bytes, tuple[list[_Port], bytes]] = {}
        """By CSeq of a SETUP: our sockets, and the client's ports as it wrote them."""
        self._ports: list[_Port] = []

    async def request(self, head: bytes) -> bytes:
        theirs, sequence = _CLIENT_PORTS.search(head), _SEQUENCE.search(head)
        if not head.startswith(b"SETUP") or theirs is None or sequence is None:
            return head
        ports = await self._pair(int(theirs[1]), int(theirs[2]))
        self._asked[sequence[1]] = (ports, theirs[0])
        return head.replace(theirs[0], b"client_port=%d-%d" % (ports[0].number, ports[1].number))

    async def answer(self, head: bytes) -> bytes:
        cameras, sequence = _SERVER_PORTS.search(head), _SEQUENCE.search(head)
        if cameras is None or sequence is None or sequence[1] not in self._asked:
            return head
        ports, theirs = self._asked.pop(sequence[1])
        for port, number in zip(ports, (int(cameras[1]), int(cameras[2])), strict=True):
            port.camera_port = number
        head = _CLIENT_PORTS.sub(theirs, head)
        return head.replace(cameras[0], b"server_port=%d-%d" % (ports[0].number, ports[1].number))

    async def _pair(self, *clients: int) -> "list[_Port]":
        """Two sockets with neighbouring numbers, the first even, as RTP wants them."""
        for _ in range(200):
            first = random.randrange(20_000, 50_000, 2)
            made: list[_Port] = []
            with contextlib.suppress(OSError):
                for offset, client_port in enumerate(clients):
                    made.append(await _Port.open(self._relay, first + offset, client_port, is_media=offset == 0))
                self._ports += made
                return made
            for port in made:
                port.close()
        raise OSError("no free pair of UDP ports")

    def close(self) -> None:
        for port in self._ports:
            port.close()


class _Port(asyncio.DatagramProtocol):
    """One UDP socket: what the camera sends goes to the client, and what the client sends to the camera."""

    def __init__(self, relay: Relay, number: int, client_port: int, is_media: bool) -> None:
        self.number = number
        self.camera_port = 0
        self._relay = relay
        self._client_port = client_port
        self._is_media = is_media
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, relay: Relay, number: int, client_port: int, is_media: bool) -> "_Port":
        loop = asyncio.get_running_loop()
        _, port = await loop.create_datagram_endpoint(
            lambda: cls(relay, number, client_port, is_media), local_addr=("127.0.0.1", number)
        )
        return port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        if address[1] == self._client_port:
            if self.camera_port:
                self._transport.sendto(data, ("127.0.0.1", self.camera_port))
        elif not self._is_media:
            self._transport.sendto(self._relay.shifted(data), ("127.0.0.1", self._client_port))
        elif self._relay.passes():
            self._transport.sendto(data, ("127.0.0.1", self._client_port))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
