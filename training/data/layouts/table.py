"""A CSV of clips with the columns file and label, and optionally start_s, end_s, group and split."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import ConfigError
from training.data.example import Example
from training.data.layouts.layout import Listed, Listing
from training.data.media import group_of

SEPARATORS = {".csv": ",", ".tsv": "\t"}
OPTIONAL = {"label": "start_s, end_s, group and split", "caption": "start_s, end_s and group"}


def recognise(path: Path) -> str:
    return "a table of clips" if path.is_file() and path.suffix.lower() in SEPARATORS else ""


def read(path: Path) -> Listing:
    listed, problems = [], []
    for number, row in rows(path, "label"):
        try:
            listed.append(_entry(path.parent, row))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    refuse(path, problems)
    splits = {split for item in listed for split in item.splits}
    return Listing(listed, evaluated="test" if "test" in splits else "")


def rows(path: Path, said: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields of each row. said: "label" or "caption", the column that there must be beside file.

    Raises: ConfigError: it cannot be read, or one of both columns is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=SEPARATORS.get(path.suffix.lower(), ","), restval="")
            columns = [name.strip() for name in reader.fieldnames or []]
            if not {"file", said} <= set(columns):
                raise ConfigError(
                    f"{path}: has the columns {', '.join(columns) or 'none'}; expected file and {said}, and optionally "
                    f"{OPTIONAL[said]}{_other(columns, said)}"
                )
            for row in reader:
                yield reader.line_num, {(key or "").strip(): str(value).strip() for key, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: {error}; expected a CSV in UTF-8 with the columns file and {said}") from error


def _other(columns: Sequence[str], said: str) -> str:
    if said == "label" and "caption" in columns:
        return ". To learn from captions, use percept train --captions"
    return ". To learn from labels, leave out --captions" if said == "caption" and "label" in columns else ""


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Raises: ConfigError: there are problems."""
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise ConfigError(f"{path}: " + "; ".join(problems[:5]) + more)


def _entry(folder: Path, row: dict[str, str]) -> Listed:
    if not row["file"] or not row["label"]:
        raise ValueError("file or label is empty")
    start_s, end_s = stretch_s(row)
    group = row.get("group") or group_of(row["file"])
    example = Example(str(folder / row["file"]), " ".join(row["label"].split()), start_s, end_s, group)
    return Listed(example, (row["split"],) if row.get("split") else ())


def stretch_s(row: dict[str, str]) -> tuple[float, float | None]:
    """Start and end of a row's time range; an end of None is the end of the file. Raises: ValueError: no such range."""
    start_s, end_s = _seconds(row, "start_s") or 0.0, _seconds(row, "end_s")
    if end_s is not None and end_s <= start_s:
        raise ValueError(f"end_s {end_s:g} must be after start_s {start_s:g}")
    return start_s, end_s


def _seconds(row: dict[str, str], name: str) -> float | None:
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; expected seconds") from None
    if not 0 <= value < 1e9:
        raise ValueError(f"{name} is {text}; expected seconds, at least 0")
    return value
