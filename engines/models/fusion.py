"""A model's fusion head as engines: one for the picture's exchange with each other modality.

The exchanges do not depend on each other, so no engine is needed for motion and sound together: what both change is
added up. An exchange whose gates are closed changes nothing, and needs no engine at all.
"""

from pathlib import Path

from engines.backends.backend import Report
from engines.backends.table import EngineSettings, Settings, device_of
from engines.building.building import open_network, prepare_network
from engines.engine import Engine
from engines.models.model import ModelSpec, TowerSpec
from engines.networks.fusion_shape import IMAGE, read_gates, read_shape
from pipeline.errors import ModelError


def fused_modalities(spec: ModelSpec) -> tuple[str, ...]:
    """What the head gives an embedding for, as far as the model has towers: "image" first; nothing without a head.

    Raises:
        ModelError: its files cannot be read, or it was made for towers of other sizes.
    """
    if spec.fusion is None:
        return ()
    towers = spec.towers()
    dims = read_shape(Path(spec.fusion.directory)).dims
    here = {name: dim for name, dim in dims.items() if name in towers and name in spec.fusion.modalities}
    for name, dim in here.items():
        if dim != (has := spec.texts[towers[name].space].dim):
            raise ModelError(
                f"{spec.fusion.directory}: the fusion head takes {name} tokens of {dim} numbers, and {spec.id} gives "
                f"{has}. A head belongs to the towers that it was trained with"
            )
    return tuple(here) if IMAGE in here else ()


def exchanges(spec: ModelSpec) -> tuple[str, ...]:
    """The modalities with which the picture's exchange changes anything: each needs an engine.

    Raises:
        ModelError: as `fused_modalities`, or the weights cannot be read.
    """
    fused = fused_modalities(spec)
    if spec.fusion is None or not fused:
        return ()
    gates = read_gates(Path(spec.fusion.directory))
    return tuple(name for name in fused if name in gates and any(gates[name]))


def exchange_tower(spec: ModelSpec, other: str) -> TowerSpec:
    """The exchange as if it were a tower, of no text space, for whoever goes through all networks of a model.

    Raises:
        ModelError: the model has no head.
    """
    if spec.fusion is None:
        raise ModelError(f"{spec.id} has no fusion head")
    return TowerSpec(network=f"{spec.fusion.network}_{other}", directory=spec.fusion.directory, space="")


def settings_for(tower: TowerSpec, run: EngineSettings) -> EngineSettings:
    """The run's settings for one of its networks.

    OpenVINO 2026.4 computes an exchange wrongly for more tokens than it has seen before, and the gate refuses it. The
    exchange is small, so on the CPU ONNX Runtime runs it in fp32 whatever the towers are run by.
    """
    if tower.space or run.engine not in ("auto", "openvino") or device_of(run) != "cpu":
        return run
    return Settings("onnxruntime", "fp32", "cpu", run.threads, run.cache_directory)


def prepare_exchange(spec: ModelSpec, other: str, run: EngineSettings, report: Report) -> None:
    """Build and check what `open_exchange` will load, once per model and machine.

    Raises:
        ModelError: no engine can run it.
    """
    tower = exchange_tower(spec, other)
    prepare_network(tower.network, tower.directory, settings_for(tower, run), report)


def open_exchange(spec: ModelSpec, other: str, run: EngineSettings, build: bool = False) -> Engine:
    """The engine, open: tokens "image" "B T D" and of the other modality "B M E" in, changes "B D" and "B E" out.

    Raises:
        ModelError: no backend can run it.
    """
    tower = exchange_tower(spec, other)
    return open_network(tower.network, tower.directory, settings_for(tower, run), build)
