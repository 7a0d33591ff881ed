"""A model's towers as engines: built once into the cache, opened by every process that needs them."""

from pathlib import Path

from engines.backends.backend import Report
from engines.backends.table import EngineSettings, Settings
from engines.building.building import improve_network, open_network
from engines.engine import Engine
from engines.models.checkpoint import BUNDLED
from engines.models.model import ModelSpec, TowerSpec
from pipeline.arrays import Array
from pipeline.errors import ModelError

GATE_LABELS = 200
"""Number of background words in the gate's top-1 comparison."""


def tower_key(spec: ModelSpec, modality: str) -> tuple[str, str, str]:
    """Key of the tower's engine among a worker's resources; towers with the same network and files share one."""
    tower = _tower(spec, modality)
    first = next(name for name, other in spec.towers().items() if _same_network(tower, other))
    return "tower", spec.directory, first


def improve_tower(spec: ModelSpec, modality: str, run: EngineSettings, report: Report) -> bool:
    """Build and check the best engine for the tower, once per model and machine. Takes seconds the first time.

    Returns whether `open_tower` now opens another engine than before.

    Raises:
        ModelError: no engine can run it.
    """
    tower = _tower(spec, modality)
    sharing = [name for name, other in spec.towers().items() if _same_network(tower, other)]
    what = f"{' and '.join(sharing)} tower"
    return improve_network(tower.network, tower.directory, run, report, lambda: label_set(spec, tower), what)


def open_tower(spec: ModelSpec, modality: str, run: EngineSettings, build: bool = False) -> Engine:
    """The tower's open engine: pictures "B 3 S S" or log-mel patches "B bins bands" in, "tokens" "B D" out.

    build: build it now if it was never prepared; otherwise another backend is tried, with a warning.

    Raises:
        ModelError: no backend can run it.
    """
    tower = _tower(spec, modality)
    return open_network(tower.network, tower.directory, run, build)


def label_set(spec: ModelSpec, tower: TowerSpec) -> Array | None:
    """Text vectors of the model's background words, for the gate's top-1 comparison: float32 "L D".

    None for a fusion head, whose outputs are in no text space.
    """
    if not tower.space:
        return None
    from engines.models.text_tower import TextTower

    path = Path(spec.directory) / spec.background if spec.background else BUNDLED / "percept-mini" / "background.txt"
    words = [word for word in path.read_text(encoding="utf-8").splitlines() if word.strip()]
    text = TextTower(spec.texts[tower.space], Settings(engine="torch"))
    try:
        return text.vectors(words[:: max(1, len(words) // GATE_LABELS)])
    finally:
        text.close()


def _same_network(one: TowerSpec, other: TowerSpec) -> bool:
    return (one.network, one.directory) == (other.network, other.directory)


def _tower(spec: ModelSpec, modality: str) -> TowerSpec:
    towers = spec.towers()
    if modality not in towers:
        raise ModelError(f"{spec.id} has no {modality} tower (it has: {', '.join(towers) or 'none'})")
    return towers[modality]
