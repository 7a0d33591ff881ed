"""Sources whose names are not UTF-8, under names that are."""

import os
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote_to_bytes

from archive.names import name_of
from pipeline.s3 import S3
from pipeline.sinks.file import without_secrets


class Links:
    """Links in a private folder, by which such sources are opened: messages cannot hold the bytes of their names."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def shown_and_path(self, source: str) -> tuple[str, str]:
        """A source as rows name it, and as it is opened."""
        if source.startswith(S3):
            return source, source
        if _is_utf8(source):
            return without_secrets(source), source
        name = name_of(source, os.path.dirname(source))
        mark = blake2b(os.fsencode(source), digest_size=8).hexdigest()
        link = Path(self._folder, mark, os.path.basename(name))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.abspath(source))
        return escaped(source), str(link)

    def forget(self, path: str) -> None:
        """A source is done."""
        link = Path(path)
        if link.parent.parent == Path(self._folder):
            link.unlink(missing_ok=True)
            link.parent.rmdir()


def escaped(source: str) -> str:
    """A path as text: bytes that are no UTF-8 as %XX, as in names of an archive."""
    return os.fsencode(source).replace(b"%", b"%25").decode("utf-8", "percent")


def path_of(source: str) -> str:
    """The path of a source that rows name: the one of that name, or that which `escaped` has written so."""
    if "%" not in source or os.path.lexists(source):
        return source
    path = os.fsdecode(unquote_to_bytes(source))
    return source if _is_utf8(path) else path


def _is_utf8(source: str) -> bool:
    try:
        source.encode()
    except UnicodeEncodeError:
        return False
    return True
