"""A real browser for the page of a watch."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.pages.conftest import Browser, Found, Visit

HARMLESS = ("Failed to load resource: the server responded with a status of", "Canvas2D: Multiple readback")
"""Chromium says so of every picture that is not there, and when a test reads what is drawn."""


class PageBrowser(Browser):
    """Visits a running watch; requests to anywhere else are refused and counted."""

    def look(self, address: str, look: Callable[[Any], Found], **options: Any) -> tuple[Found, Visit]:
        """Open the page, look at it, and say what came of it."""
        return self._thread.submit(self._look, address, look, options).result(90)

    def _look(self, address: str, look: Callable[[Any], Found], options: dict[str, Any]) -> tuple[Found, Visit]:
        visit = Visit()
        context = self._chromium.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        ours = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}/"

        def elsewhere(url: str) -> bool:
            return url.startswith("http") and not url.startswith(ours)

        try:
            context.set_default_timeout(20_000)
            context.route(elsewhere, lambda route: (visit.network.append(route.request.url), route.abort()))
            page = context.new_page()
            page.on("console", lambda message: visit.complaints.append(message.text))
            page.on("pageerror", lambda error: visit.complaints.append(str(error)))
            page.on("dialog", lambda dialog: (visit.complaints.append(dialog.message), dialog.dismiss()))
            page.goto(address, wait_until="domcontentloaded")
            found = look(page)
        finally:
            context.close()
        visit.complaints = [text for text in visit.complaints if not text.startswith(HARMLESS)]
        return found, visit


def until(page: Any, expression: str, timeout_s: float = 20.0) -> Any:
    """The value of an expression, once it is true. Playwright's own waiting needs what the policy forbids."""
    end_s = time.monotonic() + timeout_s
    while not (value := page.evaluate(expression)):
        assert time.monotonic() < end_s, f"never true: {expression}"
        page.wait_for_timeout(50)
    return value
