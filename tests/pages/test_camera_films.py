"""Films of cameras play in a real browser, from whatever codec the camera sends."""

from pathlib import Path
from typing import Any

import av
import pytest

from stages.decode.live.masks import Mask
from stages.decode.live.ring import PacketRing
from tests.clock_film import Picture, Sound, write_film
from tests.pages.conftest import Browser

NS = 1_000_000_000
PAGE = """<!doctype html><meta charset="utf-8"><video muted autoplay src="film.mp4"></video>"""


@pytest.mark.parametrize(
    ("picture", "sound", "mask"),
    [
        (Picture(size=(320, 240)), Sound(), None),
        (Picture(size=(320, 240)), Sound(), Mask([((0.0, 0.0), (0.3, 0.0), (0.3, 0.3))])),
        (Picture("mjpeg", size=(320, 240), pixel_format="yuvj420p"), Sound("pcm_mulaw", 8_000, gains=(0.3,)), None),
    ],
)
def test_a_film_plays_to_its_end(
    tmp_path: Path, browser: Browser, picture: Picture, sound: Sound, mask: Mask | None
) -> None:
    source = write_film(tmp_path / "camera.mov", 3.0, picture, sound)
    ring = PacketRing(60, 64 << 20)
    with av.open(str(source)) as container:
        ring.open(list(container.streams))
        for packet in container.demux():
            if packet.size:
                ring.add(packet, round(packet.pts * packet.time_base * NS))
    ring.cut(tmp_path / "film.mp4", NS // 2, 2 * NS, mask)
    (tmp_path / "page.html").write_text(PAGE)

    def look(page: Any) -> dict[str, Any]:
        page.wait_for_function("document.querySelector('video').ended || document.querySelector('video').error")
        return page.evaluate(
            """() => { const film = document.querySelector("video"); return {
                error: film.error && film.error.message, width: film.videoWidth, seconds: film.duration,
                shown: film.getVideoPlaybackQuality().totalVideoFrames,
                heard: film.webkitAudioDecodedByteCount } }"""
        )

    found, _ = browser.visit(tmp_path / "page.html", look)
    assert found["error"] is None
    assert found["width"] == 320
    assert 1.4 < found["seconds"] < 2.2
    assert found["shown"] > 20
    assert found["heard"] > 0
