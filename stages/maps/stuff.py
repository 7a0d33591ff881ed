"""Which words name what fills space, such as grass and sky, and not things that can be counted (Adelson 2001)."""

from functools import cache
from pathlib import Path

from stages.words.word import read_lines

TABLE = Path(__file__).with_name("stuff.txt")


def is_stuff(word: str) -> bool:
    """Whether the last words of a phrase are in the bundled list: "green grass" is stuff, "grass snake" is not."""
    parts = word.casefold().replace("_", " ").split()
    return any(" ".join(parts[start:]) in _table() for start in range(len(parts)))


@cache
def _table() -> frozenset[str]:
    return frozenset(line.strip() for line in read_lines(TABLE, str(TABLE)) if line.strip() and line[0] != "#")
