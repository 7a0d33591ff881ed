"""Applies the model's fusion head to the features of an example."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from engines.models.model import ModelSpec
from pipeline.arrays import Array
from pipeline.clip import MODALITIES, Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import pool
from stages.fuse import Fuse
from training.features import Features


@contextmanager
def opened_head(spec: ModelSpec, run: RunSettings, report: Callable[[str], None]) -> Iterator[Fuse | None]:
    """The fusion head of the model, open; None if it has none.

    Raises:
        ModelError: no engine can run it.
    """
    if spec.fusion is None:
        yield None
        return
    head, resources = Fuse(Fuse.Options(), run, Budget()), Resources()
    try:
        head.improve(report)
        head.open(resources)
        yield head
    finally:
        head.close()
        resources.close()


def fused_embeddings(head: Fuse, features: Features, embeddings: Mapping[str, Array]) -> dict[str, Array]:
    """The example's embeddings plus the head's changes, averaged over its clips: "D" of unit length by modality.

    The head processes one clip at a time, as in a run. An embedding that it does not change is the same bit for bit.
    """
    clips = list(features.by_clip())
    outputs = head.process_many([_as_clip(clip) for clip in clips])
    fused = {}
    for name, embedding in embeddings.items():
        changes = [
            given[f"fused_{name}"] - clip.embeddings[name]
            for clip, given in zip(clips, outputs, strict=True)
            if isinstance(given[f"fused_{name}"], np.ndarray)
        ]
        if changes:
            change = np.sum(changes, axis=0) / sum(name in clip.tokens for clip in clips)
            fused[name] = pool((embedding + change)[None]) if change.any() else embedding
    return fused


def _as_clip(features: Features) -> Clip:
    info = ClipInfo(source="", source_index=0, index=0, start_ns=0, end_ns=0)
    arrays: dict[str, Any] = {f"{name}_tokens": tokens for name, tokens in features.tokens.items()}
    arrays |= {f"{name}_embedding": embedding for name, embedding in features.embeddings.items()}
    arrays["signals"] = features.signals
    missing = {f"{name}_tokens": "no_stream" for name in MODALITIES if name not in features.tokens}
    return Clip(info, arrays, missing)
