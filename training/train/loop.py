"""The training loop. It writes checkpoints, from which a training resumes with the same curve."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.errors import ModelError
from training.train.curves import Curves, Row, from_columns, save_picture
from training.train.evaluation import ACCURACIES
from training.train.order import Order, start_step
from training.train.plan import TrainingPlan
from training.train.state import CHECKPOINT, keep, restore

MOST_GRADIENT = 1.0
"""Gradients are clipped to this norm."""
CURVES = "curves.csv"
PICTURE = "curves.png"


class Trainee(Protocol):
    """The parts of a training that depend on its kind."""

    network: nn.Module
    """The network to train: its parameters that require a gradient."""
    branches: Mapping[str, float]
    """Weight of each branch's loss in the sum."""

    @property
    def items(self) -> int:
        """Number of items that batches are drawn from."""

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        """Loss of the items in `rows`, "B", by branch. A branch that none of them has is omitted."""

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        """Figures of the held-out items in percent, by measure. Those that cannot be measured are omitted."""

    def frozen(self) -> Mapping[str, Tensor]:
        """Initial values of the parameters that are mixed with the initial model at the end."""


Report = Callable[[Row], None]
"""Called after each step with the measured values."""


class Training:
    """One training in one folder. `run` resumes from the checkpoint in the folder if there is one.

    measures: names of the held-out figures, columns of the curves. done: number of steps in the checkpoint.
    """

    def __init__(
        self,
        trainee: Trainee,
        plan: TrainingPlan,
        folder: Path,
        device: str,
        measures: Sequence[str] = ACCURACIES,
    ) -> None:
        self._measures = tuple(measures)
        self._trainee, self._plan, self._folder, self._device = trainee, plan, folder, torch.device(device)
        self._order = Order(trainee.items, min(plan.batch, trainee.items), plan.seed)
        self._network = trainee.network.to(self._device)
        self._average = AveragedModel(self._network, multi_avg_fn=_averaging(plan.ema))
        learnt = [weight for weight in self._network.parameters() if weight.requires_grad]
        fused = self._device.type == "cuda" or None
        self._optimiser = torch.optim.AdamW(learnt, plan.learning_rate, weight_decay=plan.weight_decay, fused=fused)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda step: rate(step, plan))
        self._learnt = learnt
        self.done, self._rows = self._resume()

    @property
    def columns(self) -> tuple[str, ...]:
        return ("step", "loss", *(f"loss_{name}" for name in self._trainee.branches), "lr", *self._measures)

    def run(self, report: Report) -> nn.Module:
        """Train to the end and return the averaged network, mixed with the initial one.

        Raises:
            ModelError: the loss, a gradient or a weight is not finite.
            OutputError: a file cannot be written.
        """
        curves = Curves(self._folder / CURVES, self.columns, self._rows)
        try:
            for step, row in self._steps(self.done):
                curves.add(row)
                report(row)
                if step and (step % self._plan.every_steps == 0 or step == self._plan.steps):
                    self._keep(step, curves)
        finally:
            curves.close()
        trained: nn.Module = self._average.module
        mix(trained, self._trainee.frozen(), self._plan.frozen_ratio)
        return trained.requires_grad_(False).eval()

    def _steps(self, done: int) -> Iterator[tuple[int, Row]]:
        plan = self._plan
        if done == 0:
            yield 0, {"step": 0.0, **self._measure()}
        while done < plan.steps:
            row = self._step(done)
            done += 1
            measured = self._measure() if done % plan.every_steps == 0 or done == plan.steps else {}
            yield done, {"step": float(done), **row, **measured}

    def _step(self, step: int) -> Row:
        """Train step number `step`, counted from 0."""
        start_step(self._plan.seed, step)
        _set_training(self._network)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            losses = self._trainee.losses(self._network, self._order.rows(step))
        loss = torch.stack([self._trainee.branches[name] * value.float() for name, value in losses.items()]).sum()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        length = nn.utils.clip_grad_norm_(self._learnt, MOST_GRADIENT)
        learning_rate = float(self._schedule.get_last_lr()[0])
        self._stop_unless_finite(step + 1, loss.item(), float(length), learning_rate)
        self._optimiser.step()
        self._schedule.step()
        self._average.update_parameters(self._network)
        each = {f"loss_{name}": value.item() for name, value in losses.items()}
        return {"loss": loss.item(), **each, "lr": learning_rate}

    def _stop_unless_finite(self, step: int, loss: float, gradient: float, learning_rate: float) -> None:
        if math.isfinite(loss) and math.isfinite(gradient):
            return
        checkpoint = self._folder / CHECKPOINT
        kept = f"The last good state is in {checkpoint}. " if checkpoint.is_file() else ""
        raise ModelError(
            f"step {step}: the loss is {loss:g} and its gradient {gradient:g}; expected finite numbers. {kept}"
            f"Train again with a smaller --lr (it was {self._plan.learning_rate:g}) and another -o."
        )

    @torch.inference_mode()
    def _measure(self) -> Mapping[str, float]:
        self._average.module.eval()
        return self._trainee.accuracy(self._average.module)

    def _parts(self) -> dict[str, Any]:
        return {
            "network": self._network,
            "average": self._average,
            "optimiser": self._optimiser,
            "schedule": self._schedule,
        }

    def _keep(self, step: int, curves: Curves) -> None:
        if not all(bool(weight.isfinite().all()) for weight in self._learnt):
            raise ModelError(f"step {step}: weights are no longer finite. Train again with a smaller --lr, another -o.")
        state = {name: part.state_dict() for name, part in self._parts().items()}
        keep(self._folder / CHECKPOINT, {**state, "step": step, "curves": curves.columnwise()})
        losses = [name for name in self.columns if name.startswith("loss")]
        save_picture(self._folder / PICTURE, curves.rows, losses, self._measures)

    def _resume(self) -> tuple[int, list[Row]]:
        state = restore(self._folder / CHECKPOINT)
        if state is None:
            return 0, []
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        return int(state["step"]), from_columns(state["curves"])


def rate(step: int, plan: TrainingPlan) -> float:
    """Factor of the learning rate in step `step`: a linear rise, then half a cosine down to 0."""
    warm_up = max(1, round(plan.warm_up_share * plan.steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, plan.steps - warm_up))))


@torch.no_grad()
def mix(network: nn.Module, frozen: Mapping[str, Tensor], ratio: float) -> None:
    """Mix the named weights with the frozen ones, in place: w = ratio * frozen + (1 - ratio) * w.

    Open-VCLIP (Weng et al. 2023, arXiv 2302.00624): the result keeps abilities of both models.
    """
    weights = dict(network.named_parameters())
    for name, before in frozen.items():
        weights[name].lerp_(before.to(weights[name]), ratio)


def _averaging(decay: float) -> Any:
    return get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]


def _set_training(network: nn.Module) -> None:
    """Set training mode, except for batch norms, whose statistics must fit mixed weights and not our small batches."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
