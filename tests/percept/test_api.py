"""The public names: their signatures, descriptions and types."""

import inspect
import os
import pydoc
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import percept
from commands.options import FLAGS
from tests.conftest import ROOT
from tests.test_packaging import installed, project, wheel  # noqa: F401

PROGRAM = """
import percept

def best(path: str) -> float:
    for result in percept.run(path, labels=["dog"], precision="fp32", clip_seconds="0:04", output=["a.csv"]):
        reveal_type(result)
        if result.labels:
            reveal_type(result.labels[0].probability)
            return result.labels[0].probability
    raise percept.SourceError(percept.__version__)

percept.run("talk.mp4", min_probability=0.6, min_duration=1, gap="0:02")
percept.run(["talks", "list.m3u"], min_probability="60%", output=["a.parquet", "a.html"], recursive=True)
with percept.run("talk.mp4") as run:
    reveal_type([track.boxes for result in run for track in result.tracks or []])
reveal_type(next(percept.read("talk.jsonl")).to_dict())
percept.ClipRecord(source="talk.mp4", epoch=0, clip=0, start_s=0.0, end_s=2.0)
"""
REVEALED = (
    "percept._records.ClipRecord",
    "float",
    "list[list[tuple[float, float, float, float, float]]]",
    "dict[str, Any]",
)
WRONG = {
    'percept.run("talk.mp4", clip_second=2)': 'Unexpected keyword argument "clip_second"',
    'percept.run("talk.mp4", top_k="five")': 'Argument "top_k"',
    'percept.run("talk.mp4", precision="fp8")': 'Argument "precision"',
    'print(next(percept.run("talk.mp4")).label)': '"ClipRecord" has no attribute "label"',
    'percept.runs("talk.mp4")': 'Module has no attribute "runs"',
    'percept.to_pandas([], what="boxes")': 'Argument "what"',
}


def test_only_public_names_are_listed_and_every_one_is_described() -> None:
    assert {name for name in dir(percept) if not name.startswith("_")} == set(percept.__all__)
    for name in percept.__all__:
        assert inspect.getdoc(getattr(percept, name)), name
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        percept.runs  # type: ignore[attr-defined]  # noqa: B018


def test_help_is_a_page_about_the_package() -> None:
    page = pydoc.plain(pydoc.render_doc(percept))
    for text in ("First steps", "A record", "Tables", "Errors", "clip_seconds: Length of a clip", "to_polars(results"):
        assert text in page
    assert page.index("First steps") < page.index("CLASSES")


def test_the_version_is_that_of_the_distribution() -> None:
    assert version("percept-av") == percept.__version__


def test_every_setting_of_the_command_is_a_parameter() -> None:
    signature = inspect.signature(percept.run)
    names = {flag.name.removeprefix("--").replace("-", "_") for flag in FLAGS}
    assert names <= set(signature.parameters)
    assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in signature.parameters.values())


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy keeps of the standard library from one project to the next."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["installed", "checkout"])
def test_a_type_checker_sees_the_types(kind: str, installed: Path, project: Path, known: Path) -> None:  # noqa: F811
    """In a project that has packages of all our names."""
    home = installed if kind == "installed" else ROOT
    (project / "mypy.ini").write_text("[mypy]\n[mypy-pandas.*,polars.*]\nfollow_imports = skip\n")  # they take a minute
    (project / "right.py").write_text(PROGRAM)
    (project / "wrong.py").write_text("import percept\n" + "\n".join(WRONG))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(known), "right.py", "wrong.py"],
        cwd=project, env=os.environ | {"MYPYPATH": str(home)}, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith(("right.py", "wrong.py"))]
    revealed = [line.partition('Revealed type is "')[2].rstrip('"') for line in lines if "Revealed" in line]
    assert tuple(text.replace("builtins.", "") for text in revealed) == REVEALED, done.stdout
    assert not [line for line in lines if line.startswith("right.py") and "error" in line], done.stdout
    for number, text in enumerate(WRONG.values(), start=2):
        found = [line for line in lines if line.startswith(f"wrong.py:{number}:") and "error" in line]
        assert len(found) == 1, done.stdout
        assert text in found[0]


def test_the_wheel_says_that_it_is_typed(installed: Path) -> None:  # noqa: F811
    assert (installed / "percept" / "py.typed").is_file()
    assert (installed / "percept" / "_records.pyi").is_file()
