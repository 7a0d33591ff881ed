"""What README and CONTRIBUTING show is run or parsed: commands, Python, JSON, make targets, links, figures."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import run as run_verb
from pipeline.result import SCHEMA_VERSION, decode_json, encode_json

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "" for line in text.splitlines() if line.strip()]
SAMPLE = "engines/bundled/sample.mp4"


def test_there_is_something_to_test() -> None:
    assert len(COMMANDS) > 5
    assert {kind for kind, _ in BLOCKS} >= {"", "json", "python"}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("percept run")])
def test_every_command_is_understood(command: str) -> None:
    parser = run_verb.make_parser()
    words = run_verb.split_events(shlex.split(command, comments=True)[2:])
    options = parser.parse_intermixed_args(words)
    assert options.sources


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", "\n".join(COMMANDS)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_json_is_a_result_with_nothing_unknown() -> None:
    for kind, text in BLOCKS:
        if kind == "json":
            assert json.loads(encode_json(decode_json(text))) == json.loads(text)
            assert json.loads(text)["schema_version"] == SCHEMA_VERSION


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_figures_are_those_that_were_measured() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.table", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_python_block_runs(tmp_path: Path) -> None:
    (code,) = (text for kind, text in BLOCKS if kind == "python")
    script = tmp_path / "five_lines.py"
    script.write_text(code.replace("talk.mp4", str(ROOT / SAMPLE)))
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
    assert "'rain'" in done.stdout


@pytest.mark.slow
def test_the_stage_of_the_contributing_page_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (tmp_path / "brightness_stage.py").write_text(code)
    (tmp_path / "config.toml").write_text(
        '[[groups]]\nname = "light"\nstages = ["brightness"]\n'
        '[stages.brightness]\nclass = "brightness_stage:Brightness"\n'
    )
    command = [
        sys.executable,
        "-m",
        "commands.main",
        "run",
        str(ROOT / SAMPLE),
        "-c",
        str(tmp_path / "config.toml"),
    ]
    paths = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 8
