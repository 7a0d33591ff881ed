"""A model's fusion head as engines: one per exchange between the picture and another modality.

The exchanges are independent of each other and their changes are added, so no engine is needed for motion and sound
together. An exchange whose gates are closed changes nothing and needs no engine.
"""

from pathlib import Path

from engines.backends.backend import Report
from engines.backends.table import EngineSettings, Settings, may_use_gpu
from engines.building.building import improve_network, open_network
from engines.engine import Engine
from engines.models.model import ModelSpec, TowerSpec
from engines.networks.fusion_shape import IMAGE, read_gates, read_shape
from pipeline.errors import ModelError


def fused_modalities(spec: ModelSpec) -> tuple[str, ...]:
    """Modalities for which the head computes an embedding and the model has a tower, "image" first; () without a head.

    Raises:
        ModelError: its files cannot be read, or it was made for towers with other token sizes.
    """
    if spec.fusion is None:
        return ()
    towers = spec.towers()
    dims = read_shape(Path(spec.fusion.directory)).dims
    here = {name: dim for name, dim in dims.items() if name in towers and name in spec.fusion.modalities}
    for name, dim in here.items():
        if dim != (has := spec.texts[towers[name].space].dim):
            raise ModelError(
                f"{spec.fusion.directory}: the fusion head expects {name} tokens of length {dim}, but {spec.id} has "
                f"{has}. Use a head with the towers that it was trained with"
            )
    return tuple(here) if IMAGE in here else ()


def exchanges(spec: ModelSpec) -> tuple[str, ...]:
    """The modalities whose exchange with the picture changes anything; each needs an engine.

    Raises:
        ModelError: as `fused_modalities`, or the weights cannot be read.
    """
    fused = fused_modalities(spec)
    if spec.fusion is None or not fused:
        return ()
    gates = read_gates(Path(spec.fusion.directory))
    return tuple(name for name in fused if name in gates and any(gates[name]))


def exchange_tower(spec: ModelSpec, other: str) -> TowerSpec:
    """The exchange as a tower without a text space, for code that iterates over all networks of a model.

    Raises:
        ModelError: the model has no head.
    """
    if spec.fusion is None:
        raise ModelError(f"{spec.id} has no fusion head")
    return TowerSpec(network=f"{spec.fusion.network}_{other}", directory=spec.fusion.directory, space="")


def settings_for(tower: TowerSpec, run: EngineSettings) -> EngineSettings:
    """The run's settings for one of its networks.

    OpenVINO 2026.4 computes an exchange wrongly after a first call with exactly one key token (see `gate_sizes` in
    `engines/models/network.py`), and the gate refuses it. On the CPU, ONNX Runtime therefore runs this small network
    in fp32, regardless of the towers' engine.
    """
    is_elsewhere = run.device not in ("auto", "cpu") or may_use_gpu(run)
    if tower.space or run.engine not in ("auto", "openvino") or is_elsewhere:
        return run
    engine = "onnxruntime,torch" if run.engine == "auto" else "onnxruntime"
    return Settings(engine, "fp32", "cpu", run.threads, run.cache_directory)


def improve_exchange(spec: ModelSpec, other: str, run: EngineSettings, report: Report) -> bool:
    """Build and check the best engine for an exchange, once per model and machine.

    Returns whether `open_exchange` now opens another engine than before.

    Raises:
        ModelError: no engine can run it.
    """
    tower = exchange_tower(spec, other)
    what = f"fusion of image and {other}"
    return improve_network(tower.network, tower.directory, settings_for(tower, run), report, what=what)


def open_exchange(spec: ModelSpec, other: str, run: EngineSettings, build: bool = False) -> Engine:
    """The open engine: tokens of the picture "B T D" and the other modality "B M E" in, changes "B D" and "B E" out.

    Raises:
        ModelError: no backend can run it.
    """
    tower = exchange_tower(spec, other)
    return open_network(tower.network, tower.directory, settings_for(tower, run), build)
