"""Server-sent events. A slow browser gets the newest of each kind and holds nobody up."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress

from starlette.types import Receive, Scope, Send

MOST_WAITING = 300
"""Messages that wait for one client; then the oldest go, and the client is told to ask anew."""
STUCK_S = 20.0
"""A client that takes nothing for so long is let go."""
BEAT_S = 10.0
LAGGED = b"event: lagged\ndata: {}\n\n"


class Mailbox:
    """What waits for one client: of each key only the newest."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._filled = asyncio.Event()
        self._lagged = False
        self.closed = False

    def put(self, kind: str, key: str, message: bytes) -> None:
        self._waiting.pop((kind, key), None)
        self._waiting[kind, key] = message
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
            self._lagged = True
        self._filled.set()

    def close(self) -> None:
        self.closed = True
        self._filled.set()

    async def take(self, timeout_s: float) -> bytes:
        """All that waits, as one piece; empty after the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._filled.wait()
        self._filled.clear()
        pieces = ([LAGGED] if self._lagged else []) + list(self._waiting.values())
        self._waiting.clear()
        self._lagged = False
        return b"".join(pieces)


class Broadcast:
    """Sends to every client that listens."""

    def __init__(self) -> None:
        self._boxes: set[Mailbox] = set()

    def __len__(self) -> int:
        return len(self._boxes)

    def send(self, kind: str, key: str, data: bytes) -> None:
        """`data`: JSON without a line end. A newer message of the same kind and key replaces one that waits."""
        message = b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
        for box in self._boxes:
            box.put(kind, key, message)

    @contextmanager
    def mailbox(self) -> Iterator[Mailbox]:
        box = Mailbox()
        self._boxes.add(box)
        try:
            yield box
        finally:
            self._boxes.discard(box)

    def close(self) -> None:
        for box in self._boxes:
            box.close()


async def messages(broadcast: Broadcast, first: bytes = b"") -> AsyncIterator[bytes]:
    """The stream for one client. `first`: what it gets at once."""
    with broadcast.mailbox() as box:
        yield b"retry: 2000\n\n" + first
        while not box.closed:
            yield await box.take(BEAT_S) or b": nothing new\n\n"


class Endless:
    """A response that goes on until the client leaves, takes nothing any more, or the watch ends."""

    def __init__(self, pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> None:
        self._pieces = pieces
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await send({"type": "http.response.body"})
            return
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            done = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(done[0], Exception) and not isinstance(done[0], TimeoutError | OSError):
            raise done[0]

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        try:
            async for piece in self._pieces:
                async with asyncio.timeout(STUCK_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            if close := getattr(self._pieces, "aclose", None):
                await close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
