"""What FFmpeg is told about an address, and what of it is never shown."""

import pytest

from stages.decode.live.address import address_of
from stages.decode.live.options import Feed


@pytest.mark.parametrize(
    ("url", "kind", "form", "endpoint"),
    [
        ("rtsp://10.0.0.7/live", "rtsp", "rtsp", ("10.0.0.7", 554)),
        ("rtsps://u:p@[fe80::1]:8322/live", "rtsp", "rtsp", ("fe80::1", 8322)),
        ("http://cam/list.M3U8?key=1", "hls", None, ("cam", 80)),
        ("https://cam/video.mjpg", "http", None, ("cam", 443)),
        ("udp://239.0.0.1:5000", "network", None, None),
        ("srt://cam:9000", "network", None, None),
        ("/dev/video2", "device", "v4l2", None),
        ("0", "device", "v4l2", None),
        ("film.mp4", "file", None, None),
    ],
)
def test_kinds_of_addresses(url: str, kind: str, form: str | None, endpoint: tuple[str, int] | None) -> None:
    address = address_of(Feed(url=url))
    assert (address.kind, address.format, address.endpoint) == (kind, form, endpoint)


def test_a_number_is_a_camera_of_this_machine() -> None:
    assert address_of(Feed(url="0")).url == "/dev/video0"


@pytest.mark.parametrize(("asked", "order"), [("auto", ("tcp", "udp")), ("udp", ("udp",)), ("tcp", ("tcp",))])
def test_transports_are_tried_in_order(asked: str, order: tuple[str, ...]) -> None:
    assert address_of(Feed(url="rtsp://cam/1", transport=asked)).transports == order  # type: ignore[arg-type]


def test_a_port_that_is_no_number_is_no_endpoint() -> None:
    assert address_of(Feed(url="rtsp://cam:port/1")).endpoint is None


@pytest.mark.parametrize("word", ["admin", "pa%24s%40word", "pa$s@word", "t0ken", "a b", "a%20b"])
def test_secrets_are_masked_as_they_are_written_and_as_they_are_meant(word: str) -> None:
    address = address_of(Feed(url="http://admin:pa%24s%40word@cam/live.m3u8?key=t0ken&name=a%20b"))
    assert word not in address.without_secrets(f"cannot open {word}: refused")
    assert "refused" in address.without_secrets(f"cannot open {word}: refused")
