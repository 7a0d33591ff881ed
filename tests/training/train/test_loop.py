import itertools
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError, ModelError, OutputError
from tests.training.train import made_up
from training.train.loop import CURVES, PICTURE, Training, mix, rate
from training.train.state import CHECKPOINT, Identity, claim, keep, restore

ROOT = Path(__file__).resolve().parents[3]
CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
torch.set_num_threads(1)
from tests.training.train import made_up
from training.train.loop import Training
plan = made_up.plan()
Training(made_up.head(plan), plan, Path(sys.argv[1]), "cpu").run(lambda row: time.sleep(float(sys.argv[3])))
"""


def run_here(folder: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    Training(made_up.head(made_up.plan()), made_up.plan(), folder, "cpu").run(lambda row: None)
    torch.set_num_threads(threads)


def curve(folder: Path) -> np.ndarray:
    return np.genfromtxt(folder / CURVES, delimiter=",", skip_header=1)


def child(folder: Path, pause_s: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(ROOT), str(pause_s)], cwd=ROOT)


@pytest.mark.slow
def test_a_killed_training_resumes_with_the_same_curve(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    process = child(killed, 0.05)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and not (
        (killed / CHECKPOINT).is_file() and len((killed / CURVES).read_text().splitlines()) > 14
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    rows_then = len(curve(killed))
    steps_kept = restore(killed / CHECKPOINT)["step"]  # type: ignore[index]
    assert 0 < steps_kept < rows_then - 1 < 30  # steps were lost, and steps are left to do

    for folder in (killed, whole):
        folder.mkdir(exist_ok=True)
        run_here(folder)
    assert len(curve(whole)) == 31
    np.testing.assert_allclose(curve(killed), curve(whole), atol=1e-6, rtol=0)


def test_a_head_learns_what_pooling_cannot_and_writes_curves(tmp_path: Path) -> None:
    plan = made_up.plan(steps=120, every_steps=60, learning_rate=3e-3, ema=0.9)
    rows: list[dict[str, float]] = []
    trainee = made_up.head(plan)
    network = Training(trainee, plan, tmp_path, "cpu").run(rows.append)
    assert rows[0]["base"] + 20 < rows[-1]["base"]
    assert np.mean([row["loss_image"] for row in rows[-10:]]) < np.mean([row["loss_image"] for row in rows[1:11]])
    assert rows[-1]["base"] == pytest.approx(trainee.accuracy(network)["base"])
    header = (tmp_path / CURVES).read_text().splitlines()[0]
    assert header == "step,loss,loss_image,loss_audio,loss_pull,lr,base,novel,base_among_all,novel_among_all"
    assert (tmp_path / PICTURE).stat().st_size > 5_000


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    plan = made_up.plan(augment=False)
    trainee = made_up.head(plan)
    losses = trainee.losses
    calls = iter(range(1000))

    def breaking(network: nn.Module, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        factor = float("nan") if next(calls) == 12 else 1.0
        return {name: factor * loss for name, loss in losses(network, rows).items()}

    trainee.losses = breaking  # type: ignore[method-assign]
    with pytest.raises(
        ModelError, match=r"step 13: the loss is nan .* good state is in .*checkpoint.pt.* smaller --lr"
    ):
        Training(trainee, plan, tmp_path, "cpu").run(lambda row: None)
    state = restore(tmp_path / CHECKPOINT)
    assert state is not None
    assert state["step"] == 10
    assert all(bool(tensor.isfinite().all()) for tensor in state["network"].values())


def test_a_full_disk_does_not_harm_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    keep(path, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (20_000, hard)
    )  # Python ignores the signal, so writing fails as on a full disk
    try:
        with pytest.raises(OutputError, match=r"checkpoint.pt: cannot be written: File too large.*unharmed"):
            keep(path, {"step": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert restore(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_damaged_checkpoint_is_reported(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(OutputError, match=r"cannot be read.*Delete it"):
        restore(tmp_path / CHECKPOINT)


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "training"
    first = Identity(facts={"learning rate": 0.001, "seed": 0})
    claim(
        folder, Identity(facts={"learning rate": 0.1})
    ).close()  # failed before its first checkpoint, so nothing can be lost
    claim(folder, first).close()
    keep(folder / CHECKPOINT, {"step": 1})
    claim(folder, first).close()
    with pytest.raises(ConfigError, match=r"other settings: learning rate was 0.001, is 0.01\. Use the same"):
        claim(folder, Identity(facts={"learning rate": 0.01, "seed": 0}))


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    identity = Identity(facts={"seed": 0})
    with claim(tmp_path / "model" / "training", identity), pytest.raises(ConfigError, match="another process"):
        claim(tmp_path / "model" / "training", identity)


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="contains other files"):
        claim(tmp_path / "training", Identity(facts={}))


@pytest.mark.parametrize(("ratio", "expected"), [(0.0, 5.0), (0.5, 3.0), (1.0, 1.0)])
def test_weights_are_mixed_with_the_frozen_ones(ratio: float, expected: float) -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 5.0)
    nn.init.constant_(network.bias, 7.0)
    mix(network, {"weight": torch.ones(1, 1)}, ratio)
    assert network.weight.item() == pytest.approx(expected)
    assert network.bias.item() == 7.0


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    plan = made_up.plan(steps=100, warm_up_share=0.1)
    rates = [rate(step, plan) for step in range(101)]
    assert np.argmax(rates) in (9, 10)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
