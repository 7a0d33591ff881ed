"""Who may import whom, what an import costs, and whose code is never run."""

import ast
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "engines": ("engines", "pipeline.arrays", "pipeline.errors", "pipeline.machine"),
    "stages": (
        "stages",
        "engines",
        *(f"pipeline.{name}" for name in ("clip", "stage", "part", "result", "arrays", "errors")),
    ),
    "pipeline": ("pipeline",),
    "training": ("training", "stages", "engines", "pipeline"),
    "recipes": ("recipes", "training", "stages", "engines", "pipeline", "benchmarks"),
    "commands": ("commands", "training", "stages", "engines", "pipeline"),
}
"""What each folder may import of ours. Nothing but `commands` may import `commands`."""
OURS = (*ALLOWED, "benchmarks", "tests", "configs", "percept")
HEAVY = ("torch", "torchaudio", "transformers", "cv2", "av", "onnx", "onnxruntime", "kornia", "numpy", "zmq")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute"
            assert node.module
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def under(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(parent + ".") for parent in parents)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_go_in_one_direction(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for line, name in imports(path):
            if under(name, OURS) and name != "pipeline" and not under(name, ALLOWED[package]):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_stages_and_engines_are_named_in_strings_in_one_module_alone() -> None:
    """A name in a string is invisible to types, find-usages and dead-code search."""
    naming = {
        str(path.relative_to(ROOT))
        for package in ("pipeline", "commands", "training")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if re.fullmatch(r"(stages|engines|commands|training)(\.\w+)+:\w+", node.value)
    }
    assert naming == {"pipeline/build.py", "pipeline/config.py"}  # config.py: the default of decode.factory


@pytest.mark.parametrize("package", ["pipeline", "stages", "engines", "commands"])
def test_a_package_imports_nothing_by_itself(package: str) -> None:
    assert {name for _, name in imports(ROOT / package / "__init__.py")} <= {"os"}


def run_python(code: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import percept", []),
        ("from commands.main import main; main(['--help'])", []),
        ("from commands.main import main; main(['--version'])", []),
        ("from commands.run import make_parser; make_parser().format_help()", ["numpy"]),
    ],
    ids=["import percept", "--help", "--version", "run --help"],
)
def test_what_only_asks_imports_nothing_heavy(code: str, loaded: list[str]) -> None:
    out = run_python(f"{code}\nimport sys; print('LOADED', *sorted(set(sys.modules) & set({HEAVY!r})))")
    assert out.strip().splitlines()[-1].split() == ["LOADED", *loaded]


def test_help_comes_at_once() -> None:
    """In processor time, which other work on the machine does not lengthen much; the best of three."""
    assert min(processor_seconds("from commands.main import main; main(['--help'])") for _ in range(3)) < 0.3


def processor_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_python(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "module", ["stages.flow", "stages.encode", "stages.classify", "stages.detect.stage", "pipeline.build"]
)
def test_making_a_stage_does_not_import_torch(module: str) -> None:
    heavy = ("torch", "transformers", "onnxruntime", "kornia")
    out = run_python(f"import {module}, sys; print('LOADED', *sorted(set(sys.modules) & set({heavy!r})))")
    assert out.strip() == "LOADED"


def test_the_light_processes_need_no_torch() -> None:
    code = "from pipeline.processes import LIGHT, OUTPUT; import importlib, sys\n"
    code += "for module in (*LIGHT, *OUTPUT): importlib.import_module(module)\n"
    code += "print('torch' in sys.modules, 'cv2' in sys.modules)"
    assert run_python(code).split() == ["False", "False"]


def test_a_users_own_modules_are_not_imported(tmp_path: Path) -> None:
    """A `pipeline.py`, `stages.py` or `numpy.py` in the current folder is none of ours."""
    for name in ("pipeline", "stages", "engines", "numpy", "msgspec", "zmq", "av", "pipeline_helper"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name}')\n")
    order = (
        '{"sources": ["fake:clips=4"], "output": "out.jsonl", "resume": false, '
        '"config": __import__("tests.pipeline.fakes").pipeline.fakes.fake_config()}'
    )
    run_python(
        f"from tests.pipeline.run_script import main\nassert main({order.replace('false', 'False')}) == 0", tmp_path
    )
    assert not (tmp_path / "imported").exists()
    assert (tmp_path / "out.jsonl").read_text().count("\n") == 4
