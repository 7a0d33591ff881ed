"""Files that are written whole or not at all, and error messages for failed writes."""

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import IO

from pipeline.errors import OutputError, ReaderGone
from pipeline.logs import redact

_REASONS = {
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EFBIG: "file size limit reached",
    errno.EROFS: "read-only file system",
    errno.EACCES: "permission denied",
    errno.ENOENT: "the folder does not exist",
    errno.EIO: "input/output error",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "its folder is a file",
}
NAME_BYTES = 255
"""Longest file name on the usual file systems."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def output_error(path: str, error: OSError, safe: int | None = None) -> OutputError:
    """The error for a failed write. `safe`: how many results are already on disk."""
    if error.errno == errno.EPIPE:
        kind = ReaderGone if is_stdout(path) else OutputError
        return kind(f"cannot write to {shown(path)}: its reader has closed it after {safe or 0} results")
    text = f"cannot write {shown(path)}: {_REASONS.get(error.errno or 0, error.strerror or str(error))}"
    if safe is None:
        return OutputError(text)
    remedy = ". Free space and run again with --resume." if error.errno in _FULL else ". Run again with --resume."
    return OutputError(f"{text}; {safe} results are safe{remedy}")


def shown(path: str) -> str:
    return "stdout" if is_stdout(path) else path


def is_stdout(path: str) -> bool:
    return path in ("-", "/dev/stdout")


def printable(source: str) -> str:
    """The name of a source in results. Bytes that are not UTF-8 appear as `\\udce9`."""
    return source.encode("utf-8", "backslashreplace").decode()


def without_secrets(text: str) -> str:
    """The text without the user, password and tokens of a URL in it."""
    return redact(text) if "://" in text else text


def is_special(path: str) -> bool:
    """Whether the path is stdout, a device or a pipe, which cannot be overwritten, resumed or renamed."""
    if is_stdout(path):  # which may be a plain file
        return True
    try:
        return not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path)
    except OSError:
        return False


class WholeFile:
    """A text file that is written under a temporary name, in the same folder, and renamed when it is complete.

    A device or pipe, and stdout (`-`), are written directly.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._part = path if is_special(path) else part_name(path)
        self._file: IO[str] | None = None

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def open(self) -> None:
        try:
            if not is_stdout(self.path):
                Path(self._part).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(  # noqa: SIM115
                os.dup(1) if is_stdout(self.path) else self._part,
                "w",
                encoding="utf-8",
                errors="backslashreplace",
                newline="",
            )
        except OSError as error:
            raise output_error(self.path, error) from error

    def write(self, text: str) -> None:
        assert self._file is not None, f"{self.path} is not open"
        try:
            self._file.write(text)
        except OSError as error:
            self._fail(error)

    def flush(self) -> None:
        """Let a reader of a pipe see what is written."""
        if self._file is not None and self._part == self.path:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def close(self, complete: bool) -> None:
        """Rename the file to its final name, or remove it."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
            if complete and self._part != self.path:
                os.replace(self._part, self.path)
        except OSError as error:
            self._fail(error)
        finally:
            if self._part != self.path:
                Path(self._part).unlink(missing_ok=True)

    def _fail(self, error: OSError) -> None:
        """Give up the file, whose buffer may still hold what cannot be written."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        if self._part != self.path:
            Path(self._part).unlink(missing_ok=True)
        raise output_error(self.path, error) from error


def part_name(path: str) -> str:
    """The temporary name of `path`, in the same folder: `talk.vtt` -> `.talk.vtt.part`."""
    return companion(path, ".", ".part")


def companion(path: str, prefix: str, suffix: str) -> str:
    """The name of a file that belongs to `path`, in the same folder. A name that would be too long becomes a hash."""
    folder, name = os.path.split(path)
    if len(os.fsencode(f"{prefix}{name}{suffix}")) > NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16] + Path(name).suffix
    return os.path.join(folder, f"{prefix}{name}{suffix}")
