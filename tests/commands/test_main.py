import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline.run
from commands.main import main
from pipeline.errors import ModelError, OutputError
from pipeline.status import Account, EventRecord, Notice, Position, Status, SummaryRecord

ROOT = Path(__file__).resolve().parents[2]
STATUS = Status(
    position=Position(source="talk.mp4", source_number=1, source_count=2, clip=6, position_s=12, end_s=90),
    clips_in=9, results=6, errors=1, in_flight=2, clips_per_s=3.1, x_real_time=6.2, slowest_group="encode",
)  # fmt: skip
ACCOUNT = Account(clips_in=9, results=8, errors=1, sources=2, sources_failed=1, elapsed_s=2, media_s=18, exit_code=1)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Replaces the run. The returned dict has the arguments of the run."""

    def install(account: Account | Exception = ACCOUNT, notices: tuple[Notice, ...] = ()) -> dict[str, Any]:
        given: dict[str, Any] = {}

        def run(
            config: Any, sources: Any, outputs: Any, *, on_status: Any, on_notice: Any, on_rows: Any, on_complete: Any
        ) -> Account:
            given.update(config=config, sources=sources, outputs=outputs)
            for notice in notices:
                on_notice(notice)
            on_status(STATUS)
            if isinstance(account, Exception):
                raise account
            on_complete(account)
            return account

        monkeypatch.setattr(pipeline.run, "run", run)
        return given

    return install


def percept(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "commands.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False, **more)


def test_help_is_fast_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from commands.main import main; main(['--help']); import commands.run as r;"
        "r.make_parser().format_help();"
        "sys.exit(','.join({'torch', 'av', 'cv2', 'zmq', 'onnxruntime'} & set(sys.modules)) or 0)"
    )
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "percept run talk.mp4" in done.stdout
    assert time.monotonic() - began_s < 2.0  # 0.1 s on an idle machine; the limit allows for a busy one


def test_usage_errors_exit_with_2_and_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, remedy in (
        (["rum"], "did you mean run?"),
        (["talk.mp4"], "did you mean: percept run talk.mp4?"),
        (["run"], "expected a file, folder, URL, playlist or glob, such as: percept run talk.mp4"),
        (["run", "a.mp4", "--set", "clips.fsp=3"], "did you mean 'fps'?"),
        (["run", "a.mp4", "--fps", "x"], "argument --fps: invalid float value: 'x'"),
        (["run", "a.mp4", "-c", "no.toml"], "-c no.toml: cannot be read"),
        (["run", "a.mp4", "--start", "20", "--end", "10"], "clips.end_s is 10.0; expected more than start_s"),
    ):
        assert main(arguments) == 2
        assert remedy in capsys.readouterr().err


def test_stdout_has_nothing_but_results(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake()
    assert main(["run", "a.mp4"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "account clips_in=9 results=8 errors=1 drops=0" in err


def test_quiet_logs_errors_only(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake(notices=(Notice(text="worker replaced", level="warning"),))
    main(["run", "a.mp4", "-q"])
    assert capsys.readouterr().err == ""


def test_every_line_is_json_with_log_json(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake(notices=(Notice(text="worker replaced", level="warning", fields={"worker": "encode-0"}),))
    main(["run", "rtsp://me:secret@cam/1", "--log-json"])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["worker replaced", "account"]
    assert lines[0]["worker"] == "encode-0"
    assert lines[1]["results"] == 8


@pytest.mark.parametrize(("error", "code"), [(ModelError("no such model"), 4), (OutputError("disk full"), 5)])
def test_errors_exit_with_their_code(fake: Any, error: Exception, code: int, capsys: Any) -> None:
    fake(error)
    assert main(["run", "a.mp4"]) == code
    assert str(error) in capsys.readouterr().err


def test_a_bug_prints_its_traceback(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake(ZeroDivisionError("oops"))
    assert main(["run", "a.mp4"]) == 5
    err = capsys.readouterr().err
    assert "this is a bug" in err
    assert "ZeroDivisionError: oops" in err


def test_an_interrupted_run_exits_with_130(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake(Account(clips_in=3, results=2, in_flight=1, interrupted=True, exit_code=130))
    assert main(["run", "a.mp4"]) == 130
    assert "in_flight=1" in capsys.readouterr().err


def test_the_account_contains_events(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    event = EventRecord(source="a", event="dog barking", start_s=12, end_s=18, probability=0.8, peak=0.9, clips=3)
    summary = SummaryRecord(
        source="a", summary={}, clips=9, seconds=18, seconds_labelled=6, events=1, first_events=(event,)
    )
    fake(Account(summaries=(summary,)))
    main(["run", "a.mp4", "--events"])
    assert "dog barking 12.0–18.0 s" in capsys.readouterr().err


def test_an_existing_output_is_refused_before_anything_starts(fake: Any, tmp_path: Path) -> None:
    given = fake()
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    assert main(["run", "a.mp4", "-o", str(out)]) == 2
    assert not given
    assert out.read_text() == "mine"


def test_a_pipeline_module_in_the_user_s_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text("raise SystemExit(99)")
    done = percept("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout[:7]) == (0, "percept")


@pytest.mark.parametrize(
    "verb", ["label . -o x", "search x dog", "relabel x --labels dog", "report x", "export x --as csv -o y"]
)
def test_a_missing_extra_is_named_with_its_command(verb: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "a.mp4").touch()
    code = (
        f"import sys\nsys.modules['pyarrow'] = None\nfrom commands.main import main\nsys.exit(main({verb.split()!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "pyarrow is not installed. Run: pip install 'percept-av[archive]'" in done.stderr
    assert "Traceback" not in done.stderr
