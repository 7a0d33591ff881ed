"""Writes the Python API that follows from other code: `percept.run` and `percept.label`, from the options of these
commands, and the types of records, from `pipeline/result.py`. Run it after a change: python -m commands.python_api
"""

import argparse
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from commands import label
from commands.console import add_console_options
from commands.options import FLAGS, probability, seconds
from commands.python_label import LABEL_ELSEWHERE, LABEL_TEMPLATE
from commands.python_stub import records_stub
from commands.run import make_parser
from pipeline.config import Config

PACKAGE = Path(__file__).resolve().parent.parent / "percept"
COMMAND = "python -m commands.python_api"
ELSEWHERE = {
    "help": "help(percept.run)",
    "sources": "a parameter of its own",
    "labels": "a parameter of its own, which also takes lists and mappings",
    "config": "a parameter of its own",
    "set": "the parameter `settings`",
    "request": "how this API talks to the command",
    "format": "records are objects here",
    "resume": "an iterator cannot be resumed",
}
"""Options of the command that are no options in Python, and why."""
PATHS = ("FILE", "FOLDER", "DIR")
"""Words in a metavar that make an option a path."""
TEXTS = {
    "output": "also write to a file, or to several: results as .jsonl, .json, .parquet or .txt; events as .csv, .vtt "
    "or .srt; a page as .html",
    "events": "write events, which are merged clips, to a file: .csv, .vtt, .srt or .jsonl "
    "('*' is replaced by the source's name)",
}
"""Descriptions of options that mean something else in Python."""


@dataclass(frozen=True)
class Parameter:
    """An option of the command as a parameter of `percept.run`."""

    name: str
    type: str
    text: str
    is_switch: bool = False
    repeats: bool = False

    @property
    def declaration(self) -> str:
        return f"{self.name}: {self.type} = {'False' if self.is_switch else 'None'},"


def parameters(parser: argparse.ArgumentParser, not_here: Mapping[str, str] = ELSEWHERE) -> Iterator[Parameter]:
    """The options of the command that make sense in Python, in its order, settings first.

    Options about the log are left out: the parameter `progress` replaces them.
    """
    about_log = argparse.ArgumentParser(add_help=False)
    add_console_options(about_log)
    elsewhere = {*not_here, *map(_name, about_log._actions)}
    groups = sorted(parser._action_groups, key=lambda group: group.title != "settings")
    for action in (action for group in groups for action in group._group_actions):
        if _name(action) not in elsewhere:
            yield parameter(_name(action), action)


def _name(action: argparse.Action) -> str:
    """The name in Python: that of the long option."""
    long = [option for option in action.option_strings if option.startswith("--")]
    return long[0][2:].replace("-", "_") if long else action.dest


def parameter(name: str, action: argparse.Action) -> Parameter:
    is_switch = action.nargs == 0
    repeats = isinstance(action, argparse._AppendAction)
    kind = "bool" if is_switch else " | ".join([*_types(action, repeats), "None"])
    text = TEXTS.get(name) or in_python(action.help or "")
    if action.type is seconds and "seconds" not in text:
        text = re.sub(r"(?= \(default: |$)", ", in seconds", text, count=1)
    return Parameter(name, kind, text, is_switch, repeats)


def _types(action: argparse.Action, repeats: bool) -> list[str]:
    """The types of a value, each as Python text."""
    flags = {flag.key: flag for flag in FLAGS}
    setting = _setting(action.dest) if action.dest in flags else None
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if choices := action.choices or (get_args(setting) if get_origin(setting) is Literal else ()):
        kinds = [f"Literal[{', '.join(map(repr, choices))}]"]
    elif action.type in (seconds, probability):  # numbers that may have a unit: "1:30", "50%"
        kinds = ["float", "str"]
    elif isinstance(action.type, type) and action.type is not str:
        kinds = [action.type.__name__]
    elif get_origin(setting) is tuple:
        kinds = ["Sequence[str]", "str"]
    else:
        kinds = ["str", *(["os.PathLike[str]"] if any(word in metavar for word in PATHS) else [])]
    kinds += [f"Sequence[{' | '.join(kinds)}]"] if repeats else []
    return ["bool", *kinds] if action.nargs == "?" else kinds


