"""`percept`: one verb per file. Nothing heavy is imported before a verb needs it."""

import logging
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from pipeline import nursery
from pipeline.errors import ConfigError, PerceptError, ReaderGone
from pipeline.logs import LOGGER, log, start_logging

VERBS = {
    "run": "label the clips of video files",
    "label": "label an archive of any size, to be searched and asked again",
    "relabel": "score an archive against other words, without its videos",
    "export": "write an archive's labels as subtitles, markers, tracks, for other programs",
    "report": "write pages that show an archive: sources, timelines, labels, best moments",
    "search": "find moments in an archive by words, by an example, or by both",
    "ask": "ask what was seen and heard, in plain words",
    "explain": "say why a clip has a label: where, when, and by picture, motion or sound",
    "where": "show where words are in a photo, or in pictures of a film",
    "find": "find what a phrase describes, in a photo or a film",
    "watch": "watch live cameras: labels, events, alerts and a web page",
    "view": "write a page that plays a video with its results",
    "check": "say what this installation can do; validate settings, model and sources",
    "eval": "measure accuracy and calibration of a model on labelled clips",
    "labels": "check a list of labels, or weight prompt templates for your clips",
    "model": "assemble a model from published towers, or show one",
    "adapt": "learn labels from a few examples each, without changing the others",
    "train": "train a fusion head, a tower or label vectors, on labels or on captions",
    "calibrate": "calibrate probabilities, and detect clips that no label fits",
    "schema": "print the JSON schema of results, including fields of your own stages",
    "engine": "list, build, verify, time or quantize the compiled networks of a model",
    "cache": "show what Percept keeps on this machine, or remove it",
    "completion": "print a script that completes commands in bash, zsh or fish",
}
WITH_WORKERS = ("run", "label", "watch")
"""Verbs whose worker processes import while the command reads its options and plans."""
EXTRA_OF = {"pyarrow": "archive"}
"""The extra that installs a package without which some verbs cannot do anything."""
INTERRUPTED = 130
INTERNAL = 5


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 success, 1 finished but some clips or sources failed, 2 usage or config, 3 source, 4 engine or model, 5 internal
    or output, 130 interrupted.
    """
    given = sys.argv[1:] if arguments is None else arguments
    start_logging(-1 if "-q" in given else 0, "--log-json" in given)
    try:
        return _dispatch(given)
    except ReaderGone:
        return ReaderGone.exit_code
    except PerceptError as error:
        log(logging.ERROR, str(error))
        return error.exit_code
    except KeyboardInterrupt:
        log(logging.ERROR, "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # its flush at exit would fail again
        return ReaderGone.exit_code
    except Exception:
        LOGGER.exception("this is a bug in percept; please report it with the traceback below")
        return INTERNAL


def _dispatch(given: list[str]) -> int:
    verb = given[0] if given else "--help"
    if verb in ("-h", "--help", "help"):
        print(usage())
        return 0
    if verb in ("-V", "--version"):
        print(f"percept {installed_version()}")
        return 0
    if verb not in VERBS:
        raise ConfigError(f"percept {verb}: unknown command{_hint(verb)}; expected one of: {', '.join(VERBS)}")
    if verb in WITH_WORKERS and not {"-h", "--help"} & set(given):
        nursery.start_early()
    module = import_module(f"commands.{verb}")
    try:
        code: int = module.main(given[1:])
    except ModuleNotFoundError as error:
        if (extra := EXTRA_OF.get(error.name or "")) is None:
            raise
        text = f"percept {verb}: {error.name} is not installed. Run: pip install 'percept-av[{extra}]'"
        raise ConfigError(text) from error
    finally:
        nursery.end_unused()
    return code


def usage() -> str:
    verbs = "\n".join(f"  {name:10} {text}" for name, text in VERBS.items())
    return f"""usage: percept COMMAND ...

Percept watches and listens: which of your words fit each clip of a video, and why.

{verbs}

  percept run talk.mp4 --labels "dog barking, rain, people talking"
  percept COMMAND --help     options of a command
  percept --version"""


def installed_version() -> str:
    try:
        return version("percept-av")
    except PackageNotFoundError:
        return "unknown (not installed)"


def _hint(verb: str) -> str:
    import difflib
    import os

    if os.path.exists(verb) or "." in verb:
        return f" (did you mean: percept run {verb}?)"
    close = difflib.get_close_matches(verb, VERBS, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


if __name__ == "__main__":
    sys.exit(main())
