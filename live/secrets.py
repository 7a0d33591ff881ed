"""Where a camera's secrets come from, and that they never come out."""

import base64
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from live.settings import Camera, Settings, Webhook
from live.sources import has_stray_login, scheme_of, url_problems
from pipeline.errors import ConfigError
from pipeline.logs import redact
from pipeline.small_file import read_small_file

HIDDEN = "***"
SHORT = 4
"""A secret with fewer characters, and a user's name, are masked as whole words only."""
LONGEST = 64 << 10
LISTENS = ("udp", "rtp", "srt", "tcp")
"""Schemes whose URL may have a port alone."""
_SECRET_KEY = re.compile(r"token|key|secret|pass|pwd|signature|\bsig\b|auth|user|login|streamid", re.IGNORECASE)


def url_of(camera: Camera) -> str:
    """The URL of a camera with its user and password, percent-encoded; environment and files are read now.

    Raises:
        ConfigError: names the variable or the file that is wrong, and never what it holds.
    """
    where = f"camera {camera.name}"
    url = camera.url or _told_url(camera)
    password = read_secret(where, "password", camera.password_env, camera.password_file)
    return with_login(usable(where, url), camera.user, password)


def _told_url(camera: Camera) -> str:
    """The URL that the environment or a file holds. Raises: ConfigError: as for one that stands in the settings."""
    url = read_secret(f"camera {camera.name}", "url", camera.url_env, camera.url_file)
    if problem := next(url_problems(msgspec.structs.replace(camera, url=url)), ""):
        place = f"{camera.url_env} (url_env)" if camera.url_env else f"{camera.url_file} (url_file)"
        raise ConfigError(f"camera {camera.name}: {place}: {problem}")
    return url


def webhook_url(webhook: Webhook) -> str:
    """Raises: ConfigError: the variable that holds it is not set, or it is no URL of http or https."""
    where = "alerts.webhooks"
    url = usable(where, webhook.url or read_secret(where, "url", webhook.url_env, ""))
    if webhook.url_env and scheme_of(url) not in ("http", "https"):
        raise ConfigError(f"{where}: {webhook.url_env} (url_env) has another scheme; expected http:// or https://")
    return url


def usable(where: str, url: str) -> str:
    """The URL, if it names a host; a path or a device as it is.

    Raises:
        ConfigError: it cannot be taken apart. `where` begins the message, which does not show the URL.
    """
    if "://" not in url:
        return url
    if not url.isprintable() or any(letter.isspace() for letter in url):
        raise ConfigError(f"{where}: its url has white space or control characters in it; write them percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(
            f"{where}: its url cannot be understood: the host or the port is wrong; expected something like "
            "rtsp://camera.local:554/stream"
        ) from None
    if not parts.hostname and (port is None or parts.scheme not in LISTENS):
        raise ConfigError(f"{where}: its url names no host; expected something like rtsp://camera.local/stream")
    return url


def problems(settings: Settings) -> list[str]:
    """Every variable and file of the settings that is missing now, a sentence each."""
    found = []
    reads: list[Callable[[], object]] = [partial(url_of, camera) for camera in settings.cameras]
    reads += [partial(webhook_url, webhook) for webhook in settings.alerts.webhooks]
    reads += [partial(read_secret, *place) for place in _places(settings)]
    for read in reads:
        try:
            read()
        except ConfigError as error:
            found.append(str(error))
    return found


