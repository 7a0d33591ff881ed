"""Commands of the page, the API and `percept watch ctl` to a watch: done one after another, each answered."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from live.control import Change, Control, Refused
from live.secrets import without_secrets
from live.settings import Settings
from pipeline.errors import PerceptError
from pipeline.messages import Answer, Ask, Reply, Request
from pipeline.processes import Worker

if TYPE_CHECKING:
    from live.watch import WatchSupervisor

ASK_TIMEOUT_S = 60.0
"""Label vectors of new labels take a second or two; loading the text tower some more."""
TIMED_OUT = {"ok": False, "error": f"no answer within {ASK_TIMEOUT_S:.0f} s", "status": 409}


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A command, and until when it must be answered."""

    worker: Worker
    ask: Ask
    until_s: float


class Commands:
    """Does what is asked of a watch. Some commands wait for the clerk, who makes label vectors; a test of alerts is
    done in a thread, and others go on meanwhile.

    save: writes settings back. test_alert: sends one of each alert.
    """

    def __init__(
        self,
        watch: "WatchSupervisor",
        control: Control,
        save: Callable[[Settings], dict[str, Any]],
        test_alert: Callable[[Settings], list[dict[str, Any]]],
    ) -> None:
        self._watch = watch
        self._control = control
        self._save, self._test_alert = save, test_alert
        self._asks: deque[Asked] = deque()
        """Of which the first is being done."""
        self._request = 0
        self._on_reply: Callable[[Reply], None] | None = None
        self._tests: list[Asked] = []
        """Tests of alerts that are not answered yet."""
        self._sent: deque[tuple[Asked, dict[str, Any]]] = deque()
        """What threads have found for them."""

    def ask(self, worker: Worker, ask: Ask) -> None:
        """Take a command."""
        self._asks.append(Asked(worker, ask, time.monotonic() + ASK_TIMEOUT_S))
        if len(self._asks) == 1:
            self._next()

    def replied(self, reply: Reply) -> None:
        """The clerk has answered."""
        if reply.id == self._request and self._on_reply is not None:
            on_reply, self._on_reply = self._on_reply, None
            on_reply(reply)

    def tick(self, now_s: float) -> None:
        """Answer what a thread has done, or what has taken too long."""
        while self._sent:
            self._answer_test(*self._sent.popleft())
        for asked in [each for each in self._tests if now_s > each.until_s]:
            self._answer_test(asked, TIMED_OUT)
        if self._asks and now_s > self._asks[0].until_s:
            self._answer(TIMED_OUT)

    def _next(self) -> None:
        """Do the first command. It is answered now, or later; if nobody waits for it any more, it is not done."""
        ask = self._asks[0].ask
        if ask.until_s and time.monotonic() > ask.until_s:
            self._answer({"ok": False, "error": "its turn came too late; nothing was done", "status": 504})
            return
        try:
            self._do(json.loads(ask.body))
        except Refused as refused:
            self._answer({"ok": False, "error": str(refused), "status": refused.status})
        except (ValueError, KeyError, TypeError) as error:
            self._answer({"ok": False, "error": f"not a command: {error}", "status": 400})
        except PerceptError as error:
            self._answer({"ok": False, "error": str(error), "status": 400})

    def _answer(self, answer: dict[str, Any]) -> None:
        asked = self._asks.popleft()
        self._on_reply = None
        self._give(asked, answer)
        if self._asks:
            self._next()

    def _answer_test(self, asked: Asked, answer: dict[str, Any]) -> None:
        """Answer a test of alerts, unless it took too long and was answered so."""
        if asked in self._tests:
            self._tests.remove(asked)
            self._give(asked, answer)

    def _give(self, asked: Asked, answer: dict[str, Any]) -> None:
        self._watch.answer(asked.worker, Answer(asked.ask.id, json.dumps(answer).encode()))

    def _do(self, command: dict[str, Any]) -> None:
        watch = self._watch
        match command["do"]:
            case "status":
                self._answer({"ok": True, "status": msgspec.to_builtins(watch.watch_status())})
            case "settings":
                settings = msgspec.to_builtins(without_secrets(watch.settings))
                self._answer({"ok": True, "version": watch.version, "settings": settings})
            case "change":
                self._make(self._control.change(watch.settings, command.get("camera"), command["change"]))
            case "add":
                self._make([self._control.add(watch.settings, command["camera"])])
            case "remove":
                self._make([self._control.remove(watch.settings, command["camera"])])
            case "preview":
                self._preview(command["camera"], command["labels"])
            case "save":
                self._answer({"ok": True} | self._save(watch.settings))
            case "test_alert":
                self._begin_test_alert()
            case "listening":
                self._answer({"ok": True})
                watch.page_is_at(command["address"])
            case "stop":
                self._answer({"ok": True})
                watch.interrupt()
            case other:
                raise Refused(f"there is no command {other!r}")

    def _begin_test_alert(self) -> None:
        """Send alerts in a thread, since their receivers may take long. `tick` answers; other commands go on."""
        asked, settings = self._asks.popleft(), self._watch.settings
        self._tests.append(asked)

        def send() -> None:
            try:
                self._sent.append((asked, {"ok": True, "sent": self._test_alert(settings)}))
            except Exception as error:
                self._sent.append((asked, {"ok": False, "error": str(error), "status": 409}))

        threading.Thread(target=send, name="test alert", daemon=True).start()
        if self._asks:
            self._next()

    def _ask_clerk(self, question: dict[str, Any], then: Callable[[dict[str, Any]], None]) -> None:
        self._request += 1
        if not self._watch.ask_clerk(Request(self._request, "classify", msgspec.msgpack.encode(question))):
            raise Refused("the models are still loading; ask again in a moment", 409)

        def on_reply(reply: Reply) -> None:
            if reply.error:
                self._answer({"ok": False, "error": reply.error, "status": 400})
            else:
                then(msgspec.msgpack.decode(reply.body))

        self._on_reply = on_reply

    def _make(self, changes: list[Change]) -> None:
        """Have the vectors of new labels computed, one camera after another; then all changes take effect together."""
        waiting = deque(change for change in changes if change.words is not None)

        def step(_: dict[str, Any]) -> None:
            if not waiting:
                self._answer({"ok": True} | self._watch.apply(changes))
                return
            change = waiting.popleft()
            assert change.after is not None
            assert change.words is not None
            feed = self._watch.feed
            camera = feed.named(change.after.name)
            index = feed.next_index if camera is None else camera.index
            version = 1 if camera is None else camera.labels_version + 1
            self._ask_clerk(change.words._asdict() | {"camera": index, "version": version}, step)

        step({})

    def _preview(self, name: str, labels: list[str]) -> None:
        """What the camera's last clips would be answered."""
        camera = self._watch.feed.named(name)
        if camera is None:
            raise Refused(f"there is no camera {name!r}", 404)
        recent = list(self._watch.ledger.cameras[camera.index].recent)
        clips = [{key: msgspec.msgpack.decode(data) for key, data in each.kept.items()} for each in recent]

        def answer(reply: dict[str, Any]) -> None:
            rows = zip(recent, reply["clips"], strict=True)
            shown = [
                {
                    "clip": each.info.index,
                    "start_s": each.info.start_ns / 1e9,
                    "wall_ns": each.info.live.wall_ns if each.info.live else 0,
                    "labels": scored,
                }
                for each, scored in rows
            ]
            self._answer({"ok": True, "clips": shown})

        self._ask_clerk({"labels": list(labels), "clips": clips}, answer)
