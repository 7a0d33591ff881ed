"""Who is let in, by which name, how often and from where."""

import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from live.page.door import Door, check_page, read_token, split_host
from live.page.rates import MOST_CLIENTS, Rate
from live.page.shown import masked_url, wrong_name, wrong_url
from live.settings import Page
from pipeline.errors import ConfigError
from tests.live.page.conftest import SETTINGS, Client, start
from tests.live.page.fake_watch import FakeWatch

API = "/api/v1"
TOKEN = "0123456789abcdef-correct"
PATHS = ["/api/v1/status", "/api/v1/settings", "/api/v1/stream", "/api/v1/events", "/metrics", "/api/v1/openapi.json"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(TOKEN + "\n")
    watch = start(folder, host="0.0.0.0", token_file=str(folder / "token"), hosts=("watch.example",))
    try:
        yield watch.wait()
    finally:
        watch.close()


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(guarded: FakeWatch, path: str) -> None:
    client = Client(guarded.address)
    reply = client.get(path)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "token" in reply.json["error"]
    for wrong in ("Bearer wrong", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xe9"):
        assert client.get(path, Authorization=wrong).status == 401
    if not path.endswith("stream"):
        assert client.get(path, Authorization=f"Bearer {TOKEN}").status == 200


def test_probes_and_the_login_page_need_no_token(guarded: FakeWatch) -> None:
    client = Client(guarded.address)
    assert client.get("/healthz").status == 200
    assert client.get("/login").status == 200
    sent = client.get("/")
    assert (sent.status, sent.headers["location"]) == (303, "/login")


def test_a_login_opens_a_session(guarded: FakeWatch) -> None:
    guarded.restart()  # other tests may have used up what logins are allowed
    client = Client(guarded.address)
    assert client.ask("POST", f"{API}/login", {"token": "wrong"}).status == 401
    reply = client.ask("POST", f"{API}/login", {"token": TOKEN})
    cookie, *marks = reply.headers["set-cookie"].split("; ")
    assert {"httponly", "samesite=strict", "path=/"} <= {mark.lower() for mark in marks}
    assert "secure" not in {mark.lower() for mark in marks}
    assert TOKEN not in cookie
    assert client.get(f"{API}/status", Cookie=cookie).status == 200
    forged = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
    assert client.get(f"{API}/status", Cookie=forged).status == 401
    name, _, value = cookie.partition("=")
    ends, _, signature = value.partition(".")
    for other in (f"{int(ends) + 999}.{signature}", ends, "", ".", f"x.{signature}", f"{'9' * 13}.{signature}"):
        assert client.get(f"{API}/status", Cookie=f"{name}={other}").status == 401
    guarded.restart()
    assert (
        Client(guarded.address).get(f"{API}/status", Cookie=cookie.replace(name, f"percept-{port(guarded)}")).status
        == 200
    )


def test_behind_tls_the_cookie_is_for_tls_only(guarded: FakeWatch) -> None:
    guarded.restart()
    client = Client(guarded.address)
    reply = client.ask("POST", f"{API}/login", {"token": TOKEN}, {"X-Forwarded-Proto": "https"})
    assert "; Secure" in reply.headers["set-cookie"]


def test_guessing_a_token_is_slow(guarded: FakeWatch) -> None:
    client = Client(guarded.address)
    found = [client.ask("POST", f"{API}/login", {"token": str(number)}) for number in range(8)]
    assert found[-1].status == 429
    assert int(found[-1].headers["retry-after"]) >= 1
    assert client.get(f"{API}/status", Authorization=f"Bearer {TOKEN}").status == 200


def test_a_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(token=TOKEN)
    cookie = door.new_session()
    assert door.has_session(cookie)
    assert not Door(token=TOKEN + "x").has_session(cookie)
    later_s = time.time() + 31 * 86_400
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert not door.has_session(cookie)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "", "192.168.1.7:{port}"]
)
def test_a_name_that_is_not_ours_is_refused(watch: FakeWatch, client: Client, host: str) -> None:
    for path in (f"{API}/status", "/", "/healthz", "/metrics"):
        assert client.get(path, Host=host.format(port=port(watch))).status == 421, path


def test_names_that_are_ours(watch: FakeWatch, guarded: FakeWatch, client: Client) -> None:
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        assert client.get(f"{API}/status", Host=f"{host}:{port(watch)}").status == 200
        assert client.get(f"{API}/status", Host=f"{host}:9000").status == 200
    other = Client(guarded.address, Authorization=f"Bearer {TOKEN}")
    for host in ("watch.example", "watch.example:443", f"192.168.1.7:{port(guarded)}", f"localhost:{port(guarded)}"):
        assert other.get(f"{API}/status", Host=host).status == 200
    assert other.get(f"{API}/status", Host=f"other.example:{port(guarded)}").status == 421


