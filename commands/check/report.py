"""A report of titled tables: as text while it is made, or as one JSON object at the end."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

LEAST_COLUMNS = 24
"""A last column that is narrower than this is not wrapped."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Section:
    """A table. heads: names of its columns, or () if the first column says what a row is."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    heads: tuple[str, ...] = ()


class Report:
    """Prints sections as they come, each title once; with `as_json`, everything at `finish`."""

    def __init__(self, as_json: bool = False) -> None:
        self._as_json = as_json
        self._sections: dict[str, Section] = {}

    def __contains__(self, title: str) -> bool:
        return title in self._sections

    def add(self, section: Section) -> None:
        if section.title in self or not section.rows:
            return
        if not self._as_json:
            if self._sections:
                print()
            for line in lines(section, columns_here()):
                print(line, flush=True)
        self._sections[section.title] = section

    def finish(self) -> None:
        if self._as_json:
            content = {section.title: as_data(section) for section in self._sections.values()}
            print(json.dumps(content, indent=2, ensure_ascii=False))


def columns_here() -> int:
    """Columns of the terminal on stdout; 0 if stdout is not one, so that lines stay whole."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def lines(section: Section, columns: int = 0) -> Iterator[str]:
    """The title, then aligned rows, indented. With `columns`, the last cell of a row is wrapped below itself."""
    yield section.title
    rows = [tuple(map(plain, row)) for row in ((section.heads,) if section.heads else ()) + section.rows]
    widths = [max(map(len, column)) for column in zip_longest(*(row[:-1] for row in rows), fillvalue="")]
    for row in rows:
        before = "  " + "".join(cell.ljust(width) + "  " for cell, width in zip(row[:-1], widths, strict=False))
        room = columns - len(before)
        parts = textwrap.wrap(row[-1], room, break_long_words=False) if room >= LEAST_COLUMNS else [row[-1]]
        yield (before + (parts or [""])[0]).rstrip()
        yield from (" " * len(before) + part for part in parts[1:])


def as_data(section: Section) -> object:
    """A list of objects if the columns have names, else an object by the first column."""
    if section.heads:
        return [dict(zip(section.heads, row, strict=True)) for row in section.rows]
    return {row[0]: row[1] if len(row) == 2 else list(row[1:]) for row in section.rows}


def plain(text: str) -> str:
    """Without characters that control a terminal."""
    return _CONTROL.sub("?", text)
