"""A model's towers as engines: built once into the cache, opened by every process that needs them."""

from pathlib import Path

from engines.backends.backend import Report
from engines.backends.table import EngineSettings, Settings
from engines.building.building import improve_network, open_network
from engines.engine import Engine
from engines.models.checkpoint import BUNDLED
from engines.models.model import ModelSpec, TowerSpec
from engines.models.network import FEATURES, network, with_features
from pipeline.arrays import Array
from pipeline.errors import ModelError

GATE_LABELS = 200
"""Number of background words in the gate's top-1 comparison."""


def tower_key(spec: ModelSpec, modality: str, features: bool = False) -> tuple[str, str, str]:
    """Key of the tower's engine among a worker's resources; towers with the same network and files share one."""
    tower = _tower(spec, modality)
    first = next(name for name, other in spec.towers().items() if _same_network(tower, other))
    return f"tower{FEATURES if features else ''}", spec.directory, first


def improve_tower(spec: ModelSpec, modality: str, run: EngineSettings, report: Report, features: bool = False) -> bool:
    """Build and check the best engine for the tower, once per model and machine. Takes seconds the first time.

    features: the one that also gives features. Returns whether `open_tower` now opens another engine than before.

    Raises:
        ModelError: no engine can run it, or it gives no features.
    """
    tower = _tower(spec, modality)
    sharing = [name for name, other in spec.towers().items() if _same_network(tower, other)]
    what = f"{' and '.join(sharing)} tower"
    key = _featured(spec, modality) if features else tower.network
    return improve_network(key, tower.directory, run, report, lambda: label_set(spec, tower), what)


def open_tower(
    spec: ModelSpec, modality: str, run: EngineSettings, build: bool = False, features: bool = False
) -> Engine:
    """The tower's open engine: pictures "B 3 S S" or log-mel patches "B bins bands" in, "tokens" "B D" out.

    build: build it now if it was never prepared; otherwise another backend is tried, with a warning.
    features: the last output is features, the vector before projection: "features" "B F", or the tokens themselves if
        the tower has no projection.

    Raises:
        ModelError: no backend can run it, or it gives no features.
    """
    tower = _tower(spec, modality)
    return open_network(_featured(spec, modality) if features else tower.network, tower.directory, run, build)


def features_size(spec: ModelSpec, modality: str) -> int:
    """The number of values of the tower's features. Reads only the configuration.

    Raises:
        ModelError: it gives none; the message names the networks that do.
    """
    _, outputs = network(_featured(spec, modality)).ports(Path(_tower(spec, modality).directory))
    return int(outputs[-1].dims.split()[-1])


def _featured(spec: ModelSpec, modality: str) -> str:
    """The key of the network whose last output is features."""
    try:
        return with_features(_tower(spec, modality).network)
    except ModelError as error:
        text = f"--features: the {modality} tower of {spec.id} cannot give its features: {error}"
        raise ModelError(f"{text}. Omit --features, or leave {modality} out of --modalities") from error


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
