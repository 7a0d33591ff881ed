"""Where our other packages are, and how a module of theirs is loaded beside a program's own package of that name."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).resolve().parent
HOME = _HERE if (_HERE / "pipeline").is_dir() else _HERE.parent
"""The folder of our other packages: this package if it is installed, the checkout otherwise."""


def ours(name: str) -> ModuleType:
    """Our module `pipeline.<name>`, under a private name: a program may have its own package `pipeline`."""
    found = sys.modules.get(f"pipeline.{name}")
    if found is not None and found.__file__ == str(HOME / "pipeline" / f"{name}.py"):
        return found
    private = f"_percept_{name}"
    if private not in sys.modules:
        spec = importlib.util.spec_from_file_location(private, HOME / "pipeline" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[private] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == private:
                value.__module__ = "percept"  # for tracebacks and pickle, which find it there
    return sys.modules[private]
