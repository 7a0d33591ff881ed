"""`percept ask`, from the command line and from Python."""

import json
from pathlib import Path
from typing import Any

import pytest

import percept
from archive.ask.answerer import ask_program
from archive.ask.log import read_log
from commands.main import main
from pipeline.errors import ConfigError, ModelError
from pipeline.status import EventOptions
from tests.pages.records import clip, label, written


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dog barks from 2 to 4 s and from 8 to 12 s; a siren is never loud enough."""
    path = tmp_path_factory.mktemp("ask") / "out.jsonl"
    records = [
        clip("yard.mp4", index, [label("dog barking", 0.9 if index in (1, 4, 5) else 0.2), label("siren", 0.1)])
        for index in range(8)
    ]
    return written(path, records)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["ask", *arguments, "--json", "-q"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_an_answer_has_its_value_and_the_clips_that_prove_it(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, str(log), "how often did the dog bark?")
    assert (found["value"], found["by"], found["words"]) == (2, "percept", {"the dog bark": ["dog barking"]})
    assert [(each["start_s"], each["end_s"], each["probability"]) for each in found["clips"]] == [
        (2, 4, 0.9),
        (8, 12, 0.9),
    ]
    assert told(capsys, str(log), "how often did the dog bark?", "--gap", "5")["value"] == 1
    assert main(["ask", str(log), "when did the dog bark?", "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["0:02–0:04", "dog", "barking", "90", "%", "yard.mp4"]
    assert lines[2] == "and 1 more; --top shows more of them"


def test_a_refusal_has_the_exit_code_of_a_wrong_usage(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(log), "did the elephant trumpet?", "--set", "model.path=/nowhere"]) != 0
    assert main(["ask", str(log), "why did the dog bark?"]) == 2
    assert "percept explain" in capsys.readouterr().err
    with pytest.raises(percept.ConfigError, match="asks who"):
        percept.ask(log, "who barked?")


def test_python_gets_the_answer_as_an_object(log: Path) -> None:
    answer = percept.ask(log, "how long did the dog bark?", min_probability=0.8)
    assert (answer.value, str(answer.clips[1])) == (6.0, "yard.mp4 0:08–0:12 dog barking 90 %")
    assert str(answer).startswith("Dog barking lasted 6 s")


ECHO = (
    "import json, sys; asked = json.load(sys.stdin); events = asked['sources'][0]['events'];"
    "clips = [{k: e[k] for k in ('start_s', 'end_s')} | {'source': 'yard.mp4'} for e in events];"
    "clips.append({'source': 'moon.mp4', 'start_s': 0, 'end_s': 1});"
    "print(json.dumps({'answer': asked['question'].upper(), 'clips': clips}))"
)


def test_the_answer_of_another_program_is_told_as_its(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(log), "is it nice?", "--answerer", f'python3 -c "{ECHO}"']) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "answered by python3: IS IT NICE?"
    assert len(out.splitlines()) == 3
    assert "1 clip that is not in the log" in err


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        ("no-such-program-here", ConfigError, "cannot be started"),
        ("'", ConfigError, "is no command"),
        ("sh -c 'echo it hurts >&2; exit 3'", ModelError, "failed with code 3: it hurts"),
        ("true", ModelError, "said nothing"),
        ("echo '{\"clips\": []}'", ModelError, "its JSON is no answer"),
        ("sleep 60", ModelError, "has not answered after 0.2 s"),
    ],
)
def test_a_program_that_does_not_answer_is_told(log: Path, command: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ask_program(
            command, "is it nice?", read_log(str(log), EventOptions()), limit_s=0.2 if "sleep" in command else 30
        )
