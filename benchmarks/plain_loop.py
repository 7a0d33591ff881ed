"""The plain loop kept beside the pipeline: one process, the same reader, the same stage objects, one clip at a time.

python -m benchmarks.plain_loop VIDEO [--set KEY=VALUE ...]     prints clips, seconds without loading, all seconds
"""

import argparse
import time
from typing import Any

import msgspec

from pipeline.build import load, make_plan
from pipeline.clip import Clip, Gap
from pipeline.config import load_config
from pipeline.group import StageGroup
from pipeline.run import place, private_directory


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("video")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    with private_directory() as directory:
        plan = place(make_plan(load_config(None, options.settings)), directory)
        import os

        import cv2
        import torch

        threads = options.threads or len(os.sched_getaffinity(0))
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        groups = [StageGroup(plan, msgspec.structs.replace(group, threads=threads)) for group in plan.groups]
        for group in groups:
            for stage in group.stages.values():
                stage.prepare(lambda text: None)
        for group in groups:
            group.open()
        loaded = time.monotonic()
        clips = run(options.video, plan, groups)
        done = time.monotonic()
        for group in groups:
            group.close()
    print(f"{clips} clips, {done - loaded:.3f} s, {time.monotonic() - began:.3f} s")


def run(video: str, plan: Any, groups: list[StageGroup]) -> int:
    options = msgspec.convert(plan.reader_options, load("stages.decode.reader:ReaderOptions"))
    reader = load(plan.config.decode.factory)(video, 0, options)
    reader.open()
    clips, states = 0, dict.fromkeys(range(len(groups)), b"")
    for item in reader.clips():
        if isinstance(item, Gap):
            continue
        arrays, absent = dict(item.arrays), dict(item.absent)
        for index, group in enumerate(groups):
            values, missing, failed, state = group.run(Clip(item.info, arrays, absent), states[index])
            if failed:
                raise SystemExit(f"clip {item.info.index}: {failed}")
            arrays |= values
            absent |= missing
            states[index] = state if state is not None else states[index]
        clips += 1
    reader.close()
    return clips


if __name__ == "__main__":
    main()
