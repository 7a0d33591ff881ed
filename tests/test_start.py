"""What a run costs before its first result."""

import pytest

from engines.devices.gpus import gpu_here
from tests.pipeline.test_imports import run_python

LABEL_THE_SAMPLE = """
import sys
from engines.models.checkpoint import BUNDLED
from pipeline.build import make_plan
from pipeline.config import Config
from pipeline.plain import PlainLoop
from pipeline.run import place, private_directory
with private_directory() as directory, PlainLoop(place(make_plan(Config()), directory)) as loop:
    clips = list(loop.run(str(BUNDLED / "sample.mp4")))
assert len(clips) == 8 and not any(clip.failed for clip in clips)
print(sorted({"torch", "torchaudio", "transformers", "kornia", "onnx"} & set(sys.modules)))
"""


@pytest.mark.skipif(gpu_here(), reason="networks run by PyTorch or TensorRT on a GPU")
def test_once_engines_are_built_nothing_of_a_run_imports_pytorch() -> None:
    imported = run_python(LABEL_THE_SAMPLE)
    if imported.strip() != "[]":  # the first run built what was not built
        imported = run_python(LABEL_THE_SAMPLE)
    assert imported.strip() == "[]"
