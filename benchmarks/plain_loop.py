"""The plain loop that the pipeline is compared with: one process, the same reader and stages, one clip at a time.

python -m benchmarks.plain_loop VIDEO [--set KEY=VALUE ...]     prints clips, seconds without loading, total seconds
"""

import argparse
import time

from pipeline.build import make_plan
from pipeline.config import load_config
from pipeline.plain import PlainLoop, refuse_failed
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
        with PlainLoop(plan, threads=options.threads) as loop:
            loaded = time.monotonic()
            clips = 0
            for clip in loop.run(options.video):
                refuse_failed([clip], options.video)
                clips += 1
            done = time.monotonic()
    print(f"{clips} clips, {done - loaded:.3f} s, {time.monotonic() - began:.3f} s")


if __name__ == "__main__":
    main()
