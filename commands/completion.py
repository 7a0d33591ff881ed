"""`percept completion`: print a script that completes commands, options and values in a shell."""

import argparse
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from commands.main import VERBS
from commands.options import Parser
from engines.backends.table import BACKENDS
from pipeline.clip import MODALITIES
from pipeline.config import BUNDLED
from training.data.read import LAYOUTS

SHELLS = ("bash", "zsh", "fish")
INSTALL = """Install it once; new shells then complete `percept r<TAB>` and `percept run --lab<TAB>`:

  bash  mkdir -p ~/.local/share/bash-completion/completions
        percept completion bash > ~/.local/share/bash-completion/completions/percept
        (needs the package bash-completion; otherwise, in ~/.bashrc: source <(percept completion bash))
  zsh   mkdir -p ~/.zfunc && percept completion zsh > ~/.zfunc/_percept
        and in ~/.zshrc: fpath=(~/.zfunc $fpath); autoload -U compinit; compinit
  fish  mkdir -p ~/.config/fish/completions
        percept completion fish > ~/.config/fish/completions/percept.fish"""

WORDS: Mapping[str, tuple[str, ...]] = {
    "config": tuple(sorted(file.stem for file in BUNDLED.glob("*.toml"))),
    "labels.templates": ("model", "pool", "zpe"),
    "follow.which": ("all", "found", "none"),
    "layout": ("auto", *LAYOUTS),
    "modalities": MODALITIES,
    "model": ("percept-mini",),
    "model.path": ("percept-mini",),
    "model.device": ("auto", "cpu", "cuda"),
    "model.engine": ("auto", *BACKENDS),
    "model.precision": ("auto", "fp32", "bf16", "fp16", "int8"),
    "stages.detect.detector": ("none", "own"),
    "stages.flow.method": ("dis", "dis-torch", "raft"),
}
"""Words that complete the value of an option that takes any text, by the option's destination."""
FOLDERS = {"DIR", "FOLDER"}
PATHS = {*FOLDERS, "CLIP", "CLIPS", "DATA", "FILE", "HUB_ID", "MODEL", "MODEL2", "PATH", "VIDEO"}
"""Words of a metavar that mean a path."""


def make_parser() -> Parser:
    parser = Parser(
        prog="percept completion", description="Print a script that completes commands, options and values.",
        epilog=INSTALL,
    )  # fmt: skip
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def main(arguments: list[str]) -> int:
    import shtab

    options = make_parser().parse_args(arguments)
    print(shtab.complete(command_parser(), options.shell))
    return 0


def command_parser() -> Parser:
    """One parser for the whole command line, to read options from; it does not run anything."""
    parser = Parser(prog="percept")
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    verbs = _branches(parser)
    for verb, about in VERBS.items():
        module = import_module(f"commands.{verb}")
        if not hasattr(module, "ACTIONS"):
            verbs.add_parser(verb, help=about, made=_completed(module.make_parser()))
            continue
        branch = verbs.add_parser(verb, help=about, made=Parser(prog=f"percept {verb}", description=about))
        actions = _branches(branch)
        for action, does in module.ACTIONS.does.items():
            actions.add_parser(action, help=does, made=_completed(module.action_parser(action)))
    return parser


def _branches(parser: Parser) -> Any:
    """A place for parsers that are made elsewhere: `add_parser(name, help=..., made=parser)`."""
    return parser.add_subparsers(parser_class=lambda made, **unused: made)  # type: ignore[call-overload]


def _completed(parser: Parser) -> Parser:
    """The parser, whose arguments know what completes them."""
    for action in parser._actions:
        if action.nargs != 0 and not action.choices:
            _complete(action)
    return parser


def _complete(action: argparse.Action) -> None:
    import shtab

    metavar = action.metavar if isinstance(action.metavar, str) else ""
    words, kinds = WORDS.get(action.dest, ()), PATHS.intersection(re.findall(r"\w+", metavar))
    if words and kinds:
        action.complete = words_and_paths(words)  # type: ignore[attr-defined]
    elif kinds:
        action.complete = shtab.DIRECTORY if kinds <= FOLDERS else shtab.FILE  # type: ignore[attr-defined]
    elif words:
        action.choices = words


def words_and_paths(words: tuple[str, ...]) -> dict[str, Any]:
    """What completes an argument that is one of these words or a path, for each shell, as `shtab` wants it."""
    name, listed = "_percept_file_or_" + re.sub(r"\W", "_", "_".join(words)), " ".join(words)
    return {
        "bash": name,
        "zsh": name,
        "fish": f"{listed} (__fish_complete_path (commandline -ct))",
        "preamble": {
            "bash": f'{name}() {{\n  compgen -W "{listed}" -- "$1"\n  compgen -f -- "$1"\n}}',
            "zsh": f'{name}() {{\n  compadd "$@" -- {listed}\n  _files\n}}',
        },
    }
