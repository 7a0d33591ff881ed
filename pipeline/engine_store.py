"""The engine layer as the command line reaches it: by name, like stages in `build`, and on plain data."""

from typing import Any

from pipeline.build import load

NAMES = {
    "entries": "engines.store:entries",
    "remove": "engines.store:remove",
    "is_building": "engines.store:is_building",
    "networks_of": "engines.store:networks_of",
    "verify": "engines.verify:verify",
    "taken": "engines.choice:taken",
    "build_all": "engines.choice:build_all",
    "time_all": "engines.bench:time_all",
}


def reach(name: str) -> Any:
    """The function of this name."""
    return load(NAMES[name])
