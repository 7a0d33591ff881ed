"""What the command line takes of engines and stages beyond a run: by name, as `build` reaches stages."""

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
    "read_model": "engines.checkpoint:read_model",
    "write_model": "engines.model_file:write_model",
    "hub_place": "engines.model_file:hub_place",
    "network": "engines.network:network",
    "assemble": "engines.assemble:assemble",
    "copied": "engines.assemble:copied",
    "cannot_quantize": "engines.quantize:missing",
    "towers_sharing": "engines.int8:towers_sharing",
    "make_int8": "engines.int8:make_int8",
    "Words": "engines.quantize:Words",
    "build_label_set": "stages.labels:build_label_set",
    "weigh": "stages.weigh:weigh",
    "template_file": "stages.templates:template_file",
    "lint": "stages.word_lint:lint",
    "signal_weight": "stages.reliability:signal_weight",
    "STREAM": "stages.encode:STREAM",
    "tower_input": "stages.encode:tower_input",
    "time_all": "engines.bench:time_all",
}


def reach(name: str) -> Any:
    """The function, class or table of this name."""
    return load(NAMES[name])
