"""Where the files of an archive are: a folder or S3. Both are used in the same way."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from archive.entries import Claim, Entry
from pipeline.errors import ConfigError
from pipeline.s3 import S3
from pipeline.sinks.file import printable


class Store(Protocol):
    """A place for files that are written whole or not at all, and for claims that only one can have.

    Making one is cheap and connects to nothing. It can be pickled, and used by several threads.
    """

    where: str
    """As the user gave it."""

    def list(self) -> Iterator[Entry]:
        """The shards. A folder that is not there has none.

        Raises: StoreError.
        """

    def open(self, name: str) -> BinaryIO:
        """A file to read, with `seek`. Raises: FileNotFoundError; OSError, whose text is a sentence."""

    def put(self, name: str, data: bytes) -> None:
        """Write or replace a file. After an error, it is what it was before, or not there.

        Raises: StoreError.
        """

    def sink(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file to write to, which is as if by `put` there at the end of `with`, unless that raises.

        Raises: StoreError.
        """

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is no error. Raises: StoreError."""

    def claim(self, key: str, text: str) -> bool:
        """Make a claim, if there is none with this key. `text`: that of no other claim. Raises: StoreError."""

    def read_claim(self, key: str) -> Claim | None:
        """None if there is none. Raises: StoreError."""

    def touch(self, key: str, text: str) -> bool:
        """Make the age of a claim 0. False if it does not have this text, so is another's now. Raises: StoreError."""

    def swap(self, key: str, old: str, new: str) -> bool:
        """Replace a claim. Of all that replace the same `old`, exactly one is told True. Raises: StoreError."""

    def drop(self, key: str, text: str) -> None:
        """Remove a claim, if it has this text. Raises: StoreError."""

    def tidy(self, age_s: float) -> int:
        """Remove claims of that age, and what writers left unfinished. Returns how many. Raises: StoreError."""


def store_of(where: str) -> Store:
    """The store at a folder, or at `s3://bucket/prefix`. Raises: ConfigError: it is no usable address."""
    if where.startswith(S3):
        from archive.s3_store import S3Store

        return S3Store(where)
    from archive.local_store import LocalStore

    return LocalStore(where)


def archive_at(where: str) -> Store:
    """The store of an archive that is there.

    Raises: ConfigError: it is no usable address, or there is no such folder.
    """
    store = store_of(where)
    if not where.startswith(S3) and not Path(where).is_dir():
        why = "is no folder" if Path(where).exists() else "no such folder"
        raise ConfigError(f"{printable(where)}: {why}; expected an archive, which percept label wrote with -o {where}")
    return store


def no_archive(store: Store) -> ConfigError:
    """What to say of a place without files of an archive."""
    where = printable(store.where)
    return ConfigError(f"{where}: has no file of an archive. Make one: percept label videos/ -o {where}")
