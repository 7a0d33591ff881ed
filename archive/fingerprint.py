"""What a file was when it was labelled, cheap enough for fifty thousand of them."""

import os
from hashlib import blake2b
from typing import IO, Any

from archive.schema import Fingerprint
from pipeline.s3 import S3

PIECE_BYTES = 64 << 10
"""Of head, middle and tail, which together are hashed."""
BLOCK_BYTES = 8 << 20


def fingerprint_of(source: str, whole: bool = False) -> Fingerprint:
    """Size, time, and the BLAKE2b of three pieces of the source, or of all of it; for one in S3, also its ETag.

    source: a path, or `s3://bucket/key`.

    Raises: OSError: it cannot be read. ConfigError: S3 cannot be used.
    """
    if source.startswith(S3):
        from archive.s3_sources import open_source

        with open_source(source) as found:
            return Fingerprint(found.size, found.mtime_ns, hash_of(found, found.size, whole), whole, found.etag)
    with open(source, "rb") as file:
        facts = os.fstat(file.fileno())
        return Fingerprint(facts.st_size, facts.st_mtime_ns, hash_of(file, facts.st_size, whole), whole)


def hash_of(file: IO[bytes] | Any, size: int, whole: bool) -> str:
    """The same for the same content, wherever it is."""
    digest = blake2b(size.to_bytes(8, "little"), digest_size=16)
    if whole:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    else:
        for at in sorted({0, max(0, (size - PIECE_BYTES) // 2), max(0, size - PIECE_BYTES)}):
            file.seek(at)
            digest.update(file.read(PIECE_BYTES))
    return digest.hexdigest()


def fingerprint_or_none(path: str, whole: bool = False) -> Fingerprint | None:
    """None for what is no file, is gone or cannot be read."""
    try:
        return fingerprint_of(path, whole)
    except OSError:
        return None


def is_same(before: Fingerprint | None, now: Fingerprint | None) -> bool:
    """Whether the content is the same, whatever the time says: a copy or a restored backup has another time.

    An object in S3 with another ETag is another, unless one of the two is no object in S3.
    """
    if before is None or now is None or (before.etag and now.etag and before.etag != now.etag):
        return False
    return (before.size, before.hash, before.whole) == (now.size, now.hash, now.whole)
