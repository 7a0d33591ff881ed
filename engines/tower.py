"""A model's towers as engines: built once into the cache, opened by every process that needs them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from engines.cache import NetworkCache, key_of
from engines.engine import Engine
from engines.model import ModelSpec, TowerSpec
from engines.network import Network, network
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

BACKENDS = ("onnxruntime", "torch")
"""The order in which "auto" tries them."""


class EngineSettings(Protocol):
    """What of a run's settings concerns engines; `RunSettings` has it all."""

    @property
    def engine(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def cache_directory(self) -> str: ...


def tower_key(spec: ModelSpec, modality: str) -> tuple[str, str, str]:
    """What names the tower's engine among a worker's resources; towers of the same network and files share one."""
    tower = _tower(spec, modality)
    first = next(
        name
        for name, other in spec.towers().items()
        if (other.network, other.directory) == (tower.network, tower.directory)
    )
    return "tower", spec.directory, first


def prepare_tower(spec: ModelSpec, modality: str, run: EngineSettings, report: Callable[[str], None]) -> None:
    """Build what `open_tower` will load, once per model and machine. Takes seconds the first time.

    Raises:
        ModelError: it cannot be built; with engine "auto" only if torch, which needs no building, is no way out.
    """
    tower = _tower(spec, modality)
    if "onnxruntime" not in backends_of(run):
        return
    try:
        _exported(
            tower.network, tower.directory, run, lambda: report(f"building the {modality} engine, once per model")
        )
    except Exception as error:
        if run.engine != "auto":
            raise
        log.warning("%s engine: onnxruntime cannot be used (%s); torch is taken", modality, error)


def open_tower(spec: ModelSpec, modality: str, run: EngineSettings, build: bool = False) -> Engine:
    """The tower's engine, open: pictures "B 3 S S" or log-mel patches "B bins bands" in, "tokens" "B D" out.

    build: export it now if it was never prepared; otherwise that is an error, because it takes seconds and memory.

    Raises:
        ModelError: no backend can run it.
    """
    tower = _tower(spec, modality)
    return open_network(tower.network, tower.directory, run, backends_of(run), build)


def open_network(key: str, directory: str, run: EngineSettings, backends: Sequence[str], build: bool) -> Engine:
    for last, backend in zip([*[False] * (len(backends) - 1), True], backends, strict=True):
        try:
            engine = _make(backend, key, directory, run, build)
            engine.open()
            return engine
        except (ModelError, ImportError, FileNotFoundError, ValueError) as error:
            if last:
                raise error if isinstance(error, ModelError) else ModelError(f"{key}: {error}") from error
            log.warning("%s: %s cannot be used (%s); %s is tried", key, backend, error, backends[-1])
    raise AssertionError("there is always a last backend")


def _make(backend: str, key: str, directory: str, run: EngineSettings, build: bool) -> Engine:
    loader, folder = network(key), Path(directory)
    inputs, outputs = loader.ports(folder)
    if backend == "torch":
        from engines.on_torch import TorchEngine

        device = "cpu" if run.device == "auto" else run.device
        return TorchEngine(_Load(loader, folder), inputs, outputs, device, run.threads)
    from engines.on_onnxruntime import OnnxRuntimeEngine

    path = _exported(key, directory, run, lambda: None) if build else _already_exported(key, directory, run)
    return OnnxRuntimeEngine(path / "network.onnx", inputs, outputs, run.threads, loader.micro_batch)


class _Load:
    """Loads a network's module when called; picklable, as engines are before they are open."""

    def __init__(self, loader: Network, directory: Path) -> None:
        self.loader = loader
        self.directory = directory

    def __call__(self) -> Any:
        return self.loader.load(self.directory)


def backends_of(run: EngineSettings) -> tuple[str, ...]:
    if run.engine not in ("auto", *BACKENDS):
        raise ModelError(f"--engine {run.engine}: not known; expected auto, {', '.join(BACKENDS)}")
    on_gpu = run.device not in ("auto", "cpu")
    if on_gpu and run.engine == "onnxruntime":
        raise ModelError(f"--device {run.device}: onnxruntime runs on the CPU here. Choose --engine torch")
    if run.engine == "auto":
        return ("torch",) if on_gpu else BACKENDS
    return (run.engine,)


def _facts(key: str, directory: str) -> dict[str, str]:
    """What an exported network depends on."""
    from importlib.metadata import version

    from engines.export import EXPORTER_VERSION, OPSET

    made_by = {"exporter": str(EXPORTER_VERSION), "opset": str(OPSET), "network": key}
    tools = {name: version(name) for name in ("torch", "onnxscript")}
    return {**made_by, **tools, **network(key).fingerprint(Path(directory))}


def _exported(key: str, directory: str, run: EngineSettings, on_build: Callable[[], None]) -> Path:
    facts, loader, folder = _facts(key, directory), network(key), Path(directory)

    def build(into: Path) -> None:
        from engines.export import export

        on_build()
        export(loader.load(folder), *loader.ports(folder), into / "network.onnx")

    return NetworkCache(run.cache_directory).get(key_of(facts), facts, build)


def _already_exported(key: str, directory: str, run: EngineSettings) -> Path:
    cache = NetworkCache(run.cache_directory)
    found = cache.find(key_of(_facts(key, directory)))
    if found is None:
        raise ModelError(f"{key}: not built yet in {cache.directory}. Run `percept check` once, which builds it")
    return found


def _tower(spec: ModelSpec, modality: str) -> TowerSpec:
    towers = spec.towers()
    if modality not in towers:
        raise ModelError(f"{spec.id} has no {modality} tower (it has: {', '.join(towers) or 'none'})")
    return towers[modality]
