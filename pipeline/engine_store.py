"""What the command line takes of engines and stages beyond a run: by name, as `build` reaches stages."""

from typing import Any

from pipeline.build import load

NAMES = {
    "entries": "engines.cache.store:entries",
    "remove": "engines.cache.store:remove",
    "is_building": "engines.cache.store:is_building",
    "networks_of": "engines.cache.store:networks_of",
    "verify": "engines.cache.verify:verify",
    "taken": "engines.building.choice:taken",
    "build_all": "engines.building.choice:build_all",
    "read_model": "engines.models.checkpoint:read_model",
    "write_model": "engines.models.model_file:write_model",
    "hub_place": "engines.models.model_file:hub_place",
    "network": "engines.models.network:network",
    "assemble": "engines.models.assemble:assemble",
    "copied": "engines.models.assemble:copied",
    "cannot_quantize": "engines.building.quantize:missing",
    "towers_sharing": "engines.building.int8:towers_sharing",
    "make_int8": "engines.building.int8:make_int8",
    "Words": "engines.building.quantize:Words",
    "build_label_set": "stages.words.labels:build_label_set",
    "weigh": "stages.words.weigh:weigh",
    "template_file": "stages.words.templates:template_file",
    "lint": "stages.words.lint:lint",
    "signal_weight": "stages.words.reliability:signal_weight",
    "STREAM": "stages.encode:STREAM",
    "tower_input": "stages.encode:tower_input",
    "time_all": "engines.building.bench:time_all",
}


def reach(name: str) -> Any:
    """The function, class or table of this name."""
    return load(NAMES[name])
