"""Questions of the page to the supervisor: how long they wait, and what is said when no answer comes."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request

from live.page import watch as page_watch
from live.page.api import CameraCalls
from live.page.backend import Backend
from live.page.replies import Refused
from live.page.watch import Watch
from pipeline.messages import Ask
from pipeline.sink_process import RecordMaker


def test_a_question_says_until_when_the_page_waits_for_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_watch, "ASK_S", 0.2)
    asked: list[Ask] = []

    async def ask() -> None:
        watch = Watch(asked.append, RecordMaker(()), tmp_path, lambda path: cast(Any, None))
        with pytest.raises(TimeoutError):
            await watch.ask({"do": "save"})
        watch.close()

    begin_s = time.monotonic()
    asyncio.run(ask())
    assert begin_s + 0.2 <= asked[0].until_s <= time.monotonic() + 0.1


def test_who_gets_no_answer_is_told_that_it_may_still_take_effect() -> None:
    class Silent:
        async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
            raise TimeoutError

    async def save() -> None:
        await CameraCalls(cast(Backend, Silent()), has_login=False).save(cast(Request, None))

    with pytest.raises(Refused, match=r"did not answer within 15 s.*may still take effect") as refused:
        asyncio.run(save())
    assert refused.value.status == 504
