"""The interface of layouts (how a data set is arranged in its folder), and how lists are read."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.errors import ConfigError
from training.data.example import Example


@dataclass(frozen=True)
class Listed:
    """One entry of a published list. Its file may be missing."""

    example: Example
    splits: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmptyLabel:
    """A label without clips, which is scored nevertheless."""

    label: str
    split: str = ""
    """The split it belongs to; "" for all."""


@dataclass(frozen=True)
class Listing:
    """The contents of a data set according to its lists and folders."""

    listed: list[Listed]
    labels: tuple[str, ...] = ()
    """In the published order; empty if there is none."""
    notes: list[str] = field(default_factory=list)
    evaluated: str = ""
    """The split of published figures, "" if there is none."""
    empty_labels: list[EmptyLabel] = field(default_factory=list)


class Layout(Protocol):
    """A module of this package."""

    def recognise(self, path: Path) -> str:
        """The evidence that the data set at `path` has this layout; "" if it does not."""

    def read(self, path: Path) -> Listing:
        """Raises: ConfigError: a list is missing or cannot be read."""


def lines_of(file: Path) -> list[str]:
    """The stripped lines of a list, without empty ones.

    Raises: ConfigError: it cannot be read.
    """
    try:
        # some names in published lists are not UTF-8; they only have to match
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise unreadable(file, error) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def table_rows(file: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file that has at least these columns.

    Raises: ConfigError: it cannot be read, or a column is missing.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, restval="")
            here = [name.strip() for name in reader.fieldnames or []]
            if missing := sorted(set(columns) - set(here)):
                raise ConfigError(f"{file}: has the columns {', '.join(here)}; expected also {', '.join(missing)}")
            return [{(name or "").strip(): str(value).strip() for name, value in row.items()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{file}: {error}; expected the list as it is published")
