"""What all trainings have in common: model, settings, and a folder in which one is finished, resumed or done."""

import hashlib
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

from engines.models.model import ModelSpec, TowerSpec
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from training.feature_cache import fingerprint
from training.train.console import Console
from training.train.loop import CURVES, PICTURE, Training
from training.train.pace import Announced
from training.train.plan import USUAL, TrainingPlan
from training.train.state import CHECKPOINT, RECORD, Identity, claim, write_whole


@dataclass(frozen=True, kw_only=True)
class Task:
    """The model, settings and output of one training."""

    spec: ModelSpec
    run: RunSettings
    plan: TrainingPlan
    features: Path
    """Folder of the feature cache."""
    out: Path
    device: str
    command: str

    @property
    def folder(self) -> Path:
        """The folder of the checkpoint and the curves."""
        return self.out / "training"

    @property
    def modality(self) -> str:
        """The modality of the tower to train, "" without one."""
        return USUAL[self.plan.what].modality

    def identity(self, **more: str | bool) -> Identity:
        """Everything that determines the result. more: what is known of the data."""
        facts = {name.replace("_", " "): value for name, value in msgspec.to_builtins(self.plan).items()}
        read = [(tower.prompts, tower.prompt_weights, tower.temperature) for tower in self.spec.towers().values()]
        return Identity(
            facts={
                **facts,
                "model": self.spec.id,
                "prompts": hashlib.sha256(repr(read).encode()).hexdigest()[:12],
                "towers": fingerprint(self.spec, self.run),
                **more,
                "device": self.device,
            }
        )

    def tower(self) -> TowerSpec:
        """The tower to train.

        Raises:
            ModelError: the model has no such tower.
        """
        towers = {name: tower for name, tower in self.spec.towers().items() if name in self.run.modalities}
        if self.modality not in towers:
            has = ", ".join(towers)
            raise ModelError(f"--what {self.plan.what}: {self.spec.id} has no {self.modality} tower (it has: {has})")
        return towers[self.modality]

    def facts(self, identity: Identity) -> dict[str, Any]:
        """What `training.json` says of every training."""
        return {
            "command": self.command,
            "plan": msgspec.to_builtins(self.plan),
            "identity": identity.facts,
            "frozen_ratio": self.plan.frozen_ratio,
            "versions": {name: version(name) for name in ("torch", "kornia", "transformers", "numpy")},
            "machine": f"{platform.machine()} {platform.system()}, device {self.device}",
            "curves": [f"training/{CURVES}", f"training/{PICTURE}"],
        }


def run_once(task: Task, identity: Identity, console: Console, train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Train, or only read the result of a finished training. Returns the contents of `training.json`.

    train: trains or resumes, writes the model, and returns what `training.json` says of it.

    Raises:
        ConfigError: the folder belongs to another training.
        OutputError: a file cannot be written.
    """
    with claim(task.folder, identity):
        path = task.out / RECORD
        if path.is_file():
            console.say(f"{task.out}: is already trained; these are its figures")
            found: dict[str, Any] = msgspec.json.decode(path.read_bytes())
            return found
        began_s = time.monotonic()
        record = {**task.facts(identity), **train(), "seconds": round(time.monotonic() - began_s, 1)}
        write_whole(path, msgspec.json.format(msgspec.json.encode(record), indent=2))
        (task.folder / CHECKPOINT).unlink(missing_ok=True)
        return record


def run_steps(training: Training, task: Task, console: Console) -> nn.Module:
    """Train or resume to the end, and tell the steps. Returns the trained network.

    Raises:
        ModelError: the loss is no longer finite.
        OutputError: a file cannot be written.
    """
    if training.done:
        console.say(f"resuming from step {training.done} ({task.folder / CHECKPOINT})")
    step, steps = Announced(console, f"training {task.plan.what}"), task.plan.steps
    return training.run(lambda row: step(int(row["step"]), steps, facts={k: v for k, v in row.items() if k != "step"}))


def warn_of_removed(task: Task, console: Console) -> None:
    """Say which parts of the model are removed, because they were fitted to the original towers."""
    if task.spec.open_set and task.plan.what != "labels":
        console.warn(
            "the open-set score was calibrated on the original model and is removed; calibrate the result again"
        )
    if task.spec.fusion is not None and task.modality:
        console.warn("the model's fusion head was trained on the original tower and is removed")
