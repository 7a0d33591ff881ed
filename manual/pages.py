"""Pages with generated blocks: everything between `<!-- NAME: begin -->` and `<!-- NAME: end -->`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
Block = Callable[[], str]
NUMBER = re.compile(r"-?\d+\.\d+|\d+(?= %)")


def with_blocks(text: str, blocks: Mapping[str, Block]) -> str:
    """The text of a page with these blocks made anew. Raises: ValueError: a block is not on the page once."""
    for name, make in blocks.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"expected one {begin.strip()} and one {end}")
        before, _, after = text.partition(begin)
        text = f"{before}{begin}\n{make().strip()}\n\n{end}{after.partition(end)[2]}"
    return text


def is_same(one: str, other: str, tolerance: float) -> bool:
    """Whether two texts differ at most in decimal numbers and percentages, each by at most `tolerance`, or that share.

    Networks round differently on other processors.
    """
    if NUMBER.sub("", one) != NUMBER.sub("", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= tolerance * max(1.0, abs(float(a))) for a, b in pairs)
