"""Scores the labels of cameras, of which each has its own, and which may change while clips come in."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.clip import Clip
from pipeline.errors import ConfigError
from pipeline.stage import Outputs, Resources, StageOptions
from stages.classify import EMBEDDING_OF, FUSED_OF, Classify, rows, score_all
from stages.text.phrases import split_labels
from stages.words.labels import LabelSet, build_label_set
from stages.words.versions import LabelVersions
from stages.words.word import parse_labels

KEPT_VERSIONS = 4
"""Versions of a camera's labels that clips under way may ask for."""


class WatchOptions(StageOptions, frozen=True, kw_only=True):
    labels: tuple[tuple[str, ...], ...] = ()
    """Labels of each camera, by its number, at the start."""
    find: tuple[tuple[str, ...], ...] = ()
    """What is to be found at each camera, likewise; empty: nothing at any of them."""


class ClassifyWatch(Classify):
    """Like `Classify`, with the labels of the clip's camera in the version that the clip asks for. Words to find, by
    which tracks are named, are part of a version.

    Every version is a file in the run's directory, which `ask` writes before any clip asks for it.
    """

    Options = WatchOptions
    options: WatchOptions

    def prepare(self, report: Callable[[str], None]) -> None:
        super().prepare(report)  # all labels together, by which tracks are named
        for camera, labels in enumerate(self.options.labels):
            self._write(camera, 1, labels, self.options.find[camera] if self.options.find else (), report)

    def open(self, resources: Resources) -> None:
        self._versions = LabelVersions(Path(self.run.directory))

    def describe(self) -> dict[str, str]:
        return {"labels": f"of {len(self.options.labels)} cameras"}

    def process(self, clip: Clip) -> Outputs:
        self.label_set = self._versions.get(clip.info.source_index, clip.info.labels_version)
        return self.answer(self.label_set, clip)

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """{"labels", "find", "camera", "version"}: write another version. {"labels", "clips"}: score clips by their
        arrays.
        """
        labels = tuple(parse_labels(tuple(question["labels"])))
        if not labels:
            raise ConfigError("labels: expected at least one")
        if "clips" in question:
            return {"clips": self._preview(labels, question["clips"])}
        find = tuple(parse_labels(tuple(question["find"]))) if question.get("find") else ()
        self._write(question["camera"], question["version"], labels, find, lambda text: None)
        return {}

    def _preview(self, labels: Sequence[str], clips: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        self.label_set = self._built(labels, (), lambda text: None)
        scored: list[list[dict[str, Any]]] = []
        for arrays in clips:
            present = {name: _vector(arrays[key]) for name, key in EMBEDDING_OF.items() if self._has(name, key, arrays)}
            fused = {name: _vector(arrays[key]) for name, key in FUSED_OF.items() if self._has(name, key, arrays)}
            if not present:
                scored.append([])
                continue
            scores = score_all(self.label_set, present, arrays.get("signals") or {}, fused)
            scored.append(rows(self.label_set, scores, len(labels)))
        return scored

    def _has(self, name: str, key: str, arrays: Mapping[str, Any]) -> bool:
        return name in self.label_set.sides and key in arrays

    def _write(
        self, camera: int, version: int, labels: Sequence[str], find: Sequence[str], report: Callable[[str], None]
    ) -> None:
        """Write a label set under the name that workers read, whole or not at all."""
        key = sha256("\n".join([*labels, "", *find]).encode()).hexdigest()[:16]
        path = Path(self.run.directory) / f"labels-of-all-{key}.safetensors"
        if not path.exists():
            self._built(labels, find, report).save(path)
        versions = LabelVersions(Path(self.run.directory))
        link = versions.path(camera, version)
        link.unlink(missing_ok=True)
        link.hardlink_to(path)
        versions.path(camera, version - KEPT_VERSIONS).unlink(missing_ok=True)
        for other in Path(self.run.directory).glob("labels-of-all-*.safetensors"):
            if other.stat().st_nlink == 1:  # no camera has these labels any more
                other.unlink()

    def _built(self, labels: Sequence[str], find: Sequence[str], report: Callable[[str], None]) -> LabelSet:
        from engines.models.checkpoint import read_model

        if phrases := split_labels(labels)[1]:
            raise ConfigError(f"labels: {', '.join(phrases)} is read in the pictures, which a watch does not do yet")
        run = msgspec.structs.replace(self.run, find=tuple(find))
        return build_label_set(read_model(run.model, run.audio_model), tuple(labels), run, report)


def _vector(packed: Any) -> Array:
    shape, content = packed
    vector: Array = np.frombuffer(content, np.float32).reshape(shape)
    return vector
