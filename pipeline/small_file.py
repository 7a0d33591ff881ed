"""Small files that people write: settings, labels, passwords. Nobody waits for one."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

OTHER_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
DEEPEST = 32
"""Levels of tables and lists in a TOML file."""


def read_small_file(path: str | Path, most_bytes: int = -1) -> bytes:
    """The content of a file, or so many of its first bytes.

    Raises:
        OSError: it cannot be read, or it is no regular file: a pipe or a device may never end.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, f"it is {OTHER_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file")
        return file.read(most_bytes)


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe would else wait for somebody who writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is not TOML, or too deeply nested.
    """
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        tree = {}
        level: list[Any] = [tree]
    else:
        level = list(tree.values())
        for _ in range(DEEPEST):
            level = [child for each in level for child in _children(each)]
    if level:
        raise ValueError(f"lists and tables are nested in more than {DEEPEST} levels")
    return tree


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
