"""Faults between camera and client: lost packets, and a camera whose clock jumps."""

import time

from benchmarks.farm import Farm
from benchmarks.faults import WORDS, Bench, Found, fresh, until
from benchmarks.rtsp_relay import Relay
from benchmarks.watched import Line, end_of, is_result


def packets_lost(bench: Bench) -> Found:
    """30 % of the RTP packets are lost for 40 s (UDP)."""
    (name,) = cameras = bench.cameras(1)
    with Farm(cameras) as farm, Relay(farm.port) as relay:
        entry = {"name": name, "url": relay.url(name), "transport": "udp"}
        with bench.watch({"labels": WORDS, "cameras": [entry]}) as watch:
            watch.wait_for([name], 90)
            watch.follow(10)
            relay.loss, relay.lost, relay.passed = 0.3, 0, 0
            seen = watch.follow(40)
            share = relay.lost / max(1, relay.lost + relay.passed)
            relay.loss = 0.0
            ended_s = time.time()
            clean = until(watch, lambda line: fresh(ended_s)(line) and not is_damaged(line), 60)
            results = sum(is_result(line) for _, line in seen)
            damaged = sum(is_damaged(line) for _, line in seen)
            recovery_s = clean[0] - ended_s if clean else None
            text = (
                f"{share:.0%} lost; {results} results in the 20 clips of that time, {damaged} marked as damaged; "
                "recovery: a clip without damage"
            )
            right = recovery_s is not None and results >= 10 and damaged > 0
            return Found(recovery_s, right, text, {"results_of_20": results, "damaged": damaged})


def clock_jumps(bench: Bench) -> Found:
    """The camera's clock is an hour ahead for 40 s."""
    (name,) = cameras = bench.cameras(1)
    with Farm(cameras) as farm, Relay(farm.port) as relay:
        entry = {"name": name, "url": relay.url(name), "transport": "udp"}
        with bench.watch({"labels": WORDS, "cameras": [entry]}) as watch:
            watch.wait_for([name], 90)
            until(watch, by_camera, 60)
            relay.clock_s = 3600.0
            seen = watch.follow(40)
            relay.clock_s = 0.0
            ended_s = time.time()
            again = until(watch, lambda line: by_camera(line) and fresh(ended_s)(line), 90)
            wrong_s = max((abs(at_s - end_of(line)) for at_s, line in seen if is_result(line)), default=float("inf"))
            distrusted = sum(is_result(line) and not by_camera(line) for _, line in seen)
            recovery_s = again[0] - ended_s if again else None
            text = f"times of results were never more than {wrong_s:.1f} s off; {distrusted} results by arrival"
            return Found(recovery_s, recovery_s is not None and wrong_s < 10 and distrusted > 0, text)


def is_damaged(line: Line) -> bool:
    return bool(line.get("decode_errors") or line.get("corrupt_frames"))


def by_camera(line: Line) -> bool:
    return is_result(line) and line.get("clock") == "camera"
