"""The Unix socket in the state folder, for `percept watch ctl`."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SOCKET = "ctl.sock"


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """A name of at most 107 bytes for a socket, however deep its folder is.

    Raises: OSError: there is no such folder.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
