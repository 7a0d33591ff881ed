"""Commands in one process answer with what they print, or with their error."""

import io
import json
from pathlib import Path

import pytest

from commands import answering
from commands.kept import Kept
from pipeline.errors import SourceError


def test_each_request_has_one_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(Path.cwd())  # back to it at the end

    def show(arguments: list[str], kept: Kept | None = None) -> int:
        print(Path.cwd().name, *arguments)
        return 0

    def fail(arguments: list[str], kept: Kept | None = None) -> int:
        if arguments:
            raise SourceError("rtsp://me:secret@cam: is away")
        raise RuntimeError("a bug")

    monkeypatch.setattr(answering, "VERBS", {"show": show, "fail": fail})
    asked = [["show", "a", "b"], ["fail", "x"], ["fail"], ["show"]]
    requests = "".join(json.dumps({"folder": str(tmp_path), "arguments": each}) + "\n" for each in asked)
    answers = io.StringIO()
    answering.answer_all(io.StringIO(requests), answers)
    told = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert [each["code"] for each in told] == [0, 3, 5, 0]
    assert told[0]["text"] == f"{tmp_path.name} a b\n"
    assert told[1]["text"].endswith("cam: is away")
    assert "secret" not in told[1]["text"]
    assert "RuntimeError: a bug" in told[2]["text"]
