"""Embeddings of each modality after attention to the others, for models that were trained with a fusion head."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from engines.backends.table import check_engine
from engines.building.building import begins_at_once, runtime_of
from engines.engine import Engine
from engines.models.checkpoint import read_model
from engines.models.fusion import (
    exchange_tower,
    exchanges,
    fused_modalities,
    improve_exchange,
    open_exchange,
    settings_for,
)
from engines.models.model import ModelSpec
from engines.networks.fusion_shape import IMAGE, MAX_TOKENS
from pipeline.arrays import Array, Spec
from pipeline.clip import MODALITIES, Absent, Clip
from pipeline.stage import Outputs, Resources, Stage
from stages.pictures import evenly
from stages.words.reliability import signal_weight


class Fuse(Stage):
    """Gives `fused_image`, `fused_motion`, `fused_audio`: float32 "D" each, of unit length, in their tower's space.

    Each is the modality's own embedding plus the change that the head computes. It is the own embedding to the bit if
    the modality that it attends to is missing, silent or black. Without a picture nothing is fused. Clips with equal
    token counts run through an engine together.
    """

    optional = (*(f"{name}_{part}" for name in MODALITIES for part in ("tokens", "embedding")), "signals")

    @property
    def preload(self) -> tuple[str, ...]:
        towers = [exchange_tower(self.model, other) for other in self._others]
        return tuple(runtime_of(each.network, each.directory, settings_for(each, self.run)) for each in towers)

    @cached_property
    def model(self) -> ModelSpec:
        return read_model(self.run.model, self.run.audio_model)

    @cached_property
    def _fused(self) -> tuple[str, ...]:
        """The modalities for which the head computes an embedding."""
        return fused_modalities(self.model)

    @cached_property
    def _others(self) -> tuple[str, ...]:
        """The modalities that are fused with the picture in this run."""
        asked = self.run.modalities
        return tuple(name for name in exchanges(self.model) if name in asked) if IMAGE in asked else ()

    def gives(self) -> dict[str, Spec]:
        return {f"fused_{name}": Spec("float32", "D", in_message=True) for name in MODALITIES}

    def check(self) -> None:
        check_engine(self.run)

    @property
    def opens_early(self) -> bool:
        return begins_at_once(self.run)

    def prepare(self, report: Callable[[str], None]) -> None:
        if not begins_at_once(self.run):
            self.improve(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        improved = [improve_exchange(self.model, other, self.run, report) for other in self._others]
        return any(improved)

    def open(self, resources: Resources) -> None:
        self._engines: dict[str, Engine] = {
            other: resources.get(
                ("fusion", self.model.directory, other), partial(open_exchange, self.model, other, self.run)
            )
            for other in self._others
        }

    def process(self, clip: Clip) -> Outputs:
        return self.process_many([clip])[0]

    def process_many(self, clips: Sequence[Clip]) -> list[Outputs]:
        tokens = [self._tokens(clip) for clip in clips]
        changes: list[dict[str, list[Array]]] = [{name: [] for name in each} for each in tokens]
        for other, engine in self._engines.items():
            for together in _by_token_counts(tokens, other):
                names = (IMAGE, other)
                results = engine.run({name: np.stack([tokens[clip][name] for clip in together]) for name in names})
                for name, attended in (names, names[::-1]):
                    for clip, change in zip(together, results[f"{name}_change"], strict=True):
                        changes[clip][name].append(self._trust(attended, clips[clip]) * change)
        return [self._outputs(*each) for each in zip(clips, tokens, changes, strict=True)]

    def _tokens(self, clip: Clip) -> dict[str, Array]:
        """Tokens "N D" of the modalities that are fused in this clip; empty without a picture.

        If there are more tokens than the head has positions for, evenly spaced ones are used.
        """
        given = {name: clip.get(f"{name}_tokens") for name in self._fused}
        if given.get(IMAGE) is None:
            return {}
        return {name: each[evenly(MAX_TOKENS, len(each))] for name, each in given.items() if each is not None}

    def _trust(self, attended: str, clip: Clip) -> float:
        """In [0, 1]: how far to trust the signal of the attended modality; 0 for silence or a black picture."""
        tower = self.model.towers()[attended]
        return signal_weight(attended, clip.get("signals") or {}, tower.knows_stillness)

    def _outputs(self, clip: Clip, tokens: dict[str, Array], changes: dict[str, list[Array]]) -> Outputs:
        return {
            f"fused_{name}": changed(clip[f"{name}_embedding"], changes[name])
            if name in tokens
            else self._why_not(name, clip)
            for name in MODALITIES
        }

    def _why_not(self, name: str, clip: Clip) -> Absent:
        if name not in self._fused:
            return Absent("no_tower")
        missing = f"{name}_tokens" if f"{name}_tokens" in clip.absent else f"{IMAGE}_tokens"
        reason: Any = clip.absent.get(missing, "failed")
        return Absent(reason)

    def describe(self) -> dict[str, str]:
        if not self._fused:
            return {}
        others = [f"{other} by {engine.name}" for other, engine in self._engines.items()]
        return {"fusion": f"picture with {' and '.join(others)}" if others else "changes nothing"}


def _by_token_counts(tokens: Sequence[dict[str, Array]], other: str) -> Iterable[list[int]]:
    """Positions of the clips that have picture and `other`, grouped by the token counts of both."""
    groups: dict[Any, list[int]] = {}
    for clip, each in enumerate(tokens):
        if other in each:
            groups.setdefault((len(each[IMAGE]), len(each[other])), []).append(clip)
    return groups.values()


def changed(embedding: Array, changes: Sequence[Array]) -> Array:
    """The unit embedding "D" plus all changes, normalised to unit length; the same to the bit if all changes are 0."""
    total = np.sum(changes, axis=0, dtype=np.float64)
    if not total.any():
        return embedding
    moved = embedding + total
    result: Array = (moved / max(float(np.linalg.norm(moved)), 1e-12)).astype(np.float32)
    return result
