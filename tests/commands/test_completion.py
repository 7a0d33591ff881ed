"""`percept completion`: real shells complete what a person types."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands.completion import PATHS, WORDS, command_parser
from commands.main import VERBS, main
from tests.conftest import ROOT

IN_CI = bool(os.environ.get("CI"))
"""There, a missing shell is a failure."""
needs_zsh = pytest.mark.skipif(not (IN_CI or shutil.which("zsh")), reason="zsh is not installed")
needs_fish = pytest.mark.skipif(not (IN_CI or shutil.which("fish")), reason="fish is not installed")
SHELLS = ["bash", pytest.param("zsh", marks=needs_zsh), pytest.param("fish", marks=needs_fish)]

START = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
}
READY = {
    "bash": "bind 'set enable-bracketed-paste off'; source ./_percept",
    "zsh": "fpath=($PWD $fpath); autoload -U compinit; compinit -D -u",
}
SAY = "percept() { printf '{%s}' \"$@\"; echo ' end''ed'; }; echo rea''dy\n"
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    """The script of each shell."""
    command = [sys.executable, "-m", "commands.main", "completion"]
    return {
        shell: subprocess.run(
            [*command, shell], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for shell in ("bash", "zsh", "fish")
    }


def completed(shell: str, script: str, typed: str, folder: Path) -> list[str]:
    """The arguments of `percept` after TAB is pressed behind `typed`, or everything that fish offers for it."""
    (folder / "_percept").write_text(script)
    if shell == "fish":
        command = ["fish", "--no-config", "-c", f"source ./_percept; complete -C '{typed}'"]
        shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=LIMIT_S)
        return [line.partition("\t")[0] for line in shown.stdout.splitlines()]
    return typed_into([shell, *START[shell]], READY[shell], typed, folder)


def typed_into(command: list[str], ready: str, typed: str, folder: Path) -> list[str]:
    """Type into an interactive shell on a pseudo-terminal, with TAB and Enter behind."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "dumb", "PS1": "", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        os.write(ours, f"{ready}; {SAY}".encode())
        read_until(ours, "ready")
        os.write(ours, f"{typed}\t\n".encode())
        shown = read_until(ours, "ended")
    finally:
        child.kill()
        child.wait(timeout=10)
        os.close(ours)
    said = re.search(r"((?:\{[^{}]*\})+) ended", shown)
    assert said, shown
    return re.findall(r"\{([^{}]*)\}", said[1])


def read_until(descriptor: int, word: str) -> str:
    """What a terminal shows, until it has shown this word."""
    shown, until_s = "", time.monotonic() + LIMIT_S
    while word not in shown:
        assert select.select([descriptor], [], [], max(0.0, until_s - time.monotonic()))[0], shown
        shown += os.read(descriptor, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("percept ru", ["run"]),
        ("percept run --lab", ["run", "--labels"]),
        ("percept engine be", ["engine", "bench"]),
        ("percept engine bench --sec", ["engine", "bench", "--seconds"]),
        ("percept run --engine openv", ["run", "--engine", "openvino"]),
        ("percept run -c sound", ["run", "-c", "sound-only"]),
        ("percept run -c own", ["run", "-c", "own.toml"]),
        ("percept run ta", ["run", "talk.mp4"]),
        ("percept completion fi", ["completion", "fish"]),
        ("percept model show percept", ["model", "show", "percept-mini"]),
    ],
    ids=lambda value: value.replace("percept ", "") if isinstance(value, str) else "",
)
def test_a_shell_completes(
    shell: str, typed: str, expected: list[str], scripts: dict[str, str], tmp_path: Path
) -> None:
    for name in ("talk.mp4", "own.toml"):
        (tmp_path / name).touch()
    found = completed(shell, scripts[shell], typed, tmp_path)
    assert found == (expected if shell != "fish" else expected[-1:])


def test_every_command_and_action_is_in_the_tree() -> None:
    (verbs,) = (action for action in command_parser()._actions if action.dest == "==SUPPRESS==" and action.choices)
    assert list(verbs.choices) == list(VERBS)


def test_every_word_belongs_to_an_option() -> None:
    """A renamed option must not lose its words unnoticed."""
    waiting, found, metavars = [command_parser()], set[str](), set[str]()
    while waiting:
        for action in waiting.pop()._actions:
            if isinstance(action.choices, dict):
                waiting += action.choices.values()
            found.add(action.dest)
            metavars |= set((action.metavar or "").replace("|", " ").split())
    assert set(WORDS) <= found
    assert metavars >= PATHS


def test_another_shell_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "choose from 'bash', 'zsh', 'fish'" in capfd.readouterr().err
