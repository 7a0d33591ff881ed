"""The words a run is asked about: parsed, and turned into vectors once for all workers of the run."""

import json
import os
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.model import ModelSpec, TowerSpec
from pipeline.arrays import Array
from pipeline.errors import ConfigError
from pipeline.stage import RunSettings
from stages import open_set, scoring
from stages.adapted import adapted
from stages.head_share import head_shares
from stages.hierarchy import Hierarchy
from stages.open_set import OpenSetScore
from stages.text_cache import OpenTower, TextCache, open_text_tower

BUNDLED_MODEL = Path(__file__).resolve().parent.parent / "engines" / "bundled" / "percept-mini"
LABELS_FILE = "labels.npz"
"""Name of the label set in the run's directory."""
LONGEST_LABEL = 500
"""Characters; text towers read some 60 tokens and would cut the rest silently."""
ONE_TEMPLATE_ABOVE = 1000
"""With more labels than this, only the first prompt template is used."""

Report = Callable[[str], None]


def parse_labels(text: str) -> tuple[str, ...]:
    """The labels in "dog barking, rain" or in the file of "@words.txt": in the given order, each once.

    A file holds one label a line in UTF-8; blank lines and lines that begin with # are skipped.

    Raises:
        ConfigError: no label at all, a label that is too long, or a file that cannot be read.
    """
    if not text.startswith("@"):
        return clean_labels(text.split(","), "--labels")
    path, where = Path(text[1:]).expanduser(), f"--labels {text}"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{where}: {reason}; expected a text file with one label per line.") from None
    return clean_labels((line for line in lines if not line.lstrip().startswith("#")), where)


def clean_labels(labels: Iterable[str], where: str = "labels") -> tuple[str, ...]:
    """Without surrounding or doubled spaces, without empty ones, each once, in the given order.

    Raises:
        ConfigError: nothing is left, or labels are too long or hold control characters; `where` begins the message.
    """
    kept: dict[str, None] = {}
    wrong: list[str] = []
    for label in labels:
        label = unicodedata.normalize("NFC", " ".join(label.split()))
        if len(label) > LONGEST_LABEL:
            wrong.append(f"{label[:40]!r}... has {len(label):,} characters; expected at most {LONGEST_LABEL}")
        elif any(unicodedata.category(character) in ("Cc", "Cs") for character in label):
            wrong.append(f"{label[:40]!r} holds control characters; expected plain text")
        elif label:
            kept[label] = None
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise ConfigError(f"{where}: " + "; ".join(wrong[:5]) + more + ". Use short phrases such as 'dog barking'.")
    if not kept:
        raise ConfigError(f"{where}: no label found; expected at least one, such as --labels 'dog barking, rain'.")
    return tuple(kept)


def default_labels() -> tuple[str, ...]:
    """The bundled vocabulary of everyday things, actions and sounds: what is asked when nobody gives labels."""
    return parse_labels(f"@{BUNDLED_MODEL / 'vocabulary.txt'}")


