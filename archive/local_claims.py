"""Claims as files in a folder, which several machines may share."""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from archive.entries import PART, Claim, StoreError
from pipeline.sinks.file import output_error, printable

LOCK = ".lock"
LOCK_TIMEOUT_S = 10.0
CLOCK_EVERY_S = 60.0
"""How long the difference between the clocks of this machine and of the file system is believed."""
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


class LocalClaims:
    """A claim is made by `O_EXCL` and changed under a lock. Its age is its mtime by the clock of the file system.

    Where a file system has no locks, two machines may take over the same claim: work is done twice, and none is lost.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clock: tuple[float, float] | None = None
        """When it was read, by the monotonic clock, and what it said."""

    def claim(self, key: str, text: str) -> bool:
        with self._told():
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self.folder / key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            except FileExistsError:
                return False
            with open(descriptor, "wb") as file:
                file.write(text.encode())
        return True

    def read_claim(self, key: str) -> Claim | None:
        with self._told():
            try:
                with open(self.folder / key, "rb") as file:
                    mtime_s = os.fstat(file.fileno()).st_mtime_ns / 1e9
                    text = file.read().decode("utf-8", "replace")
            except FileNotFoundError:
                return None
            return Claim(text, max(0.0, self.now_s() - mtime_s))

    def touch(self, key: str, text: str) -> bool:
        with self._told(), self._locked(key) as path:
            if text_of(path) != text:
                return False
            os.utime(path)
        return True

    def swap(self, key: str, old: str, new: str) -> bool:
        with self._told(), self._locked(key) as path:
            if text_of(path) != old:
                return False
            half = path.with_name(f".{key}{PART}")
            half.write_text(new, encoding="utf-8")
            half.replace(path)
        return True

    def drop(self, key: str, text: str) -> None:
        with self._told(), self._locked(key) as path:
            if text_of(path) == text:
                path.unlink()

    def now_s(self) -> float:
        """What a file would get as mtime if it were written now. Raises: OSError."""
        now_s = time.monotonic()
        if self._clock is None or now_s - self._clock[0] > CLOCK_EVERY_S:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".clock.{secrets.token_hex(4)}{PART}"
            try:
                probe.write_bytes(b"now")
                self._clock = now_s, probe.stat().st_mtime_ns / 1e9
            finally:
                probe.unlink(missing_ok=True)
        return self._clock[1] + time.monotonic() - self._clock[0]

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[Path]:
        """The path of a claim, which no other process changes meanwhile. The lock ends with the process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / LOCK, "ab") as file:
            lock(file)
            yield self.folder / key

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(str(output_error(printable(str(self.folder)), error))) from error


def lock(file: BinaryIO) -> None:
    """Wait for the lock of a file. Raises: OSError: somebody has it for long."""
    until_s = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                text = f"another process has had the lock {LOCK} for {LOCK_TIMEOUT_S:g} s"
                raise OSError(errno.ETIMEDOUT, text) from None
            time.sleep(0.01)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return None


def text_of(path: Path) -> str | None:
    """None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
