#!/usr/bin/python3
"""Cameras without hardware: serves recordings as RTSP paths that never end, in real time, over TCP and UDP.

    rtsp_loop.py [--address 127.0.0.1] [--port 8554] [--login FILE] [--tcp-only | --udp-only] NAME=FOLDER ...

Runs with the system's Python and GStreamer; Debian: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base,
-good and -bad. A folder holds video.h264 (25 pictures per second, no B-frames, an access unit delimiter before each),
and, if the camera hears, sound.aac (ADTS, 16 kHz, mono). Both are repeated, and their times go on. For a loop without
a seam, their lengths are multiples of 8 s. Sender reports carry the time of day, as those of good cameras do.

FILE holds `user:password`, which clients then need (digest). SIGUSR1 unplugs the microphones, and plugs them in again.
Prints `ready` with the addresses, once clients can connect.
"""

import argparse
import signal
import sys
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

VIDEO_NS = Gst.SECOND // 25
SOUND_NS = Gst.SECOND * 1024 // 16_000
VIDEO = (
    "video/x-h264,stream-format=byte-stream,alignment=au,framerate=25/1",
    "h264parse ! rtph264pay config-interval=-1 name=pay0 pt=96",
)
SOUND = (
    "audio/mpeg,mpegversion=4,stream-format=adts,rate=16000,channels=1",
    "aacparse ! rtpmp4gpay name=pay1 pt=97",
)
DELIMITER = b"\0\0\0\1\x09"
muted: list[bool] = [False]
"""Whether the microphones are unplugged."""


def pictures(path: Path) -> list[bytes]:
    """The access units of an H.264 stream."""
    return [DELIMITER + unit for unit in path.read_bytes().split(DELIMITER)[1:]]


def sounds(path: Path) -> list[bytes]:
    """The frames of an ADTS stream; the 13 bits of a frame's length are in its header."""
    data, found, at = path.read_bytes(), [], 0
    while at + 7 <= len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        found.append(data[at : at + size])
        at += size
    return found


class Loop:
    """Feeds an appsrc with the same chunks for ever."""

    def __init__(self, chunks: list[bytes], duration_ns: int, is_sound: bool) -> None:
        self._chunks = chunks
        self._duration_ns = duration_ns
        self._is_sound = is_sound
        self._number = 0
        self._silent_since_us = 0
        """Since when a microphone is unplugged. Its time goes on."""

    def need(self, source: Gst.Element, _size: int) -> None:
        if self._is_sound and muted[0]:
            self._silent_since_us = self._silent_since_us or GLib.get_monotonic_time()
            GLib.timeout_add(100, self._later, source)
            return
        if self._silent_since_us:
            self._number += (GLib.get_monotonic_time() - self._silent_since_us) * 1000 // self._duration_ns
            self._silent_since_us = 0
        buffer = Gst.Buffer.new_wrapped(self._chunks[self._number % len(self._chunks)])
        buffer.pts = buffer.dts = self._number * self._duration_ns
        buffer.duration = self._duration_ns
        self._number += 1
        source.emit("push-buffer", buffer)

    def _later(self, source: Gst.Element) -> bool:
        self.need(source, 0)
        return False


def make_factory(folder: Path) -> GstRtspServer.RTSPMediaFactory:
    streams = [(VIDEO, pictures(folder / "video.h264"), VIDEO_NS)]
    if (folder / "sound.aac").exists():
        streams.append((SOUND, sounds(folder / "sound.aac"), SOUND_NS))
    parts = [
        f'appsrc name=src{n} is-live=true format=time block=false max-bytes=1 caps="{caps}" ! {chain}'
        for n, ((caps, chain), _, _) in enumerate(streams)
    ]
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {' '.join(parts)} )")
    factory.set_shared(True)

    def configure(_factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        for n, (_, chunks, duration_ns) in enumerate(streams):
            loop = Loop(chunks, duration_ns, is_sound=n == 1)
            media.get_element().get_by_name(f"src{n}").connect("need-data", loop.need)

    factory.connect("media-configure", configure)
    return factory


def require_login(server: GstRtspServer.RTSPServer, factories: list[GstRtspServer.RTSPMediaFactory], text: str) -> None:
    user, _, password = text.strip().partition(":")
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    rights = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    for factory in factories:
        factory.add_role_from_structure(Gst.Structure.new_from_string(rights))


def toggle(*_: object) -> None:
    muted[0] = not muted[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", default="8554")
    parser.add_argument("--login", type=Path, metavar="FILE")
    parser.add_argument("--tcp-only", action="store_true")
    parser.add_argument("--udp-only", action="store_true")
    parser.add_argument("cameras", nargs="+", metavar="NAME=FOLDER")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address=options.address, service=options.port)
    named = [text.partition("=")[::2] for text in options.cameras]
    factories = {name: make_factory(Path(folder)) for name, folder in named}
    if options.login:
        require_login(server, list(factories.values()), options.login.read_text())
    for name, factory in factories.items():
        if options.tcp_only or options.udp_only:
            factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP if options.tcp_only else GstRtsp.RTSPLowerTrans.UDP)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit(f"port {options.port} is taken")
    GLib.timeout_add_seconds(2, lambda: server.get_session_pool().cleanup() >= 0)
    loop = GLib.MainLoop()
    signal.signal(signal.SIGUSR1, toggle)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, loop.quit)
    print("ready", *(f"rtsp://{options.address}:{options.port}/{name}" for name in factories), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
