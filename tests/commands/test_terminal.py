"""`percept run` as a person sees it: in a real pseudo-terminal, with fake sources and stages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.terminal import Run
from tests.commands.test_run import CONFIG
from tests.pipeline.runs import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fake.toml").write_text(CONFIG)
    return tmp_path


def run(folder: Path, *arguments: str, **more: object) -> Run:
    return Run(folder, "-c", "fake.toml", *arguments, **more)  # type: ignore[arg-type]


def test_a_terminal_shows_a_row_per_clip_and_a_closing_account(folder: Path) -> None:
    shown = run(folder, "fake:clips=3")
    assert shown.code == 0, shown.lines
    rows = [line for line in shown.lines if line.startswith("0:0") and "–" in line]
    assert rows == [f"0:0{2 * clip}–0:0{2 * clip + 2}  mean {clip} 90 %  ·  tracks: 1 unnamed" for clip in range(3)]
    end = shown.lines[shown.lines.index("Found in fake:clips=3") :]
    assert end[1:4] == [f"  mean {clip}     0:02  0:0{2 * clip}–0:0{2 * clip + 2}" for clip in range(3)]
    assert end[5].startswith("0:06 of media in ")
    assert end[6] == "3 clips in = 3 results + 0 errors + 0 drops; 1 source"
    assert "Written" not in shown.lines
    assert b"\x1b[1;32m90 %" in shown.data


def test_progress_is_below_the_rows_and_gone_at_the_end(folder: Path) -> None:
    shown = run(folder, "fake:clips=60,slow_decode_ms=20", "--format", "table")
    text = shown.data.decode()
    assert "━" in text
    assert "/2:00  " in text
    assert not [line for line in shown.lines if "━" in line or "loading" in line or "preparing" in line]
    assert text.rindex("\x1b[?25h") >= text.rindex("━"), "the cursor is visible at the end"


def test_each_source_has_a_heading_and_a_failed_one_is_said_once(folder: Path) -> None:
    shown = run(folder, "fake:clips=1", "fake:unopenable=1", "fake:clips=2")
    assert shown.code == 1
    text = "\n".join(shown.lines)
    assert text.index("fake:clips=1\n0:00") < text.index("fake:unopenable=1\n") < text.index("fake:clips=2\n0:00")
    assert text.count("cannot be opened. Give a file that can.") == 1


def test_files_are_named_at_the_end_and_rows_are_shown_only_if_asked_for(folder: Path) -> None:
    shown = run(folder, "fake:clips=2", "-o", "out.jsonl", "-o", "out.json", "--events", "*.vtt")
    assert not [line for line in shown.lines if line.startswith("0:00–")]
    written = shown.lines[shown.lines.index("Written") + 1 :][:3]
    assert [line.split()[0] for line in written] == ["out.jsonl", "out.json", "fake:clips=2.vtt"]
    assert "Found in fake:clips=2" in shown.lines


def test_quiet_leaves_only_the_rows(folder: Path) -> None:
    shown = run(folder, "fake:clips=2", "-q")
    assert [line[:5] for line in shown.lines if line] == ["0:00–", "0:02–"]


def test_a_narrow_terminal_wraps_between_labels_and_never_beyond_its_width(folder: Path) -> None:
    shown = run(folder, "fake:clips=3", columns=40)
    at = shown.lines.index("0:00–0:02  mean 0 90 %")
    assert shown.lines[at + 1] == "           tracks: 1 unnamed"
    rows_and_bar = shown.data.decode().split("Found in")[0].replace("\r", "\n").split("\n")
    assert max(len(plain(line)) for line in rows_and_bar) <= 40


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_there_is_no_colour(folder: Path, environment: dict[str, str]) -> None:
    shown = run(folder, "fake:clips=2", **environment)
    for colour in (b"\x1b[3", b"\x1b[1;3", b"\x1b[9"):
        assert colour not in shown.data
    assert (b"\x1b" in shown.data) == ("NO_COLOR" in environment), "a dumb terminal gets text only"
    assert "3 clips in" not in shown.lines
    assert [line[:9] for line in shown.lines if "mean" in line and "90 %" in line] == ["0:00–0:02", "0:02–0:04"]


def test_ctrl_c_finishes_with_an_account_and_without_warnings(folder: Path) -> None:
    shown = run(folder, "fake:clips=2000", keys="\x03", after="mean 3")
    assert shown.code == 130
    text = "\n".join(shown.lines)
    assert "percept: warning: interrupted: finishing what is in flight" in text
    assert shown.lines[-2].startswith("interrupted: ") or shown.lines[-1].startswith("interrupted: ")
    assert "Found in fake:clips=2000" in shown.lines
    for word in ("Traceback", "resource_tracker", "Warning:", "Exception"):
        assert word not in text


def test_two_ctrl_c_stop_at_once(folder: Path) -> None:
    shown = run(folder, "fake:clips=2000", keys="\x03\x03", after="mean 3")
    assert shown.code == 130
    text = "\n".join(shown.lines)
    assert "interrupted: " in text
    for word in ("Traceback", "resource_tracker", "Warning:", "Exception"):
        assert word not in text


def test_json_lines_on_a_terminal_are_not_glued_to_progress(folder: Path) -> None:
    shown = run(folder, "fake:clips=40,slow_decode_ms=20", "--format", "jsonl", columns=400)
    assert len([line for line in shown.lines if line.startswith('{"source"') and line.endswith("}")]) == 40
    assert b"\x1b[2K" not in shown.data


def test_verbose_says_what_is_used(folder: Path) -> None:
    shown = run(folder, "fake:clips=1", "-v", columns=200)
    text = "\n".join(shown.lines)
    for line in ("sources: fake:clips=1", "config: fake.toml", "setting decode.short_side_px = 8", "64×48 pixels"):
        assert line in text
    assert "model: percept-mini" in text


def test_head_ends_quietly_in_a_shell(folder: Path) -> None:
    command = f"set -o pipefail; {sys.executable} -P -m commands.main run -c fake.toml fake:clips=3000 | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (141, "", 1)


def test_no_line_of_a_log_is_printed_twice(folder: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "commands.main",
        "run",
        "-c",
        "fake.toml",
        "fake:clips=2",
        "fake:unopenable=1",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=90, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines] == ["error:", "account"]
