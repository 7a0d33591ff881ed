"""Faults on our side: the broker is away, the disk is full."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from benchmarks.farm import Farm, free_port, joined
from benchmarks.faults import WORDS, Bench, Found, accounted, recovered
from benchmarks.watched import ResultFiles, Watched

TOPIC = "percept-bench"
CONF = """listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 100000
"""


class Broker:
    """Mosquitto, which keeps its sessions while it is away. A context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # mosquitto gives up the rights of root
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(CONF.format(port=self.port, folder=folder))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            raise SystemExit("mosquitto is not installed. Run: apt install mosquitto")
        self._process = subprocess.Popen([program, "-c", str(self._config)], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None


class Listener:
    """Keeps every event that is published, with the broker's session, so that nothing passes it by."""

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.events: list[dict[str, Any]] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, f"{TOPIC}-listener", clean_session=False)
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{TOPIC}/+/event", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda client, data, message: self.events.append(json.loads(message.payload))
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        if not self._subscribed.wait(20):
            raise SystemExit("the broker does not accept a subscription")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def broker_away(bench: Bench) -> Found:
    """The broker is away for 60 s, while cameras that alternate between still and moving make events."""
    recordings = list(bench.cameras(4).values())
    cameras = {f"turn{n}": joined(f"turn-{n}", recordings[2 * n : 2 * n + 2]) for n in range(2)}
    with Farm(cameras) as farm, Broker(bench.folder / "broker") as broker:
        rule = {"name": "motion", "when": "motion in all", "hold_s": 2.0}
        shared = {"rules": [rule], "zones": {"all": [[0, 0], [1, 0], [1, 1], [0, 1]]}}
        entries = [{"name": name, "url": farm.url(name), **shared} for name in cameras]
        mqtt = {"host": "127.0.0.1", "port": broker.port, "topic": TOPIC}
        listener = Listener(broker.port)
        try:
            with bench.watch({"labels": WORDS, "cameras": entries, "alerts": {"mqtt": mqtt}}) as watch:
                watch.wait_for(list(cameras), 90)
                watch.follow(25)
                return _broker_away(watch, broker, listener)
        finally:
            listener.close()


def _broker_away(watch: Watched, broker: Broker, listener: Listener) -> Found:
    before = len(listener.events)
    broker.stop()
    watch.follow(60)
    made = watch.events("rule")
    broker.start()
    began_s, recovery_s = time.time(), None
    while recovery_s is None and time.time() < began_s + 60:
        watch.follow(0.2)
        if {(each["id"], each["state"]) for each in made} <= {(each["id"], each["state"]) for each in listener.events}:
            recovery_s = time.time() - began_s
    during = len(listener.events) - before
    ordered = in_order(listener.events)
    lost = {each["id"] for each in made} - {each["id"] for each in listener.events}
    text = f"{during} messages came after it was back, {len(lost)} events lost, order {'kept' if ordered else 'broken'}"
    text += "; recovery: everything is delivered"
    return Found(recovery_s, recovery_s is not None and ordered and not lost and during > 3, text, {"messages": during})


def in_order(events: list[dict[str, Any]]) -> bool:
    """Whether the events of each camera come in the order in which they opened, each open before it is closed."""
    opened: dict[str, list[str]] = {}
    closed: set[str] = set()
    for event in events:
        if event["state"] == "open" and event["id"] not in closed:
            opened.setdefault(event["camera"], []).append(event["start"])
        elif event["state"] == "closed":
            closed.add(event["id"])
        else:
            return False
    return all(starts == sorted(starts) for starts in opened.values())


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own. Raises: SystemExit: it cannot be mounted here."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        raise SystemExit(f"a small disk cannot be mounted: {mounted.stderr.strip()}; root may do so")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def disk_full(bench: Bench) -> Found:
    """The disk of the state folder is full for 30 s."""
    names = list(cameras := bench.cameras(2))
    with small_disk(bench.folder / "disk", 16) as disk, Farm(cameras) as farm:
        entries = [{"name": name, "url": farm.url(name)} for name in names]
        with bench.watch({"labels": WORDS, "cameras": entries, "directory": str(disk / "state")}) as watch:
            watch.wait_for(names, 90)
            filler = disk / "filler"
            _fill(filler)
            watch.follow(30)
            warned = "disk" in watch.messages()
            before = watch.status()["account"]
            filler.unlink()
            recovery_s = recovered(watch, time.time(), names, 60)
            watch.follow(10)
            told = [each["text"] for each in watch.events("health") if each["name"] == "disk_full"]
            survived = before["results"] > 0 and watch.is_alive()
            watch.stop()
            account = accounted(ResultFiles(watch.state / "results").new())
            missing = sum(map(len, account["missing"].values()))
            text = (
                f"warned: {_yes(warned)}; told as an event: {_yes(bool(told))} {told[:1]}; "
                f"the watch went on: {_yes(survived)}; {missing} of {account['clips'] + missing} clips are not kept"
            )
            right = recovery_s is not None and bool(told) and warned and survived
            return Found(recovery_s, right, text, account | {"events": told})


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _fill(path: Path) -> None:
    """Fill a file system to its last byte."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
