"""Opens sources in a process that can be killed, since native decoders and silent servers may never return.

python -P -m pipeline.probe PLAN_FILE RESULT_FD SOURCE...
"""

import os
import select
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from pipeline.clip import SourceInfo
from pipeline.errors import SourceError
from pipeline.nursery import child_environment
from pipeline.plain import make_reader
from pipeline.plan import Plan

MOST_AT_ONCE = 256
"""Sources of one process: a command line has a limit."""


class Probed(msgspec.Struct, frozen=True):
    """What a source contains, or why it cannot be opened."""

    source: str
    info: SourceInfo | None = None
    error: str = ""


def probe(plan: Plan, sources: Sequence[str]) -> Iterator[Probed]:
    """Open each source, in order. A source that is not open within `deadlines.open_s` of the config is given up."""
    left = deque(sources)
    with tempfile.TemporaryDirectory(prefix="percept-probe-") as folder:
        file = Path(folder, "plan")
        file.write_bytes(msgspec.msgpack.encode(plan))
        while left:
            for probed in _by_child(file, tuple(islice(left, MOST_AT_ONCE)), plan.config.deadlines.open_s):
                left.popleft()
                yield probed


def _by_child(plan_file: Path, sources: Sequence[str], limit_s: float) -> Iterator[Probed]:
    """The answers of one new process, until it is done, dies or hangs. The source it hangs on is the last."""
    read_end, write_end = os.pipe()
    command = [sys.executable, "-P", "-m", "pipeline.probe", str(plan_file), str(write_end), *sources]
    child = subprocess.Popen(
        command, pass_fds=(write_end,), env=child_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write_end)
    found = 0
    try:
        with open(read_end, "rb", buffering=0) as results:
            lines = bytearray()
            while found < len(sources):
                if not select.select([results], [], [], limit_s + (_START_S if not found else 0.0))[0]:
                    text = (
                        f"cannot be opened: no answer within {limit_s:g} s. Is it a pipe, or a server that is silent?"
                    )
                    yield Probed(sources[found], error=f"{sources[found]}: {text}")
                    return
                data = results.read(65536)
                if not data:
                    yield Probed(sources[found], error=f"{sources[found]}: cannot be opened: its reader died")
                    return
                lines += data
                *whole, rest = bytes(lines).split(b"\n")
                lines = bytearray(rest)
                for line in whole:
                    found += 1
                    yield msgspec.json.decode(line, type=Probed)
    finally:
        child.kill()
        child.wait(timeout=10)


_START_S = 10.0
"""Extra time for importing the decoder's libraries."""


def main(arguments: Sequence[str]) -> None:
    plan_file, result_fd, *sources = arguments
    plan = msgspec.msgpack.decode(Path(plan_file).read_bytes(), type=Plan)
    for index, source in enumerate(sources):
        reader = make_reader(plan, source, index, reuse=False)
        try:
            probed = Probed(source, reader.open())
        except SourceError as error:
            probed = Probed(source, error=str(error))
        except Exception as error:
            probed = Probed(source, error=f"{source}: {type(error).__name__}: {error}")
        finally:
            reader.close()
        os.write(int(result_fd), msgspec.json.encode(probed) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