def background_words(spec: ModelSpec) -> tuple[str, ...]:
    """The model's fixed background vocabulary, or the bundled one where the model brings none.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    path = Path(spec.directory) / spec.background if spec.background else BUNDLED_MODEL / "background.txt"
    return parse_labels(f"@{path}")


def fill(prompts: Iterable[str], words: Iterable[str]) -> list[str]:
    """Every prompt template with every word in place of {}: all words of the first template, then of the next."""
    words = list(words)
    return [prompt.replace("{}", word) for prompt in prompts for word in words]


@dataclass(frozen=True)
class LabelSide:
    """The labels as one tower hears or sees them.

    labels: float32 "C D" and background: float32 "V D" are unit length, the tower's centre taken off.
    kept: float32 "C V", how far each background word competes with each label (see `scoring.competing`).
    """

    labels: Array
    background: Array
    kept: Array
    temperature: float
    bias: float

    def compare(self, embeddings: Array) -> tuple[Array, Array, Array]:
        """Unit "N D" -> cosine with labels "N C", cosine with the background "N V", log-odds of labels "N C"."""
        vectors = np.asarray(embeddings, np.float64)
        similarity, background = vectors @ self.labels.T, vectors @ self.background.T
        odds = scoring.log_odds(similarity, background, self.kept, self.temperature, self.bias)
        return similarity, background, odds


@dataclass(frozen=True)
class LabelSet:
    """The labels of a run with a `LabelSide` for every modality that can be asked about them."""

    labels: tuple[str, ...]
    sides: dict[str, LabelSide]
    background: tuple[str, ...] = ()
    head_share: Array | None = None
    """Of a fusion head in each label's score, "C"; None where the model has none."""
    hierarchy: Hierarchy | None = None
    open_set: OpenSetScore | None = None

    def save(self, path: Path) -> None:
        """Write one npz file, complete or not at all."""
        open_set = self.open_set.to_json() if self.open_set else ""
        text = {"labels": self.labels, "background": self.background, "open_set": open_set}
        arrays: dict[str, Any] = {"text": _packed(text)}
        if self.head_share is not None:
            arrays["head_share"] = self.head_share
        for name, side in self.sides.items():
            arrays |= {f"{name}.labels": side.labels, f"{name}.background": side.background, f"{name}.kept": side.kept}
            arrays[f"{name}.scale"] = np.array([side.temperature, side.bias], np.float64)
        half = path.with_name(f"{path.name}.{os.getpid()}.part")
        with half.open("wb") as file:
            np.savez(file, **arrays)
        half.replace(path)

    @classmethod
    def load(cls, path: Path) -> "LabelSet":
        """Raises:
        FileNotFoundError: `prepare` of the classify stage has not run for this directory.
        """
        with np.load(path, allow_pickle=False) as file:
            text = json.loads(file["text"].tobytes())
            names = [name.removesuffix(".scale") for name in file.files if name.endswith(".scale")]
            sides = {name: _side(file, name) for name in names}
            share = file["head_share"] if "head_share" in file.files else None
        fitted = OpenSetScore.from_json(text["open_set"]) if text["open_set"] else None
        return cls(tuple(text["labels"]), sides, tuple(text["background"]), share, open_set=fitted)


def _packed(record: object) -> Array:
    return np.frombuffer(json.dumps(record).encode(), np.uint8)


def _side(file: "np.lib.npyio.NpzFile", name: str) -> LabelSide:
    temperature, bias = file[f"{name}.scale"].tolist()
    # float64 once here is faster than a conversion in every clip
    labels, background = (file[f"{name}.{part}"].astype(np.float64) for part in ("labels", "background"))
    return LabelSide(labels, background, file[f"{name}.kept"].astype(np.float64), temperature, bias)


def build_label_set(
    spec: ModelSpec, labels: tuple[str, ...], run: RunSettings, report: Report, open_tower: OpenTower = open_text_tower
) -> LabelSet:
    """Vectors of the labels and of the background vocabulary for every tower of the model that the run asks for.

    Text vectors come from the disk cache; missing ones are computed with the model's text tower and kept.
    """
    words = background_words(spec)
    towers = {name: tower for name, tower in spec.towers().items() if name in run.modalities}
    return LabelSet(
        labels,
        {name: _build(spec, name, labels, words, run, report, open_tower) for name in towers},
        words,
        head_shares(spec.fusion, labels),
        open_set=open_set.load(spec),
    )


def _build(
    spec: ModelSpec,
    modality: str,
    labels: tuple[str, ...],
    words: tuple[str, ...],
    run: RunSettings,
    report: Report,
    open_tower: OpenTower,
) -> LabelSide:
    tower = spec.towers()[modality]
    cache = TextCache(spec, tower.space, run, open_tower)
    prompts = tower.prompts[:1] if len(labels) > ONE_TEMPLATE_ABOVE else tower.prompts
    center = _center(spec, tower)
    label_vectors = averaged(cache.vectors(fill(prompts, labels), report), len(prompts), center)
    background = averaged(cache.vectors(fill(tower.prompts, words), report), len(tower.prompts), center)
    kept = scoring.competing(label_vectors, background)
    label_vectors = adapted(spec, modality, labels, label_vectors)
    return LabelSide(label_vectors, background, kept, tower.temperature, tower.bias)


def _center(spec: ModelSpec, tower: TowerSpec) -> Array | None:
    if not tower.center:
        return None
    from engines.checkpoint import center_of

    return center_of(spec, tower)


def averaged(vectors: Array, templates: int, center: Array | None) -> NDArray[np.float32]:
    """Mean over the templates, the centre taken off, unit length: "P*C D" -> "C D"."""
    mean = vectors.reshape(templates, -1, vectors.shape[1]).astype(np.float64).mean(axis=0)
    if center is not None:
        mean = mean - center
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    result: NDArray[np.float32] = (mean / np.maximum(length, 1e-12)).astype(np.float32)
    return result
