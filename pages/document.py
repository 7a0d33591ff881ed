"""One HTML file that holds everything but the media: styles, scripts and data.

Its content-security policy lets nothing run but the scripts and styles in it, by their hashes, and nothing load but
media. Data is JSON in blocks that no browser runs; the scripts write it as text.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "parts"
GENERATOR = "percept"
_MARK = f'<meta name="generator" content="{GENERATOR}">'
_UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def document(title: str, blocks: Iterable[tuple[str, Any]], scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The page. `blocks`: the id of each block of data, and the data. `scripts`, `styles`: files in `parts/`."""
    style = "\n".join(part(name) for name in styles)
    script = '"use strict";\n' + "\n".join(part(name) for name in scripts)
    data = "".join(
        f'<script type="application/json" id="{escape(name)}">{as_json(of)}</script>\n' for name, of in blocks
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(script, style)}">\n{_MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(printable(title))}</title>\n'
        f"<style>{style}</style></head>\n<body><noscript>This page needs JavaScript.</noscript>\n"
        f"{data}<script>{script}</script></body></html>\n"
    )


def part(name: str) -> str:
    """The text of a script or style."""
    return (PARTS / name).read_text(encoding="utf-8")


def policy(script: str, style: str) -> str:
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )


def as_json(data: Any) -> str:
    """JSON that is safe inside a script element: it holds no `<`, `>`, `&` and no line separator."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return printable(text.translate(_UNSAFE))


def printable(text: str) -> str:
    """Text that is valid UTF-8: what is not becomes a replacement character."""
    return text.encode("utf-8", "replace").decode()


def is_ours(path: str) -> bool:
    """Whether a file is a page that was written here, and may be written again."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return _MARK in file.read(4096)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
