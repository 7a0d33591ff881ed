"""Verifies the cache again: files by sha-256, engine outputs by the gate."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from engines.backends.backend import Report
from engines.backends.table import backend
from engines.building import building
from engines.building.building import EngineRecord, record_of
from engines.cache.cache import Cache, key_of
from engines.cache.store import keys, networks_of, order_of
from engines.gate.gate import GateReport
from engines.gate.remembered import Remembered
from engines.models.checkpoint import read_model
from engines.tensorrt.api import is_ahead_of_time
from pipeline import machine
from pipeline.arrays import Array
from pipeline.errors import ModelError


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Result for one entry."""

    kind: Literal["engine", "export"]
    key: str
    network: str = ""
    name: str = ""
    device: str = ""
    state: Literal["passed", "failed", "damaged", "refused", "not checked"]
    """"refused": it also failed its gate when it was built, so nothing uses it."""
    text: str = ""
    """Why, and what happens to the entry."""
    gate: GateReport | None = None
    export: str = ""
    """Key of the export that a failed engine was built from."""

    @property
    def is_fine(self) -> bool:
        """Whether the entry does not affect a run: it is valid, or no run would use it."""
        return self.state not in ("failed", "damaged")


def verify(
    cache_directory: str = "", model: str = "", threads: int = 1, report: Report = lambda text: None
) -> Iterator[Verdict]:
    """Yield a verdict per damaged export and per engine. Slow: every gate runs.

    A damaged entry is set aside, and so is an engine that fails its gate, together with its export. The next run
    rebuilds them.

    model: limits the engines to those of one model. report: says which engine is next.
    """
    root = str(cache_directory or machine.cache_directory())
    wanted = networks_of(model) if model else None
    exports, engines = Cache(root, "exports"), Cache(root, "engines")
    references: dict[tuple[str, str], Remembered] = {}
    for key in keys(exports):
        if _is_damaged(exports, key):
            yield Verdict(kind="export", key=key, state="damaged", text="it does not match its meta.json; set aside")
    every = keys(engines)
    for number, key in enumerate(every, 1):
        report(f"verifying engine {number} of {len(every)}")
        verdict = _verdict(engines, key, root, threads, wanted, references)
        if verdict is None:
            continue
        if verdict.state == "failed" and verdict.export:  # it is unknown which of the two is wrong
            exports.set_aside(verdict.export)
        yield verdict


def _verdict(
    engines: Cache,
    key: str,
    root: str,
    threads: int,
    wanted: set[tuple[str, str]] | None,
    references: dict[tuple[str, str], Remembered],
) -> Verdict | None:
    """None for an engine of another model. references: by network and directory, shared by their engines."""
    try:
        meta = engines.meta(key)
        record = record_of(meta)
    except ModelError as error:
        return Verdict(kind="engine", key=key, state="damaged" if _is_damaged(engines, key) else "not checked",
                       text=str(error))  # fmt: skip
    if wanted is not None and (record.network, record.directory) not in wanted:
        return None
    verdict = Verdict(
        kind="engine", key=key, network=record.network, name=record.name, device=record.device, state="passed"
    )
    if _is_damaged(engines, key):
        return msgspec.structs.replace(verdict, state="damaged", text="it does not match its meta.json; set aside")
    try:
        found = _gate(record, key, root, threads, references)
    except building.UNUSABLE as error:
        return msgspec.structs.replace(verdict, state="not checked", text=str(error))
    if found.passed:
        return msgspec.structs.replace(verdict, gate=found)
    if record.gate.passed:
        engines.set_aside(key, meta)
        again = "percept engine quantize" if record.name.endswith("int8") else "percept engine build"
        text, export = f"{found.faults[0]}; set aside, make it again with: {again}", meta.facts.get("export", "")
        return msgspec.structs.replace(verdict, state="failed", text=text, gate=found, export=export)
    text = f"{found.faults[0]}; it never passed, and nothing uses it"
    return msgspec.structs.replace(verdict, state="refused", text=text, gate=found)


def _gate(
    record: EngineRecord, key: str, root: str, threads: int, references: dict[tuple[str, str], Remembered]
) -> GateReport:
    """Run the engine's gate.

    Raises:
        ModelError: the engine cannot be opened here, or belongs to other versions.
    """
    if is_ahead_of_time(record.device):
        raise ModelError(f"{record.device} is not here")
    order, candidate = order_of(record, root, threads)
    chosen = backend(candidate.backend)
    if why := chosen.missing(record.device):
        raise ModelError(why)
    if key_of(building.engine_facts(order, chosen)) != key:
        raise ModelError("made with other versions, or the model has changed; nothing uses it")
    graph = chosen.graph(order.precision)
    exported = None
    if graph and chosen.runs_export:
        found = Cache(root, "exports").find(key_of(building.export_facts(order, graph)))
        if found is None:
            raise ModelError("its export is missing; the next run rebuilds it")
        exported = found / "network.onnx"
    engine = chosen.make(order, exported, Cache(root, "engines").directory / key)
    network = order.network, order.directory
    if network not in references:
        references[network] = Remembered(building.reference_of(order))
    return building.check(order, engine, _words(record), references[network])


def _words(record: EngineRecord) -> Array | None:
    """The label vectors that its gate used when it was built; None if it used random directions.

    Raises:
        ModelError: the model's words cannot be read any more.
    """
    if record.gate.label_set != "words":
        return None
    from engines.models.tower import label_set

    try:
        spec = read_model(record.directory)
        towers = spec.towers().values()
        return next((label_set(spec, tower) for tower in towers if tower.network == record.network), None)
    except OSError as error:
        raise ModelError(f"the words of its gate cannot be read: {error}") from error


def _is_damaged(cache: Cache, key: str) -> bool:
    """Check an entry's files; a mismatched entry is set aside, and True is returned."""
    return cache.find(key) is None
