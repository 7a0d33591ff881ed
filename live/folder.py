"""The folder in which a watch keeps everything: where it is, what is in it, and that only one watch uses it."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError

README = """What `percept watch` keeps. `percept watch --clean` removes this folder.

history.sqlite   events, the newest results, and alerts that wait to be sent (with its -wal and -shm)
results/         results of all cameras as JSON lines, a file per day (UTC) and size
media/           snapshots and films of events, a folder per day
watch.json       process and address of the watch that runs now
ctl.sock         how `percept watch ctl` reaches it
lock             held while a watch runs
"""
MARK = "README.txt"
OWN = ("history.sqlite", "history.sqlite-wal", "history.sqlite-shm", "watch.json", "ctl.sock", "lock", MARK)
FOLDERS = ("results", "media")


def default_directory() -> Path:
    """$XDG_STATE_HOME/percept/watch, else ~/.local/state/percept/watch."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base, "percept", "watch")


def is_at(path: Path, file: os.stat_result) -> bool:
    """Whether the file that is open still lies at this path; also if that cannot be told."""
    try:
        return os.path.samestat(path.stat(), file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def removed(path: Path) -> str:
    """The sentence with which a watch ends that has lost what it writes to."""
    return (
        f"{path}: was removed or replaced while the watch ran, and what it held is lost; the watch ends. "
        "Start it again: it makes anew what is missing."
    )


class StateFolder:
    """The state folder of one watch. `opened()` locks it."""

    def __init__(self, directory: str = "") -> None:
        self.path = Path(directory).expanduser().absolute() if directory else default_directory()
        self._lock = -1
        """Descriptor of the lock, while it is held."""

    @property
    def history(self) -> Path:
        return self.path / "history.sqlite"

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def socket(self) -> Path:
        return self.path / "ctl.sock"

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder and lock it.

        Raises: ConfigError: another watch uses it, it holds something else, or it cannot be written.
        """
        try:
            self._make()
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{self.path}: {error.strerror}; expected a folder that can be written. Give another: --state FOLDER"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ConfigError(
                f"{self.path}: another watch uses this folder{self._who()}. Stop it, or give this one a folder of its "
                "own: --state FOLDER"
            ) from None
        self._lock = lock
        try:
            yield
        finally:
            if self.is_held():  # else it may be that of another watch by now
                for name in ("watch.json", "ctl.sock"):
                    (self.path / name).unlink(missing_ok=True)
            self._lock = -1
            os.close(lock)

    def is_held(self) -> bool:
        """Whether the lock that is held is the one at the path: another watch takes no notice of a removed one."""
        return self._lock >= 0 and is_at(self.path / "lock", os.fstat(self._lock))

    def tell(self, facts: dict[str, Any]) -> None:
        """Write down for other commands how this watch is reached."""
        half = self.path / "watch.json.part"
        half.write_text(json.dumps(facts))
        half.replace(self.path / "watch.json")

    def told(self) -> dict[str, Any]:
        """What the watch that runs here has written down; {} if none runs."""
        with contextlib.suppress(OSError, ValueError):
            facts = json.loads((self.path / "watch.json").read_text())
            if isinstance(facts, dict):
                return facts
        return {}

    def clean(self) -> int:
        """Remove what a watch has kept, and the folder if nothing else is in it. Returns the bytes that are free now.

        Raises: ConfigError: a watch uses it, or it is no folder of a watch.
        """
        if not self.path.exists():
            return 0
        if not (self.path / MARK).is_file():
            raise ConfigError(
                f"{self.path}: is no state folder of percept watch (it has no {MARK}); nothing is removed"
            )
        with self.opened():
            freed = sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
            for name in FOLDERS:
                shutil.rmtree(self.path / name, ignore_errors=True)
            for name in OWN:
                (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()
        return freed

    def _make(self) -> None:
        is_new = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not is_new and not (self.path / MARK).exists() and any(self.path.iterdir()):
            raise ConfigError(f"{self.path}: holds something else; expected an empty folder or that of a watch")
        for name in FOLDERS:
            (self.path / name).mkdir(exist_ok=True, mode=0o700)
        (self.path / MARK).write_text(README)

    def _who(self) -> str:
        pid = self.told().get("pid")
        return f" (process {pid})" if isinstance(pid, int) else ""
