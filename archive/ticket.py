"""What travels with a source from the plan of an archive to the file that it becomes."""

import msgspec

from archive.schema import Fingerprint


class Ticket(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A source that is to be labelled now."""

    source: str
    """As rows name it: UTF-8, without secrets."""
    name: str
    """Its name in the archive."""
    path: str
    """As it is opened: the source itself, or a link to it if its name is not UTF-8."""
    fingerprint: Fingerprint | None = None
    """Before it was opened; None if it has no bytes to read."""
    tries: int = 1


def packed(ticket: Ticket) -> bytes:
    return msgspec.msgpack.encode(ticket)


def unpacked(ticket: bytes) -> Ticket:
    return msgspec.msgpack.decode(ticket, type=Ticket)
