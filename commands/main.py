"""`percept`: one verb per file. Nothing heavy is imported before a verb needs it."""

import logging
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from pipeline.errors import ConfigError, PerceptError
from pipeline.logs import LOGGER, log, start_logging

VERBS = {
    "run": "label the clips of video files",
    "check": "validate settings, model and source, and print the plan",
    "eval": "how often a model is right on labelled clips, and how sure it may be",
    "labels": "words that a model confuses; prompts that suit your clips",
    "model": "put a model together from published towers",
    "adapt": "a few examples a label: better for these, no worse for the others",
    "train": "a fusion head, a tower, or label vectors, from labelled clips",
    "calibrate": "make probabilities mean what they say; tell when no label fits",
    "schema": "print the JSON schema of results, with the parts of your own stages",
    "engine": "list, build, verify, time, quantise the compiled networks of a model",
}
INTERRUPTED = 130
INTERNAL = 5


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 fine, 1 finished but some clips or sources failed, 2 usage or config,
    3 source, 4 engine or model, 5 internal or output, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    start_logging(-1 if "-q" in given else 0, "--log-json" in given)
    try:
        return _dispatch(given)
    except PerceptError as error:
        log(logging.ERROR, str(error))
        return error.exit_code
    except KeyboardInterrupt:
        log(logging.ERROR, "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # its flush at exit would fail again
        log(logging.ERROR, "cannot write to stdout: its reader has closed it")
        return INTERNAL
    except Exception:
        LOGGER.exception("this is a bug in percept; please report it with the lines below")
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
        raise ConfigError(f"percept {verb}: there is no such command{_hint(verb)}. Known: {', '.join(VERBS)}")
    module = import_module(f"commands.{verb}")
    code: int = module.main(given[1:])
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
