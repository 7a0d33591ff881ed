"""An object of S3 as a file to read."""

import errno
import io
import os
from datetime import datetime
from typing import Any

from pipeline.s3 import S3Address, client, failures, is_absent, is_changed, reason

BUFFER_BYTES = 1 << 20
"""Asked for at once. Longer reads are one request."""


class S3Object(io.RawIOBase):
    """One version of an object, read by ranges. Whole or in parts, what is read is never a mixture of two versions."""

    def __init__(self, address: S3Address) -> None:
        """Raises: FileNotFoundError; OSError, whose text says what to do."""
        super().__init__()
        self._address, self._at = address, 0
        try:
            head = client().head_object(**address.as_arguments())
        except failures() as error:
            raise self._told(error) from error
        self.size: int = head["ContentLength"]
        self.etag: str = head["ETag"].strip('"')
        self.mtime_ns = ns_of(head["LastModified"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.size - self._at)
        if count <= 0:
            return 0
        data = self._range(self._at, count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _range(self, start: int, count: int) -> bytes:
        try:
            answer = client().get_object(
                **self._address.as_arguments(), Range=f"bytes={start}-{start + count - 1}", IfMatch=f'"{self.etag}"'
            )
            data: bytes = answer["Body"].read()
        except failures() as error:
            raise self._told(error) from error
        if len(data) != count:
            raise OSError(errno.EIO, f"{self._address}: {len(data)} bytes came of {count}")
        return data

    def _told(self, error: Exception) -> OSError:
        if is_absent(error):
            return FileNotFoundError(errno.ENOENT, "no such object", str(self._address))
        if is_changed(error):
            return OSError(errno.ESTALE, f"{self._address}: was replaced while it was read")
        return OSError(errno.EIO, f"{self._address}: {reason(error, self._address.bucket)}")


def opened(address: S3Address) -> io.BufferedReader:
    """An object to read and seek in. Raises: FileNotFoundError, OSError."""
    return io.BufferedReader(S3Object(address), BUFFER_BYTES)


def ns_of(time: datetime) -> int:
    return int(time.timestamp()) * 10**9 + time.microsecond * 1000
