"""What `percept run` and `percept check` find out before anything starts, and what `percept check` tells."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands.check.installation import Rows, told
from commands.labels import lint
from commands.main import main
from commands.preflight import checked_settings
from engines.devices.gpus import why_no_gpu_here
from pipeline import run as pipeline_run
from pipeline.machine import core_count
from tests.conftest import ROOT
from tests.media import make_video

without_gpu = pytest.mark.skipif(not why_no_gpu_here("cuda"), reason="there is a GPU here")


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*arguments: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(pipeline_run, "Supervisor", start)


@pytest.fixture
def talk(tmp_path: Path) -> str:
    return str(make_video(tmp_path / "talk.mp4", seconds=2))


def refused(capfd: pytest.CaptureFixture[str], *arguments: str, code: int) -> list[str]:
    """Lines of the error."""
    assert main(list(arguments)) == code
    return capfd.readouterr().err.removeprefix("percept: error: ").splitlines()


@without_gpu
@pytest.mark.parametrize("verb", ["run", "check"])
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (
            "--engine",
            "tensorrt",
            "TensorRT needs an NVIDIA GPU, not device 'cpu'. Choose --engine openvino or onnxruntime",
        ),
        ("--device", "cuda", "Choose --device cpu"),
        ("--precision", "fp16", "fp16"),
    ],
)
def test_what_this_machine_lacks_is_refused(
    verb: str, option: str, value: str, expected: str, talk: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (line,) = refused(capfd, verb, talk, option, value, code=4)
    assert value in line
    assert expected in line


@without_gpu
def test_all_problems_are_reported_at_once(talk: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = f"{tmp_path}/nowhere/out.jsonl"
    options = ["--device", "cuda", "--labels", "@missing.txt", "-o", output, "--modalities", "image,smell"]
    lines = refused(capfd, "run", talk, *options, "--set", "clips.fps=-3", "--set", "flow.short_side=3", code=2)
    expected = ["clips.fps is -3.0", "modalities has 'smell'", "nowhere does not exist", "@missing.txt", "'cuda'"]
    assert [[part for part in (*expected, "short_side_px") if part in line] for line in lines] == [
        *([part] for part in expected[:4]),
        ["short_side_px"],
        ["'cuda'"],
    ]


@without_gpu
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "talk.mp4"],
        ["check", "talk.mp4"],
        ["eval", "nowhere"],
        ["train", "nowhere", "-o", "new"],
        ["calibrate", "percept-mini", "nowhere", "-o", "new"],
        ["adapt", "percept-mini", "nowhere", "-o", "new"],
        ["labels", "lint", "dog"],
        ["labels", "weigh", "talk.mp4"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_every_verb_reports_device_engine_and_data_at_once(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    lines = refused(
        capfd, *arguments, "--engine", "tensorflow", "--device", "cuda", code=2 if "nowhere" in arguments else 4
    )
    assert [line for line in lines if line.startswith("--engine tensorflow: unknown engine")]
    assert [line for line in lines if line.startswith("device 'cuda'")]
    assert [line for line in lines if line.startswith("nowhere: no such")] == lines[: "nowhere" in arguments]


def test_settings_without_problems_are_used() -> None:
    config, settings = checked_settings(lint.make_parser().parse_args(["dog", "--top-k", "3", "--fps", "4"]))
    assert config.labels.top_k == 3
    assert (settings.frame_rate_hz, settings.threads) == (4.0, core_count())


@without_gpu
@pytest.mark.parametrize(("engine", "lines"), [("tensorrt", 2), ("openvino", 2), ("torch", 1), ("auto", 1)])
def test_an_engine_and_its_device_are_both_named(
    engine: str, lines: int, talk: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(refused(capfd, "run", talk, "--engine", engine, "--device", "cuda", code=4)) == lines


def test_a_wrong_sink_is_reported_with_the_rest(talk: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "counts.toml"
    config.write_text('[clips]\nfoo = 1\n[sinks.counts]\nclass = "nowhere:Counts"\n')
    lines = refused(capfd, "run", talk, "-c", str(config), "-o", str(tmp_path / "a.counts"), code=2)
    assert [["foo" in line, "sinks.counts.class" in line] for line in lines] == [[True, False], [False, True]]


def test_an_extra_that_is_not_installed_is_named(
    talk: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from stages.decode import reader_decord

    monkeypatch.setattr(reader_decord, "find_spec", lambda name: None)
    (line,) = refused(capfd, "run", talk, "--set", "decode.reader=decord", code=2)
    assert "pip install 'percept-av[decord]'" in line


def test_check_gives_up_on_a_source_that_does_not_answer(
    talk: str, silent_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    began_s = time.monotonic()
    assert main(["check", silent_url, talk, "--engine", "torch", "--set", "deadlines.open_s=1"]) == 3
    assert time.monotonic() - began_s < 60
    out, err = capfd.readouterr()
    assert f"{silent_url}: cannot be opened: no answer within 1 s. Is it a pipe, or a server that is silent?" in err
    assert f"{talk}:  320×240" in out


WITHOUT = "import sys; sys.modules[{name!r}] = None; from commands.main import main; sys.exit(main({arguments!r}))"
"""A process in which a package cannot be imported, as if its files were gone."""


def check_without(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    code = WITHOUT.format(name=name, arguments=["check", "--engine", "torch", *arguments])
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("msgspec", 4, ["percept", "machine", "packages", "media"]),
        ("cv2", 2, ["percept", "machine", "packages", "media"]),
        ("av", 2, ["percept", "machine", "packages"]),
    ],
)
def test_a_damaged_installation_still_tells_what_it_can(name: str, code: int, expected: list[str]) -> None:
    done = check_without(name)
    assert done.returncode == code
    titles = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert [title for title in titles if title in expected] == expected
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_told_does_not_hide_the_rest() -> None:
    def rows() -> Rows:
        yield "cpu", "fast"
        raise OSError("no such file")

    assert told("machine", rows).rows == (("cpu", "fast"), ("the rest", "unknown (OSError: no such file)"))


def test_without_a_source_the_installation_is_told_as_json_too(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--engine", "torch", "--json", "-q"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert next(iter(found)) == "percept"
    assert {"machine", "packages", "media", "cache", "settings", "engines"} <= found.keys()
    assert "h264" in found["media"]["video"].split()
    assert {row["tower"] for row in found["engines"]} >= {"image", "motion", "audio"}
    assert f"{core_count()} " in found["machine"]["cpu"]


def test_with_a_source_only_that_and_the_settings_are_told(talk: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", talk, "--engine", "torch", "-q", "--load"]) == 0
    out = capfd.readouterr().out
    titles = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert titles == ["sources", "settings", "engines", "loaded"]
