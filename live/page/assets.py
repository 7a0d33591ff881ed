"""The files of the page itself: a fixed list, read once, under an address that changes with them."""

import hashlib
from functools import cached_property
from html import escape
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

FOLDER = Path(__file__).parent / "static"
SHARED = tuple(Path(__file__).parents[2] / "pages" / "parts" / name for name in ("theme.css", "label_bars.css"))
"""Colours and bars are those of the page of results."""
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"


class Assets:
    """Scripts and styles by name, and the two documents that name them."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
        self._files |= {path.name: path.read_bytes() for path in SHARED}

    @cached_property
    def version(self) -> str:
        content = b"\0".join(name.encode() + b"\0" + data for name, data in sorted(self._files.items()))
        return hashlib.sha256(content).hexdigest()[:16]

    def document(self, name: str) -> str:
        """`index.html` or `login.html`."""
        text = (FOLDER / name).read_text(encoding="utf-8")
        return text.replace("{static}", escape(f"/static/{self.version}"))

    async def index(self, request: Request) -> Response:
        return HTMLResponse(self.document("index.html"))

    async def login(self, request: Request) -> Response:
        return HTMLResponse(self.document("login.html"))

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["version"] != self.version or name not in self._files:
            raise HTTPException(404)
        kind = TYPES[Path(name).suffix]
        return Response(self._files[name], media_type=kind, headers={"Cache-Control": FOREVER})
