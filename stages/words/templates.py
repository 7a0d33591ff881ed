"""Prompt templates: the sentences that a word is put into before a tower reads it, and their weights."""

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
"""The choices that are not files: the model's own templates, the pool, the pool with weights learnt during the run.
"zpe:FILE" learns weights for the templates of a file instead."""
ANY = ""
"""Means every modality."""


@dataclass(frozen=True)
class Templates:
    """Sentences with {} where the word goes; weights sum to 1."""

    texts: tuple[str, ...]
    weights: tuple[float, ...]

    @classmethod
    def equal(cls, texts: Iterable[str]) -> "Templates":
        """Every sentence has the same weight; duplicates count once."""
        kept = tuple(dict.fromkeys(texts))
        return cls(kept, (1.0 / len(kept),) * len(kept))

    @classmethod
    def weighted(cls, texts: Iterable[str], weights: Iterable[float]) -> "Templates":
        """Weights with any sum; sentences of weight 0 are left out."""
        counted = {text: weight for text, weight in zip(texts, weights, strict=True) if weight > 0}
        total = sum(counted.values())
        return cls(tuple(counted), tuple(weight / total for weight in counted.values()))


class WeightedTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    template: str
    weight: float
    score: float = 0.0
    """The weight comes from this: how decided the template's scores were, in logits."""


class TemplateFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file that `percept labels weigh` writes, and a run with --templates zpe next to its results."""

    model: str = ""
    clips: dict[str, int] = {}
    """Number of clips used, by modality."""
    templates: dict[str, list[WeightedTemplate]]
    """By modality, the highest weight first."""


def templates_of(choice: str, spec: ModelSpec, modality: str) -> Templates:
    """The templates that a run uses for one tower.

    Raises:
        ConfigError: `choice` is a file that cannot be used.
    """
    tower = spec.towers()[modality]
    if choice in (OWN_POOL, STREAM):
        return Templates.equal((*tower.prompts, *POOL[modality]))
    own = (
        Templates.weighted(tower.prompts, tower.prompt_weights)
        if tower.prompt_weights
        else Templates.equal(tower.prompts)
    )
    if choice == MODEL:
        return own
    read = read_templates(choice.removeprefix(f"{STREAM}:"))
    given = read.get(modality) or read.get(ANY) or own
    return Templates.equal(given.texts) if choice.startswith(f"{STREAM}:") else given


def read_templates(path: str) -> dict[str, Templates]:
    """The templates in a file, by modality: a file of `percept labels weigh`, or a text file for all modalities.

    Raises:
        ConfigError: the file cannot be read, or a template has no {}.
    """
    where = f"--templates {path}"
    expected = "model, pool, zpe, zpe:FILE, or a file with a template per line, such as 'a photo of {}'"
    lines = read_lines(Path(path), where, expected)
    if Path(path).suffix != ".json":
        texts = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return {ANY: Templates.equal(_checked(texts, where))}
    read = _decoded("\n".join(lines), where)
    for modality, rows in read.templates.items():
        _checked([row.template for row in rows], f"{where}: {modality}")
        if not all(0 <= row.weight < np.inf for row in rows) or not any(row.weight > 0 for row in rows):
            raise ConfigError(
                f"{where}: {modality}: weights must be 0 or more, and at least one above 0. Weigh them again."
            )
    return {
        modality: Templates.weighted([row.template for row in rows], [row.weight for row in rows])
        for modality, rows in read.templates.items()
    }


def _decoded(text: str, where: str) -> TemplateFile:
    try:
        return msgspec.json.decode(text, type=TemplateFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}; expected a file from `percept labels weigh`.") from None


def _checked(texts: list[str], where: str) -> list[str]:
    wrong = [text for text in texts if "{}" not in text]
    if wrong or not texts:
        what = f"{wrong[0][:60]!r} has no {{}}" if wrong else "has no template"
        raise ConfigError(f"{where}: {what}; expected {{}} where the word goes, such as 'a photo of {{}}'.")
    return texts


@dataclass(frozen=True)
class Found:
    """Weights and scores "P" of one tower's templates, and the number of clips that they were found from."""

    texts: tuple[str, ...]
    weights: Array
    scores: Array
    clips: int

    def rows(self) -> list[WeightedTemplate]:
        """The templates, the highest weight first."""
        each = zip(self.texts, self.weights.tolist(), self.scores.tolist(), strict=True)
        rows = [WeightedTemplate(text, round(weight, 6), round(score, 4)) for text, weight, score in each]
        return sorted(rows, key=lambda row: -row.weight)


def template_file(model: str, found: Mapping[str, Found]) -> bytes:
    """The JSON of a `TemplateFile`, from the weights by modality."""
    clips = {modality: one.clips for modality, one in found.items()}
    written = TemplateFile(model=model, clips=clips, templates={name: one.rows() for name, one in found.items()})
    return msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all."""
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    half.write_bytes(content)
    half.replace(path)
