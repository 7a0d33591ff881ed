"""A program of the user's that answers in our place, such as one that asks a language model."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any

import msgspec

from archive.ask.answering import Proof
from archive.ask.log import Log, as_plain
from pipeline.errors import ConfigError, ModelError
from pipeline.logs import visible

LIMIT_S = 60.0
MOST_BYTES = 1_000_000
TAIL = 300
"""Characters of its messages that an error shows."""


class _Clip(msgspec.Struct, frozen=True):
    source: str
    start_s: float
    end_s: float


class _Said(msgspec.Struct, frozen=True):
    answer: str
    clips: list[_Clip] = []


@dataclass(frozen=True)
class Foreign:
    """What another program answered. proofs: the clips that it names and the log has."""

    by: str
    text: str
    proofs: tuple[Proof, ...] = ()
    unknown: int = 0
    """How many clips it named that are not in the log."""

    def __str__(self) -> str:
        return f"answered by {visible(self.by)}: {visible(self.text)}"


def ask_program(command: str, question: str, log: Log, limit_s: float = LIMIT_S) -> Foreign:
    """Hand a question and a log to a program, as one JSON object on stdin: `question`, and the log by `as_plain`.

    It answers on stdout: in plain text, or as {"answer": "...", "clips": [{"source", "start_s", "end_s"}]}.

    Raises: ConfigError: there is no such program. ModelError: it fails, says nothing, or takes too long.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(
            f"--answerer {command!r}: is no command ({error}); expected a program with its arguments"
        ) from None
    if not words:
        raise ConfigError("--answerer: is empty; expected a program with its arguments")
    given = json.dumps({"question": question, **as_plain(log)}).encode()
    return _foreign(words[0], _run(words, given, limit_s), log)


def _run(words: list[str], given: bytes, limit_s: float) -> str:
    """What the program prints. It has a session of its own, so that its children end with it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        told.write(given)
        told.seek(0)
        try:
            child = subprocess.Popen(words, stdin=told, stdout=out, stderr=said, start_new_session=True)
        except OSError as error:
            raise ConfigError(
                f"--answerer {words[0]}: cannot be started ({error.strerror}); expected a program"
            ) from None
        try:
            code = child.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise ModelError(
                f"--answerer {words[0]}: has not answered after {limit_s:g} s. Give it longer with --answerer-limit"
            ) from None
        finally:
            _end(child)
        if code:
            said.seek(0)
            why = said.read()[-4 * TAIL :].decode(errors="replace").strip()[-TAIL:]
            raise ModelError(f"--answerer {words[0]}: failed with code {code}: {visible(why) or 'without a message'}")
        out.seek(0)
        return out.read(MOST_BYTES + 1).decode(errors="replace")


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing of it is left
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(timeout=10)


def _foreign(name: str, text: str, log: Log) -> Foreign:
    if len(text) > MOST_BYTES:
        raise ModelError(f"--answerer {name}: said more than {MOST_BYTES:,} characters; expected an answer")
    text = text.strip()
    if not text:
        raise ModelError(f"--answerer {name}: said nothing; expected an answer on stdout")
    said = _said(name, text)
    if not said.answer.strip():
        raise ModelError(f"--answerer {name}: its answer is empty; expected a sentence")
    known = [clip for clip in said.clips if _is_in(clip, log)]
    proofs = tuple(Proof(clip.source, clip.start_s, clip.end_s, 0.0, "", is_about="theirs") for clip in known)
    return Foreign(name, said.answer.strip(), proofs, len(said.clips) - len(known))


def _said(name: str, text: str) -> _Said:
    if not text.startswith("{"):
        return _Said(text)
    try:
        return msgspec.json.decode(text, type=_Said)
    except msgspec.DecodeError as error:
        raise ModelError(
            f"--answerer {name}: its JSON is no answer ({error}); expected plain text, or "
            '{"answer": "...", "clips": [...]}'
        ) from None


def _is_in(clip: Any, log: Log) -> bool:
    spans = [span for source in log.sources if source.name == clip.source for span in source.spans.values()]
    return any(low_s <= clip.start_s < clip.end_s <= high_s + 1e-3 for low_s, high_s in spans)
