"""The files that an output writes, and whether it may write them."""

import os
from collections import Counter
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.sinks.file import NAME_BYTES, is_special
from pipeline.status import OutputSpec


def source_paths(spec: OutputSpec) -> dict[str, str]:
    """For kinds with one file per source: source name -> path.

    `path` is a folder, a pattern in which `*` is replaced by the name of the source, or a file for a single source. Two
    sources of one name become `talk.vtt` and `talk-2.vtt`. A name that would be too long for a file is shortened.
    """
    if "*" not in spec.path and len(spec.sources) == 1 and Path(spec.path).suffix and not os.path.isdir(spec.path):
        return {spec.sources[0]: spec.path}
    paths: dict[str, str] = {}
    taken: set[str] = set()
    numbers: Counter[str] = Counter()
    pattern = spec.path if "*" in spec.path else os.path.join(spec.path, f"*{spec.per_source}")
    room = NAME_BYTES - len(os.fsencode(os.path.basename(pattern).replace("*", "")))
    for source in spec.sources:
        stem = _shortened(Path(source.rstrip("/")).stem or "source", room)
        name = stem
        while name in taken:
            numbers[stem] += 1
            number = f"-{numbers[stem] + 1}"
            name = _shortened(stem, room - len(number)) + number
        taken.add(name)
        paths[source] = pattern.replace("*", name)
    return paths


def _shortened(name: str, limit_bytes: int) -> str:
    """The name, cut after a whole character if it is longer than the limit."""
    return os.fsencode(name)[: max(1, limit_bytes)].decode("utf-8", "ignore")


def check_outputs(specs: list[OutputSpec]) -> None:
    """Check, before anything starts, that a run can write its outputs and overwrites nothing unasked.

    Raises: ConfigError: every problem, with what to do.
    """
    problems: list[str] = []
    specs = [spec for spec in specs if spec.kind != "terminal"]
    for spec in specs:
        problems += _problems(spec)
    written = [os.path.realpath(path) for spec in specs for path in output_paths(spec) if path != "-"]
    for path in sorted(path for path, count in Counter(written).items() if count > 1):
        problems.append(f"{path}: two outputs would write this file. Give each its own.")
    if there := {path for path in written if os.path.exists(path)}:
        named = {source for spec in specs for source in spec.sources}
        there &= {os.path.realpath(source) for source in named if os.path.exists(source)}
    for path in sorted(there):
        problems.append(f"{path}: is a source of this run and would be overwritten. Choose another output.")
    if problems:
        raise ConfigError("\n".join(problems))


def output_paths(spec: OutputSpec) -> list[str]:
    """All files of an output; `-` is stdout."""
    return list(source_paths(spec).values()) if spec.per_source else [spec.path]


def _blocked(folder: str) -> str:
    """Why files cannot be created in a folder, which may have to be created too; "" if they can."""
    above = Path(folder)
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        return f"{above} is a file; expected a folder. Choose another one."
    return "" if os.access(above, os.W_OK | os.X_OK) else f"no permission to write in {above}. Choose another folder."


def _problems(spec: OutputSpec) -> list[str]:
    if spec.path == "-":
        return ["--resume needs a file to resume. Give one: -o results.jsonl"] if spec.resume else []
    problems = []
    if spec.kind == "parquet" and is_special(spec.path):
        return [f"{spec.path}: is a pipe or a device; a Parquet table needs a file, such as results.parquet"]
    if spec.per_source and len(spec.sources) > 1 and os.path.isfile(spec.path):
        return [f"{spec.path}: is a file; expected a folder for {len(spec.sources)} sources."]
    if not spec.per_source and os.path.isdir(spec.path):
        return [f"{spec.path}: is a folder; expected a file, such as {os.path.join(spec.path, 'results.jsonl')}"]
    folder = os.path.dirname(spec.path) or "."
    if not spec.per_source and not os.path.isdir(folder):
        return [f"{spec.path}: the folder {folder} does not exist. Make it first: mkdir -p {folder}"]
    if too_long := [
        name for path in output_paths(spec) if len(os.fsencode(name := os.path.basename(path))) > NAME_BYTES
    ]:
        return [f"{too_long[0]}: the name is longer than {NAME_BYTES} bytes. Choose a shorter one."]
    if spec.per_source and (blocked := _blocked(spec.path if not Path(spec.path).suffix else folder)):
        return [f"{spec.path}: {blocked}"]
    for path in output_paths(spec):
        if os.path.exists(path) and not is_special(path) and not (spec.overwrite or spec.resume):
            also = ", or --resume to continue it" if spec.kind == "jsonl" else ""
            problems.append(f"{path}: exists already. Choose another name, or add --overwrite{also}.")
    return problems
