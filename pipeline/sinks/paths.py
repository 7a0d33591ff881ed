"""The files that an output writes, and whether it may write them."""

import os
from collections import Counter
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.sinks.file import is_special
from pipeline.status import OutputSpec


def source_paths(spec: OutputSpec) -> dict[str, str]:
    """For kinds with one file per source: source name -> path.

    `path` is a folder, a pattern in which `*` is replaced by the name of the source, or a file for a single source. Two
    sources of one name become `talk.vtt` and `talk-2.vtt`.
    """
    if "*" not in spec.path and len(spec.sources) == 1 and Path(spec.path).suffix and not os.path.isdir(spec.path):
        return {spec.sources[0]: spec.path}
    paths: dict[str, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    for source in spec.sources:
        stem = Path(source.rstrip("/")).stem or "source"
        name = stem
        while name in taken:
            numbers[stem] += 1
            name = f"{stem}-{numbers[stem] + 1}"
        taken.add(name)
        paths[source] = (
            spec.path.replace("*", name) if "*" in spec.path else os.path.join(spec.path, name + spec.per_source)
        )
    return paths


def check_outputs(specs: list[OutputSpec]) -> None:
    """Check, before anything starts, that a run can write its outputs and overwrites nothing unasked.

    Raises: ConfigError: every problem, with what to do.
    """
    problems: list[str] = []
    for spec in specs:
        problems += _problems(spec)
    written = [os.path.realpath(path) for spec in specs for path in _paths(spec) if path != "-"]
    for path in sorted(path for path, count in Counter(written).items() if count > 1):
        problems.append(f"{path}: two outputs would write this file. Give each its own.")
    sources = {os.path.realpath(source) for spec in specs for source in spec.sources if os.path.exists(source)}
    for path in sorted(set(written) & sources):
        problems.append(f"{path}: is a source of this run and would be overwritten. Choose another output.")
    if problems:
        raise ConfigError("\n".join(problems))


def _paths(spec: OutputSpec) -> list[str]:
    return list(source_paths(spec).values()) if spec.per_source else [spec.path]


def _problems(spec: OutputSpec) -> list[str]:
    if spec.path == "-":
        return ["--resume needs a file to resume. Give one: -o results.jsonl"] if spec.resume else []
    problems = []
    if spec.per_source and len(spec.sources) > 1 and os.path.isfile(spec.path):
        return [f"{spec.path}: is a file; expected a folder for {len(spec.sources)} sources."]
    if not spec.per_source and os.path.isdir(spec.path):
        return [f"{spec.path}: is a folder; expected a file, such as {os.path.join(spec.path, 'results.jsonl')}"]
    folder = os.path.dirname(spec.path) or "."
    if not spec.per_source and not os.path.isdir(folder):
        return [f"{spec.path}: the folder {folder} does not exist. Make it first: mkdir -p {folder}"]
    for path in _paths(spec):
        if os.path.exists(path) and not is_special(path) and not (spec.overwrite or spec.resume):
            also = ", or --resume to continue it" if spec.kind == "jsonl" else ""
            problems.append(f"{path}: exists already. Choose another name, or add --overwrite{also}.")
    return problems
