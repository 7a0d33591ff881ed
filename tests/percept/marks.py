"""Finds the processes that a test has started, however they descend from it: children inherit the environment."""

from pathlib import Path


def marked(mark: str) -> list[int]:
    """The processes whose environment has the mark, which children inherit."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
