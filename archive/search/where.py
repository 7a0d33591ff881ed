"""`--where`: a condition on clips in SQL, evaluated by DuckDB without access to anything else."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow

from archive.search.catalog import Segment
from archive.search.condition import fault_of, nodes
from archive.search.readings import lines_of
from archive.search.rows import Rows
from archive.shard import ShardError, read_table
from archive.store import Store
from pipeline.arrays import Array
from pipeline.errors import ConfigError

COLUMNS: Mapping[str, Any] = {
    "source": pyarrow.string(),
    "name": pyarrow.string(),
    "start_s": pyarrow.float64(),
    "end_s": pyarrow.float64(),
    "duration": pyarrow.float64(),
    "recorded": pyarrow.string(),
    "device": pyarrow.string(),
    "timecode": pyarrow.string(),
    "labels": pyarrow.list_(pyarrow.string()),
    "text": pyarrow.string(),
}
"""What a condition may name. `duration`: of the source up to the end of its last clip, in seconds. `labels`: names of a
clip's labels that are at least as probable as `LEAST_PROBABILITY`, best first. `text`: the lines that were read in its
pictures, one below the other; null if nothing was read."""
LEAST_PROBABILITY = 0.5
"""A clip has its best labels whatever their probability: of few words, all."""
ROW = "percept row"
TOGETHER_ROWS = 100_000
LONGEST_S = 60.0
LONGEST_TEXT = 10_000
SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "1GB",
    "temp_directory": "",
    "threads": "2",
}
_PLAIN = ("type", "from_table", "select_list", "cte_map", "aggregate_handling")


class Where:
    """A condition, checked.

    Raises: ConfigError: it is no condition, or DuckDB is missing.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._connection = _connect()
        names = _names(self._tree())
        self._wants = [name for name in _KEPT if name in names]
        self._condition = f"\n{text}\n"
        self._check()

    def close(self) -> None:
        self._connection.close()

    def rows(self, rows: Rows, store: Store) -> Array:
        """Whether each row fits: bool "N". Rows of files that are gone do not."""
        fits = np.zeros(len(rows), bool)
        kept = {name: lru_cache(maxsize=1)(partial(_KEPT[name], store)) for name in self._wants}
        for part in _parts(rows):
            table = pyarrow.concat_tables(_table(rows, each, kept) for each in part)
            fits[self._fits(table)] = True
        return fits

    def _fits(self, table: Any) -> Array:
        """The numbers of the rows that fit."""
        self._connection.register("clips", table)
        numbers: Array = self._ask(f'SELECT "{ROW}" FROM clips WHERE ({self._condition})')[0].to_numpy()
        return numbers

    def _check(self) -> None:
        empty = {name: pyarrow.array([], of) for name, of in {ROW: pyarrow.int64(), **COLUMNS}.items()}
        table = pyarrow.table(empty)
        self._fits(table)
        kind = self._ask(f"SELECT ({self._condition}) FROM clips").schema.field(0).type
        if kind != pyarrow.bool_():
            raise self._wrong(f'gives {kind}, not true or false; expected a condition such as "duration > 60"')

    def _ask(self, statement: str) -> Any:
        return self._run(lambda: self._connection.sql(statement).to_arrow_table())

    def _tree(self) -> dict[str, Any]:
        """The parsed condition. Anything but one expression over the columns is refused."""
        if len(self._text) > LONGEST_TEXT:
            raise ConfigError(f"--where: has {len(self._text):,} characters; expected at most {LONGEST_TEXT:,}")
        parsed = self._parsed(f"SELECT (\n{self._text}\n)")
        (node,) = (each["node"] for each in parsed["statements"])
        others = [value for key, value in node.items() if key not in _PLAIN]
        if node["type"] != "SELECT_NODE" or node["from_table"]["type"] != "EMPTY" or any(others):
            raise self._wrong("is more than a condition")
        if len(node["select_list"]) != 1:
            raise self._wrong("is more than a condition")
        tree: dict[str, Any] = node["select_list"][0]
        if fault := fault_of(tree):
            raise self._wrong(fault)
        self._parsed(f"SELECT\n{self._text}\n")  # without ours, its own brackets must be in pairs
        return tree

    def _parsed(self, statement: str) -> dict[str, Any]:
        row = self._run(lambda: self._connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall())
        parsed: dict[str, Any] = json.loads(row[0][0])
        if parsed["error"]:
            raise self._wrong(f"cannot be understood ({parsed.get('error_message', 'no SQL')})")
        return parsed

    def _run(self, step: Callable[[], Any]) -> Any:
        import duckdb

        timer = threading.Timer(LONGEST_S, self._connection.interrupt)
        timer.start()
        try:
            return step()
        except duckdb.InterruptException:
            raise self._wrong(f"took more than {LONGEST_S:g} s") from None
        except duckdb.Error as error:
            said = str(error).split("\n\nLINE")[0].split("\nCandidate bindings")[0].replace("\n", " ")
            raise self._wrong(said.partition(": ")[2] or said) from None
        finally:
            timer.cancel()

    def _wrong(self, what: str) -> ConfigError:
        about_labels = ". Labels are a list of names, so a word is asked for like this: 'dog' in labels"
        hint = about_labels if "labels" in self._text.lower() else ""
        return ConfigError(f"--where {self._text!r}: {what.rstrip('.?!')}{hint}. Columns: {', '.join(COLUMNS)}")


