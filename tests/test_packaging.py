"""The wheel takes one name, `percept`, beside whatever a user's own packages are called; so does the checkout.

The wheel works where nothing else of the checkout is, and holds what it should and no more.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from pipeline.machine import cache_directory
from tests.conftest import ROOT
from tests.media import Sound, make_video

SHIPPED = ("commands", "configs", "engines", "live", "pages", "pipeline", "stages", "training")
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


MOST_BYTES = 36e6
"""Of the wheel. The documentation says about 30 MB, most of it the bundled model."""


def build(kind: str, project: Path, folder: Path) -> Path:
    """Build the "wheel" or "sdist" of a project into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("dist"))


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


# -- what is in the wheel and in the sdist ----------------------------------------------------------------------------


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def test_the_wheel_is_small_and_has_nothing_of_the_checkout_but_the_product(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST_BYTES
    folders = {name.split("/")[1] for name in names_in(wheel) if name.startswith("percept/") and name.count("/") > 1}
    assert folders.isdisjoint({"tests", "findings", "recipes", "benchmarks", "docs", "examples"})
    assert folders >= set(SHIPPED)
    assert not [name for name in names_in(wheel) if name.endswith((".pyc", ".pyo")) or "/." in name]


def metadata_of(wheel: Path) -> Message:
    (name,) = (name for name in names_in(wheel) if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as file:
        return message_from_bytes(file.read(name))


def test_the_metadata_has_licence_and_description(wheel: Path) -> None:
    metadata = metadata_of(wheel)
    assert metadata["Name"] == "percept-av"
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    assert [name for name in names_in(wheel) if name.endswith(".dist-info/licenses/LICENSE")]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith("# Percept\n")


@pytest.mark.slow
def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", ROOT, tmp_path)) as file:
        file.extractall(tmp_path, filter="data")
    (project,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (project / "findings").exists()
    (tmp_path / "again").mkdir()
    assert names_in(build("wheel", project, tmp_path / "again")) == names_in(wheel)


# -- the wheel in an environment of its own ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, installed by pip. Its dependencies are those of the running environment."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place, symlinks=True)
    (place / sysconfig.get_path("purelib", "venv", {"base": "."}) / "dependencies.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )
    python = str(place / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home, where nothing is written: the cache is elsewhere."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def in_clean(clean: Path, home: Path, *command: str) -> str:
    """The output of a command of the clean environment, run in a folder beside an empty home."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = kept | {"HOME": str(home), "PERCEPT_CACHE": str(cache_directory()), "PATH": f"{clean}/bin"}
    work = home.parent / "work"
    work.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(clean / "bin" / command[0]), *command[1:]],
        cwd=work, env=environment, capture_output=True, text=True, timeout=170,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_command_works_in_a_clean_environment(clean: Path, home: Path) -> None:
    folder = in_clean(clean, home, "python", "-c", "from percept._home import HOME; print(HOME)").strip()
    assert Path(folder).is_relative_to(clean)
    version = in_clean(clean, home, "percept", "--version").split()
    assert version == ["percept", metadata_version(clean)]
    assert "openvino" in in_clean(clean, home, "percept", "completion", "bash")
    sample = str(Path(folder, "engines", "bundled", "sample.mp4"))
    in_clean(clean, home, "percept", "run", sample, "--end", "4", "-o", "out.jsonl")
    records = [json.loads(line) for line in (home.parent / "work" / "out.jsonl").read_text().splitlines()]
    assert [(record["source"], record["clip"]) for record in records] == [(sample, 0), (sample, 1)]
    assert all(record["labels"] for record in records)
    assert list(home.iterdir()) == []


def metadata_version(clean: Path) -> str:
    (folder,) = clean.glob("lib/*/site-packages/percept_av-*.dist-info")
    return folder.name.removeprefix("percept_av-").removesuffix(".dist-info")


@pytest.mark.slow
def test_check_and_the_python_api_work_in_a_clean_environment(clean: Path, home: Path) -> None:
    told = json.loads(in_clean(clean, home, "percept", "check", "--json", "-q", "--modalities", "audio"))
    assert Path(told["percept"]["folder"]).is_relative_to(clean)
    assert [row["tower"] for row in told["engines"]] == ["audio"]
    script = "import percept; from percept._home import HOME; s = str(HOME / 'engines/bundled/sample.mp4'); "
    script += "print([r.clip for r in percept.run(s, labels=['dog', 'rain'], end=2, modalities='audio')])"
    assert in_clean(clean, home, "python", "-c", script) == "[0]\n"
    assert list(home.iterdir()) == []
