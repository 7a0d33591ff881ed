"""`percept relabel`: score an archive against other words, without its videos."""

import argparse
import os
from typing import TYPE_CHECKING

from commands.console import Console, add_console_options
from commands.options import FLAGS, Parser, add_config_options, usable_config
from pipeline.errors import ConfigError, Problems
from pipeline.s3 import S3

if TYPE_CHECKING:
    from archive.relabel import Asked, Plan
    from pipeline.config import Config

EXAMPLES = """examples:
  percept relabel labels/ --labels @words.txt                in place, file by file
  percept relabel labels/ --labels "dog, rain" -o other/     a copy with other words

Give the model that labelled the archive, if it was not the default. Nothing but labels, category and open_set changes;
tracks keep their names. What was interrupted goes on when the command is given again."""
OPTIONS = ("--labels", "--templates", "--descriptions", "--top-k", "--modalities", "--model", "--audio-model")


def make_parser() -> Parser:
    parser = Parser(
        prog="percept relabel",
        description="Score an archive against other words, from its embeddings. No video is opened.",
        epilog=EXAMPLES,
    )
    parser.add_argument("archive", metavar="ARCHIVE", help="a folder that percept label wrote")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write another archive, and leave this one alone")
    add_config_options(parser, [flag for flag in FLAGS if flag.name in OPTIONS])
    add_console_options(parser)
    return parser


def main(arguments: list[str]) -> int:
    options = make_parser().parse_args(arguments)
    with Console.of(options) as console:
        return _relabel(options, console)


def _relabel(options: argparse.Namespace, console: Console) -> int:
    where, output = _places(options.archive, options.output)
    config = _config(options)
    asked = make_asked(config, console)

    from archive.index import known_files
    from archive.relabel import plan, relabel
    from archive.store import archive_at, store_of
    from commands.beside import Beside

    store, target = archive_at(where), store_of(output)
    found = plan(store, target, asked)
    console.say(_about(asked, found))
    failed = found.damaged + relabel(store, target, found.names, asked, console.steps("relabelling"))
    console.clear()
    if count := Beside(target, output, (), known_files(target)).renew(console.warn):
        console.say(f"wrote {count} exports beside them again")
    for text in failed:
        console.warn(text)
    done = len(found.names) + len(found.damaged) - len(failed)
    console.say(
        f"relabelled {done} of {done + found.done + len(failed)} files in {output}"
        + (f", {found.done} had these words already" if found.done else "")
        + (f", {len(failed)} could not be read" if failed else "")
    )
    return 1 if failed else 0


def make_asked(config: "Config", console: Console) -> "Asked":
    """The words of a config as vectors of its model."""
    import msgspec

    from archive.relabel import Asked
    from engines.models.checkpoint import read_model
    from pipeline.build import make_settings
    from pipeline.machine import core_count
    from stages.words.labels import build_label_set

    run = msgspec.structs.replace(make_settings(config), threads=core_count())
    if run.phrases:
        raise ConfigError(f"--labels: {', '.join(run.phrases)} is read in the pictures; label the videos again for it")
    spec = read_model(run.model, run.audio_model)
    return Asked(build_label_set(spec, run.labels, run, console.detail), run.labels, spec.id, run.top_k)


def _config(options: argparse.Namespace) -> "Config":
    words = getattr(options, "labels.words")
    if words and not words.startswith("@") and os.path.isfile(words):
        setattr(options, "labels.words", f"@{words}")
    problems = Problems()
    config = usable_config(options, problems, default="label")
    if words is None and not config.labels.words:
        problems.add(ConfigError("percept relabel: no words given; expected them, such as: --labels @words.txt"))
    if config.labels.templates.partition(":")[0] == "zpe":
        text = "--templates zpe: weighs templates on the clips of a run, and here is none. Use model, pool or a file"
        problems.add(ConfigError(f"{text} from percept labels weigh."))
    problems.raise_all()
    return config


def _places(archive: str, output: str | None) -> tuple[str, str]:
    """Where the archive is, and where the new one goes. Raises: ConfigError."""
    if not archive or output == "":
        raise ConfigError("percept relabel: the name of a folder is empty; expected an archive, such as labels/")
    here = _whole(archive)
    there = here if output is None else _whole(output)
    if here != there and f"{there}/".startswith(f"{here}/"):
        raise ConfigError(f"-o {output}: is inside the archive, {archive}. Choose another folder.")
    if here != there and f"{here}/".startswith(f"{there}/"):
        raise ConfigError(f"-o {output}: the archive, {archive}, is inside it. Choose another folder.")
    return here, there


def _whole(where: str) -> str:
    return where.rstrip("/") if where.startswith(S3) else os.path.realpath(where)


def _about(asked: "Asked", found: "Plan") -> str:
    text = f"{len(found.names)} files with {found.clips} clips, {len(asked.labels)} labels, {asked.model}"
    if asked.label_set.head_share is None:
        return f"{text}, which has no fusion head"
    return text + (
        "; its fusion head counts, with stored embeddings"
        if found.has_head
        else "; its fusion head is left out, because the archive holds no embeddings of it"
    )
