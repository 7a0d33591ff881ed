"""Secrets: where they come from, and that they come out nowhere."""

import io
import json
import logging
import os
import re
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from live.secrets import (
    Masker,
    problems,
    read_secret,
    redacted,
    secrets_in,
    url_of,
    webhook_url,
    with_login,
    without_secrets,
)
from live.settings import Alerts, Camera, Mqtt, Page, Settings, Webhook
from pipeline.errors import ConfigError
from pipeline.logs import JsonLines, TextLines

PASSWORD = "s3cr/t@:wörd 100%"


def test_a_password_from_the_environment_is_encoded_into_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", PASSWORD)
    camera = Camera(name="door", url="rtsp://cam:554/1?x=1", user="me@home", password_env="DOOR_PASSWORD")
    assert url_of(camera) == "rtsp://me%40home:s3cr%2Ft%40%3Aw%C3%B6rd%20100%25@cam:554/1?x=1"


def test_a_password_or_a_url_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("word\n")
    (tmp_path / "url").write_text("\ufeffrtsp://a:b@cam/1\n")
    camera = Camera(name="door", url="rtsp://me@cam/1", password_file=str(tmp_path / "password"))
    assert url_of(camera) == "rtsp://me:word@cam/1"
    assert url_of(Camera(name="door", url_file=str(tmp_path / "url"))) == "rtsp://a:b@cam/1"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rtsp://user:hunter2@[::1/1", "the host or the port is wrong"),
        ("rtsp://user:hunter2@cam:abc/1", "wrong"),
        ("rtsp://user:hunter2@cam:99999/1", "wrong"),
        ("rtsp://", "names no host"),
        ("rtsp://hunter2@cam/a b", "has white space"),
    ],
)
def test_a_url_that_names_no_place_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    monkeypatch.setenv("DOOR_URL", url)
    for camera in (Camera(name="door", url_env="DOOR_URL"), Camera(name="door", url=url)):
        with pytest.raises(ConfigError, match=rf"camera door: .*url .*{why}") as caught:
            url_of(camera)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rtps://hunter2@cam/1", r"url begins with rtps:// \(did you mean 'rtsps'\?\)"),
        ("file:///etc/hunter2", "url begins with file://; expected one of rtsp"),
        ("/nowhere/hunter2.mp4", "url is neither a URL"),
        ("rtsp://me:hunter2/@cam/1", "percent-encoded"),
    ],
)
def test_a_url_from_the_environment_or_a_file_is_checked_like_one_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, why: str
) -> None:
    monkeypatch.setenv("DOOR_URL", url)
    (tmp_path / "url").write_text(url)
    for camera, place in (
        (Camera(name="door", url_env="DOOR_URL"), r"DOOR_URL \(url_env\)"),
        (Camera(name="door", url_file=str(tmp_path / "url")), r".*url \(url_file\)"),
    ):
        with pytest.raises(ConfigError, match=rf"camera door: {place}: .*{why}") as caught:
            url_of(camera)
        assert "hunter2" not in str(caught.value)


