"""Who labels what: a claim on each source in work, renewed while its holder lives, so that no two do the same."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from archive.store import Store

BEAT_S = 20.0
EXPIRES_S = 120.0


@dataclass(frozen=True)
class Holder:
    """A process that labels. `where` is the same only where its number means the same process."""

    host: str
    where: str
    pid: int
    began: str
    """Ticks since the start of the machine: another process may have had the number before."""

    @classmethod
    def here(cls) -> "Holder":
        return cls(socket.gethostname(), _where(), os.getpid(), _began(os.getpid()))

    @property
    def is_dead(self) -> bool:
        """Whether it surely runs no more. Of one on another machine, nothing is known."""
        return self.where == _where() and _began(self.pid) != self.began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class Claim:
    holder: Holder | None
    """None if it cannot be read."""
    age_s: float
    """Since it was last renewed."""


class Claims:
    """The claims of this process. They are renewed by a thread of its own from `start` to `stop`."""

    def __init__(self, store: Store, beat_s: float = BEAT_S, expires_s: float = EXPIRES_S) -> None:
        self.beat_s, self.expires_s = beat_s, expires_s
        self._store = store
        self._text = json.dumps(vars(Holder.here()))
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="claims", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self, name: str) -> bool:
        """Claim a source. A claim whose holder is dead, or has long not renewed it, is taken over.

        Raises: OutputError: claims cannot be written.
        """
        key = key_of(name)
        if not self._store.claim(key, self._text):
            claim = self.holder_of(name)
            if claim is not None and not self.is_over(claim):
                return False
            self._store.release(key)
            if not self._store.claim(key, self._text):
                return False
        with self._lock:
            self._held.add(key)
        return True

    def is_over(self, claim: Claim) -> bool:
        return claim.age_s > self.expires_s or (claim.holder is not None and claim.holder.is_dead)

    def holder_of(self, name: str) -> Claim | None:
        """The claim on a source; None if there is none."""
        found = self._store.read_claim(key_of(name))
        if found is None:
            return None
        text, age_s = found
        try:
            return Claim(Holder(**json.loads(text)), age_s)
        except (ValueError, TypeError):  # it is being written, or its writer died over it
            return Claim(None, age_s)

    def release(self, name: str) -> None:
        key = key_of(name)
        with self._lock:
            self._held.discard(key)
        self._store.release(key)

    def stop(self) -> None:
        """Give back what is still claimed."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self.beat_s)
        for key in self._keys():
            self._store.release(key)
        self._held.clear()

    def _keys(self) -> Iterator[str]:
        with self._lock:
            return iter(sorted(self._held))

    def _renew(self) -> None:
        while not self._stopped.wait(self.beat_s):
            for key in self._keys():
                self._store.touch(key)


def key_of(name: str) -> str:
    return blake2b(name.encode(), digest_size=16).hexdigest()


def _where() -> str:
    """Machine, its start, and the namespace of processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {os.getpid()}"


def _began(pid: int) -> str:
    """When a process began, in ticks; "" if there is none, or only what is left of one that nobody has waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