def _connect() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ConfigError(
            "--where needs DuckDB, which is not installed. Run: pip install 'percept-av[archive]'"
        ) from None
    connection = duckdb.connect(":memory:", config=dict(SETTINGS))
    connection.execute("SET lock_configuration=true")
    return connection


def _names(tree: Any) -> set[str]:
    return {str(name).lower() for node in nodes(tree) for name in node.get("column_names") or ()}


def _parts(rows: Rows) -> Iterator[list[Segment]]:
    """The living segments, some rows together."""
    part, count = list[Segment](), 0
    for segment in rows.catalog.segments:
        if segment.dead or not segment.rows:
            continue
        part.append(segment)
        count += segment.rows
        if count >= TOGETHER_ROWS:
            yield part
            part, count = [], 0
    if part:
        yield part


def _table(rows: Rows, segment: Segment, kept: Mapping[str, Callable[[str], Any]]) -> Any:
    """kept: what reads a column of a file, for those that are asked for and not in the search cache."""
    start_s, end_s = (rows.column(name)[segment.first : segment.stop] for name in ("start_s", "end_s"))
    texts = {name: getattr(segment, name) for name in ("source", "name", "recorded", "device", "timecode")}
    columns: dict[str, Any] = {name: pyarrow.repeat(text, segment.rows) for name, text in texts.items()}
    columns |= {
        ROW: np.arange(segment.first, segment.stop),
        "start_s": start_s,
        "end_s": end_s,
        "duration": np.full(segment.rows, end_s.max(initial=0.0)),
    }
    for name in _KEPT:
        columns[name] = _own(name, kept[name], segment) if name in kept else pyarrow.nulls(segment.rows, COLUMNS[name])
    return pyarrow.table(columns)


def _own(name: str, column: Callable[[str], Any], segment: Segment) -> Any:
    """A column of a segment's clips; nulls if its file has just changed."""
    found = column(segment.file)[segment.in_file : segment.in_file + segment.rows]
    return found if len(found) == segment.rows else pyarrow.nulls(segment.rows, COLUMNS[name])


def _labels(store: Store, file: str) -> Any:
    """The labels of all clips of a file, without the improbable ones."""
    try:
        with store.open(file) as opened:
            column = read_table(opened, ["labels"])["labels"].to_pylist()
    except (OSError, ShardError):
        column = []
    names = [
        [label["label"] for label in labels or () if label["probability"] >= LEAST_PROBABILITY] for labels in column
    ]
    return pyarrow.array(names, COLUMNS["labels"])


def _text(store: Store, file: str) -> Any:
    """What was read in all clips of a file."""
    lines = ("\n".join(line.text for line in each) if each else None for each in lines_of(store, file))
    return pyarrow.array(lines, COLUMNS["text"])


_KEPT: Mapping[str, Callable[[Store, str], Any]] = {"labels": _labels, "text": _text}
"""Columns that are read from the files of the archive, if a condition names them."""
