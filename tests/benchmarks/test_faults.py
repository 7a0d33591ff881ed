"""The parts of the fault benchmark that can be wrong without a camera, and its bad network with one."""

import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from benchmarks import faults_processes
from benchmarks.farm import Farm, prepare
from benchmarks.faults import accounted, longest_silence_s
from benchmarks.faults_home import in_order
from benchmarks.media import SAMPLE
from benchmarks.rtsp_relay import Relay
from benchmarks.soak import Row, judged


def test_missing_and_doubled_clips_are_found() -> None:
    lines = [{"source": "a", "clip": number} for number in (0, 1, 3, 3)]
    lines += [{"source": "b", "clip": 0}, {"source": "b", "clip": 1, "dropped": "superseded"}]
    lines += [{"source": "b", "clip": -1, "gap": True}, {"source": "b", "clip": 2, "error": "x"}]
    found = accounted(lines)
    assert (found["clips"], found["results"], found["errors"], found["drops"]) == (7, 5, 1, 1)
    assert (found["missing"], found["doubled"]) == ({"a": [2]}, {"a": [3]})


def test_the_longest_silence_is_that_of_results_of_one_camera() -> None:
    seen = [(at_s, {"source": "a", "clip": at_s, **more}) for at_s, more in [(1, {}), (3, {"dropped": "x"}), (6, {})]]
    assert longest_silence_s([*seen, (4, {"source": "b", "clip": 0})], "a") == 5
    assert longest_silence_s(seen, "b") == float("inf")


def event(camera: str, number: int, state: str) -> dict[str, Any]:
    return {"id": f"{camera}-{number}", "camera": camera, "state": state, "start": f"2026-11-28T12:00:0{number}Z"}


def test_events_are_in_order_if_those_of_each_camera_are() -> None:
    a1, a1_closed, a2 = event("a", 1, "open"), event("a", 1, "closed"), event("a", 2, "open")
    assert in_order([a1, event("b", 5, "open"), a1_closed, a2, event("b", 5, "closed")])
    assert not in_order([a2, a1])
    assert not in_order([a1_closed, a1])


def test_an_account_balances_only_if_every_clip_is_somewhere() -> None:
    account = {"clips_in": 10, "results": 6, "errors": 1, "drops": 2, "in_flight": 1}
    assert faults_processes.is_balanced(account)
    assert not faults_processes.is_balanced(account | {"drops": 1})


def test_a_soak_fails_on_what_grows_and_on_nothing_else() -> None:
    def row(number: int, grown_mb: float) -> Row:
        steady = 0.4 + 0.01 * (number % 7)
        return Row(number * 10.0, steady, 500 + 3 * (number % 5) + grown_mb, 90, 30, 9, 1.0, 20, 0, 0)

    steady = judged([row(number, 0.0) for number in range(120)], 300.0)
    assert all(each["ok"] for each in steady.values())
    leaking = judged([row(number, 2.0 * number * 10 / 60) for number in range(120)], 300.0)
    assert [name for name, each in leaking.items() if not each["ok"]] == ["memory_mb"]
    assert leaking["memory_mb"]["low"] < 2.0 < leaking["memory_mb"]["high"]


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Farm]:
    if shutil.which("ffmpeg") is None or not list(
        Path("/usr/lib").glob("*/girepository-1.0/GstRtspServer-1.0.typelib")
    ):
        pytest.skip("no RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-bad ffmpeg")
    monkeypatch.setattr("benchmarks.farm.CACHE", tmp_path / "cache")
    with Farm({"yard": prepare(SAMPLE, still=False, size="320x180")}) as running:
        yield running


@pytest.mark.slow
def test_a_bad_network_loses_its_share_and_shifts_the_clock(farm: Farm) -> None:
    with Relay(farm.port, seed=1) as relay:
        relay.loss, relay.clock_s = 0.3, 3600.0
        pictures, clock_s, ends_s = 0, 0.0, time.monotonic() + 60
        with av.open(relay.url("yard"), options={"rtsp_transport": "udp"}, timeout=(20, 20)) as container:
            for packet in container.demux(video=0):
                pictures += 1
                sides = [bytes(side) for side in packet.iter_sidedata() if str(side.data_type) == "prft"]
                clock_s = struct.unpack_from("<q", sides[0])[0] / 1e6 if sides else clock_s
                if (clock_s and relay.lost + relay.passed > 300) or time.monotonic() > ends_s:
                    break
        assert clock_s - time.time() == pytest.approx(3600, abs=5)
        assert pictures > 10
        assert relay.lost / (relay.lost + relay.passed) == pytest.approx(0.3, abs=0.1)
