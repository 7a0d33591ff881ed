"""Two builds of percept: the current checkout and one of its commits.

The cache folder contains the following; a folder without its marker is made again:

    <commit>/source                  the files of that commit
    <commit>/build/site-packages     percept installed from them, without dependencies
    <commit>/build/cache             engines and text vectors of that build only
    tree-<checkout>/…                the same for the files of a checkout; made again when they change
    environments/<versions>          a virtual environment with the dependencies

Builds with the same dependencies share an environment. Nothing is written into the checkout.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MARKER = ".complete"
"""Written last; contains the key of the files that the folder was made from."""
NEEDED = ("pyproject.toml", "constraints.txt")
INSTALL_TIMEOUT_S = 3600.0
GIT_TIMEOUT_S = 300.0
SHOWN_LINES = 15
DEPENDENCIES = ("name", "requires-python", "dependencies", "optional-dependencies")
"""Keys of pyproject.toml's [project] that determine the installed dependencies."""

Call = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Source:
    """Files that a build is made from."""

    title: str
    """The commit, for messages."""
    key: str
    """Changes when the files change."""
    folder: Path
    """The folder for everything made from it; the files are in its `source`."""

    @property
    def files(self) -> Path:
        return self.folder / "source"


@dataclass(frozen=True)
class Build:
    """An installed percept."""

    name: str
    title: str
    script: Path
    environment: dict[str, str]
    """Environment variables of its runs."""
    packages: tuple[str, ...]
    """`name==version` of its dependencies."""


@contextmanager
def alone_in(folder: Path) -> Iterator[Path]:
    """Lock the folder: two comparisons at once would disturb each other's builds and figures."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{folder}: another comparison is running there. Wait until it ends.") from None
        yield folder


def prepared(folder: Path, key: str, make: Callable[[Path], None]) -> Path:
    """The folder, made again unless its marker shows that it was completed for `key`."""
    marker = folder / MARKER
    if not (marker.is_file() and marker.read_text() == key):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        marker.write_text(key)
    return folder


def checked(command: Sequence[str]) -> None:
    """Run a step of an installation; if it fails, exits with the last lines of its output."""
    step = f"{' '.join(command)}\n"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{step}did not end within {INSTALL_TIMEOUT_S:.0f} s.") from None
    if done.returncode:
        raise SystemExit(f"{step}failed with {done.returncode}. Its last lines:\n{last_lines(done.stdout)}")


def last_lines(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines()[-SHOWN_LINES:])


def git(root: Path, *arguments: str) -> bytes:
    """The output of a git command.

    Raises:
        CalledProcessError: the command failed.
    """
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, check=True, timeout=GIT_TIMEOUT_S
        ).stdout
    except FileNotFoundError:
        raise SystemExit("git is not installed, but both builds need it. Install git.") from None


def checkout_root(folder: Path) -> Path:
    """The root of the checkout that contains the folder."""
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel").decode().strip())
    except subprocess.CalledProcessError:
        raise SystemExit(f"{folder} is not in a git checkout. Run this from a checkout of percept.") from None


def working_tree(root: Path, cache: Path) -> Source:
    """A copy of the checkout: tracked and untracked files with uncommitted changes, without ignored files."""
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").decode()
    names = [name for name in sorted(set(listed.split("\0"))) if name and (root / name).is_file()]
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0".encode() + hashlib.sha256((root / name).read_bytes()).digest())

    def copy(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)

    changed = " with changes" if git(root, "status", "--porcelain").strip() else ""
    commit = git(root, "rev-parse", "--short", "HEAD").decode().strip()
    place = cache / f"tree-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"
    source = Source(f"working tree at {commit}{changed}", digest.hexdigest(), place)
    prepared(source.files, source.key, copy)
    return source


def committed(root: Path, commit: str, cache: Path) -> Source:
    """The files of a commit."""
    try:
        found = git(root, "rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError:
        raise SystemExit(f"{commit}: no such commit; expected one that `git log --oneline` lists.") from None

    def extract(folder: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(git(root, "archive", "--format=tar", found))) as archive:
            archive.extractall(folder, filter="data")

    short = git(root, "rev-parse", "--short", found).decode().strip()
    source = Source(short, found, cache / found)
    prepared(source.files, source.key, extract)
    return source


def make_build(name: str, source: Source, cache: Path, extras: str, call: Call) -> Build:
    """Install a source, and its dependencies if they are not installed yet."""
    for needed in NEEDED:
        if not (source.files / needed).is_file():
            raise SystemExit(f"{source.title} has no {needed}; a build needs both {' and '.join(NEEDED)}.")
    project = tomllib.loads((source.files / "pyproject.toml").read_text())["project"]
    wanted = [{key: project.get(key) for key in DEPENDENCIES}, (source.files / "constraints.txt").read_text(), extras]
    key = hashlib.sha256(json.dumps([sys.version, sys.executable, wanted]).encode()).hexdigest()

    def install_dependencies(folder: Path) -> None:
        print(f"installing the dependencies of {source.title}; this takes minutes", file=sys.stderr)
        call([sys.executable, "-m", "venv", str(folder)])
        what = f"{source.files}[{extras}]" if extras else str(source.files)
        call([*pip(folder), "install", "-c", str(source.files / "constraints.txt"), what])
        call([*pip(folder), "uninstall", "--yes", project["name"]])

    def install(folder: Path) -> None:
        print(f"installing {source.title}", file=sys.stderr)
        call([*pip(environment), "install", "--no-deps", "--target", str(folder / "site-packages"), str(source.files)])

    environment = prepared(cache / "environments" / key[:12], key, install_dependencies)
    built = prepared(source.folder / "build", f"{source.key} {key}", install)
    script = built / "site-packages" / "bin" / "percept"
    if not script.is_file():
        raise SystemExit(f"{source.title} installs no command named percept.")
    return Build(name, source.title, script, run_environment(built), packages(environment))


def pip(environment: Path) -> list[str]:
    return [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]


def run_environment(built: Path) -> dict[str, str]:
    """The caller's environment with this build's modules and engine cache; the current folder is not imported from."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    paths = {"PYTHONPATH": str(built / "site-packages"), "PERCEPT_CACHE": str(built / "cache")}
    return kept | paths | {"PYTHONSAFEPATH": "1"}


def packages(environment: Path) -> tuple[str, ...]:
    """`name==version` of the installed packages, from the names of their metadata folders."""
    folders = environment.glob("lib/python*/site-packages/*.dist-info")
    return tuple(sorted("==".join(folder.stem.rsplit("-", 1)) for folder in folders))
