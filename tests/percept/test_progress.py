"""Progress of a run, as text and as HTML, and where it is shown."""

import os
import pty
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import percept
from percept._progress import STILL_BUILDING, Log, State, seconds
from percept._views import progress_html
from pipeline import supervisor
from tests.commands.test_run import CONFIG
from tests.conftest import ROOT

LOOP = "import percept, sys\nfor result in percept.run({sources!r}, config={config!r}, progress={progress}): pass\n"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "fake.toml"
    path.write_text(CONFIG)
    return str(path)


def script(config: str, progress: bool | None, *sources: str) -> list[str]:
    code = LOOP.format(sources=list(sources), config=config, progress=progress)
    return [sys.executable, "-X", "dev", "-W", "error", "-c", code]


def record(source: str, clip: int, **more: Any) -> percept.ClipRecord:
    return percept.ClipRecord(source=source, epoch=0, clip=clip, start_s=2.0 * clip, end_s=2.0 * clip + 2, **more)


def progress(source: str, duration_s: float | str, **more: Any) -> dict[str, Any]:
    return {"message": "progress", "source": source, "duration_s": duration_s, "sources": 2, **more}


def test_the_state_counts_what_the_loop_has_received() -> None:
    state = State(began_s=100.0)
    assert state.text(103.2) == "starting, 3 s"
    state.heard({"message": "encoding words:  1 of 2\n", "level": "info"})
    assert state.text(103.2) == "starting, 3 s: encoding words: 1 of 2"
    state.heard(progress("a/b.mp4", "unknown"))
    state.received(record("a/b.mp4", 0), 104.0)
    assert state.share is None
    assert state.text(104.0) == "b.mp4 1/2 · 0:02"
    state.heard(progress("a/b.mp4", 8.0))
    assert state.share == pytest.approx(0.125)
    state.received(record("a/b.mp4", 1, error="broken"), 105.0)
    assert state.share == pytest.approx(0.25)
    assert state.text(105.0) == "b.mp4 1/2 · 0:04 of 0:08 · 2.0× real time · 0:06 left · 1 failed"
    assert " · 0:04 left · " in state.text(107.0)
    state.received(record("c.mp4", 0), 108.0)
    assert state.share == pytest.approx(0.5)
    state.heard(progress("c.mp4", 4.0))
    assert state.share == pytest.approx(0.75)
    assert state.closing_text("finished", 107.0) == "finished: 2 clips, 1 failed, 0:06 of media in 0:07"


def test_a_stretch_of_a_source_is_its_whole() -> None:
    state = State(start_s=seconds("1:00", 0.0), end_s=seconds(70, 0.0))
    state.received(record("a.mp4", 32), 1.0)
    assert state.share == pytest.approx(0.6)
    assert seconds(None, 5.0) == 5.0
    assert seconds("01:00:01.5", 0.0) == 3601.5
    assert seconds("soon", 7.0) == 7.0


def test_the_log_is_read_line_by_line_without_moving_its_end() -> None:
    with tempfile.TemporaryFile() as file:
        log = Log(file)
        os.write(file.fileno(), b'{"message": "one"}\nnoise\n[1]\n{"message": "t')
        assert [entry["message"] for entry in log.read()] == ["one"]
        os.write(file.fileno(), b'wo"}\n')
        assert [entry["message"] for entry in log.read()] == ["two"]
        assert list(log.read()) == []
        assert log.tail().startswith('{"message": "one"}\nnoise')


def test_engines_that_are_built_at_the_end_are_shown() -> None:
    assert STILL_BUILDING == supervisor.STILL_BUILDING
    state = State(began_s=0.0)
    state.received(record("a.mp4", 0), 1.0)
    for entry in ({"message": STILL_BUILDING, "level": "info"}, {"message": "account", "level": "info"}):
        state.heard(entry)
    assert state.building_since_s is not None
    text = state.text(state.building_since_s + 7)
    assert text == "all results are there · building engines for later runs, 7 s"


def test_html_has_the_share_and_escaped_texts() -> None:
    html = progress_html("<b>&.mp4", 0.253, "<script>")
    assert 'aria-valuenow="25"' in html
    assert "width:25.3%" in html
    assert tags(html) == {"div", "span"}
    assert "width:0.0%" in progress_html("starting", None)


def tags(html: str) -> set[str]:
    found = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.add(tag)  # type: ignore[method-assign]
    parser.feed(html)
    return found


def test_a_script_shows_nothing_by_itself(config: str) -> None:
    done = subprocess.run(script(config, None, "fake:clips=2"), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_script_without_a_terminal_gets_a_line_at_the_end(config: str) -> None:
    sources = ("fake:clips=3,raise=1", "fake:clips=2")
    done = subprocess.run(script(config, True, *sources), cwd=ROOT, capture_output=True, text=True, timeout=60)
    *lines, last = done.stderr.splitlines()
    assert "finished: 4 clips, 1 failed, 0:10 of media in 0:" in last
    assert "\x1b" not in done.stderr
    assert len(lines) < 3


def test_a_terminal_gets_one_line_that_is_rewritten(config: str) -> None:
    shown = on_terminal(script(config, True, "fake:clips=60"))
    assert shown[1].startswith("starting, 0 s")
    assert any("fake:clips=60 · " in line for line in shown)
    assert shown[-1].startswith("100% · finished: 60 clips, 2:00 of media in 0:")


def test_a_terminal_shows_that_engines_are_built_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "builds.toml"
    path.write_text(CONFIG.replace("fakes:FakeModel", "fakes:Improves").replace("busy_ms = 20.0", "build_s = 3.0"))
    shown = on_terminal(script(str(path), True, "fake:clips=2"))
    assert any(line.endswith("all results are there · building engines for later runs, 0 s") for line in shown)
    assert shown[-1].startswith("100% · finished: 2 clips")


def on_terminal(command: list[str]) -> list[str]:
    """What a program writes into one line of a terminal, one state after the other."""
    main, child = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, stdout=child, stderr=child) as process:
        os.close(child)
        text = b""
        while read := _read(main):
            text += read
        os.close(main)
        assert process.wait(timeout=60) == 0
    shown = text.decode().split("\r\x1b[K")
    assert shown[0] == ""
    assert text.count(b"\n") == 1
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other end is closed
        return b""
