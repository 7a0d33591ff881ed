"""What is to be done in an archive, and what speaks against it."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archive.schema import ARCHIVE_VERSION, Facts
from archive.settings import differences
from archive.tally import Tally
from archive.verdict import TODO, Asked, Foreign, Known, Wanted, misfit_of, verdict_of
from pipeline.errors import ConfigError, Problems

SHOWN = 5
"""Settings that a message names."""
REDO = "another -o starts an archive of its own, and --redo labels again"


@dataclass
class Work:
    """What is left to do."""

    todo: list[Wanted] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    damaged: list[str] = field(default_factory=list)
    """Names of files that are labelled again because they are not whole."""


def plan_work(
    wanted: Sequence[Wanted], known: Mapping[str, Known], asked: Asked, archive: str, follows: bool = False
) -> Work:
    """follows: sources that change later are taken once more.

    Raises: ConfigError: files of the archive were made in another way, or are not ours.
    """
    refuse_misfits({each.name for each in wanted}, known, asked, archive)
    work, problems = Work(tally=Tally(wanted=len(wanted), follows=follows)), Problems()
    for each in wanted:
        found = known.get(each.name)
        verdict = verdict_of(each, found, asked)
        if verdict in TODO:
            work.todo.append(each)
        else:
            work.tally.skip(found if isinstance(found, Facts) else None)
        if verdict == "damaged":
            work.damaged.append(each.name)
        if verdict in ("changed", "unsure") and isinstance(found, Facts) and is_of_another(each, found):
            problems.add(ConfigError(two_sources(each, found)))
    problems.raise_all()
    return work


def refuse_misfits(names: set[str], known: Mapping[str, Known], asked: Asked, archive: str) -> None:
    """An archive holds files of one kind only; those that --redo labels again are on their way to that.

    Raises: ConfigError: a sentence for each way in which files differ.
    """
    problems = Problems()
    misfits: defaultdict[str, list[tuple[str, Facts]]] = defaultdict(list)
    for name, found in known.items():
        if isinstance(found, Foreign) and name in names:
            problems.add(ConfigError(f"{found.text}. Move it out of {archive}, or choose another -o."))
        elif isinstance(found, Facts) and (kind := misfit_of(found, asked)) and not (asked.redo and name in names):
            misfits[kind].append((name, found))
    for way, files in misfits.items():
        problems.add(ConfigError(refusal(way, files, asked, archive)))
    problems.raise_all()


def refusal(kind: str, files: Sequence[tuple[str, Facts]], asked: Asked, archive: str) -> str:
    """Why files of an archive do not fit what is asked for, and what to do."""
    (name, facts), count = files[0], len(files)
    have = f"{archive}: {count} file{'s' * (count != 1)} (such as {name}) {'has' if count == 1 else 'have'} been"
    if asked.redo:
        return f"{have} labelled otherwise, and the source is not among those given; name all sources for --redo"
    match kind:
        case "words":
            return (
                f"{have} labelled with other words. To ask the stored clips these words, without opening a video: "
                f"percept relabel {archive} --labels ...; {REDO}"
            )
        case "model":
            return f"{have} labelled by the model {facts.model}, not by {asked.model}; {REDO}"
        case "version":
            return f"{have} written in version {facts.version} of the archive's format, not {ARCHIVE_VERSION}; {REDO}"
        case _:
            how = in_which(facts, asked) or ", or by an earlier percept"
            return f"{have} labelled with other settings{how}. Give the same settings as before; {REDO}"


def in_which(facts: Facts, asked: Asked) -> str:
    """`: clips.every_s was 0.0, is 30.0`; "" if the file does not tell."""
    if facts.settings is None or asked.settings is None:
        return ""
    found = differences(facts.settings, asked.settings)
    more = [f"{len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return ": " + "; ".join([*found[:SHOWN], *more]) if found else ""


def is_of_another(wanted: Wanted, facts: Facts) -> bool:
    """Whether the file of a source was made from a different one, which is still there."""
    return facts.source != wanted.source and os.path.isfile(facts.source) and not _is_one(facts.source, wanted.source)


def _is_one(a: str, b: str) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def two_sources(wanted: Wanted, facts: Facts) -> str:
    return (
        f"{wanted.name}: was labelled from {facts.source}, and {wanted.source} is another file. Name the folders above "
        "them together, rename one of them, or choose another -o"
    )