CHANGE = {"labels": ["cat"]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Percept": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Type": "application/json; charset=utf-8", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_a_page_elsewhere_changes_nothing(
    watch: FakeWatch, client: Client, headers: dict[str, str | None], status: int
) -> None:
    before = len(watch.asked)
    reply = client.ask("PATCH", f"{API}/cameras/front-door", CHANGE, headers)
    assert reply.status == status
    assert len(watch.asked) == before + (status == 200)


def test_our_own_page_and_the_token_may_change(watch: FakeWatch, guarded: FakeWatch, client: Client) -> None:
    ours = {"Origin": watch.address.rstrip("/")}
    assert client.ask("PATCH", f"{API}/cameras/front-door", CHANGE, ours).status == 200
    other = Client(guarded.address, Authorization=f"Bearer {TOKEN}")
    assert other.ask("PATCH", f"{API}/cameras/front-door", CHANGE, {"X-Percept": None}).status == 200


def test_a_page_elsewhere_reads_nothing(watch: FakeWatch, client: Client) -> None:
    reply = client.get(f"{API}/status", Origin="http://evil.example")
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert client.get(f"{API}/status", **{"Sec-Fetch-Site": "cross-site"}).status == 403
    asked_first = client.ask("OPTIONS", f"{API}/cameras", None, {"Origin": "http://evil.example"})
    assert not [name for name in asked_first.headers if name.startswith("access-control")]


def test_every_answer_forbids_what_it_can(client: Client) -> None:
    for path in ("/", "/login", "/healthz", f"{API}/status", "/nothing", "/static/0/app.js"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"


def test_bodies_have_a_limit(watch: FakeWatch, client: Client) -> None:
    large = b'{"labels": ["' + b"x" * 600_000 + b'"]}'
    assert client.ask("PATCH", f"{API}/cameras/front-door", large).status == 413
    connection = client.connect()
    connection.request(
        "PATCH",
        f"{API}/cameras/front-door",
        iter([large[:400_000], large[400_000:]]),
        client.headers,
        encode_chunked=True,
    )
    response = connection.getresponse()
    assert response.status == 413
    response.close()
    connection.close()
    assert client.get(f"{API}/status").status == 200


def test_only_our_files_are_served(watch: FakeWatch, client: Client) -> None:
    page = client.get("/").body.decode()
    folder = page.partition('href="/static/')[2].partition("/")[0]
    for name, kind in {"app.js": "text/javascript", "theme.css": "text/css", "icon.svg": "image/svg+xml"}.items():
        reply = client.get(f"/static/{folder}/{name}")
        assert reply.status == 200
        assert reply.headers["content-type"].startswith(kind)
        assert "immutable" in reply.headers["cache-control"]
    (watch.directory / "secret.js").write_text("1")
    for path in (
        f"/static/{folder}/index.html",
        f"/static/{folder}/../assets.py",
        f"/static/{folder}/..%2fassets.py",
        f"/static/{folder}/%2e%2e/assets.py",
        f"/static/{folder}/{watch.directory}/secret.js",
        f"/static/{folder}/app.js%00.css",
        "/static/other/app.js",
    ):
        assert client.get(path).status == 404, path


def test_media_never_lead_out_of_their_folder(watch: FakeWatch, client: Client) -> None:
    from tests.live.page.fake_watch import event

    (watch.directory / "outside.jpg").write_bytes(b"secret")
    media = watch.directory / "media"
    (media / "link.jpg").symlink_to(watch.directory / "outside.jpg")
    os.mkfifo(media / "pipe.jpg")
    names = [
        "../outside.jpg",
        str(watch.directory / "outside.jpg"),
        "link.jpg",
        "pipe.jpg",
        ".",
        "",
        "a\0b",
        "x" * 5000,
    ]
    watch.say_events([event(f"e{number}", "drive", "x", snapshot=name) for number, name in enumerate(names)])
    for number, name in enumerate(names):
        assert client.get(f"{API}/events/e{number}/snapshot.jpg").status == 404, name
    for path in (
        "events/..%2f..%2foutside.jpg/snapshot.jpg",
        "cameras/..%2f../clip/1.jpg",
        "cameras/front-door/clip/..%2f1.jpg",
    ):
        assert client.get(f"{API}/{path}").status == 404, path


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "/etc/passwd",
        "etc/passwd",
        "-",
        "0",
        "/dev/video0",
        "concat:rtsp://a/1|/etc/passwd",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "crypto:file:///x",
        "http:concat:x",
        "hls+file:///x",
        "data://text/plain,x",
        "pipe:0",
        "unix://x/y",
        "rtsp:///stream",
        "rtsp://",
        "rtsp://cam:0/",
        "rtsp://cam:99999/",
        "http://[::1/",
        "rtsp://cam/a b",
        "rtsp://cam/\n",
        "rtsp://cam\\@evil/",
        "rtsp://cam/" + "x" * 3000,
        "",
    ],
)
def test_only_urls_of_the_network_are_cameras(url: str) -> None:
    assert wrong_url(url)


