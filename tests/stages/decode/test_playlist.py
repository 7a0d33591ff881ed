"""Playlists of HLS sources."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stages.decode.playlist import PlaylistFile, is_missing, joined, open_playlist, parse_playlist, variants
from stages.decode.reader import NS

TIMEOUT_S = (5.0, 5.0)
MEDIA = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXTINF:2.5,first
a.ts
#EXTINF:4.000,
#EXT-X-BYTERANGE:100@0
sub/b.ts?token=secret

#EXT-X-DISCONTINUITY
#EXTINF:1.25
http://other.example/c.ts
"""
MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="sound/x.m3u8"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="y",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=1000,AUDIO="a"
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=9000,AUDIO="a"
/high.m3u8
"""


def test_segments_have_times_names_and_breaks() -> None:
    playlist = parse_playlist(MEDIA, "https://cam.example/live/now.m3u8?key=1")
    assert [(segment.start_ns / NS, segment.end_ns / NS) for segment in playlist.segments] == [
        (0, 2.5),
        (2.5, 6.5),
        (6.5, 7.75),
    ]
    assert [segment.uri for segment in playlist.segments] == [
        "https://cam.example/live/a.ts",
        "https://cam.example/live/sub/b.ts?token=secret",
        "http://other.example/c.ts",
    ]
    assert [segment.name for segment in playlist.segments] == ["a.ts", "b.ts", "c.ts"]
    assert [segment.follows_break for segment in playlist.segments] == [False, False, True]
    assert not playlist.is_recorded
    assert parse_playlist(MEDIA + "#EXT-X-ENDLIST\n", "https://cam.example/now.m3u8").is_recorded
    assert parse_playlist(MEDIA, "/films/now.m3u8").is_recorded


@pytest.mark.parametrize(
    ("durations", "least_s"), [(["2", "2", "3"], 5.5), (["2.0", "2.0", "3.0"], 7), (["2", "1.9"], 3.9)]
)
def test_whole_seconds_are_not_trusted(durations: list[str], least_s: float) -> None:
    text = "".join(f"#EXTINF:{duration},\n{number}.ts\n" for number, duration in enumerate(durations))
    assert parse_playlist(text, "a.m3u8").surely_until_ns == round(least_s * NS)


def test_variants_are_in_order_with_their_sound() -> None:
    assert variants(MASTER, "http://cam.example/tv/master.m3u8") == [
        "http://cam.example/tv/sound/x.m3u8",
        "http://cam.example/tv/low.m3u8",
        "http://cam.example/high.m3u8",
    ]
    assert variants(MEDIA, "http://cam.example/now.m3u8") == []


def test_names_are_joined_to_their_playlist(tmp_path: Path) -> None:
    assert joined(str(tmp_path / "a.m3u8"), "b/c.ts") == str(tmp_path / "b/c.ts")
    assert joined(str(tmp_path / "a.m3u8"), "/b/c.ts") == "/b/c.ts"
    assert joined(str(tmp_path / "a.m3u8"), "http://h/c.ts") == "http://h/c.ts"
    assert joined("http://h/x/a.m3u8", "../c.ts") == "http://h/c.ts"


@pytest.fixture
def server() -> Iterator[str]:
    """A server that answers /STATUS/SIZE with that status and so many bytes; /list with a live playlist."""

    class Handler(BaseHTTPRequestHandler):
        lists = 0

        def do_GET(self) -> None:
            _, status, *size = self.path.split("/")
            data = bytes(int(size[0])) if size else b""
            if status == "list":
                type(self).lists += 1
                status, data = "200", f"#EXTM3U\n#EXTINF:2.0,\n/200/{self.lists}\n".encode()
            self.send_response(int(status))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def test_a_segment_is_missing_if_it_is_refused_or_empty(server: str, tmp_path: Path) -> None:
    (tmp_path / "empty.ts").touch()
    (tmp_path / "there.ts").write_bytes(b"x")
    missing = {
        f"{server}/200/5000": False,
        f"{server}/200/0": True,
        f"{server}/404/10": True,
        f"{server}/403/0": True,
        f"{server}/503/0": True,
        "http://127.0.0.1:9/a.ts": False,  # nobody answers
        str(tmp_path / "empty.ts"): True,
        str(tmp_path / "gone.ts"): True,
        str(tmp_path / "there.ts"): False,
    }
    assert {address: is_missing(address, TIMEOUT_S) for address in missing} == missing


def test_a_live_playlist_is_read_again(server: str) -> None:
    file = open_playlist(f"{server}/list", 0, TIMEOUT_S)
    assert file is not None
    assert [segment.uri for segment in file.playlist.segments] == [f"{server}/200/1"]
    file.refresh()
    assert [segment.uri for segment in file.playlist.segments] == [f"{server}/200/2"]


def test_a_playlist_that_cannot_be_read_is_none(server: str, tmp_path: Path) -> None:
    assert open_playlist(f"{server}/404/0", 0, TIMEOUT_S) is None
    assert open_playlist(str(tmp_path / "gone.m3u8"), 0, TIMEOUT_S) is None
    (tmp_path / "bad.m3u8").write_text("#EXTINF:long,\na.ts\n")
    assert open_playlist(str(tmp_path / "bad.m3u8"), 0, TIMEOUT_S) is None


def test_a_server_that_refuses_everything_proves_nothing(server: str) -> None:
    text = "".join(f"#EXTINF:2.0,\n{path}\n" for path in ("/404/0", "/404/1", "/200/9"))
    playlist = parse_playlist(text + "#EXT-X-ENDLIST\n", f"{server}/list")
    file = PlaylistFile(f"{server}/list", TIMEOUT_S, playlist)
    assert file.leading_ns() == 4 * NS
    assert file.missing(playlist.segments) == playlist.segments[:2]
    assert file.missing(playlist.segments[:2]) == []
