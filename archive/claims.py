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
CLAIM_OF_ALL = "terms"
"""Key of the claim that all runs share which label in the same way."""


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
    terms: str = ""
    """How the holder labels, in the shared claim."""


class Claims:
    """The claims of this process. They are renewed by a thread of its own from `start` to `stop`."""

    def __init__(self, store: Store, beat_s: float = BEAT_S, expires_s: float = EXPIRES_S) -> None:
        self.beat_s, self.expires_s = beat_s, expires_s
        self._store = store
        self._holder = vars(Holder.here())
        self._terms = ""
        self._held: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="claims", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def agree(self, terms: str) -> Claim | None:
        """Say how this run labels. Returns the claim of a run that labels otherwise, if there is one now.

        Raises: OutputError: claims cannot be written.
        """
        self._terms = terms
        for _ in range(2):
            if self._share():
                return None
            claim = self._claim_at(CLAIM_OF_ALL)
            if claim is not None and claim.terms == terms:
                return None
            if claim is not None and not self.is_over(claim):
                return claim
            self._store.release(CLAIM_OF_ALL)
        return claim

    def _share(self) -> bool:
        return self._store.claim(CLAIM_OF_ALL, json.dumps({**self._holder, "terms": self._terms}))

    def take(self, name: str) -> bool:
        """Claim a source. A claim whose holder is dead, or has long not renewed it, is taken over.

        Raises: OutputError: claims cannot be written.
        """
        key = key_of(name)
        text = json.dumps(self._holder)
        if not self._store.claim(key, text):
            claim = self.holder_of(name)
            if claim is not None and not self.is_over(claim):
                return False
            self._store.release(key)
            if not self._store.claim(key, text):
                return False
        with self._lock:
            self._held.add(key)
        return True

    def is_over(self, claim: Claim) -> bool:
        return claim.age_s > self.expires_s or (claim.holder is not None and claim.holder.is_dead)

    def holder_of(self, name: str) -> Claim | None:
        """The claim on a source; None if there is none."""
        return self._claim_at(key_of(name))

    def _claim_at(self, key: str) -> Claim | None:
        found = self._store.read_claim(key)
        if found is None:
            return None
        text, age_s = found
        try:
            facts = json.loads(text)
            terms = facts.pop("terms", "")
            return Claim(Holder(**facts), age_s, terms)
        except (ValueError, TypeError):  # it is being written, or its writer died over it
            return Claim(None, age_s)

    def tidy(self) -> None:
        """Remove claims of holders that are no more."""
        for key in list(self._store.claims()):
            claim = self._claim_at(key)
            if claim is not None and self.is_over(claim):
                self._store.release(key)

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
        shared = self._claim_at(CLAIM_OF_ALL)
        is_ours = shared is not None and shared.holder is not None and vars(shared.holder) == self._holder
        for key in [*self._keys(), *([CLAIM_OF_ALL] if is_ours else [])]:
            self._store.release(key)
        self._held.clear()
        self.tidy()

    def _keys(self) -> Iterator[str]:
        with self._lock:
            return iter(sorted(self._held))

    def _renew(self) -> None:
        while not self._stopped.wait(self.beat_s):
            for key in self._keys():
                self._store.touch(key)
            if self._terms and not self._store.touch(CLAIM_OF_ALL):  # whoever began it has ended
                self._share()


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
