"""Adapted models on disk. Each step is a file that names the one before it, so that it can be undone."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.models.model import ModelSpec
from engines.models.model_file import write_model
from pipeline.arrays import Array
from pipeline.errors import ConfigError, OutputError
from stages.words.adapted import DELTAS, read_adapted, save_adapted
from training.adapt.examples import Examples
from training.adapt.learn import Choice
from training.adapt.measure import Worth

STARTS = ".starts"


class Before(msgspec.Struct, frozen=True):
    """The model before a step."""

    adapted: str
    name: str
    version: int
    made_from: str


class Step(msgspec.Struct, frozen=True):
    """One adaptation of a model, as stored in its file."""

    labels: tuple[str, ...]
    date: str
    before: Before
    choices: dict[str, Choice]
    worth: Worth
    examples: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Known:
    """The state of an adapted model: its examples, and vectors that were trained elsewhere.

    starts: deltas "D" by modality and label, from `percept train`, at which learning starts. deltas: those in total.
    """

    examples: Examples
    starts: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    deltas: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)


def known(spec: ModelSpec) -> Known:
    """The state of a model. Raises: ModelError: its file cannot be read."""
    if not spec.adapted:
        return Known(Examples((), {}))
    about, tensors = read_adapted(Path(spec.directory) / spec.adapted)
    examples = Examples.read(about, tensors)
    own = set(examples.labels)
    starts, deltas = {}, {}
    for name in (name for name in tensors if name.endswith(DELTAS)):
        modality = name.removesuffix(DELTAS)
        deltas[modality] = _by_label(about["labels"], tensors[name])
        first = _by_label(about["labels"], tensors.get(f"{modality}{STARTS}", np.zeros_like(tensors[name])))
        elsewhere = {label: delta for label, delta in deltas[modality].items() if label not in own}
        starts[modality] = first | elsewhere
    return Known(examples, starts, deltas)


def _by_label(labels: Sequence[str], rows: Array) -> dict[str, Array]:
    return {label: row for label, row in zip(labels, rows, strict=True) if row.any()}


def write_step(
    spec: ModelSpec,
    directory: Path,
    deltas: Mapping[str, Mapping[str, Array]],
    at: Known,
    choices: Mapping[str, Choice],
    worth: Worth,
) -> ModelSpec:
    """Write a model with label vectors moved by `deltas` ("D" by modality and label), which were learnt from `at`.

    Raises:
        OutputError: it cannot be written.
    """
    labels = tuple(dict.fromkeys(label for of in deltas.values() for label in of))
    same = Path(spec.directory) == directory
    before = Before(spec.adapted, spec.name, spec.version, spec.made_from)
    name = f"adapted-{_number(spec.adapted) + 1}.safetensors"
    step = Step(labels, datetime.date.today().isoformat(), before, dict(choices), worth)
    about = msgspec.to_builtins(step) | {"examples": at.examples.about()}
    tensors = at.examples.tensors()
    tensors |= {f"{m}{STARTS}": _rows(of, labels, deltas[m]) for m, of in at.starts.items() if m in deltas}
    changed = msgspec.structs.replace(
        spec,
        adapted=name,
        name=spec.name if same else directory.name,
        version=spec.version + 1 if same else 1,
        made_from=f"{spec.id}, adapted",
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not same:
            copy_steps(spec, directory)
        save_adapted(directory / name, labels, {m: _rows(of, labels, of) for m, of in deltas.items()}, about, tensors)
        write_model(changed, directory)
    except OSError as error:
        raise OutputError(f"{directory}: cannot be written: {error.strerror or error}. Choose another -o.") from error
    return changed


def steps(spec: ModelSpec) -> list[Step]:
    """The steps, last one first; empty if the model was not adapted, or its vectors were trained elsewhere."""
    found: list[Step] = []
    name = spec.adapted
    while name and (about := read_adapted(Path(spec.directory) / name)[0]).get("before"):
        found.append(msgspec.convert(about, Step))
        name = found[-1].before.adapted
    return found


def undo(spec: ModelSpec) -> ModelSpec:
    """Restore the model directory to the state before the last step.

    Raises:
        ConfigError: there is no step to undo, or a file of the step before it is missing.
        OutputError: it cannot be written.
    """
    made = steps(spec)
    if not made:
        raise ConfigError(f"{spec.directory}: was not adapted; expected a model written by percept adapt")
    before = made[0].before
    if before.adapted and not (Path(spec.directory) / before.adapted).is_file():
        raise ConfigError(f"{spec.directory}: {before.adapted} is missing; undo the step in {spec.made_from}")
    restored = msgspec.structs.replace(
        spec, adapted=before.adapted, name=before.name, version=before.version, made_from=before.made_from
    )
    try:
        write_model(restored, Path(spec.directory))
        (Path(spec.directory) / spec.adapted).unlink()
    except OSError as error:
        raise OutputError(f"{spec.directory}: cannot be written: {error.strerror or error}") from error
    return restored


def copy_steps(spec: ModelSpec, directory: Path) -> None:
    """Copy the files of all steps."""
    import shutil

    for name in filter(None, [spec.adapted, *(step.before.adapted for step in steps(spec))]):
        shutil.copyfile(Path(spec.directory) / name, directory / name)


def _number(name: str) -> int:
    digits = Path(name).stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _rows(given: Mapping[str, Array], labels: tuple[str, ...], like: Mapping[str, Array]) -> Array:
    """ "C D" in the order of the labels; zeros for labels without a row."""
    size = len(next(iter(like.values())))
    rows: Array = np.stack([given.get(label, np.zeros(size)) for label in labels]).astype(np.float32)
    return rows