def _places(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Where the secrets are that belong to no camera: arguments for `read_secret`."""
    for index, webhook in enumerate(settings.alerts.webhooks):
        yield f"alerts.webhooks[{index}]", "secret", webhook.secret_env, webhook.secret_file
    if mqtt := settings.alerts.mqtt:
        yield "alerts.mqtt", "password", mqtt.password_env, mqtt.password_file
    yield "page", "token", settings.page.token_env, settings.page.token_file


def with_login(url: str, user: str, password: str) -> str:
    """The URL with this user and password; what is empty stays as it is in the URL. Only for URLs with `://`."""
    scheme, mark, rest = url.partition("://")
    if not mark or not (user or password):
        return url
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, _, host = place.rpartition("@")
    old_user, _, old_password = login.partition(":")
    name = quote(user, safe="") if user else old_user
    word = quote(password, safe="") if password else old_password
    return f"{scheme}://{name}{':' if word else ''}{word}@{host}{rest[len(place) :]}"


def read_secret(where: str, what: str, variable: str, file: str) -> str:
    """What an environment variable or a file holds, without white space around it; "" if neither is named.

    Raises:
        ConfigError: it is missing, empty or cannot be read. `where` begins the message.
    """
    if variable:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise ConfigError(
                f"{where}: the environment variable {variable} ({what}_env) is not set or is empty. "
                "Set it where percept is started."
            )
        return value
    return _of_file(where, what, file) if file else ""


def _of_file(where: str, what: str, file: str) -> str:
    try:
        value = read_small_file(Path(file).expanduser(), LONGEST + 1).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {file} ({what}_file) is not UTF-8 text. Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(
            f"{where}: {file} ({what}_file) cannot be read ({error.strerror}). "
            f"Write the {what} into a file that the user can read who runs percept."
        ) from None
    if not value or len(value) > LONGEST or "\n" in value:
        raise ConfigError(f"{where}: {file} ({what}_file) has another content; expected the {what} alone, on one line.")
    return value


def without_secrets(settings: Settings) -> Settings:
    """The settings as they may be shown: users, passwords and tokens inside URLs are masked."""
    webhooks = tuple(msgspec.structs.replace(each, url=redacted(each.url)) for each in settings.alerts.webhooks)
    return msgspec.structs.replace(
        settings,
        cameras=tuple(msgspec.structs.replace(each, url=redacted(each.url)) for each in settings.cameras),
        alerts=msgspec.structs.replace(settings.alerts, webhooks=webhooks),
    )


def redacted(url: str) -> str:
    """A URL with its login and its secret parameters masked."""
    for secret in sorted(secrets_in(url), key=len, reverse=True):
        url = re.sub(_any_writing(secret), HIDDEN, url)
    return redact(url)


def secrets_in(url: str) -> Iterator[str]:
    """User, password and the values of secret parameters, as they are written in the URL and decoded."""
    _, mark, rest = url.partition("://")
    if not mark:
        return
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if has_stray_login(url):
        place = rest
    user, _, password = place.rpartition("@")[0].partition(":")
    for written in (password, user):
        yield from dict.fromkeys(filter(None, (written, unquote(written))))
    if user and password:
        yield base64.b64encode(unquote(f"{user}:{password}").encode()).decode()
    for key, value in parse_qsl(rest.partition("?")[2].partition("#")[0], separator="&"):
        if value and _SECRET_KEY.search(key):
            yield value


def _any_writing(secret: str) -> str:
    """A pattern for a secret in which every character may be percent-encoded, or escaped as in JSON and Python."""
    return "".join(f"(?:{'|'.join(dict.fromkeys(_writings(character)))})" for character in secret)


def _writings(character: str) -> Iterator[str]:
    yield re.escape(character)
    raw = character.encode("utf-8", "surrogatepass")
    yield "".join(f"%(?i:{byte:02x})" for byte in raw)
    yield re.escape(json.dumps(character)[1:-1])
    yield re.escape(repr(character)[1:-1])
    if character == " ":
        yield r"\+"
    if character in "'\"":
        yield re.escape(f"\\{character}")


class Masker(logging.Filter):
    """Masks every secret that it was told, however it is encoded, in any text; and, told or not, logins in URLs.

    As a filter of a log handler it masks messages, their fields and tracebacks; it lets every record pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._patterns: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str, whole_words: bool = False) -> None:
        """Mask this from now on. whole_words: not as a part of a longer word."""
        if not secret:
            return
        pattern = _any_writing(secret)
        if whole_words or len(secret) < SHORT:
            pattern = rf"(?<![^\W_]){pattern}(?![^\W_])"
        self._patterns.setdefault(secret, pattern)
        longest_first = sorted(self._patterns, key=lambda each: (-len(each), each))
        self._pattern = re.compile("|".join(self._patterns[each] for each in longest_first))

    def add_url(self, url: str) -> None:
        """Mask user, password and secret parameters of a URL."""
        user = url.partition("://")[2].partition(":")[0].partition("@")[0]
        for secret in secrets_in(url):
            self.add(secret, whole_words=secret in (user, unquote(user)))

    def add_settings(self, settings: Settings) -> None:
        """Mask every secret of the settings. One that cannot be read yet is left out: its use is an error itself."""
        for camera in settings.cameras:
            self.add_url(camera.url)
            self.add(camera.user, whole_words=True)
            self._add_read("password", camera.password_env, camera.password_file)
            with suppress(ConfigError):
                self.add_url(url_of(camera))
        for webhook in settings.alerts.webhooks:
            with suppress(ConfigError):
                self.add_url(webhook_url(webhook))
        if mqtt := settings.alerts.mqtt:
            self.add(mqtt.user, whole_words=True)
        for _, what, variable, file in _places(settings):
            self._add_read(what, variable, file)

    def _add_read(self, what: str, variable: str, file: str) -> None:
        with suppress(ConfigError):
            self.add(read_secret("", what, variable, file))

    def mask(self, text: str) -> str:
        """The text with `***` in place of every secret."""
        return redact(self._pattern.sub(HIDDEN, text) if self._pattern else text)

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        record.msg, record.args = self.mask(text), None
        record.exc_info = record.exc_text = None
        fields = getattr(record, "fields", {})
        record.fields = {key: self.mask(of) if isinstance(of, str) else of for key, of in fields.items()}
        return True
