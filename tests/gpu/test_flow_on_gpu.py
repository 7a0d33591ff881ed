"""Flow computed on a GPU equals that computed on the CPU by the same code."""

import cv2
import numpy as np
import pytest

from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.flow import Flow

pytestmark = pytest.mark.gpu


def test_dis_torch_gives_on_a_gpu_what_it_gives_on_the_cpu() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 426, 3), np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 4)
    frames = np.stack([np.roll(picture, 3 * step, axis=1) for step in range(16)])
    times_ns = np.arange(16) * 125_000_000
    clips = [Clip(ClipInfo("a.mp4", 0, 0, 0, 2_000_000_000), {"frames": frames[n:], "frame_times_ns": times_ns[n:]})
             for n in range(3)]  # fmt: skip
    flows = {}
    for device in ("cpu", "cuda"):
        resources = Resources()
        stage = Flow(Flow.Options(method="dis-torch"), RunSettings(device=device), Budget())
        stage.open(resources)
        flows[device] = np.concatenate([outputs["flow"] for outputs in stage.process_many(clips)])
        resources.close()
    assert np.abs(flows["cpu"].astype(np.float32) - flows["cuda"]).mean() < 0.01
