"""The search cache of an archive: the vectors of all its clips as raw columns, brought up to date before a search.

    .percept/search/catalog.json      which rows belong to which file; replaced as a whole, so it is what counts
    .percept/search/<n>/image.f16     float16 "N D": one row per clip, the same rows in all columns
    .percept/search/<n>/start_s.f64   ...

Rows are only added. Those of files that changed or went away are dead, until a quarter of all rows is: then the others
move to a new folder.
"""

import errno
from collections.abc import Callable, Collection
from hashlib import blake2b
from pathlib import Path

from archive.search.catalog import Catalog
from archive.search.lock import locked
from archive.search.updating import Update
from archive.store import Store
from pipeline.errors import OutputError
from pipeline.machine import cache_directory

Report = Callable[[str], None]


def place_of(archive: str) -> Path:
    """The folder of an archive's search cache: in the archive if it can be written to, else in the user's cache."""
    if "://" not in archive:
        folder = Path(archive) / ".percept" / "search"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "lock").open("ab").close()
            return folder
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise OutputError(f"{folder}: {error.strerror}") from error
    full = archive if "://" in archive else str(Path(archive).resolve())
    folder = cache_directory() / "search" / blake2b(full.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def update(
    store: Store, folder: Path, vectors: Collection[str], report: Report = lambda text: None
) -> Catalog:  # fmt: skip
    """Bring the cache in `folder` up to date with the files of the archive, for searches with these vectors.

    vectors: those that no file has are left out.

    Raises: OutputError: it cannot be written.
    """
    try:
        with locked(folder, report):
            return Update(store, folder, vectors, report).run()
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}. The archive is as it was; search again to go on.") from error
