"""How one published data set lies in its folder: what a layout gives, and how its lists are read."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.errors import ConfigError
from training.data.example import Example


@dataclass(frozen=True)
class Listed:
    """One entry of a published list; its file need not be there."""

    example: Example
    splits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unheld:
    """A label that is asked about though there is no clip of it."""

    label: str
    split: str = ""
    """The split it is asked about in; "" for all."""


@dataclass(frozen=True)
class Listing:
    """All that a data set's lists and folders tell."""

    listed: list[Listed]
    labels: tuple[str, ...] = ()
    """In the published order, where there is one."""
    notes: list[str] = field(default_factory=list)
    evaluated: str = ""
    """The split that published figures are about."""
    unheld: list[Unheld] = field(default_factory=list)


class Layout(Protocol):
    """A module of this package."""

    def recognise(self, path: Path) -> str:
        """What shows that the data set at `path` lies like this; "" when nothing does."""

    def read(self, path: Path) -> Listing:
        """Raises: ConfigError: a list is missing or cannot be read."""


def lines_of(file: Path) -> list[str]:
    """The lines of a list that hold anything.

    Raises: ConfigError: it cannot be read.
    """
    try:
        # names in published lists are not all UTF-8; what matters is that they match
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise unreadable(file, error) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def table_rows(file: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV whose first line names at least these columns.

    Raises: ConfigError: it cannot be read, or lacks a column.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, restval="")
            here = [name.strip() for name in reader.fieldnames or []]
            if lacking := sorted(set(columns) - set(here)):
                raise ConfigError(f"{file}: has the columns {', '.join(here)}; expected {', '.join(lacking)} as well")
            return [{(name or "").strip(): str(value).strip() for name, value in row.items()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{file}: {error}; expected the list as it is published")
