"""The claims of a run: of its sources, and the one that all runs of an archive share."""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator

import msgspec

from archive.claims import EXPIRY_S, RENEWALS, Claims, key_of
from archive.process import Process, this_process
from archive.store import Store
from pipeline.errors import OutputError

TRIES = 10
"""Others may make and drop the same claim meanwhile."""
SHARED = "terms"
"""Key of the claim that says how all runs label that go on now."""
ALONE = "alone "


class RunHolder(msgspec.Struct, frozen=True):
    """The text of a claim, and what it says more than `archive.claims.Holder`."""

    name: str
    host: str
    pid: int
    token: str
    process: Process = Process()
    terms: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_alone(self) -> bool:
        """Whether it relabels or compacts, see `alone`."""
        return self.terms.startswith(ALONE)


class RunClaims(Claims):
    """A claim whose holder was killed on this machine is taken over at once, one from elsewhere when it has expired.

    terms: how this run labels; two that differ do not go on at the same time.
    """

    def __init__(self, store: Store, expiry_s: float = EXPIRY_S, terms: str = "") -> None:
        super().__init__(store, expiry_s)
        self.expiry_s = expiry_s
        self._process, self._terms, self._shared = this_process(), terms, ""
        """The text of the shared claim, if this run made it."""

    def agree(self) -> RunHolder | None:
        """Join the runs that go on now. Returns the holder of the shared claim if it labels otherwise.

        Raises: StoreError.
        """
        text = self._text(SHARED)
        for _ in range(TRIES):
            if self._store.claim(SHARED, text):
                break
            found = self._store.read_claim(SHARED)
            if found is None:
                continue
            holder = run_holder_of(found.text)
            if holder is not None and holder.terms == self._terms:
                return None
            if not self._is_over(found.text, found.age_s):
                return holder or RunHolder("", "an unknown machine", 0, "")
            if self._store.swap(SHARED, found.text, text):
                break
        self._shared = text
        return None

    def found_alone(self) -> RunHolder | None:
        """Who relabels or compacts at this moment. Nothing is claimed. Raises: StoreError."""
        found = self._store.read_claim(SHARED)
        if found is None or self._is_over(found.text, found.age_s):
            return None
        holder = run_holder_of(found.text)
        return holder if holder is not None and holder.is_alone else None

    def take(self, name: str) -> bool:
        if super().take(name):
            return True
        key, found = key_of(name), self._store.read_claim(key_of(name))
        if found is None or not self._is_over(found.text, found.age_s):
            return False
        text = self._text(name)
        if not self._store.swap(key, found.text, text):
            return False
        with self._changing:
            self._held[name], self._renewed_s[name] = text, time.monotonic()
        return True

    def is_alive(self, name: str) -> bool | None:
        """Whether a source is in work elsewhere; None if its holder may be dead, and nobody can tell yet."""
        found = self._store.read_claim(key_of(name))
        if found is None or self._is_over(found.text, found.age_s):
            return False
        return True if found.age_s < 2 * self.expiry_s / RENEWALS else None

    def renew(self) -> list[str]:
        lost = super().renew()
        found = self._store.read_claim(SHARED)
        if found is not None:
            self._store.touch(SHARED, found.text)
        elif self._terms:  # whoever made it has ended
            self.agree()
        return lost

    def __exit__(self, *more: object) -> None:
        super().__exit__(*more)
        if self._shared:
            self._store.drop(SHARED, self._shared)

    def _is_over(self, text: str, age_s: float) -> bool:
        holder = run_holder_of(text)
        return age_s > self.expiry_s or (holder is not None and holder.process.is_dead)

    def _text(self, name: str) -> str:
        token, terms = secrets.token_hex(8), self._terms if name == SHARED else ""
        holder = RunHolder(name, socket.gethostname(), self._process.pid, token, self._process, terms)
        return msgspec.json.encode(holder).decode()


def run_holder_of(text: str) -> RunHolder | None:
    """None if the text is none of ours."""
    try:
        return msgspec.json.decode(text, type=RunHolder)
    except msgspec.DecodeError:
        return None


@contextlib.contextmanager
def alone(store: Store) -> Iterator[None]:
    """Keep others that write to an archive away, on all machines. Raises: OutputError: somebody does at this moment."""
    with RunClaims(store, terms=f"{ALONE}{secrets.token_hex(8)}") as claims:
        if other := claims.agree():
            raise OutputError(f"{store.where}: {other} is writing to it; wait until it has ended")
        yield
