"""The Dockerfile, as far as it can be judged without building it: a linter, and the files and names that it uses."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def hadolint(text: str) -> str:
    """What the linter says; "" if nothing."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = shutil.which("hadolint", path=places)
    assert command, "hadolint is not installed. Run: pip install -e '.[dev]' -c constraints.txt"
    done = subprocess.run([command, "--no-color", "-"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of this name, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", TEXT))
    return re.findall(rf"(?m)^{name} (.*)$", joined)


def is_ignored(name: str) -> bool:
    """Whether a file or folder at the top of the checkout is left out of the build."""
    return any(fnmatch(name, pattern) for pattern in IGNORED)


def test_the_linter_finds_nothing() -> None:
    assert hadolint(TEXT) == ""


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [
        (":3.11-slim-bookworm", "", "DL3006"),
        ("COPY . .", "ADD . .", "DL3020"),
        ("USER 1000:1000", "USER root", "DL3002"),
        ("--no-cache-dir ", "", "DL3042"),
    ],
)
def test_the_linter_would_find_faults(good: str, bad: str, rule: str) -> None:
    assert good in TEXT
    assert rule in hadolint(TEXT.replace(good, bad))


def test_the_image_has_a_python_that_the_package_supports() -> None:
    (version,) = {line.partition(":")[2].partition("-")[0] for line in instructions("FROM")}
    assert f"Programming Language :: Python :: {version}" in PROJECT["project"]["classifiers"]


def test_the_versions_are_the_tested_ones_and_the_extras_exist() -> None:
    (install,) = (line for line in instructions("RUN") if "pip install" in line)
    assert "-c constraints.txt" in install
    (extras,) = re.findall(r"'\.\[(.*)\]'", install)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_what_is_built_reaches_the_image_and_the_rest_does_not() -> None:
    needed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    for name in (*needed, "pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        assert (ROOT / name).exists()
        assert not is_ignored(name), name
    assert all(map(is_ignored, (".git", ".venv", ".ci", "tests", "docs", "findings", "benchmarks", "recipes")))


def test_the_cache_is_the_volume_and_the_command_the_entry_point() -> None:
    variables = instructions("ENV")[-1]
    (volume,) = instructions("VOLUME")
    assert f"PERCEPT_CACHE={volume}" in variables.split()
    assert instructions("ENTRYPOINT") == ['["percept"]']
    assert instructions("WORKDIR")[-1] == "/media"
