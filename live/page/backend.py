"""What the page stands on. `live.page.process` has the one that speaks with the supervisor; tests have their own."""

from pathlib import Path
from typing import Any, Protocol

from live.event import LiveEvent
from live.page.board import Board
from live.page.stream import Broadcast
from live.settings import Settings
from live.status import Status

ASK_S = 15.0
"""How long the supervisor may take for an answer."""


class Past(Protocol):
    """Events that are over and events that go on. `live.history.History` is one."""

    def events(
        self, camera: str | None = None, kind: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[LiveEvent]:
        """The newest events, newest first. before: an event's id, or a time.

        Raises: ValueError: `before` is neither.
        """

    def event(self, id: str) -> LiveEvent | None: ...


class Backend(Protocol):
    """One watch. All but `past` is used on the event loop only."""

    settings: Settings
    """With secrets in it: `live.page.shown` makes what may leave."""
    status: Status
    board: Board
    """The newest records of every camera."""
    broadcast: Broadcast
    run_directory: Path

    @property
    def directory(self) -> Path:
        """The state folder."""

    def silent_s(self) -> float:
        """For how long the supervisor has said nothing."""

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """The supervisor's answer. Raises: TimeoutError: there is none within `ASK_S`."""

    async def past(self, method: str, **arguments: Any) -> Any:
        """Call a method of `Past` where it holds nothing up.

        Raises: LookupError: there is no history yet, or it cannot be read.
        """
