"""Builds odd cases, and looks at them in processes of their own, so that a crash or a hang costs one line."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.cases_expected import Expected
from benchmarks.cases_read import Look

OURS = Path(__file__).resolve().parent.parent
READ_S, RUN_S, BUILD_S = 60.0, 180.0, 120.0
"""Deadlines."""
CLIPS = 2
"""Of each source of `labelled`."""


def build(case: Path, folder: Path) -> str:
    """Make a case's files in its folder, unless they are there; returns what went wrong, or ""."""
    mark = folder / ".built"
    if mark.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / ".partial").is_file()):
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".partial").touch()
    shell, python = case / "make.sh", case / "make.py"
    command = ["bash", str(shell)] if shell.is_file() else [sys.executable, "-P", str(python)]
    status, _, errors = finished(command, folder, BUILD_S, paths=(case, case.parent / "_tools"))
    if status:
        return f"{command[-1]} ended with {status}: {errors[-300:]}"
    mark.touch()
    (folder / ".partial").unlink()
    return ""


def look(root: Path, folder: Path, expected: Expected) -> Look:
    """What the reader of the checkout `root` makes of a file."""
    more = ["--root", str(root), "--track", expected.track]
    if expected.fed_from:
        more += ["--fed-from", expected.fed_from]
    return looked([*more, expected.file], folder)


def looked(arguments: Sequence[str], folder: Path) -> Look:
    command = [sys.executable, "-P", "-m", "benchmarks.cases_read", *arguments]
    status, out, errors = finished(command, folder, READ_S, paths=(OURS,))
    if status:
        return Look(failure=ended(status, errors))
    return msgspec.json.decode(out, type=Look)


def look_at_video(root: Path, folder: Path, expected: Expected, scratch: Path) -> Look:
    """What a player shows of the labelled video that the checkout `root` writes."""
    video = scratch / f"{Path(expected.file).stem}.mp4"
    arguments = ["--labels", "dog", "--video", str(video), "-o", str(video.with_suffix(".jsonl")), "--overwrite"]
    arguments += ["--audio-track", expected.track] if expected.track else []
    status, _, errors = percept(root, folder, ["run", expected.file, *arguments])
    if status:
        return Look(failure=f"percept run: {ended(status, errors)}")
    if not video.is_file():
        warned = [line for line in errors.splitlines() if "warning" in line]
        return Look(failure=f"no video: {'; '.join(warned)}")
    return looked(["--as", "player", str(video)], folder)


def labelled(root: Path, folder: Path, sources: Sequence[str], scratch: Path) -> str:
    """Label several sources in one run, with subtitles; returns what is wrong, or "".

    It is also right to refuse a source before anything runs, or that only its subtitles fail.
    """
    results = scratch / "results.jsonl"
    arguments = ["--labels", "dog", "-o", str(results), "--events", str(scratch / "*.vtt"), "--overwrite"]
    status, _, errors = percept(root, folder, ["run", *sources, *arguments])
    lines = results.read_text().splitlines() if results.is_file() else []
    counts = Counter(record["source"] for record in map(json.loads, lines) if "clip" in record)
    if not counts and status == 2:
        return ""
    lacking = [f"{counts[source]} clips of {source[:20]}" for source in sources if counts[source] != CLIPS]
    return f"{', '.join(lacking)}, {ended(status, errors)}" if lacking else ""


def percept(root: Path, folder: Path, arguments: Sequence[str]) -> tuple[int, bytes, str]:
    return finished([sys.executable, "-P", "-m", "commands.main", *arguments], folder, RUN_S, paths=(root,))


def ended(status: int, errors: str) -> str:
    last = next((line for line in reversed(errors.splitlines()) if line.strip()), "")
    return f"ended with {status}: {last[:200]}"


def finished(command: Sequence[str], folder: Path, limit_s: float, paths: Sequence[Path]) -> tuple[int, bytes, str]:
    """Exit status, stdout and stderr of a command in a folder; at the deadline it is killed with its children."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return -signal.SIGKILL, b"", f"did not end within {limit_s:g} s"
    return process.returncode, out, errors.decode(errors="replace")
