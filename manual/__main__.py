"""Write the generated parts of docs/, or check them with --check."""

import sys
from typing import NamedTuple

from manual import command_lines, configuration, scores
from manual.pages import DOCS, Block, is_same, with_blocks


class Generated(NamedTuple):
    """A page of docs/ and the blocks that are generated in it."""

    name: str
    blocks: dict[str, Block]
    tolerance: float = 0.0
    """How far numbers may differ from those of this machine."""


PAGES = (
    Generated("commands.md", {"commands": command_lines.commands}),
    Generated("configuration.md", {"sections": configuration.sections, "stages": configuration.stages}),
    Generated("scores.md", scores.BLOCKS, tolerance=2e-3),
)


def stale(page: Generated, write: bool) -> bool:
    """Whether the page is out of date; with `write`, it no longer is."""
    path = DOCS / page.name
    before = path.read_text(encoding="utf-8")
    after = with_blocks(before, page.blocks)
    if is_same(before, after, page.tolerance):
        return False
    if write:
        path.write_text(after, encoding="utf-8")
    return True


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    changed = [page.name for page in PAGES if stale(page, write=not check)]
    if changed:
        print(f"out of date: {', '.join(changed)}. Run: python -m manual" if check else f"wrote {', '.join(changed)}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
