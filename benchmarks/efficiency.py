"""How fast is the pipeline? `percept run` against a plain loop over the same stages with all threads, and the pipeline
with do-nothing stages against a bare ROUTER/DEALER loop.

    python -m benchmarks.efficiency [--pairs 5] [--seconds 120]
"""

import argparse
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import zmq

from benchmarks import media, report
from pipeline.config import make_config
from pipeline.messages import Done, DoneClip, decode_from_worker, encode
from pipeline.run import run
from pipeline.status import OutputSpec
from tests.pipeline.fakes import fake_config

WORDS = "labels.words='dog barking, rain, people talking, playing guitar'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--hops-only", action="store_true")
    options = parser.parse_args()
    figures: dict[str, object] = {}
    if not options.hops_only:
        with tempfile.TemporaryDirectory() as folder:
            video = media.looped(Path(folder, "long.mp4"), options.seconds, media.scaled(Path(folder, "720p.mp4")))
            figures |= against_plain_loop(str(video), options.pairs)
    figures |= hops(options.pairs)
    report.write("efficiency", figures)


def against_plain_loop(video: str, count: int) -> dict[str, object]:
    """Clips per second of each side without loading its networks, and the ratio of whole-process times."""
    whole: dict[str, list[float]] = {"ours": [], "plain": []}

    def ours() -> float:
        command = [sys.executable, "-m", "commands.main", "run", video, "--set", WORDS, "-o", "/dev/null"]
        done = report.execute(command)
        whole["ours"].append(done.seconds)
        return report.clips_per_s(done.stderr)

    def plain() -> float:
        done = report.execute([sys.executable, "-m", "benchmarks.plain_loop", video, "--set", WORDS])
        whole["plain"].append(done.seconds)
        clips, seconds, _ = (float(number) for number in re.findall(r"([\d.]+) (?:clips|s)", done.stdout))
        return clips / seconds

    ours(), plain()
    whole = {"ours": [], "plain": []}
    a, b = report.pairs(count, ours, plain)
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    wholes = [y / x for x, y in zip(whole["ours"], whole["plain"], strict=True)]
    print(f"pipeline {statistics.median(a):.2f} clips/s, plain loop {statistics.median(b):.2f} clips/s: "
          f"ratio {statistics.median(ratios):.3f}; whole processes {statistics.median(wholes):.3f}")  # fmt: skip
    return {
        "pipeline_clips_per_s": report.min_median_max(a),
        "plain_loop_clips_per_s": report.min_median_max(b),
        "ratio": report.min_median_max(ratios),
        "ratio_of_whole_processes": report.min_median_max(wholes),
    }


def hops(count: int) -> dict[str, object]:
    """Clip-hops per second against bare messages; a clip through decode, a group and an ordered group is three hops."""
    a, b = report.pairs(count, do_nothing, bare_loop)
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    print(f"do-nothing stages: {statistics.median(a):.0f} clip-hops/s; bare loop: {statistics.median(b):.0f} hops/s")
    return {
        "clip_hops_per_s": report.min_median_max(a),
        "bare_hops_per_s": report.min_median_max(b),
        "hops_ratio": report.min_median_max(ratios),
    }


def do_nothing(clips: int = 20_000) -> float:
    tree = fake_config(
        groups=[{"name": "nothing", "stages": ["nothing"]}, {"name": "track", "stages": ["fake_track"]}],
        stages={
            "nothing": {"class": "tests.pipeline.fakes:Nothing"},
            "fake_track": {"class": "tests.pipeline.fakes:FakeTrack"},
        },
        queue={"slots": 256, "credit": 64},
    )
    source = f"fake:clips={clips}"
    account = run(make_config(tree), [source], [OutputSpec(path="/dev/null", sources=(source,))])
    return account.results * 3 / (account.elapsed_s - account.ready_s)


def bare_loop(hops: int = 60_000, credit: int = 64) -> float:
    """Hops per second of msgspec messages between a ROUTER here and a DEALER in another process, and back."""
    address = f"ipc://{tempfile.mkdtemp()}/bare"
    message = encode(Done([DoneClip(0, 1, {"frames": (16, 224, 398, 3)}, {}, {"audio": "no_stream"})]))

    def answer() -> None:
        dealer = zmq.Context().socket(zmq.DEALER)
        dealer.connect(address)
        for _ in range(credit):
            dealer.send(message)
        for _ in range(hops - credit):
            dealer.send(encode(decode_from_worker(dealer.recv())))
        dealer.close(linger=1000)

    peer = multiprocessing.get_context("fork").Process(target=answer)
    peer.start()
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(address)
    began = time.monotonic()
    for number in range(hops):
        identity, data = router.recv_multipart()
        if number < hops - credit:
            router.send_multipart([identity, encode(decode_from_worker(data))])
    seconds = time.monotonic() - began
    peer.join()
    router.close(linger=0)
    context.term()
    return hops / seconds


if __name__ == "__main__":
    main()
