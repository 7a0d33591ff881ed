"""The wheel takes one name, `percept`, beside whatever a user's own packages are called; so does the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.media import Sound, make_video

SHIPPED = ("commands", "configs", "engines", "pages", "pipeline", "stages", "training")
OWN = (*SHIPPED, "recipes", "benchmarks", "tests")

SCRIPT = """
import sys
{first}
import {names}
import percept
assert percept.__file__ == sys.argv[1], percept.__file__
assert {{each.MINE for each in ({names})}} == {{True}}
found = list(percept.run("talk.mp4", labels=["dog", "rain"], modalities="audio", engine="torch"))
assert [record.clip for record in found] == [0], found
assert found[0].labels, found
import pipeline.result
assert pipeline.result.MINE and not hasattr(pipeline.result, "ClipRecord")
print("fine")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages folder that holds the wheel, to be used before the environment's own."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project, in which every name of our folders is taken."""
    folder = tmp_path_factory.mktemp("project")
    for name in OWN:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("MINE = True\n")
        for module in ("result", "errors", "main"):
            (folder / name / f"{module}.py").write_text("MINE = True\n")
    make_video(folder / "talk.mp4", seconds=2, audio=Sound())
    return folder


def environment(*paths: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def output_of(command: list[str], folder: Path, *paths: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(*paths), capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_takes_one_name(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"percept"}


def test_the_wheel_holds_every_tracked_file_of_what_is_shipped(installed: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files are tracked is unknown")
    listed = subprocess.run(
        ["git", "ls-files", *SHIPPED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    ).stdout.splitlines()
    assert listed
    assert [name for name in listed if not (installed / "percept" / name).is_file()] == []
    assert not (installed / "percept" / "recipes").exists()


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import percept", "import pipeline.result, commands.main"])
@pytest.mark.parametrize("kind", ["installed", "checkout"])
def test_a_program_keeps_its_own_packages(kind: str, first: str, installed: Path, project: Path) -> None:
    script = SCRIPT.format(first=first, names=", ".join(OWN))
    home = installed if kind == "installed" else ROOT
    expected = str(home / "percept" / "__init__.py")
    assert output_of([sys.executable, "-c", script, expected], project, project, home) == "fine\n"


def test_records_and_errors_belong_to_percept(installed: Path, tmp_path: Path) -> None:
    record = "percept.ClipRecord(source='a', clip=0, epoch=0, start_s=0.0, end_s=2.0, parts={'labels': []})"
    write = f"import percept, pickle; pickle.dump([{record}, percept.ConfigError('no')], open('both', 'wb'))"
    read = "import pickle; record, error = pickle.load(open('both', 'rb')); print(record.labels, type(error))"
    assert output_of([sys.executable, "-c", write], tmp_path, installed) == ""
    assert output_of([sys.executable, "-c", read], tmp_path, installed) == "[] <class 'percept.ConfigError'>\n"


@pytest.mark.slow
def test_the_command_finds_its_own_packages_in_a_folder_that_has_others(installed: Path, project: Path) -> None:
    command = [sys.executable, "-c", "import percept, sys; sys.exit(percept.main())"]
    more = ["run", "talk.mp4", "--labels", "dog", "--modalities", "audio", "--engine", "torch", "-q"]
    out = output_of([*command, *more], project, project, installed)
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize("kind", ["installed", "checkout"])
def test_percept_is_importable_beside_a_clone_of_that_name(kind: str, installed: Path, tmp_path: Path) -> None:
    """The folder of the clone has no `__init__.py`, so a package of that name further down the path is preferred."""
    (tmp_path / "percept").symlink_to(ROOT)
    home = installed if kind == "installed" else ROOT
    script = "import percept; print(callable(percept.run), percept.ClipRecord.__name__)"
    assert output_of([sys.executable, "-c", script], tmp_path, home) == "True ClipRecord\n"
