"""The names and signatures in the supported TensorRT versions, which cannot be installed everywhere.

python -m tests.engines.stubs.tensorrt_names     # downloads the bindings, 1.3 MB each, and writes tensorrt_names.json

NVIDIA's libraries are replaced by stubs, so that the bindings can be imported and inspected.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engines.tensorrt.api import USED
from tests.engines.stubs.compiled import compile_library

NAMES = Path(__file__).with_suffix(".json")
VERSIONS = ("10.16.1.11", "11.4.0.106")
STUBS = ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")


def kept() -> dict[str, dict[str, Any]]:
    """The stored names by version: "members" and "takes", the results of `members` and `signatures`."""
    found = json.loads(NAMES.read_text())
    for each in found.values():
        each["members"] = {name: inner.split() for name, inner in each["members"].items()}
    return dict(found)


def look(version: str, folder: Path) -> dict[str, Any]:
    """Download the bindings of a version into the folder and return the same for them.

    Raises:
        subprocess.SubprocessError: they cannot be downloaded.
    """
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input",
             "--disable-pip-version-check", "--retries=1", "--timeout=10", f"--dest={folder}"]  # fmt: skip
    wheel = f"tensorrt-cu13-bindings=={version}"
    subprocess.run([*fetch, wheel], capture_output=True, check=True, text=True, timeout=90)
    (path,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(path), str(folder)], check=True, timeout=60)
    for name in STUBS:
        compile_library("libnvinfer.c", folder / f"{name}.so.{version.partition('.')[0]}")
    environment = {"PYTHONPATH": str(folder), "LD_LIBRARY_PATH": str(folder)}
    module = "tensorrt_bindings"
    return {"members": members(module, environment), "takes": signatures(module, environment)}


def members(module: str, environment: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Public names of a module, with the public members of each class; read in another process."""
    script = f"""
import json, {module} as m
public = lambda of: [name for name in dir(of) if not name.startswith("_")]
found = {{name: getattr(m, name) for name in public(m)}}
print(json.dumps({{name: public(each) if isinstance(each, type) else [] for name, each in found.items()}}))
"""
    return dict(json.loads(output_of(script, environment)))


def signatures(module: str, environment: dict[str, str] | None = None) -> dict[str, str]:
    """Signatures of methods in `USED` that have only one: "(self: Builder, flags: typing.SupportsInt = 0) -> ..."."""
    script = f"""
import json, {module} as m
docs = {{f"{{o}}.{{n}}": getattr(getattr(m, o), n).__doc__ or "" for o, ns in {USED!r}.items() for n in ns}}
print(json.dumps({{name: text.strip().partition(chr(10))[0] for name, text in docs.items()}}))
"""
    lines = dict(json.loads(output_of(script, environment)))
    own = f"{module}.tensorrt." if module.endswith("bindings") else f"{module}_bindings.{module}."
    return {name: line.replace(own, "") for name, line in lines.items() if "(self" in line}


def output_of(script: str, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def main() -> None:
    found: dict[str, dict[str, Any]] = {}
    for version in VERSIONS:
        with tempfile.TemporaryDirectory() as folder:
            found[version] = look(version, Path(folder))
        inner = found[version]["members"]
        found[version]["members"] = {name: " ".join(inner[name]) for name in sorted(inner)}  # one line each
    NAMES.write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main()
