"""Two builds of a tiny repository whose command is a shell script; nothing is really installed."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import against, against_build, against_run
from benchmarks.against_build import Build

SCRIPT = """#!/bin/sh
case "$*" in *--help*) echo "  --log-json"; exit 0;; esac
echo "{name} $*" >> "{log}"
echo '{{"label": "dog", "probability": {probability}, "engine": "{name}"}}' > "$3"
echo "$PERCEPT_CACHE" > "{log}.{name}.cache"
echo '{{"message": "account", "results": 6, "elapsed_s": 3.0, "ready_s": {ready_s}}}' >&2
"""


class Installer:
    """A stand-in for venv and pip: installing a source copies its file `command`."""

    def __init__(self) -> None:
        self.targets: list[Path] = []

    def __call__(self, command: Sequence[str]) -> None:
        if "--target" in command:
            target, source = Path(command[-2]), Path(command[-1])
            (target / "bin").mkdir(parents=True)
            (target / "bin" / "percept").write_bytes((source / "command").read_bytes())
            (target / "bin" / "percept").chmod(0o755)
            self.targets.append(target)


@pytest.fixture
def installer() -> Installer:
    return Installer()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with the arguments of every run of both builds."""
    return tmp_path / "log"


@pytest.fixture
def checkout(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose committed command is named `old` and whose uncommitted version is named `new`."""
    root = tmp_path / "checkout"
    root.mkdir()
    monkeypatch.chdir(root)
    for key in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(key, os.devnull)
    (root / "pyproject.toml").write_text('[project]\nname = "tiny"\ndependencies = []\n')
    (root / "constraints.txt").write_text("")
    (root / "command").write_text(SCRIPT.format(name="old", log=log, probability=0.5, ready_s=0.0))
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")
    (root / "command").write_text(SCRIPT.format(name="new", log=log, probability=0.5004, ready_s=1.0))
    return root


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, timeout=20).stdout


def script(folder: Path, text: str) -> Build:
    path = folder / "percept"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Build("this", "a script", path, dict(os.environ), ())


def test_both_builds_run_in_alternating_order(
    checkout: Path, cache: Path, log: Path, installer: Installer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = git("status", "--porcelain")
    written = log.with_suffix(".json")
    options = ["--runs", "2", "--memory-runs", "0", "--folder", str(cache), "--json", str(written)]
    against.main(["HEAD", *options, "--", "run", "-o", "{out}"], installer)
    ran = [line.split() for line in log.read_text().splitlines()]
    assert [words[0] for words in ran] == ["new", "old", "new", "old", "old", "new"], "a warm-up, then two pairs"
    assert all(words[1:3] == ["run", "-o"] and words[4:] == ["--log-json"] for words in ran)
    assert len({words[3] for words in ran}) == 6, "each run has its own file"
    assert len({Path(f"{log}.{name}.cache").read_text() for name in ("old", "new")}) == 2

    output = capsys.readouterr().out
    assert "Results: 1 of 1 records equal within 0.001, 0 of them exactly." in output
    assert "with changes" in output
    figures = json.loads(written.read_text())
    assert figures["ratios"]["clips_per_s"]["median"] == pytest.approx(1.5), "6 clips in 2 s against 6 in 3 s"
    assert [list(pair) for pair in figures["pairs"]] == [["this", "that"], ["that", "this"]]
    assert git("status", "--porcelain") == before


def test_a_build_is_kept_until_its_files_change(checkout: Path, cache: Path, installer: Installer) -> None:
    arguments = ["HEAD", "--runs", "1", "--memory-runs", "0", "--folder", str(cache), "--", "run", "-o", "{out}"]
    against.main(arguments, installer)
    against.main(arguments, installer)
    this, that = installer.targets
    (checkout / "new_file").write_text("git does not track it yet")
    against.main(arguments, installer)
    assert installer.targets == [this, that, this]
    assert (this.parent.parent / "source" / "new_file").is_file()
    (checkout / "constraints.txt").write_text("numpy==2.4.6")
    against.main(arguments, installer)
    assert len(list((cache / "environments").iterdir())) == 2


def test_an_incomplete_folder_is_made_again(tmp_path: Path) -> None:
    made: list[list[str]] = []

    def make(folder: Path) -> None:
        made.append([path.name for path in folder.iterdir()])
        (folder / "half").touch()
        if len(made) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        against_build.prepared(tmp_path / "a", "key", make)
    for key in ("key", "key", "other"):
        against_build.prepared(tmp_path / "a", key, make)
    assert made == [[], [], []], "it is made from scratch after the interruption and for another key"


@pytest.mark.parametrize("given", [["HEAD"], ["HEAD", "--"], ["HEAD", "run", "talk.mp4"]])
def test_missing_arguments_after_the_dashes_are_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        against.main(given)
    assert "nothing to run. Give percept's arguments after --" in capsys.readouterr().err


def test_an_unknown_commit_is_refused(checkout: Path, cache: Path, installer: Installer) -> None:
    with pytest.raises(SystemExit, match="nowhere: no such commit; expected one"):
        against.main(["nowhere", "--folder", str(cache), "--", "run"], installer)


def test_a_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SystemExit, match="is not in a git checkout"):
        against.main(["HEAD", "--folder", str(tmp_path / "cache"), "--", "run"])


def test_a_second_comparison_is_refused(checkout: Path, cache: Path, installer: Installer) -> None:
    with against_build.alone_in(cache), pytest.raises(SystemExit, match="another comparison is running"):
        against.main(["HEAD", "--folder", str(cache), "--", "run"], installer)


def test_a_commit_without_constraints_is_refused(checkout: Path, cache: Path, installer: Installer) -> None:
    (checkout / "constraints.txt").unlink()
    with pytest.raises(SystemExit, match=r"with changes has no constraints\.txt"):
        against.main(["HEAD", "--folder", str(cache), "--", "run"], installer)


def test_a_commit_without_the_command_is_refused(checkout: Path, cache: Path) -> None:
    with pytest.raises(SystemExit, match="installs no command named percept"):
        against.main(["HEAD", "--folder", str(cache), "--", "run"], lambda command: None)


def test_a_failing_installation_shows_its_last_lines() -> None:
    with pytest.raises(SystemExit, match=r"(?s)failed with 3\..*  no such package") as caught:
        against_build.checked([sys.executable, "-c", "print('x\\n' * 99 + 'no such package'); raise SystemExit(3)"])
    assert str(caught.value).count("  x") == against_build.SHOWN_LINES - 1


def test_a_failing_run_shows_its_last_lines(tmp_path: Path) -> None:
    build = script(tmp_path, "echo no such video >&2; exit 3")
    with pytest.raises(SystemExit, match=r"(?s)this \(a script\): .*ended with 3:\n  no such video"):
        against_run.run(build, ["run"], timeout_s=20)


def test_cpu_time_of_orphans_is_counted(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    build = script(tmp_path, f"{sys.executable} -c '{burn}' &")
    assert against_run.run(build, [], timeout_s=20).figures["cpu_s"] >= 0.3


def test_memory_of_children_is_counted(tmp_path: Path) -> None:
    hold = "import time; held = bytearray(50_000_000); time.sleep(0.6)"
    build = script(tmp_path, f"{sys.executable} -c '{hold}'; true")
    figures = against_run.run(build, [], timeout_s=20, sampled=True).figures
    assert list(figures) == ["peak_mb"]
    assert 50 < figures["peak_mb"] < 100


@pytest.mark.parametrize(
    ("text", "timeout_s", "message"),
    [
        ("sleep 77 & sleep 78", 0.2, r"did not end within 0\.2 s\. Allow more"),
        ("sleep 77 &", 20, r"Processes still run 0\.2 s after the command ended: \["),
    ],
)
def test_no_process_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, timeout_s: float, message: str
) -> None:
    monkeypatch.setattr(against_run, "END_S", 0.2)
    before = against_run.descendants(os.getpid())
    with pytest.raises(SystemExit, match=message):
        against_run.run(script(tmp_path, text), [], timeout_s)
    assert against_run.descendants(os.getpid()) == before


def test_the_interval_has_its_actual_confidence() -> None:
    assert against.median_interval([1.0]) == (1.0, 1.0, 0.0)
    assert against.median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == (1.0, 5.0, 0.9375)
    assert against.median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (1.0, 6.0, 0.96875)
    low, high, confidence = against.median_interval(range(10))
    assert (low, high, round(confidence, 4)) == (1, 8, 0.9785)


def test_ratios_are_computed_within_pairs() -> None:
    pairs = [(1.0, 2.0), (30.0, 20.0), (4.0, 4.0)]
    figures = [{"this": {"wall_s": this}, "that": {"wall_s": that, "cpu_s": 1.0}} for this, that in pairs]
    found = against.ratios([*figures, {"this": {"peak_mb": 1.0}, "that": {"peak_mb": 0.0}}])
    assert list(found) == ["wall_s"], "only figures that both report above 0"
    assert (found["wall_s"].this, found["wall_s"].that, found["wall_s"].median) == (4.0, 4.0, 1.0)
    assert (found["wall_s"].least, found["wall_s"].greatest) == (0.5, 1.5)


@pytest.mark.parametrize(
    ("this", "that", "verdict"),
    [
        ("", "", "no results to compare"),
        ("a", "a", "equal; compared as text, because they are not JSON lines"),
        ("a", "b", "not equal; compared as text, because they are not JSON lines"),
        ('{"a": 1, "engine": 2}\n', '{"engine": 3, "a": 1}', "1 of 1 records equal within 0.001, 1 of them exactly"),
        ('{"a": [{"engine": 2}]}', '{"a": [{}]}', "1 of 1 records equal within 0.001, 1 of them exactly"),
        ('{"a": []}', '{"a": {}}', "$.a: [] against {}"),
        ('{"a": 0.1}\n{"a": 0.1}', '{"a": 0.1005}\n{"a": 0.1}', "2 of 2 records equal within 0.001, 1 of them exactly"),
        ('{"a": "\u2028"}\n{"a": [1, 0.1]}', '{"a": "\u2028"}\n{"a": [1, 0.2]}', "record 2 at $.a[1]: 0.1 against 0.2"),
        ('{"a": 1000}', '{"a": 1001}', "0 of 1 records equal within 0.001, 0 of them exactly; the first difference"),
        ('{"a": 1}', "", "0 of 1 against 0 records equal"),
        ('{"a": null}', "{}", "$.a: None against nothing"),
        ('{"a": true}', '{"a": 0.9999}', "$.a: True against 0.9999"),
    ],
)
def test_results_are_compared_record_by_record(this: str, that: str, verdict: str) -> None:
    assert verdict in against.compare(this, that, {"engine"})
