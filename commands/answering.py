"""Runs commands one after another in this process, for `percept.Session`: what they open stays open.

A line of JSON on stdin asks, `{"folder": "/videos", "arguments": ["find", ...]}`, and a line on stdout answers:
`{"code": 0, "text": what the command prints}`, or with another exit code, as the command has it, the error message.
"""

import io
import json
import logging
import os
import sys
import traceback
from contextlib import redirect_stdout, suppress
from typing import IO, Any

from commands import explain, find
from commands.kept import Kept
from commands.main import INTERNAL
from pipeline.errors import ConfigError, PerceptError
from pipeline.logs import log, redact, start_logging

VERBS = {"explain": explain.main, "find": find.main}


def main() -> int:
    start_logging(as_json=True)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    with suppress(KeyboardInterrupt, BrokenPipeError):  # nobody asks any more
        answer_all(sys.stdin, answers)
    return 0


def answer_all(requests: IO[str], answers: IO[str]) -> None:
    with Kept() as kept:
        for line in requests:
            code, text = answer(json.loads(line), kept)
            answers.write(json.dumps({"code": code, "text": text}) + "\n")
            answers.flush()


def answer(request: dict[str, Any], kept: Kept) -> tuple[int, str]:
    """The exit code of a command, and what it prints or its error message."""
    printed = io.StringIO()
    try:
        _enter(request["folder"])
        verb, *arguments = request["arguments"]
        with redirect_stdout(printed):
            code = VERBS[verb](arguments, kept)
    except PerceptError as error:
        return error.exit_code, redact(str(error))
    except Exception as error:
        log(logging.ERROR, "this is a bug in percept; please report it with the traceback", error=str(error))
        return INTERNAL, redact(traceback.format_exc())
    return code, printed.getvalue()


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; expected the folder in which names of files begin") from error


if __name__ == "__main__":
    sys.exit(main())
