"""Which engine a run uses for each tower of a model, and why; and every engine that can be built for them here."""

from collections.abc import Iterator, Sequence

import msgspec

from engines.backends.backend import Order, Report
from engines.backends.table import BACKENDS, Candidate, EngineSettings, Settings, backend, device_of
from engines.building import building
from engines.building.building import REFERENCE, open_network
from engines.cache.cache import Cache, key_of
from engines.gate.gate import GateReport
from engines.models.checkpoint import read_model
from engines.models.detector import detector_tower
from engines.models.fusion import exchange_tower, exchanges, settings_for
from engines.models.model import ModelSpec, TowerSpec
from engines.models.tower import label_set
from pipeline.errors import ModelError


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An engine for one network of a model, or why there is none."""

    towers: tuple[str, ...]
    """Modalities that share the network."""
    network: str
    engine: str
    device: str
    reason: str = ""
    """Why it was chosen; for an engine that is not available, why not."""
    gate: GateReport | None = None
    """None for the reference itself, and for an engine that is not available."""
    is_usable: bool = True


def networks(spec: ModelSpec, modalities: Sequence[str] = ()) -> list[tuple[tuple[str, ...], TowerSpec]]:
    """Each network of a model's towers once, with the modalities that share it; then its detector, and the networks of
    its fusion head."""
    shared: dict[tuple[str, str], tuple[tuple[str, ...], TowerSpec]] = {}
    for modality, tower in spec.towers().items():
        if not modalities or modality in modalities:
            key = tower.network, tower.directory
            shared[key] = (*shared.get(key, ((), tower))[0], modality), tower
    detector = detector_tower(spec) if not modalities or "image" in modalities else None
    found = [*shared.values(), *([(("detector",), detector)] if detector is not None else [])]
    asked = [other for other in exchanges(spec) if not modalities or {"image", other} <= set(modalities)]
    return [*found, *(((f"image with {other}",), exchange_tower(spec, other)) for other in asked)]


def installed(device: str) -> tuple[list[Candidate], list[str]]:
    """Every backend and precision that is available for this device, and why other backends are not."""
    found, missing = [], []
    for name in BACKENDS:
        chosen = backend(name)
        if why := chosen.missing(device):
            missing.append(f"{name}: {why}")
            continue
        able = dict.fromkeys((*chosen.precisions(device), *chosen.other_precisions(device)))
        found += [Candidate(name, precision, device) for precision in able]
    return found, missing


def order_for(key: str, directory: str, candidate: Candidate, cache_directory: str, threads: int) -> Order:
    run = Settings(candidate.backend, candidate.precision, candidate.device, threads, cache_directory)
    return building.order_of(key, directory, candidate, run)


def taken(model: str, audio_model: str, modalities: Sequence[str], run: EngineSettings) -> Iterator[Choice]:
    """The engine that a run opens for each network, if it can be opened; it must have been prepared.

    Raises:
        ModelError: there is no engine.
    """
    for towers, tower in networks(read_model(model, audio_model), modalities):
        engine = open_network(tower.network, tower.directory, settings_for(tower, run), is_opened=False)
        candidate = Candidate(engine.backend, engine.precision, engine.device)
        yield Choice(
            towers=towers,
            network=tower.network,
            engine=engine.name,
            device=engine.device,
            reason=engine.reason,
            gate=_recorded(tower, candidate, run),
        )


def build_all(
    model: str, audio_model: str, modalities: Sequence[str], run: EngineSettings, report: Report
) -> Iterator[Choice]:
    """Build and gate every engine that is available here; `run.engine` and `run.precision` limit which are tried."""
    spec, device = read_model(model, audio_model), device_of(run)
    able, missing = installed(device)
    for why in missing:
        report(why)
    for towers, tower in networks(spec, modalities):
        for candidate in able:
            if run.engine in ("auto", candidate.backend) and run.precision in ("auto", candidate.precision):
                yield _built(spec, towers, tower, candidate, run, report)


def _built(
    spec: ModelSpec,
    towers: tuple[str, ...],
    tower: TowerSpec,
    candidate: Candidate,
    run: EngineSettings,
    report: Report,
) -> Choice:
    made = Choice(towers=towers, network=tower.network, engine=candidate.name, device=candidate.device)
    if candidate == REFERENCE:
        return made
    order = order_for(tower.network, tower.directory, candidate, run.cache_directory, run.threads)
    try:
        record = building.ensure(order, backend(candidate.backend), report, lambda: label_set(spec, tower))
    except (ModelError, ImportError, OSError) as error:
        return msgspec.structs.replace(made, reason=str(error), is_usable=False)
    return msgspec.structs.replace(made, gate=record.gate, is_usable=record.gate.passed or record.gate.is_pending)


def _recorded(tower: TowerSpec, candidate: Candidate, run: EngineSettings) -> GateReport | None:
    """The gate report that the cache stores for an existing engine."""
    if candidate == REFERENCE:
        return None
    order = order_for(tower.network, tower.directory, candidate, run.cache_directory, run.threads)
    cache = Cache(run.cache_directory, "engines")
    meta = cache.meta(key_of(building.engine_facts(order, backend(candidate.backend))))
    return msgspec.convert(meta.outcome, building.EngineRecord).gate
