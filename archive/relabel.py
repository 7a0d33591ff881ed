"""Scores the clips of an archive against other words, from what it holds. No video is opened.

A file is read, scored and written anew in batches of `GROUP_ROWS` clips, and then takes the place of the old one.
Everything but `labels`, `category`, `open_set` and the version of the rows stays as it was: vectors, and the names of
tracks too, which were found by looking at the tracks themselves. Files say which words they were scored against, so an
interrupted run goes on where it was.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet

from archive.labels import words_hash
from archive.pieces import footers
from archive.relabel_columns import ColumnMaker
from archive.relabel_scores import BulkScorer, Embeddings
from archive.run_claims import alone
from archive.schema import Facts
from archive.shard import ShardError, batches_of, facts_of, metadata_of, names_of_vectors, vectors_in, writer
from archive.store import Store, no_archive
from pipeline.clip import MODALITIES
from pipeline.errors import ModelError
from pipeline.result import SCHEMA_VERSION
from stages.words.labels import LabelSet

ANSWERS = ("labels", "category", "open_set")
"""The columns that depend on the words."""
Progress = Callable[[int, int, int, Mapping[str, float]], None]
"""Called with files done, files in all, files that failed, and facts such as clips."""


class Asked:
    """New words for an archive."""

    def __init__(self, label_set: LabelSet, labels: Sequence[str], model: str, top_k: int) -> None:
        """labels: as `parse_labels` gives them. model: name and version."""
        self.label_set, self.labels, self.model, self.top_k = label_set, tuple(labels), model, top_k
        self.words = words_hash(labels)
        self.scorer, self.maker = BulkScorer(label_set, top_k), ColumnMaker(label_set)

    def check(self, name: str, facts: Facts) -> None:
        """Raises: ModelError: the file's embeddings are those of another model."""
        if facts.model and facts.model != self.model:
            raise ModelError(
                f"{name}: was labelled by {facts.model}, and these words are those of {self.model}. Embeddings can "
                "only be compared with words of their own model: give it with --model, or label the videos again."
            )
        for modality, size in facts.dims.items():
            side = self.label_set.sides.get(modality.removeprefix("fused_"))
            if side is not None and side.labels.shape[1] != size:
                raise ModelError(
                    f"{name}: its {modality} embeddings have {size} values, but {self.model} has "
                    f"{side.labels.shape[1]}; label the videos again."
                )

    def is_done(self, facts: Facts) -> bool:
        return (facts.words, facts.top_k) == (self.words, self.top_k)

    def facts(self, before: Facts) -> Facts:
        return msgspec.structs.replace(before, labels=self.labels, words=self.words, top_k=self.top_k)


@dataclass
class Plan:
    """What there is to do."""

    names: list[str] = field(default_factory=list)
    """Of files in the archive."""
    clips: int = 0
    done: int = 0
    """Files that have these words already."""
    damaged: list[str] = field(default_factory=list)
    """Sentences about files that cannot be read."""
    has_head: bool = False
    """Whether any file has embeddings from the fusion head."""


def plan(store: Store, output: Store, asked: Asked) -> Plan:
    """Look at the facts of all files, so that nothing is begun that cannot be finished. output: may be the same.

    Raises: ConfigError: it is no archive. ModelError: it was made by another model. StoreError: it cannot be listed.
    """
    found, count = Plan(), 0
    for entry, facts in footers(store, sorted(store.list())):
        count += 1
        if not isinstance(facts, Facts):
            found.damaged.append(str(facts))
            continue
        asked.check(entry.name, facts)
        found.has_head |= any(modality.startswith("fused_") for modality in facts.dims)
        is_same = store.where == output.where
        if asked.is_done(facts) if is_same else _is_copied(output, entry.name, asked.facts(facts)):
            found.done += 1
        else:
            found.names.append(entry.name)
            found.clips += facts.clips
    if not count:
        raise no_archive(store)
    return found


def relabel(store: Store, output: Store, todo: Sequence[str], asked: Asked, report: Progress) -> list[str]:
    """Relabel these files. Returns sentences about those that could not be, and stay as they were.

    Raises: OutputError: nothing can be written there, or others write there at this moment.
    """
    failed: list[str] = []
    clips = 0
    with alone(output):
        for number, name in enumerate(todo, 1):
            try:
                clips += _relabel_file(store, output, name, asked)
            except ShardError as error:
                failed.append(str(error))
            report(number, len(todo), len(failed), {"clips": clips})
    return failed