def test_a_webhook_from_the_environment_is_one_of_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "ftp://hunter2@hooks.example/x")
    with pytest.raises(ConfigError, match=r"HOOK \(url_env\) has another scheme; expected http:// or") as caught:
        webhook_url(Webhook(url_env="HOOK"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["udp://239.0.0.1:5000", "udp://:5000", "rtsp://[::1]:554/1", "/dev/video0", "0"])
def test_a_url_that_names_a_place_stays(url: str) -> None:
    assert url_of(Camera(name="door", url=url)) == url


def test_what_is_not_given_stays_as_it_is() -> None:
    for url in ("rtsp://a:b@cam/1", "rtsp://cam/1", "/dev/video0", "0", "udp://@239.0.0.1:1234"):
        assert url_of(Camera(name="door", url=url)) == url
    assert with_login("rtsp://a:b@cam/1", "c", "") == "rtsp://c:b@cam/1"
    assert with_login("/dev/video0", "a", "b") == "/dev/video0"


@limits(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.text(min_size=1))
def test_any_login_is_found_again_in_the_url(user: str, password: str) -> None:
    assume(password.isprintable())
    url = urlsplit(with_login("rtsp://old:one@cam.local:554/live", user, password))
    assert (unquote(url.username or ""), unquote(url.password or "")) == (user, password)
    assert (url.hostname, url.port, url.path) == ("cam.local", 554, "/live")


def test_an_error_names_the_variable_or_the_file_and_not_what_it_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMPTY", " ")
    with pytest.raises(ConfigError, match=r"camera door: the environment variable EMPTY \(password_env\) is not set"):
        url_of(Camera(name="door", url="rtsp://x", user="me", password_env="EMPTY"))
    with pytest.raises(ConfigError, match=r"none \(password_file\) cannot be read \(No such file"):
        read_secret("camera door", "password", "", str(tmp_path / "none"))
    (tmp_path / "two").write_text("first\nsecond\n")
    with pytest.raises(ConfigError) as error:
        read_secret("camera door", "password", "", str(tmp_path / "two"))
    assert "on one line" in str(error.value)
    assert "first" not in str(error.value)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"pipe \(password_file\) cannot be read \(it is a named pipe, not a regular"):
        read_secret("camera door", "password", "", str(tmp_path / "pipe"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_secret("camera door", "password", "", str(tmp_path / "bytes"))


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=4, max_size=20)


@limits(max_examples=60, deadline=None)
@given(secret=WORDS, around=st.text(max_size=10), safe=st.sampled_from(["", "/", "@:"]))
def test_a_secret_is_masked_however_it_is_written(secret: str, around: str, safe: str) -> None:
    assume(secret.strip("*"))
    masker = Masker()
    masker.add(secret)
    encoded = quote(secret, safe=safe)
    lower = re.sub("%..", lambda match: match.group().lower(), encoded)
    for written in (secret, encoded, lower, quote_plus(secret), json.dumps(secret), repr(secret)):
        shown = masker.mask(f"{around}\n{written}\n{around}")
        assert secret not in shown.replace(around, "")
        assert written.strip("\"'") not in shown.replace(around, "")


@limits(max_examples=60, deadline=None)
@given(user=WORDS, password=WORDS, token=WORDS)
def test_nothing_of_a_url_comes_out(user: str, password: str, token: str) -> None:
    url = f"{with_login('rtsp://cam/1', user, password)}?stream=1&token={quote(token, safe='')}"
    masker = Masker()
    masker.add_url(url)
    shown = masker.mask(f"cannot open {url}: 401; user={user} password={password} token={token}!")
    rest = shown.replace("cannot open rtsp://***@cam/1?stream=1&token=***", "")
    assert shown != rest
    assert password not in rest
    assert token not in rest
    assert set(secrets_in(url)) >= {user, password, token}


def test_short_secrets_and_users_are_masked_as_whole_words() -> None:
    masker = Masker()
    masker.add_url("rtsp://admin:ab@cam/1")
    assert masker.mask("admin ab: administrator about") == "*** ***: administrator about"


def test_a_url_shows_neither_login_nor_tokens() -> None:
    assert redacted("rtsp://me:word@cam/1?Token=abc&x=1") == "rtsp://***@cam/1?Token=***&x=1"
    assert redacted("srt://cam:9?passphrase=abcdefgh&mode=caller") == "srt://cam:9?passphrase=***&mode=caller"
    assert redacted("rtsp://me:wo/rd@cam/1") == "rtsp://***@cam/1"
    assert redacted("/dev/video0") == "/dev/video0"


def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, list[str]]:
    """Settings with a secret in every place that there is, and these secrets."""
    for number in range(5):
        monkeypatch.setenv(f"SECRET_{number}", f"hidden-{number}")
    monkeypatch.setenv("HOOK", "https://hooks/x?key=hidden-hook")
    (tmp_path / "file").write_text("hidden-file")
    cameras = (
        Camera(name="a", url="rtsp://hidden-user:hidden-word@cam/1"),
        Camera(name="b", url="rtsp://cam/1", user="hidden-name", password_env="SECRET_0"),
        Camera(name="c", url="rtsp://me@cam/1", password_file=str(tmp_path / "file")),
        Camera(name="d", url_env="NOT_SET"),
    )
    hooks = (
        Webhook(url_env="HOOK", secret_env="SECRET_1"),
        Webhook(url="https://hidden-login@hooks/x", secret_env="SECRET_2"),
    )
    mqtt = Mqtt(host="broker", user="hidden-broker", password_env="SECRET_3")
    found = Settings(cameras=cameras, alerts=Alerts(webhooks=hooks, mqtt=mqtt), page=Page(token_env="SECRET_4"))
    ends = [*"01234", "hook", "file", "user", "word", "name", "login", "broker"]
    return found, [f"hidden-{end}" for end in ends]


def test_every_secret_of_the_settings_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, secrets = settings(tmp_path, monkeypatch)
    masker = Masker()
    masker.add_settings(found)
    assert masker.mask(" ".join(secrets)) == " ".join(["***"] * len(secrets))
    assert masker.mask("camera a is lost") == "camera a is lost"


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = settings(tmp_path, monkeypatch)
    for name in ("HOOK", "SECRET_1", "SECRET_4"):
        monkeypatch.delenv(name)
    said = problems(found)
    for name, text in zip(("NOT_SET", "HOOK", "SECRET_1", "SECRET_4"), said, strict=True):
        assert f"the environment variable {name} " in text


def test_settings_are_shown_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = settings(tmp_path, monkeypatch)
    shown = msgspec.json.encode(without_secrets(found)).decode()
    assert "hidden-" not in shown.replace("hidden-name", "").replace("hidden-broker", "")
    assert webhook_url(found.alerts.webhooks[0]) == "https://hooks/x?key=hidden-hook"


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()], ids=["text", "json"])
def test_a_log_has_no_secrets_in_messages_fields_and_tracebacks(formatter: logging.Formatter) -> None:
    masker = Masker()
    masker.add_url("rtsp://me:hidden-word@cam/1")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(masker)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.warning("%s was %d", "hidden-word", 401, extra={"fields": {"url": "x hidden%2Dword", "count": 3}})
    try:
        raise ValueError("no hidden-word")
    except ValueError:
        logger.exception("it broke")
    shown = stream.getvalue()
    assert "hidden" not in shown
    assert "*** was 401" in shown
    assert "ValueError: no ***" in shown
    assert "count" in shown
