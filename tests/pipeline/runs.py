"""Whole runs of the fakes, in this process or in one of their own, and a look at what they leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import make_config
from pipeline.run import run
from pipeline.status import Account, Notice, OutputSpec
from tests.pipeline.fakes import fake_config

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Ran:
    """A run that has ended."""

    account: Account
    records: list[dict[str, Any]]
    notices: list[Notice] = field(default_factory=list)

    def notices_with(self, part: str) -> list[Notice]:
        return [notice for notice in self.notices if part in notice.text]

    def clips(self) -> list[int]:
        return [record["clip"] for record in self.records]


def run_fakes(
    tmp_path: Path,
    *sources: str,
    on_notice: Callable[[Notice], None] | None = None,
    name: str = "out.jsonl",
    **sections: Any,
) -> Ran:
    """Run the fakes over sources into a file. The counts of the account must add up."""
    path = tmp_path / name
    notices: list[Notice] = []

    def note(notice: Notice) -> None:
        if notice.level != "debug":
            notices.append(notice)
        if on_notice:
            on_notice(notice)

    account = run(
        make_config(fake_config(**sections)), sources, [OutputSpec(path=str(path), sources=sources)], on_notice=note
    )
    check_balance(account)
    return Ran(account, read_records(path), notices)


def check_balance(account: Account) -> None:
    assert account.clips_in == account.results + account.errors + account.drops + account.in_flight


def read_records(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert not text or text.endswith("\n"), "the last line is whole"
    return [json.loads(line) for line in text.splitlines()]


def without_tries(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "tries"} for record in records]


def start_run(
    tmp_path: Path, *sources: str, output: str = "out.jsonl", resume: bool = False, stdout: Any = None, **sections: Any
) -> "subprocess.Popen[bytes]":
    """The same in a process of its own, with its own folder for temporary files."""
    order = {
        "sources": sources,
        "config": fake_config(**sections),
        "output": output if output.startswith(("-", "/")) else str(tmp_path / output),
        "resume": resume,
    }
    temporary = tmp_path / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.pipeline.run_script", json.dumps(order)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], Any], timeout_s: float = 60.0, what: str = "") -> Any:
    """The condition's first true value."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what or condition} did not come within {timeout_s} s")


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def children(pid: int) -> list[int]:
    """All living descendants of a process, nearest first."""
    found, queue = [], [pid]
    while queue:
        parent = queue.pop(0)
        try:
            direct = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        queue += [int(child) for child in direct]
        found += [int(child) for child in direct]
    return found


def using(folder: Path) -> list[int]:
    """Processes with a file open under `folder`, or with it in their command line or environment."""
    mark, found = str(folder).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "cmdline").read_bytes() or mark in (entry / "environ").read_bytes():
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found.append(int(entry.name))
            except OSError:
                continue
    return found


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process if it still runs, and close its pipes. For `finally`."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
