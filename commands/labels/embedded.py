"""Embeddings of clips, with which labels and prompt templates are compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import ceil
from typing import Any

import numpy as np

from engines.models.checkpoint import read_model
from engines.models.model import TowerSpec
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import MODALITIES
from pipeline.config import Config
from pipeline.errors import SourceError
from pipeline.plain import PlainLoop
from pipeline.run import place, private_directory
from stages.words.reliability import signal_weight

WANTED = frozenset({"flow", "log_mel", "signals", *(f"{name}_embedding" for name in MODALITIES)})
LEAST_SIGNAL = 0.5
"""A modality of a clip with a weaker signal (silence, a black picture) is skipped."""

Report = Callable[[str], None]
Embedded = dict[str, Array]
"""Embedding "D" by modality."""


def clip_embeddings(
    config: Config, sources: Sequence[str], most: int, threads: int, report: Report
) -> dict[str, Array]:
    """Embeddings "N D" by modality of about `most` clips, equally many from each source.

    A source that cannot be read is reported and skipped.

    Raises:
        SourceError: no source can be read, or none has anything that the model can see or hear.
    """
    with private_directory() as directory:
        plan = place(make_plan(config, len(sources)), directory)
        towers = read_model(plan.settings.model, plan.settings.audio_model).towers()
        with PlainLoop(plan, WANTED, threads, report) as loop:
            found = list(_of_all(loop, towers, sources, ceil(most / len(sources)), report))
    by_modality = {name: [one[name] for one in found if name in one] for name in MODALITIES}
    if not any(by_modality.values()):
        raise SourceError(f"{', '.join(sources[:5])}: nothing that the model can see or hear. Give other clips")
    return {name: np.stack(vectors) for name, vectors in by_modality.items() if vectors}


def _of_all(
    loop: PlainLoop, towers: Mapping[str, TowerSpec], sources: Sequence[str], most: int, report: Report
) -> Iterator[Embedded]:
    failures: list[SourceError] = []
    for index, source in enumerate(sources):
        try:
            found = [_trusted(clip.values, towers) for clip in islice(loop.run(source, index), most)]
        except SourceError as error:
            failures.append(error)
            report(f"skipped: {error}")
            continue
        yield from found
        report(f"{source}: {len(found)} clips")
    if len(failures) == len(sources):
        raise failures[0]


def _trusted(values: Mapping[str, Any], towers: Mapping[str, TowerSpec]) -> Embedded:
    """The embeddings of the modalities whose signal is good enough."""
    signals = values.get("signals") or {}
    given = {name: values[f"{name}_embedding"] for name in towers if f"{name}_embedding" in values}
    weights = {name: signal_weight(name, signals, towers[name].knows_stillness) for name in given}
    return {name: vector for name, vector in given.items() if weights[name] >= LEAST_SIGNAL}
