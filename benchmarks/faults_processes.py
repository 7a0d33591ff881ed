"""Killed processes: one worker, the output process, and many at random, with the account of all clips."""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from typing import Any

import psutil

from benchmarks.farm import Farm
from benchmarks.faults import Bench, Found, accounted, longest_silence_s, recovered
from benchmarks.slope import percentile
from benchmarks.watched import Line, ResultFiles, Watched, is_result


def processes(watch: Watched) -> list[dict[str, Any]]:
    """The processes that may die: all but the supervisor, as it tells them."""
    return [each for each in watch.status().get("processes", []) if each["pid"] > 1 and each["pid"] != watch.pid]


def _one_killed(bench: Bench, roles: tuple[str, ...]) -> Found:
    names = list(cameras := bench.cameras(2))
    with Farm(cameras) as farm, bench.watching(farm, names) as watch:
        there = [each for each in processes(watch) if any(role in each["role"] + each["name"] for role in roles)]
        if not there:
            known = ", ".join(sorted({each["role"] for each in processes(watch)}))
            return Found(None, False, f"no process of the role {roles[0]}; there are: {known}")
        os.kill(there[0]["pid"], signal.SIGKILL)
        recovery_s = recovered(watch, time.time(), names, 60)
        watch.follow(6)
        watch.stop()
        account = accounted(ResultFiles(watch.state / "results").new())
        exact = not account["missing"] and not account["doubled"]
        text = f"{there[0]['name']}; every clip once in the results: {'yes' if exact else 'no'}"
        return Found(recovery_s, recovery_s is not None and recovery_s < 10 and exact, text, account)


def worker_killed(bench: Bench) -> Found:
    """A worker that labels is killed."""
    return _one_killed(bench, ("analyse", "label", "encode", "group", "worker"))


def decoder_killed(bench: Bench) -> Found:
    """The process that reads a camera is killed."""
    return _one_killed(bench, ("decode", "camera", "reader"))


def output_killed(bench: Bench) -> Found:
    """The output process is killed."""
    return _one_killed(bench, ("output", "sink"))


def many_killed(bench: Bench) -> Found:
    """Random processes are killed all the time."""
    names = list(cameras := bench.cameras(4))
    chosen = random.Random(0)
    killed: Counter[str] = Counter()
    roles: dict[int, str] = {}
    unbalanced: list[dict[str, int]] = []
    seen: list[tuple[float, Line]] = []
    pause_s = bench.minutes * 60 / max(1, bench.kills)
    with Farm(cameras) as farm, bench.watching(farm, names) as watch:
        began_s = time.monotonic()
        for number in range(bench.kills):
            status = watch.status()
            if account := status.get("account"):
                unbalanced += [] if is_balanced(account) else [account]
            roles |= {each["pid"]: each["role"] or each["name"] for each in status.get("processes", [])}
            if there := workers(watch):
                victim = chosen.choice(there)
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.kill()
                    killed[roles.get(victim.pid, "younger than the page")] += 1
            seen += watch.follow(max(0.0, began_s + (number + 1) * pause_s - time.monotonic()))
            if number % 20 == 19:
                done = f"{number + 1} of {bench.kills} kills, {sum(is_result(line) for _, line in seen)} results"
                print(f"  {done}", flush=True)
        recovery_s = recovered(watch, time.time(), names, 90)
        watch.follow(6)
        code = watch.stop()
        return _judged(watch, seen, names, killed, unbalanced, recovery_s, code)


def workers(watch: Watched) -> list[psutil.Process]:
    """All that the watch has forked for work; also while its page, which tells what each does, is away."""
    found = list[psutil.Process]()
    for server in psutil.Process(watch.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [each for each in server.children() if each.is_running()]
    return found


def is_balanced(account: dict[str, int]) -> bool:
    return account["clips_in"] == sum(account[name] for name in ("results", "errors", "drops", "in_flight"))


def _judged(
    watch: Watched,
    seen: list[tuple[float, Line]],
    names: list[str],
    killed: Counter[str],
    unbalanced: list[dict[str, int]],
    recovery_s: float | None,
    code: int,
) -> Found:
    account = accounted(ResultFiles(watch.state / "results").new())
    exact = not account["missing"] and not account["doubled"] and not unbalanced
    silences = [longest_silence_s(seen, name) for name in names]
    figures = account | {
        "kills": killed.total(),
        "killed": dict(killed),
        "longest_silence_s": max(silences),
        "unbalanced": unbalanced[:5],
        "exit_code": code,
        "p99_age_s": percentile([line.get("age_s", 0.0) for _, line in seen if is_result(line)], 99),
    }
    text = (
        f"{sum(killed.values())} killed ({', '.join(f'{name} {count}' for name, count in killed.items())}): "
        f"{account['clips']} clips = {account['results']} results + {account['errors']} errors + "
        f"{account['drops']} drops; account {'exact' if exact else 'WRONG'}; "
        f"longest time without a result of a camera {max(silences):.1f} s"
    )
    return Found(recovery_s, exact and recovery_s is not None and account["results"] > 0, text, figures)
