"""Answers of the API, and what comes in with a request."""

import asyncio
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

MOST_BYTES = 512 << 10
"""Of a request's body; a thousand labels have 50 kB."""
BODY_S = 10.0
Body = TypeVar("Body")


class Refused(Exception):
    """A request that is not done: a status, and a sentence for whoever asked."""

    def __init__(self, status: int, sentence: str, retry_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_s = retry_s


def json_reply(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def refusal(error: Refused) -> Response:
    reply = json_reply({"error": str(error)}, error.status)
    if error.retry_s:
        reply.headers["Retry-After"] = str(max(1, round(error.retry_s)))
    return reply


async def body_of(request: Request, kind: type[Body]) -> Body:
    """The JSON body of a request, strictly decoded.

    Raises: Refused: it is too long, too slow, or something else.
    """
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                data += piece
                if len(data) > MOST_BYTES:
                    raise Refused(413, f"The body has more than {MOST_BYTES} bytes.")
    except TimeoutError:
        raise Refused(408, f"The body did not come within {BODY_S:.0f} s.") from None
    except ClientDisconnect:
        raise Refused(400, "The client left.") from None
    try:
        return msgspec.json.decode(bytes(data), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"The body is not what is expected: {error}") from None
