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
    """Write the model with new temperatures, biases and shares of the fusion head, and with an open-set score.

    Raises:
        OutputError: it cannot be written.
    """
    same = Path(spec.directory) == directory
    towers: dict[str, TowerSpec] = {
        name: msgspec.structs.replace(tower, temperature=scale.temperature, bias=scale.bias)
        for name, tower in spec.towers().items()
        if (scale := result.scales.towers.get(name)) is not None
    }
    fusion, head = spec.fusion, result.scales.head
    if fusion is not None and head is not None:
        fusion = msgspec.structs.replace(fusion, base_share=head.base, novel_share=head.novel)
    changed = msgspec.structs.replace(
        spec,
        open_set=OPEN_SET_FILE,
        name=spec.name if same else directory.name,
        version=spec.version + 1 if same else 1,
        made_from=f"{spec.id}, calibrated",
        fusion=fusion,
        **towers,
    )
    facts = {
        "date": datetime.date.today().isoformat(),
        "false_alarms": false_alarms,
        "labels": list(result.labels),
        "before": {
            **msgspec.to_builtins(result.scales_before.towers),
            **({"head": msgspec.to_builtins(result.scales_before.head)} if result.scales_before.head else {}),
        },
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
