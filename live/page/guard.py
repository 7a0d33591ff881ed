"""What every request passes first: its name for us, its rate, its token, and whether a page elsewhere sent it."""

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from live.page.door import Door, split_host
from live.page.rates import Rate
from live.page.replies import MOST_BYTES, Refused, refusal

SAFE = ("GET", "HEAD")
OPEN_PATHS = ("/healthz", "/readyz", "/login", "/api/v1/login")
"""Those that need no token; and `/static/`."""
OUR_HEADER = "x-percept"
"""A page elsewhere cannot send it: a browser would first ask us, and we do not answer."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door
        self._reads = Rate(per_s=100, burst=400)
        self._changes = Rate(per_s=5, burst=30)
        self._logins = Rate(per_s=0.2, burst=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer: ASGIApp = self._app
        try:
            self._check(scope, Headers(scope=scope))
        except Refused as error:
            answer = self._refuse(scope, error)
        await answer(scope, receive, _with_headers(send))

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raises: Refused"""
        path, method = scope["path"], scope["method"]
        hosts = headers.getlist("host")
        if not self._door.private:
            if len(hosts) != 1 or not self._door.knows(hosts[0]):
                raise Refused(421, "The page is not known by this name. Add it to page.hosts in the config.")
            self._count(scope, path, method)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:12]) > MOST_BYTES:
            raise Refused(413, f"The body has more than {MOST_BYTES} bytes.")
        if self._door.private:
            return
        bearer = self._bearer(headers)
        if not (bearer or path in OPEN_PATHS or path.startswith("/static/") or self._has_session(headers)):
            raise Refused(401, "This needs the page's token: send it as `Authorization: Bearer ...`, or log in.")
        if not bearer:
            _from_our_page(method, path, headers, hosts[0], scope["scheme"])

    def _count(self, scope: Scope, path: str, method: str) -> None:
        client = scope["client"][0] if scope.get("client") else ""
        rate = self._logins if path == "/api/v1/login" else self._reads if method in SAFE else self._changes
        if wait_s := rate.wait_s(client):
            raise Refused(429, f"Too many requests. Try again in {max(1, round(wait_s))} s.", wait_s)

    def _bearer(self, headers: Headers) -> bool:
        """Whether the request carries the token itself. Raises: Refused: it carries another one."""
        scheme, _, offered = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._door.token:
            return False
        if not self._door.has_token(offered.strip()):
            raise Refused(401, "The token is wrong.")
        return True

    def _has_session(self, headers: Headers) -> bool:
        if not self._door.token:
            return True
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self._door.cookie)
        return found is not None and self._door.has_session(found.value)

    def _refuse(self, scope: Scope, error: Refused) -> Response:
        """A person who opens the page is sent to the login."""
        if error.status == 401 and scope["path"] == "/" and scope["method"] in SAFE:
            return RedirectResponse("/login", 303)
        reply = refusal(error)
        if error.status == 401:
            reply.headers["WWW-Authenticate"] = "Bearer"
        return reply


def _from_our_page(method: str, path: str, headers: Headers, host: str, scheme: str) -> None:
    """Raises: Refused: a page elsewhere may have sent the request."""
    site = headers.get("sec-fetch-site", "none")
    if path.startswith(("/api/", "/metrics")) and site not in ("same-origin", "none"):
        raise Refused(403, "Another page sent this request.")
    if method in SAFE:
        return
    origin = headers.get("origin")
    if origin is not None and not _is_same(origin, host):
        raise Refused(403, "Another page sent this request.")
    if headers.get(OUR_HEADER) is None:
        raise Refused(403, "Send the header `X-Percept: 1` with everything that changes something.")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "Send JSON, with the header `Content-Type: application/json`.")


def _is_same(origin: str, host: str) -> bool:
    scheme, mark, place = origin.partition("://")
    return bool(mark) and scheme in ("http", "https") and split_host(place) == split_host(host)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent
