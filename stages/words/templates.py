"""Which sentences a word is put into before a tower reads it, and how much each of them counts."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from stages.words.template_pool import POOL
from stages.words.word import read_lines

MODEL, OWN_POOL, STREAM = "model", "pool", "zpe"
"""The choices that are no file: the model's own templates, the pool, the pool weighed while a run goes on. "zpe:FILE"
weighs those of a file in its place."""
ANY = ""
"""Stands for every modality."""


@dataclass(frozen=True)
class Templates:
    """Sentences with {} where the word goes; weights sum to 1."""

    texts: tuple[str, ...]
    weights: tuple[float, ...]

    @classmethod
    def alike(cls, texts: Iterable[str]) -> "Templates":
        """Every sentence counts the same; one that is given twice counts once."""
        kept = tuple(dict.fromkeys(texts))
        return cls(kept, (1.0 / len(kept),) * len(kept))

    @classmethod
    def weighed(cls, texts: Iterable[str], weights: Iterable[float]) -> "Templates":
        """Weights of any sum; what counts nothing is left out."""
        counted = {text: weight for text, weight in zip(texts, weights, strict=True) if weight > 0}
        total = sum(counted.values())
        return cls(tuple(counted), tuple(weight / total for weight in counted.values()))


class Weighed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    template: str
    weight: float
    score: float = 0.0
    """What the weight was made of: how decided the template's scores were, in logits."""


class TemplateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `percept labels weigh` writes, and a run with --templates zpe beside its results."""

    model: str = ""
    clips: dict[str, int] = {}
    """How many were weighed, by modality."""
    templates: dict[str, list[Weighed]]
    """By modality, the one that counts most first."""


def templates_of(choice: str, spec: ModelSpec, modality: str) -> Templates:
    """What a run puts its words into for one tower.

    Raises:
        ConfigError: `choice` is a file that cannot be used.
    """
    tower = spec.towers()[modality]
    if choice in (OWN_POOL, STREAM):
        return Templates.alike((*tower.prompts, *POOL[modality]))
    own = (
        Templates.weighed(tower.prompts, tower.prompt_weights)
        if tower.prompt_weights
        else Templates.alike(tower.prompts)
    )
    if choice == MODEL:
        return own
    read = read_templates(choice.removeprefix(f"{STREAM}:"))
    given = read.get(modality) or read.get(ANY) or own
    return Templates.alike(given.texts) if choice.startswith(f"{STREAM}:") else given


def read_templates(path: str) -> dict[str, Templates]:
    """The templates in a file, by modality: what `percept labels weigh` wrote, or a text file for all of them.

    Raises:
        ConfigError: it cannot be read, or a template has no {}.
    """
    where = f"--templates {path}"
    expected = "model, pool, zpe, zpe:FILE, or a file with a template per line, such as 'a photo of {}'"
    lines = read_lines(Path(path), where, expected)
    if Path(path).suffix != ".json":
        texts = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return {ANY: Templates.alike(_checked(texts, where))}
    read = _decoded("\n".join(lines), where)
    for modality, rows in read.templates.items():
        _checked([row.template for row in rows], f"{where}: {modality}")
        if not all(0 <= row.weight < np.inf for row in rows) or not any(row.weight > 0 for row in rows):
            raise ConfigError(
                f"{where}: {modality}: weights must be 0 or more, and one of them above. Weigh them again."
            )
    return {
        modality: Templates.weighed([row.template for row in rows], [row.weight for row in rows])
        for modality, rows in read.templates.items()
    }


def _decoded(text: str, where: str) -> TemplateFile:
    try:
        return msgspec.json.decode(text, type=TemplateFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}; expected what `percept labels weigh` writes.") from None


def _checked(texts: list[str], where: str) -> list[str]:
    wrong = [text for text in texts if "{}" not in text]
    if wrong or not texts:
        what = f"{wrong[0][:60]!r} has no {{}}" if wrong else "holds no template"
        raise ConfigError(f"{where}: {what}; expected {{}} where the word goes, such as 'a photo of {{}}'.")
    return texts


@dataclass(frozen=True)
class Found:
    """What was found out about one tower's templates: weights and scores "P", from so many clips."""

    texts: tuple[str, ...]
    weights: Array
    scores: Array
    clips: int

    def rows(self) -> list[Weighed]:
        """The templates, the one that counts most first."""
        each = zip(self.texts, self.weights.tolist(), self.scores.tolist(), strict=True)
        rows = [Weighed(text, round(weight, 6), round(score, 4)) for text, weight, score in each]
        return sorted(rows, key=lambda row: -row.weight)


def template_file(model: str, found: Mapping[str, Found]) -> bytes:
    """The JSON of a `TemplateFile`, from what was found out by modality."""
    clips = {modality: one.clips for modality, one in found.items()}
    written = TemplateFile(model=model, clips=clips, templates={name: one.rows() for name, one in found.items()})
    return msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    half.write_bytes(content)
    half.replace(path)
