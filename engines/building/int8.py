"""The int8 engine of a tower: quantised on given samples, gated like any other, kept in the cache."""

from pathlib import Path

import msgspec

from engines.backends.backend import Report
from engines.backends.table import Candidate, EngineSettings, backend
from engines.building import building
from engines.building.building import EngineRecord
from engines.building.choice import networks, order_for
from engines.building.quantize import QuantizeReport, Words, quantize
from engines.cache.cache import Cache, key_of
from engines.gate.gate import GateReport
from engines.models.model import ModelSpec
from engines.models.tower import label_set
from pipeline.arrays import Array
from pipeline.errors import ModelError

INT8 = Candidate("openvino", "int8", "cpu")


class Quantized(msgspec.Struct, frozen=True):
    """The quantised network in the cache, with its two reports."""

    towers: tuple[str, ...]
    """Modalities that share the network."""
    network: str
    path: str
    """Its directory in the cache."""
    size_bytes: int
    change: QuantizeReport
    gate: GateReport


def towers_sharing(spec: ModelSpec, modality: str) -> tuple[str, ...]:
    """Modalities whose tower is the same network, including this one.

    Raises:
        ModelError: the model has no such tower.
    """
    shared = next((towers for towers, _ in networks(spec) if modality in towers), None)
    if shared is None:
        has = ", ".join(spec.towers()) or "none"
        raise ModelError(f"--modality {modality}: {spec.id} has no such tower; expected one of: {has}")
    return shared


def make_int8(
    spec: ModelSpec, modality: str, samples: Array, run: EngineSettings, words: Words | None, report: Report
) -> Quantized:
    """Quantise the tower's network and put it into the cache, even if it fails its gate.

    It replaces an earlier int8 network, except one that passes if the new one does not.

    samples: inputs of the network, those of one clip next to each other.

    Raises:
        ModelError: it cannot be quantised here, or it fails its gate and an earlier one that passes is kept.
    """
    tower, chosen = spec.towers()[modality], backend(INT8.backend)
    if why := chosen.missing(INT8.device):
        raise ModelError(why)
    order = order_for(tower.network, tower.directory, INT8, run.cache_directory, run.threads)
    exported = building.ensure_export(order, chosen.graph(INT8.precision), report)
    assert exported is not None
    facts = building.engine_facts(order, chosen)
    cache = Cache(run.cache_directory, "engines")
    changes: list[QuantizeReport] = []
    gates: list[GateReport] = []

    def build(into: Path) -> dict[str, object]:
        changes.append(quantize(order, exported, {order.inputs[0].name: samples}, into, report, words))
        report("running the gate")
        gates.append(building.check(order, chosen.make(order, exported, into), label_set(spec, tower)))
        if not gates[-1].passed and _passes(cache, key_of(facts)):
            raise ModelError(f"it {gates[-1].refusal}; the existing int8 network passes, and is kept")
        record = EngineRecord(INT8.name, order.network, order.directory, order.device, gates[-1])
        return dict(msgspec.to_builtins(record))

    path = cache.put(key_of(facts), facts, build)
    return Quantized(
        towers=towers_sharing(spec, modality),
        network=order.network,
        path=str(path),
        size_bytes=cache.size_bytes(path.name),
        change=changes[-1],
        gate=gates[-1],
    )


def _passes(cache: Cache, key: str) -> bool:
    """Whether the cache has an entry of this key that passed its gate."""
    return cache.find(key) is not None and building.record_of(cache.meta(key)).gate.passed
