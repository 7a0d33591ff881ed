"""Which process this is, so that others on the same machine can tell whether it still runs."""

import os
import socket
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    """A process, on the machine where `where` is the same."""

    where: str = ""
    """The machine's start, and the namespace of processes: one number is one process only within these."""
    pid: int = 0
    began: str = ""
    """In ticks since the start of the machine: another process may have had the number before."""

    @property
    def is_dead(self) -> bool:
        """Whether it surely runs no more. Of one on another machine, nothing is known."""
        return bool(self.began) and self.where == _where() and _began(self.pid) != self.began


def this_process() -> Process:
    return Process(_where(), os.getpid(), _began(os.getpid()))


def _where() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {os.getpid()}"


def _began(pid: int) -> str:
    """When a process began; "" if there is none, or only what is left of one that nobody has waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
