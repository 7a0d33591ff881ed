"""Indentation in a file of words: a line belongs to the nearest line above that is indented less."""

from collections.abc import Iterable

from pipeline.errors import ConfigError

TAB = 4
BELOW = " > "


def flattened(lines: Iterable[str], where: str) -> list[str]:
    """A label for every line without lines below it, with the names of its parents: "animal > dog".

    Blank lines and comments (#) are skipped; a tab counts as four spaces. If all lines have the same indentation, they
    are plain labels.

    Raises:
        ConfigError: a line is indented less than the one before it, but like no line above.
    """
    found: list[str] = []
    open_lines: list[tuple[int, str]] = []
    previous = -1
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        line = line.expandtabs(TAB)
        indent = len(line) - len(line.lstrip())
        if previous >= indent:  # the last open line has nothing below it, so it is a label
            found.append(BELOW.join(name for _, name in open_lines))
            open_lines = _closed(open_lines, indent, f"{where}: line {number} ({text[:40]!r})")
        open_lines.append((indent, text))
        previous = indent
    if open_lines:
        found.append(BELOW.join(name for _, name in open_lines))
    return found


def _closed(open_lines: list[tuple[int, str]], indent: int, where: str) -> list[tuple[int, str]]:
    """The open lines that are parents of a line with this indent."""
    depths = [depth for depth, _ in open_lines]
    if indent not in depths:
        raise ConfigError(
            f"{where} is indented by {indent}; expected {' or '.join(map(str, depths))}, like a line above. "
            "Indent lines that belong together by the same amount."
        )
    return open_lines[: depths.index(indent)]
