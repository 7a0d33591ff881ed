"""Who may come in: the token, the session that follows a login, and the names by which the page may be asked for."""

import hashlib
import hmac
import ipaddress
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from live.settings import Page
from pipeline.errors import ConfigError

SHORTEST_TOKEN = 16
LONGEST_TOKEN = 4096
SESSION_S = 30 * 86_400
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Door:
    """How requests are let in."""

    token: str = field(default="", repr=False)
    """Empty: none is needed."""
    host: str = "127.0.0.1"
    port: int = 0
    hosts: tuple[str, ...] = ()
    """Further names, such as that of a proxy."""
    private: bool = False
    """A socket that only its owner reaches: no token, no rate limit."""

    @property
    def cookie(self) -> str:
        """Cookies are shared by all ports of a machine, so each page has its own."""
        return f"percept-{self.port}"

    def has_token(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(), self.token.encode())

    def new_session(self) -> str:
        """`<Unix time at which it ends>.<signature>`. It stays valid when the page process starts again."""
        return self._signed(int(time.time()) + SESSION_S)

    def has_session(self, cookie: str) -> bool:
        ends, _, _ = cookie.partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) <= 12):
            return False
        return hmac.compare_digest(cookie.encode(), self._signed(int(ends)).encode()) and int(ends) > time.time()

    def knows(self, host_header: str) -> bool:
        """Whether the page may be asked for by this name. Else a page elsewhere could have its own name lead here.

        The port may be that of a tunnel or a container. An address is no name that somebody could make lead here.
        """
        name, _ = split_host(host_header)
        if name in (*_LOOPBACK, self.host.lower(), *(split_host(known)[0] for known in self.hosts)):
            return True
        return not is_loopback(self.host) and (name == socket.gethostname().lower() or _is_address(name))

    def _signed(self, ends: int) -> str:
        signature = hmac.new(self.token.encode(), f"percept page session {ends}".encode(), hashlib.sha256)
        return f"{ends}.{signature.hexdigest()}"


def split_host(header: str) -> tuple[str, str]:
    """Name and port of a Host header: `[::1]:8710` -> `::1`, `8710`."""
    text = header.strip().lower()
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = text.partition(":")
    return name.removesuffix("."), port


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(page: Page) -> str:
    """The token of the page; empty if it needs none.

    Raises:
        ConfigError: there is none, but the address needs one, or it cannot be read, or is too short.
    """
    token, where = _read(page)
    if token and not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        raise ConfigError(
            f"{where}: the token has {len(token)} characters; expected at least {SHORTEST_TOKEN}. "
            "Make one: openssl rand -hex 24"
        )
    if not token and not is_loopback(page.host):
        raise ConfigError(
            f"page.host: {page.host} can be reached from other machines, so the page needs a token. Name a file or a "
            'variable that holds one (page.token_file, page.token_env), or use host = "127.0.0.1".'
        )
    return token


def check_page(page: Page) -> list[str]:
    """What is wrong with the settings of the page."""
    if page.port < 0:
        return []
    try:
        read_token(page)
    except ConfigError as error:
        return [str(error)]
    return []


def _read(page: Page) -> tuple[str, str]:
    if page.token_env:
        where, token = f"page.token_env: {page.token_env}", os.environ.get(page.token_env, "").strip()
    elif page.token_file:
        where = f"page.token_file: {page.token_file}"
        try:
            with Path(page.token_file).expanduser().open(encoding="utf-8") as file:
                token = file.read(LONGEST_TOKEN + 1).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or 'no UTF-8'})") from None
    else:
        return "", ""
    if not token:
        raise ConfigError(f"{where} is empty. Put the token of the page there: openssl rand -hex 24")
    return token, where


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
