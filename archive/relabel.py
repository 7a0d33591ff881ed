"""Scores the clips of an archive against other words, from what it holds. No video is opened.

A file is read, scored and written anew in pieces of `GROUP_ROWS` clips, under a temporary name, and then takes the
place of the old one. Everything but `labels`, `category` and `open_set` stays as it was: vectors, and the names of
tracks too, which were found by looking at the tracks themselves. Files say which words they were scored against, so an
interrupted run goes on where it was.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet

from archive.labels import words_hash
from archive.names import SUFFIX
from archive.relabel_columns import ColumnMaker
from archive.relabel_scores import BulkScorer, Embeddings
from archive.schema import Facts
from archive.shard import ShardError, facts_of, is_damage, metadata_of, names_of_vectors, pieces_of, vectors_in, writer
from pipeline.clip import MODALITIES
from pipeline.errors import ConfigError, ModelError, OutputError
from pipeline.sinks.file import output_error
from stages.words.labels import LabelSet

OWN = ".percept"
"""The folder of an archive that holds no results."""
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
    """Files, relative to the archive."""
    clips: int = 0
    done: int = 0
    """Files that have these words already."""
    damaged: list[str] = field(default_factory=list)
    """Sentences about files that cannot be read."""
    has_head: bool = False
    """Whether any file has embeddings from the fusion head."""


def files_in(folder: Path) -> Iterator[str]:
    """The files of an archive, relative to its folder, in order of name."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIX) and not name.startswith("."):
                yield os.path.relpath(os.path.join(here, name), folder)


def plan(folder: Path, output: Path, asked: Asked) -> Plan:
    """Look at the facts of all files, so that nothing is begun that cannot be finished.

    Raises: ConfigError: it is no archive, or cannot be copied there. ModelError: it was made by another model.
    """
    _check_folders(folder, output)
    found, count = Plan(), 0
    for name in files_in(folder):
        count += 1
        try:
            facts = facts_of(str(folder / name), name)
        except (ShardError, OSError) as error:
            found.damaged.append(str(error))
            continue
        asked.check(name, facts)
        found.has_head |= any(modality.startswith("fused_") for modality in facts.dims)
        if asked.is_done(facts) if folder == output else _is_copied(output / name, asked.facts(facts)):
            found.done += 1
        else:
            found.names.append(name)
            found.clips += facts.clips
    if not count:
        raise ConfigError(f"{folder}: has no file of an archive. Make one: percept label videos/ -o {folder}")
    return found


def relabel(folder: Path, output: Path, todo: Sequence[str], asked: Asked, report: Progress) -> list[str]:
    """Relabel these files. Returns sentences about those that could not be, and stay as they were.

    Raises: OutputError: nothing can be written there.
    """
    failed: list[str] = []
    clips = 0
    with _alone(output):
        for number, name in enumerate(todo, 1):
            try:
                clips += _relabel_file(folder / name, output / name, name, asked)
            except ShardError as error:
                failed.append(str(error))
            report(number, len(todo), len(failed), {"clips": clips})
    return failed


def _relabel_file(path: Path, target: Path, name: str, asked: Asked) -> int:
    """Returns the number of clips. Raises: ShardError: it cannot be read, or was written meanwhile. OutputError."""
    half = target.with_name(f".{target.name}.part")
    try:
        before, facts = os.stat(path), facts_of(str(path), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        rescore(str(path), str(half), asked, facts)
        now = os.stat(path)
        if (now.st_mtime_ns, now.st_size, now.st_ino) != (before.st_mtime_ns, before.st_size, before.st_ino):
            raise ShardError(f"{name}: was written by somebody else meanwhile; run the same command again")
        half.replace(target)
    except (pyarrow.ArrowException, OSError) as error:
        if not isinstance(error, OSError) or is_damage(error):
            raise ShardError(f"{name}: cannot be read ({str(error).splitlines()[0]}); label its video again") from error
        if not path.exists():
            raise ShardError(f"{name}: is gone") from error
        raise output_error(str(target), error) from error
    finally:
        half.unlink(missing_ok=True)
    return facts.clips


def rescore(source: Any, sink: Any, asked: Asked, facts: Facts) -> None:
    """Write a file with new answers. source, sink: a path or a file object."""
    with pyarrow.parquet.ParquetFile(source) as file:
        schema = file.schema_arrow
        kept = [name for name in schema.names if name not in ANSWERS]
        schema = schema.with_metadata(dict(schema.metadata or {}) | metadata_of(asked.facts(facts)))
        with writer(sink, schema) as out:
            for rows in pieces_of(file, kept):
                answers = answered(rows, asked)
                columns = [answers[name] if name in answers else rows[name] for name in schema.names]
                out.write_table(pyarrow.table(columns, schema=schema))


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


def _answer_fields() -> dict[str, Any]:
    from pipeline.sinks.parquet import table_schema

    return {name: table_schema().field(name) for name in ANSWERS}


def _embeddings(rows: Any, name: str) -> Embeddings:
    column, log_sum = rows[f"{name}_vector"], rows[f"{name}_log_sum"].to_numpy()
    present = ~column.is_null().to_numpy() & np.isfinite(log_sum)
    return Embeddings(vectors_in(column), np.where(present, log_sum, 0.0), present)


def _check_folders(folder: Path, output: Path) -> None:
    """Raises: ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder; expected an archive, which percept label wrote with -o {folder}")
    if folder != output and (folder in output.parents or output in folder.parents):
        raise ConfigError(f"-o {output}: one archive would be inside the other, {folder}. Choose another folder.")


def _is_copied(path: Path, wanted: Facts) -> bool:
    try:
        return facts_of(str(path), str(path)) == wanted
    except (ShardError, OSError):
        return False


@contextlib.contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Keep other relabelling of this folder away, on this machine. Raises: ConfigError, OutputError."""
    path = output / OWN / "relabel.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise output_error(str(path), error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{output}: is being relabelled by another process; wait until it has ended") from None
        except OSError:  # a file system without locks
            pass
        yield