def test_the_api_adds_only_cameras_on_the_network(watch: FakeWatch, client: Client) -> None:
    before = len(watch.asked)
    for url in ("file:///etc/passwd", "/etc/passwd", "concat:rtsp://a/1|/etc/passwd", "rtsp:///stream"):
        assert client.ask("POST", f"{API}/cameras", {"name": "new", "url": url}).status == 400
    assert len(watch.asked) == before


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "srt", "rtp", "tcp"])
def test_urls_of_cameras(scheme: str) -> None:
    for place in ("cam.local/1", "user:p@ss@10.0.0.7:554/a?b=c", "@239.0.0.1:1234", "[fe80::1]:554/x"):
        assert wrong_url(f"{scheme}://{place}") == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:word@cam/1?key=abc", "rtsp://***@cam/1?key=***"),
        ("rtsp://cam:554/user=admin_password=xyz", "rtsp://cam:554/user=***=***"),
        ("rtsp://a:b@c@cam/1", "rtsp://***@cam/1"),
        ("rtsp://u:p/w?d#x@cam/1", "rtsp://***@cam/1"),
        ("udp://@239.0.0.1:1234", "udp://239.0.0.1:1234"),
        ("http://cam?x=1", "http://cam?x=***"),
        ("/home/me/door.mp4", "door.mp4"),
    ],
)
def test_secrets_in_urls_are_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "a\n", "é", "x" * 65, "-x"])
def test_names_that_cameras_may_not_have(name: str) -> None:
    assert wrong_name(name)
    assert wrong_name("Front-door_2.b") == ""


def test_a_page_that_others_can_reach_needs_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_token(Page()) == ""
    for host in ("0.0.0.0", "::", "192.168.1.7", "watch.example", ""):
        with pytest.raises(ConfigError, match="needs a token"):
            read_token(Page(host=host))
    monkeypatch.setenv("PAGE_TOKEN", "short")
    with pytest.raises(ConfigError, match="expected at least 16") as caught:
        read_token(Page(token_env="PAGE_TOKEN"))
    assert "short" not in str(caught.value)
    monkeypatch.setenv("PAGE_TOKEN", TOKEN)
    assert read_token(Page(host="0.0.0.0", token_env="PAGE_TOKEN")) == TOKEN
    assert check_page(Page(token_file=str(tmp_path / "none")))[0].endswith("cannot be read (No such file or directory)")
    assert check_page(Page(token_env="NOT_SET_ANYWHERE"))
    assert check_page(Page(port=-1, host="0.0.0.0")) == []


def test_without_a_token_it_does_not_start_where_others_reach_it(tmp_path: Path) -> None:
    watch = start(tmp_path, host="0.0.0.0")
    try:
        watch.process.wait(20)
        assert not watch.listening.is_set()
        assert watch.broken is not None
        assert (watch.broken.kind, "needs a token" in watch.broken.error) == ("ConfigError", True)
    finally:
        watch.close()


def test_a_port_that_is_taken_is_named(watch: FakeWatch, tmp_path: Path) -> None:
    second = start(tmp_path, port=port(watch))
    try:
        second.process.wait(20)
        assert second.broken is not None
        assert "Address already in use" in second.broken.error
    finally:
        second.close()


def test_a_rate_lets_a_burst_through_and_then_its_share() -> None:
    now = [0.0]
    rate = Rate(per_s=2, burst=3, clock=lambda: now[0])
    assert [rate.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.wait_s("b") == 0
    now[0] = 0.5
    assert [rate.wait_s("a") for _ in range(2)] == [0, 0.5]
    for number in range(2 * MOST_CLIENTS):
        rate.wait_s(str(number))
    assert len(rate._left) == MOST_CLIENTS


def test_hosts_are_split() -> None:
    assert split_host("[::1]:8710") == ("::1", "8710")
    assert split_host("Cam.Local.:80") == ("cam.local", "80")
    assert split_host("127.0.0.1") == ("127.0.0.1", "")


def test_the_unix_socket_is_for_its_owner_alone(watch: FakeWatch) -> None:
    assert stat.S_IMODE((watch.directory / "ctl.sock").stat().st_mode) == 0o600
    assert SETTINGS.page.token_file == ""


def port(watch: FakeWatch) -> int:
    return int(watch.address.rstrip("/").rpartition(":")[2])
