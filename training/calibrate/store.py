"""Writes a calibrated model."""

import datetime
from pathlib import Path

import msgspec

from engines.models.model import ModelSpec, TowerSpec
from engines.models.model_file import write_model
from pipeline.errors import OutputError
from stages.words.open_set import OPEN_SET_FILE, write
from training.adapt.store import copy_steps
from training.calibrate.calibrate import Result


def write_calibrated(spec: ModelSpec, directory: Path, result: Result, false_alarms: float) -> ModelSpec:
    """Write the model with new temperatures and biases, and with an open-set score.

    Raises:
        OutputError: it cannot be written.
    """
    same = Path(spec.directory) == directory
    towers: dict[str, TowerSpec] = {
        name: msgspec.structs.replace(tower, temperature=scale.temperature, bias=scale.bias)
        for name, tower in spec.towers().items()
        if (scale := result.scales.get(name)) is not None
    }
    changed = msgspec.structs.replace(
        spec,
        open_set=OPEN_SET_FILE,
        name=spec.name if same else directory.name,
        version=spec.version + 1 if same else 1,
        made_from=f"{spec.id}, calibrated",
        **towers,
    )
    facts = {
        "date": datetime.date.today().isoformat(),
        "false_alarms": false_alarms,
        "labels": list(result.labels),
        "before": {name: msgspec.to_builtins(scale) for name, scale in result.scales_before.items()},
        "unknown": msgspec.to_builtins(result.unknown),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not same:
            copy_steps(spec, directory)
        write(directory / OPEN_SET_FILE, result.threshold, result.source, facts)
        write_model(changed, directory)
    except OSError as error:
        raise OutputError(f"{directory}: cannot be written: {error.strerror or error}. Choose another -o.") from error
    return changed