def _setting(key: str) -> Any:
    """The type of a key of the config; None if it belongs to a stage."""
    kind: Any = Config
    for part in key.split("."):
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return None
        kind = get_type_hints(kind).get(part)
    return kind


def in_python(text: str) -> str:
    """A description for the command line, in the words of Python."""
    text = re.sub(r"--set ([\w.]+)=([^\s;,)]+)", r'settings={"\1": "\2"}', text)
    return re.sub(r"--([a-z][a-z-]*)", lambda found: f"`{found[1].replace('-', '_')}`", text)


def run_module() -> str:
    """The text of `percept/_run.py`."""
    return module(TEMPLATE, list(parameters(make_parser())))


def label_module() -> str:
    """The text of `percept/_label.py`."""
    return module(LABEL_TEMPLATE, list(parameters(label.make_parser(), ELSEWHERE | LABEL_ELSEWHERE)))


def module(template: str, options: list[Parameter]) -> str:
    """A template with its parameters."""
    declarations = "\n    ".join(option.declaration for option in options)
    described = "\n".join(_described(option.name, option.text) for option in options)
    given = "\n        ".join(f'"{option.name}": {option.name},' for option in options)
    repeated = ", ".join(repr(option.name) for option in options if option.repeats)
    return (
        template.replace("@declarations", declarations)
        .replace("@described", described)
        .replace("@given", given)
        .replace("@repeated", repeated)
    )


def _described(name: str, text: str) -> str:
    is_value = not re.match(r"[a-z]+ ", text)  # such as "auto, cpu or cuda"
    sentence = text if is_value else text[:1].upper() + text[1:]
    sentence += "" if sentence.endswith((".", "!", "?")) else "."
    return textwrap.fill(f"{name}: {sentence}", 120, initial_indent=" " * 8, subsequent_indent=" " * 12)


TEMPLATE = '''"""`percept.run`. Written by `python -m commands.python_api` from the options of the command."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from percept._child import Run, records


def run(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    labels: Sequence[str] | Mapping[str, Any] | str | None = None,
    *,
    @declarations
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool | None = None,
) -> Run:
    """Label the clips of videos: one record per clip, source by source in the given order, as soon as it is there.

        for result in percept.run("talk.mp4", labels=["dog barking", "rain"]):
            print(result.start_s, result.labels)

    The work is done in a process of its own, which starts with the first step of the loop. Leaving the loop, closing
    the iterator or interrupting it stops the run. Clips and sources that failed are records with `error`.

    An option that is None has the value of `config`, or else the default that is given here.

    Args:
        sources: A video, a sound file or a picture; a folder of them, or a playlist (.m3u, .pls, .xspf, .txt); a URL or
            a glob. Or a list of these.
        labels: Words to choose from. "car|automobile" are synonyms. A mapping is a hierarchy, of names to lists or to
            further mappings: {"animal": ["dog", "cat"], "vehicle": ["car|automobile"]}. One string is read as on the
            command line: "dog barking, rain", or "@words.txt". None means a vocabulary of everyday words.
@described
        config: Settings from a TOML file, or the name of bundled ones: default, gpu, sampled, sound-only, split.
        settings: Single settings, such as {"flow.short_side_px": 160}.
        progress: True shows progress, False does not. None shows a bar in a notebook, and nothing elsewhere.

    Raises:
        ConfigError, SourceError, ModelError, PerceptError: At the first step of the loop or at its end, with the
            message of the command line.
    """
    options = {
        @given
    }
    return records(sources, labels, options, [@repeated], config, settings, progress)
'''


def formatted(text: str, name: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PACKAGE / name), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def generated() -> dict[Path, str]:
    """Every generated file with its text."""
    texts = {"_run.py": run_module(), "_label.py": label_module(), "_records.pyi": records_stub()}
    return {PACKAGE / name: formatted(text, name) for name, text in texts.items()}


def main() -> int:
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