def _relabel_file(store: Store, output: Store, name: str, asked: Asked) -> int:
    """Returns the number of clips. Raises: ShardError: it cannot be read, or was written meanwhile. StoreError."""
    with _reading(name):
        file = store.open(name)
    with file:
        with _reading(name):
            facts = facts_of(file, name)
            parquet = pyarrow.parquet.ParquetFile(file)
        schema = _with_answers(parquet.schema_arrow)
        schema = schema.with_metadata(dict(schema.metadata or {}) | metadata_of(asked.facts(facts)))
        with output.sink(name) as sink:
            with writer(sink, schema) as out:
                for rows in rescored(parquet, name, asked):
                    out.write_table(rows.replace_schema_metadata(schema.metadata))
            with _reading(name), store.open(name) as now:
                if facts_of(now, name) != facts:
                    raise ShardError(f"{name}: was written by somebody else meanwhile; run the same command again")
    return facts.clips


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    """Errors of reading a file say what to do; those of writing are the store's."""
    try:
        yield
    except FileNotFoundError as error:
        raise ShardError(f"{name}: is gone") from error
    except (pyarrow.ArrowException, OSError) as error:
        raise ShardError(f"{name}: cannot be read ({str(error).splitlines()[0]}); label its video again") from error


def rescored(file: Any, name: str, asked: Asked) -> Iterator[Any]:
    """The rows of an open `ParquetFile`, with new answers, in tables. Raises: ShardError."""
    schema = _with_answers(file.schema_arrow)
    with _reading(name):
        for rows in batches_of(file, [name for name in schema.names if name not in ANSWERS]):
            answers = answered(rows, asked)
            if "schema_version" in schema.names:
                answers["schema_version"] = pyarrow.repeat(SCHEMA_VERSION, len(rows))
            columns = [answers[name] if name in answers else rows[name] for name in schema.names]
            yield pyarrow.table(columns, schema=schema)


def answered(rows: Any, asked: Asked) -> dict[str, Any]:
    """The answers for rows of an archive, by column."""
    stored = {name: _embeddings(rows, name) for name in names_of_vectors(rows)}
    own = [name for name in MODALITIES if name in stored and name in asked.scorer.sides]
    if not own:
        return {name: pyarrow.nulls(len(rows), kind.type) for name, kind in _answer_fields().items()}
    weights = {name: rows[f"{name}_weight"].to_numpy() for name in own}
    chunks: dict[str, list[Any]] = {name: [] for name in ANSWERS}
    step = asked.scorer.block_rows
    for start in range(0, len(rows), step):
        here = slice(start, start + step)
        block = {name: Embeddings(of.vectors[here], of.log_sum[here], of.present[here]) for name, of in stored.items()}
        scores = asked.scorer.score(block, {name: weight[here] for name, weight in weights.items()})
        for name, column in asked.maker.columns(scores).items():
            chunks[name].append(column)
    kinds = _answer_fields()
    return {name: pyarrow.chunked_array(of, kinds[name].type) for name, of in chunks.items()}


def _with_answers(schema: Any) -> Any:
    """A schema whose answers have the fields of this version, also if an earlier one wrote the file."""
    kinds = _answer_fields()
    return pyarrow.schema([kinds.get(field.name, field) for field in schema], schema.metadata)


def _answer_fields() -> dict[str, Any]:
    from pipeline.sinks.parquet import table_schema

    return {name: table_schema().field(name) for name in ANSWERS}


def _embeddings(rows: Any, name: str) -> Embeddings:
    column, log_sum = rows[f"{name}_vector"], rows[f"{name}_log_sum"].to_numpy()
    present = ~column.is_null().to_numpy() & np.isfinite(log_sum)
    return Embeddings(vectors_in(column), np.where(present, log_sum, 0.0), present)


def _is_copied(output: Store, name: str, wanted: Facts) -> bool:
    try:
        with output.open(name) as file:
            return facts_of(file, name) == wanted
    except (ShardError, OSError):
        return False
