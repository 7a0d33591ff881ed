"""The first run ever: nothing is built, and the results come at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.result import decode_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_first_run_gives_results_before_its_engines_are_built_and_the_second_uses_them(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "commands.main", "run", "engines/bundled/sample.mp4", "--end", "4"]
    command += ["--modalities", "motion", "--labels", "panning left", "--log-json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PERCEPT_CACHE": str(tmp_path)}

    def run() -> tuple[list[str], str]:
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=170)
        assert ended.returncode == 0, ended.stderr
        return [decode_json(line).engine for line in ended.stdout.splitlines()], ended.stderr

    engines, messages = run()
    assert engines == ["torch-fp32", "torch-fp32"]
    assert messages.index("faster engines are being built") < messages.index("building concept_motion")
    assert not {name for name in ("concept_picture", "concept_sound", "fusion") if name in messages}  # nobody asked
    engines, messages = run()
    assert not {engine for engine in engines if "torch" in engine}
    assert "building" not in messages
