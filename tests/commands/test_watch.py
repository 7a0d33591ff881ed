"""`percept watch` as a user runs it: a file played like a camera, its socket, its page, and what it says when wrong."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands.watch.ctl import in_words
from commands.watch.options import make_parser
from commands.watch.screen import watch_fields, watch_line
from commands.watch.watching import hide_secrets, main, read_given, shared_camera, url_told, with_labels
from live.check_settings import check
from live.folder import StateFolder
from live.settings import Camera, Page, Settings
from live.status import Account, Age, CameraStatus, Status
from pipeline.config import ClipOptions, Config
from pipeline.errors import ConfigError
from pipeline.logs import log, start_logging
from pipeline.result import ClipRecord, decode_json
from tests.conftest import ROOT

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "commands.main", "watch", *arguments]


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, env=ENVIRONMENT, cwd=cwd or ROOT
    )


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, what
        time.sleep(0.1)


class Watched:
    """A watch of the bundled sample, played like a camera."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.state = folder / "state"
        self.log = folder / "log"
        self.out = folder / "out.jsonl"
        with self.log.open("wb") as log, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                command(str(SAMPLE), "--realtime", "--loop", f"--state={self.state}", "--port=0", *arguments),
                stdout=out,
                stderr=log,
                env=ENVIRONMENT,
            )

    def records(self) -> list[ClipRecord]:
        return [decode_json(line) for line in self.out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("ctl", *arguments, f"--state={self.state}")

    def address(self) -> str:
        facts = json.loads((self.state / "watch.json").read_text())
        return str(facts["address"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watch")
    watch = Watched(folder, "--labels=dog, sheep, rain", "--format=jsonl")
    try:
        wait_for(lambda: any(record.labels for record in watch.records()), watch.log.read_text())
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()


@pytest.mark.slow
def test_records_come_as_the_clips_are_over(watched: Watched) -> None:
    wait_for(lambda: len([record for record in watched.records() if record.is_result]) >= 3, "three results")
    records = [record for record in watched.records() if record.is_result]
    assert {record.source for record in records} == {"sample"}
    assert all(record.labels and record.labels_version == 1 for record in records)
    assert all(record.clock == "arrival" and record.wall_time.endswith("+00:00") for record in records)
    assert all(0 < record.age_s < 60 for record in records)


@pytest.mark.slow
def test_ctl_and_the_page_tell_the_same_and_change_the_labels(watched: Watched) -> None:
    wait_for(lambda: (watched.state / "watch.json").exists(), "the page")
    assert watched.ctl("status").stdout.startswith("sample: live · ")
    with urllib.request.urlopen(f"{watched.address()}healthz", timeout=10) as answer:
        assert answer.status == 200
    shown = watched.ctl("preview", "sample", "sheep, siren")
    assert "sheep" in shown.stdout, shown.stderr
    done = watched.ctl("labels", "sample", "sheep, siren")
    assert done.stdout == "done: version 2; labels of sample 2\n", done.stderr
    wait_for(lambda: any(record.labels_version == 2 for record in watched.records()), "records of the new labels")
    newest = [record for record in watched.records() if record.labels_version == 2]
    assert {label.label for label in newest[0].labels or ()} <= {"sheep", "siren"}
    wrong = watched.ctl("change", "nowhere", "threshold=0.6")
    assert wrong.returncode == 2
    assert "no camera of this name" in wrong.stderr
    added = watched.ctl("add", "again", str(SAMPLE), "realtime=true")
    assert added.returncode == 2, "the API adds no local files"


@pytest.mark.slow
def test_another_watch_on_the_same_folder_is_refused(watched: Watched) -> None:
    second = run(str(SAMPLE), "--realtime", f"--state={watched.state}")
    assert second.returncode == 2
    assert "another watch uses this folder" in second.stderr


@pytest.mark.slow
def test_ctrl_c_ends_it_with_everything_written(tmp_path: Path) -> None:
    watch = Watched(tmp_path, "--labels=dog, sheep, rain")
    try:
        results = watch.state / "results"
        wait_for(lambda: any(path.stat().st_size for path in results.glob("*.jsonl")), watch.log.read_text())
        assert watch.stop() == 0, watch.log.read_text()
    finally:
        watch.process.kill()
    lines = [line for path in sorted(results.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    clips = [record.clip for record in map(decode_json, lines) if not record.gap]
    assert clips == list(range(len(clips)))
    said = watch.log.read_text()
    assert "watched 1 camera" in said
    assert "Traceback" not in said
    assert not (watch.state / "ctl.sock").exists()
    cleaned = run("--clean", f"--state={watch.state}")
    assert (cleaned.returncode, watch.state.exists()) == (0, False)


def test_cleaning_with_settings_cleans_their_folder_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    usual, own, given = StateFolder(), StateFolder(str(tmp_path / "own")), StateFolder(str(tmp_path / "given"))
    for folder in (usual, own, given):
        with folder.opened():
            pass
    file = tmp_path / "cameras.toml"
    file.write_text('directory = "own"\n[[camera]]\nname = "door"\nurl = "rtsp://cam/1"\n')
    for sources in (["rtsp://cam/1"], [str(file), "rtsp://cam/1"], [str(file), str(file)]):
        with pytest.raises(ConfigError, match="Nothing is removed"):
            main([*sources, "--clean"])
    assert main([str(file), "--clean", f"--state={given.path}"]) == 0
    assert [each.path.exists() for each in (usual, own, given)] == [True, True, False]
    assert main([str(file), "--clean"]) == 0
    assert str(own.path) in capsys.readouterr().err
    assert [each.path.exists() for each in (usual, own)] == [True, False]
    assert main(["--clean"]) == 0
    assert not usual.path.exists()


def test_a_state_folder_that_is_deleted_ends_the_watch_with_a_sentence(tmp_path: Path) -> None:
    watch = Watched(tmp_path, "--labels=dog", "--format=jsonl")
    try:
        wait_for(watch.records, "records")
        shutil.rmtree(watch.state)
        assert watch.process.wait(30) == 5
    finally:
        watch.process.kill()
        watch.process.wait(30)
    log = watch.log.read_text()
    assert f"{watch.state}" in log
    assert log.count("was removed or replaced while the watch ran") == 1, log
    assert "Traceback" not in log
    with StateFolder(str(watch.state)).opened():
        pass


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no camera given"),
        (["cameras.toml"], "cannot be read"),
        (["gopher://cam/1"], "gopher"),
        (["rtsp://cam/1", "--labels=", "-q"], "no label found"),
        (["rtsp://cam/1", "--start", "10"], "--start is for files: percept run"),
        (["rtsp://cam/1", "--min-duration", "30"], "--min-duration is for files: percept run"),
        (["rtsp://cam/1", "--fps", "0"], "fps"),
        (["rtsp://cam/1", "--test-alert"], "expected [alerts.mqtt] or [[alerts.webhook]]"),
        (["ctl", "status"], "no watch is running there"),
        (["ctl", "labels", "door"], "expected CAMERA WORDS"),
        (["ctl", "change", "door", "threshold"], "expected KEY=VALUE"),
        (["ctl", "remove", ""], "remove: argument 1 is empty; expected CAMERA"),
        (["ctl", "change", " ", "threshold=1"], "change: argument 1 is empty"),
        (["ctl", "labels", "door", ""], "labels: argument 2 is empty"),
        (["ctl", "events", "--camera="], "events: --camera is empty"),
        (["rtsp://cam/1", "--labels=@pipe"], "--labels @pipe: it is a named pipe, not a regular file"),
        (["rtsp://cam/1", "--token-file=pipe"], "pipe (token_file) cannot be read (it is a named pipe"),
        (["pipe.toml"], "pipe.toml: cannot be read (it is a named pipe, not a regular file)"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(arguments: list[str], text: str, tmp_path: Path) -> None:
    for name in ("pipe", "pipe.toml"):
        os.mkfifo(tmp_path / name)
    done = run(*arguments, f"--state={tmp_path / 'state'}", cwd=tmp_path)
    assert done.returncode in (2, 5)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def given(*arguments: str) -> Settings:
    """The settings that a command line stands for."""
    return read_given(make_parser().parse_args(list(arguments)))[0]


def test_the_probability_at_which_an_event_begins_is_that_of_the_command_line() -> None:
    assert [camera.threshold for camera in given("rtsp://cam/1", "0", "--min-probability=90%").cameras] == [0.9, 0.9]
    assert given("rtsp://cam/1").cameras[0].threshold == Camera(name="").threshold


CAMERAS = """\
[[camera]]
name = "door"
url = "rtsp://cam/1"
labels = ["dog"]

[[camera]]
name = "yard"
url = "rtsp://cam/2"
"""


def test_options_that_a_file_has_keys_for_are_refused_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text(f'labels = ["cat"]\ntreshold = 0.4\n{CAMERAS}')
    with pytest.raises(ConfigError) as error:
        given(str(file), "--realtime", "--loop", "--record", "--min-probability=0.9", "--labels=sheep")
    unknown, *others = str(error.value).splitlines()
    assert "treshold" in unknown
    into = f"cameras are in a file; write {{}} into {file}, "
    one, every = "under each [[camera]] that needs it", "above all cameras or under one [[camera]]"
    assert others == [
        f"--realtime: {into.format('realtime = true')}{one}",
        f"--loop: {into.format('loop = true')}{one}",
        f"--record: {into.format('record = true')}{every}",
        f"--min-probability: {into.format('threshold = 0.9')}{every}",
    ]


def test_labels_are_refused_only_where_all_cameras_of_a_file_have_their_own(tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text(CAMERAS)
    assert [camera.labels for camera in given(str(file), "--labels=sheep").cameras] == [("dog",), ()]
    file.write_text(f'labels = ["cat"]\n{CAMERAS}')
    assert given(str(file)).cameras[1].labels == ("cat",)
    with pytest.raises(ConfigError, match=f"--labels: all cameras have labels of their own; change labels in {file}"):
        given(str(file), "--labels=sheep")


def test_length_and_rate_of_clips_are_filled_in_each_by_itself() -> None:
    cameras = (
        Camera(name="a"),
        Camera(name="b", fps=4.0),
        Camera(name="c", clip_seconds=3.0),
        Camera(name="d", fps=4.0, clip_seconds=3.0),
    )
    config = Config(clips=ClipOptions(seconds=5.0, fps=2.0))
    filled = with_labels(Settings(cameras=cameras), config).cameras
    assert [(camera.clip_seconds, camera.fps) for camera in filled] == [(5.0, 2.0), (5.0, 4.0), (3.0, 2.0), (3.0, 4.0)]


def test_the_page_may_have_its_token_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = given("rtsp://cam/1", "--host=0.0.0.0", "--port=8711", "--token-file=token")
    assert settings.page == Page(host="0.0.0.0", port=8711, token_file=str(tmp_path / "token"))
    assert check(settings) == []
    (problem,) = check(given("rtsp://cam/1", "--host=0.0.0.0"))
    assert "--token-file" in problem
    file = tmp_path / "cameras.toml"
    file.write_text(f'labels = ["cat"]\n{CAMERAS}\n[page]\ntoken_env = "PAGE_TOKEN"\n')
    settings = given(str(file), "--token-file=token")
    assert settings.page == Page(token_file=str(tmp_path / "token")), "it takes the place of that of the file"


def test_a_camera_that_is_added_later_is_like_those_of_the_start(tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text(f"threshold = 0.3\n{CAMERAS}")
    options = make_parser().parse_args(["rtsp://cam/1", "--min-probability=0.9", "--record"])
    assert shared_camera(options, None) == Camera(name="", threshold=0.9, record=True)
    assert shared_camera(options, file) == Camera(name="", threshold=0.3)


def test_a_password_on_the_command_line_is_not_repeated(tmp_path: Path) -> None:
    done = run("rtsp://me:hush@cam/1", "--fps=0", "-v", f"--state={tmp_path}")
    assert "hush" not in done.stderr + done.stdout


def test_no_line_of_the_log_has_a_secret_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even what a dead process wrote last, or that of a camera that is added later."""
    monkeypatch.setenv("CAMERA_PASSWORD", "hush hush/1")
    door = Camera(name="door", url="rtsp://cam/1", user="viewer", password_env="CAMERA_PASSWORD", labels=("dog",))
    start_logging(0, as_json=False)
    try:
        masker = hide_secrets(Settings(cameras=(door,)))
        assert url_told(masker)(Camera(name="yard", url="rtsp://me:whisper@cam/2")) == "rtsp://me:whisper@cam/2"
        log(logging.WARNING, "decode-door exited", detail="open('hush%20hush%2F1') hush hush/1 whisper")
    finally:
        start_logging(0, as_json=False)
    said = capsys.readouterr().err
    assert "decode-door exited" in said
    assert "hush" not in said
    assert "whisper" not in said


DOOR = CameraStatus(name="door", connection="live", results=4, reused=2, drops={"superseded": 1}, age_s=Age(p50=0.81))
YARD = CameraStatus(name="yard", connection="lost", text="no data came for 10 s")


def test_the_line_tells_what_a_person_wants_to_know() -> None:
    status = Status(cameras=(DOOR, YARD), account=Account(clips_in=6, results=4, drops=1, in_flight=1), ready=True)
    line = watch_line(status)
    assert line == "1 of 2 cameras live · 4 clips · 2 reused · 1 dropped · 0.8 s old · yard: no data came for 10 s"
    assert watch_line(Status()) == "0 of 0 cameras live · models are loading · 0 clips"
    assert watch_fields(status)["live"] == 1
    assert [watch_fields(each)["ready"] for each in (status, Status())] == [True, False]


def test_answers_of_ctl_are_words() -> None:
    import msgspec

    status = msgspec.to_builtins(Status(cameras=(DOOR, YARD)))
    lines = in_words("status", status)
    assert lines[0] == "door: live · 0 clips · 2 reused · 1 dropped · 0.8 s old"
    assert lines[1].startswith("yard: lost (no data came for 10 s)")
    event = {"start": "2026-03-01T12:00:00.000+00:00", "camera": "door", "name": "dog", "state": "open", "peak": 0.87}
    assert in_words("events", {"events": [event]}) == [
        "2026-03-01T12:00:00.000+00:00  door: dog 87% (goes on)"
    ]  # fmt: skip
    (nothing,) = in_words("test-alert", {"ok": True, "sent": []})
    assert "[alerts.mqtt] or [[alerts.webhook]]" in nothing
