"""Who works on which source of an archive, so that two machines do not do the same work."""

import logging
import os
import secrets
import socket
import threading
import time
from hashlib import blake2b
from typing import Self

import msgspec

from archive.entries import StoreError
from archive.store import Store
from pipeline.logs import log

EXPIRY_S = 120.0
"""A claim that was not renewed for so long is that of a dead process."""
RENEWALS = 4
"""Until a claim expires: so many may fail but one."""


class Holder(msgspec.Struct, frozen=True):
    """The text of a claim."""

    name: str
    """Of the source, in the archive."""
    host: str
    pid: int
    token: str
    """Of this claim and no other."""


class Claims:
    """The claims of this process. Inside `with`, a thread renews them; those still held at the end are released.

    A claim saves work and protects nothing: files are written whole, so two who work on the same source write the same.
    """

    def __init__(self, store: Store, expiry_s: float = EXPIRY_S) -> None:
        self._store, self._expiry_s = store, expiry_s
        self._held: dict[str, str] = {}
        self._renewed_s: dict[str, float] = {}
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="claims", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=self._expiry_s)
        for name in list(self._held):
            self.release(name)

    def take(self, name: str) -> bool:
        """Claim a source that nobody has, or whose holder has died. Raises: StoreError."""
        key, text = key_of(name), self._text(name)
        taken = self._store.claim(key, text)
        if not taken:
            found = self._store.read_claim(key)
            if found is None:  # released in this moment
                taken = self._store.claim(key, text)
            elif found.age_s > self._expiry_s:
                taken = self._store.swap(key, found.text, text)
        if taken:
            with self._changing:
                self._held[name], self._renewed_s[name] = text, time.monotonic()
        return taken

    def is_held(self, name: str) -> bool:
        """Whether a source is still ours, as far as we know."""
        with self._changing:
            return time.monotonic() - self._renewed_s.get(name, -self._expiry_s) < self._expiry_s

    def holder(self, name: str) -> Holder | None:
        """Who has a source now. Raises: StoreError."""
        found = self._store.read_claim(key_of(name))
        return holder_of(found.text) if found is not None and found.age_s <= self._expiry_s else None

    def renew(self) -> list[str]:
        """Renew all claims. Returns the names of those that another has taken over. Raises: StoreError."""
        lost = []
        with self._changing:
            held = dict(self._held)
        for name, text in held.items():
            is_ours = self._store.touch(key_of(name), text)
            with self._changing:
                if self._held.get(name) == text:
                    self._renewed_s[name] = time.monotonic()
                    if not is_ours:
                        lost.append(name)
                        self._forget(name)
        return lost

    def release(self, name: str) -> None:
        """Give a source back, done or not. One that cannot be given back expires."""
        with self._changing:
            text = self._forget(name)
        if text:
            try:
                self._store.drop(key_of(name), text)
            except StoreError as error:
                log(logging.WARNING, f"{name}: its claim stays until it expires ({error})")

    def _forget(self, name: str) -> str:
        self._renewed_s.pop(name, None)
        return self._held.pop(name, "")

    def _beat(self) -> None:
        while not self._ended.wait(self._expiry_s / RENEWALS):
            try:
                for name in self.renew():
                    log(logging.WARNING, f"{name}: another process has taken it over; this one was silent for too long")
            except StoreError as error:
                log(logging.WARNING, f"claims are not renewed: {error}")

    def _text(self, name: str) -> str:
        holder = Holder(name, socket.gethostname(), os.getpid(), secrets.token_hex(8))
        return msgspec.json.encode(holder).decode()


def key_of(name: str) -> str:
    """A name of 32 hex digits, which every file system takes, for a source's name of any length."""
    return blake2b(os.fsencode(name), digest_size=16).hexdigest()


def holder_of(text: str) -> Holder | None:
    """None if the text is none of ours, such as that of a claim whose writer died over it."""
    try:
        return msgspec.json.decode(text, type=Holder)
    except msgspec.DecodeError:
        return None
