#!/usr/bin/python3
"""An RTSP camera with many paths, by GStreamer. `tests/rtsp_farm.py` runs it, with the system's Python.

    rtsp_server.py '{"port": 8554, "login": "", "transport": "", "paths": {"cam": [{"codec": "h264", "file": ...}]}}'

A stream's file holds access units, each after its time, its duration in nanoseconds and its size. They are sent again
and again, with times that go on; `until_s`: the stream falls silent at that time. Prints "ready" once it listens.
"""

import json
import signal
import struct
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

HEAD = struct.Struct("<qqq")
CHAINS = {
    "h264": ("video/x-h264,stream-format=byte-stream,alignment=au", "h264parse ! rtph264pay config-interval=-1 pt=96"),
    "h265": ("video/x-h265,stream-format=byte-stream,alignment=au", "h265parse ! rtph265pay config-interval=-1 pt=96"),
    "mjpeg": ("image/jpeg", "jpegparse ! rtpjpegpay pt=26"),
    "aac": ("audio/mpeg,mpegversion=4,stream-format=adts", "aacparse ! rtpmp4gpay pt=97"),
    "pcmu": ("audio/x-mulaw,rate=8000,channels=1", "rtppcmupay pt=0"),
}
TRANSPORTS = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}


class Stream:
    """Feeds an appsrc with the units of a file, for ever."""

    def __init__(self, file: str, until_s: float | None) -> None:
        self.units: list[tuple[int, int, bytes]] = []
        with open(file, "rb") as units:
            while head := units.read(HEAD.size):
                time_ns, duration_ns, size = HEAD.unpack(head)
                self.units.append((time_ns, duration_ns, units.read(size)))
        self.length_ns = self.units[-1][0] + self.units[-1][1]
        self.until_ns = None if until_s is None else int(until_s * 1e9)
        self.number = 0

    def need(self, source: Any, _size: int) -> None:
        turns, place = divmod(self.number, len(self.units))
        time_ns, duration_ns, data = self.units[place]
        time_ns += turns * self.length_ns
        if self.until_ns is not None and time_ns >= self.until_ns:
            return
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = buffer.dts = time_ns
        buffer.duration = duration_ns
        self.number += 1
        source.emit("push-buffer", buffer)


def factory_of(streams: list[dict[str, Any]]) -> Any:
    parts = []
    for number, stream in enumerate(streams):
        caps, chain = CHAINS[stream["codec"]]
        if "rate_hz" in stream and stream["codec"] == "aac":
            caps += f",rate={stream['rate_hz']},channels={stream['channels']}"
        source = f'appsrc name=src{number} is-live=true format=time block=false max-bytes=1 caps="{caps}"'
        parts.append(f"{source} ! {chain} name=pay{number}")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {' '.join(parts)} )")
    factory.set_shared(True)

    def configure(_factory: Any, media: Any) -> None:
        for number, stream in enumerate(streams):
            source = media.get_element().get_by_name(f"src{number}")
            source.connect("need-data", Stream(stream["file"], stream.get("until_s")).need)

    factory.connect("media-configure", configure)
    return factory


def ask_for_login(server: Any, login: str) -> Any:
    user, _, password = login.partition(":")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    return Gst.Structure.new_from_string(
        "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    )


def main() -> None:
    given = json.loads(sys.argv[1])
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(given["port"]))
    role = ask_for_login(server, given["login"]) if given["login"] else None
    for name, streams in given["paths"].items():
        factory = factory_of(streams)
        if given["transport"]:
            factory.set_protocols(TRANSPORTS[given["transport"]])
        if role is not None:
            factory.add_role_from_structure(role)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit(f"port {given['port']} is taken")
    GLib.timeout_add_seconds(1, lambda: server.get_session_pool().cleanup() >= 0)
    loop = GLib.MainLoop()
    signal.signal(signal.SIGTERM, lambda *_: loop.quit())
    print("ready", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
