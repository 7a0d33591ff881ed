"""`percept model`: assemble a model from published towers, or show the parts of one."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands.actions import Actions
from commands.columns import size_text, table
from commands.console import Console, add_console_options
from commands.options import Parser
from engines.models.assemble import assemble, copied
from engines.models.checkpoint import read_model
from engines.models.model_file import hub_place, write_model
from engines.models.network import network
from pipeline.errors import ConfigError, OutputError
from stages.tower_inputs import INPUTS

ACTIONS = Actions(
    verb="model",
    about="Assemble models from published towers: CLIP, SigLIP, ALIGN, CLAP and models of open_clip.",
    does={
        "init": "write a model directory with the towers of one or several models",
        "show": "print the parts of a model: towers, text spaces and their files",
    },
    example="percept model init --image openai/clip-vit-base-patch16 --audio laion/larger_clap_general my-model",
)
PARTS = ("image", "motion", "audio", "sound_as_picture")


def action_parser(action: str) -> Parser:
    return make_init_parser() if action == "init" else make_show_parser()


def main(arguments: list[str]) -> int:
    action = ACTIONS.requested(arguments)
    if not action:
        return 0
    return init(arguments[1:]) if action == "init" else show(arguments[1:])


def make_init_parser() -> Parser:
    parser = Parser(
        prog="percept model init",
        description="Write a model directory with the towers of one or several models. MODEL is a hub id, a\n"
        "directory, or percept-mini. Each tower is used with the text tower it was trained with.",
        epilog="percept model init --image openai/clip-vit-base-patch16 --audio laion/larger_clap_general my-model",
    )
    parser.add_argument("directory", metavar="DIR", help="the directory to write; must be new or empty")
    parser.add_argument("--image", metavar="MODEL", help="use its image tower for frames")
    parser.add_argument(
        "--motion", metavar="MODEL", help="use its motion tower, or else its image tower, for optical flow"
    )
    sound = parser.add_mutually_exclusive_group()
    sound.add_argument("--audio", metavar="MODEL", help="use its audio tower for sound")
    sound.add_argument(
        "--sound-as-picture",
        metavar="MODEL",
        help="use its image tower for spectrograms; it can only guess until it is trained with percept train",
    )
    parser.add_argument("--name", metavar="NAME", default="", help="name of the model (default: DIR's name)")
    parser.add_argument(
        "--copy", action="store_true", help="copy all files into DIR, so that it can be moved to another machine"
    )
    parser.add_argument("--overwrite", action="store_true", help="write into a directory that is not empty")
    add_console_options(parser)
    return parser


def init(arguments: list[str]) -> int:
    options = make_init_parser().parse_args(arguments)
    Console.of(options)
    wanted = {part: getattr(options, part) for part in PARTS if getattr(options, part)}
    if not wanted:
        flags = ", ".join(f"--{part.replace('_', '-')}" for part in PARTS)
        raise ConfigError(f"percept model init: no tower given; expected a model for at least one of {flags}")
    directory = Path(options.directory).expanduser().resolve()
    refuse_used(directory, options.overwrite)
    spec = assemble(options.name or directory.name, wanted)
    try:
        if options.copy:
            spec = copied(spec, directory)
        write_model(spec, directory)
    except OSError as error:
        raise OutputError(f"{error.filename or directory}: cannot be written: {error.strerror}") from error
    for line in lines(read_model(str(directory))):
        print(line)
    for line in what_next(spec, options.directory):
        print(line)
    return 0


def refuse_used(directory: Path, overwrite: bool) -> None:
    if directory.is_file():
        raise ConfigError(f"{directory}: is a file; expected a new or empty directory")
    if directory.is_dir() and any(directory.iterdir()) and not overwrite:
        raise ConfigError(f"{directory}: is not empty. Choose another directory, or use --overwrite")


def make_show_parser() -> Parser:
    parser = Parser(
        prog="percept model show", description="Print the parts of a model: towers, text spaces and their files."
    )
    parser.add_argument("model", metavar="MODEL", help="percept-mini, a model directory, or a hub id")
    add_console_options(parser)
    return parser


def show(arguments: list[str]) -> int:
    options = make_show_parser().parse_args(arguments)
    Console.of(options)
    for line in lines(read_model(options.model)):
        print(line)
    return 0


def lines(spec: Any) -> Iterator[str]:
    """A model as tables: its towers, then its text spaces."""
    yield f"{spec.id} in {spec.directory}"
    yield ""
    rows: list[tuple[str, ...]] = [("tower", "network", "input", "prompts", "text space", "files")]
    for name, tower in spec.towers().items():
        rows.append((name, tower.network, input_text(tower), prompts(tower), tower.space, hub_place(tower.directory)))
    yield from table(rows)
    yield ""
    rows = [("text space", "network", "dim", "max length", "weights", "files")]
    for space, text in spec.texts.items():
        size = sum(file.stat().st_size for file in network(text.network).files(Path(text.directory)))
        rows.append(
            (
                space,
                text.network,
                str(text.dim),
                f"{text.max_tokens} tokens",
                size_text(size),
                hub_place(text.directory),
            )
        )
    yield from table(rows)


def input_text(tower: Any) -> str:
    """`frames, 224 px, 8 per clip`"""
    what = INPUTS[tower.input].about
    if not tower.mel:
        return f"{what}, {tower.size_px} px, {tower.pictures_per_clip} per clip"
    heard = f", {tower.mel.context_s:g} s" if tower.mel.context_s else ""
    return f"{what}, {tower.mel.sample_rate_hz / 1000:g} kHz{heard}"


def prompts(tower: Any) -> str:
    first = tower.prompts[0] if tower.prompts else "{}"
    return first + (f" and {len(tower.prompts) - 1} more" if len(tower.prompts) > 1 else "")


def what_next(spec: Any, directory: str) -> Iterator[str]:
    given = shlex.quote(directory)
    yield ""
    guessing = [name for name, tower in spec.towers().items() if tower.input in ("flow_picture", "log_mel_chunks")]
    if guessing:
        towers = f"{' and '.join(guessing)} tower{'s were' if len(guessing) > 1 else ' was'}"
        yield f"The {towers} trained on photos and can only guess until you train {'them' if guessing[1:] else 'it'}:"
        yield f"  percept train CLIPS -o trained --model {given}"
    yield "Next:"
    yield f"  percept check --model {given}"
    yield f'  percept run VIDEO --model {given} --labels "dog barking, rain, people talking"'
