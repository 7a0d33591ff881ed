"""Hooks of mkdocs: pages that are kept outside docs/, and links that would leave the site."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {"contributing.md": "CONTRIBUTING.md"}
"""Pages by their name in the site, and the files of the repository that they show."""
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s:]+)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, path in ELSEWHERE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **more: Any) -> str:
    """Links to pages kept elsewhere lead to them in the site; links to other files become their name, as code."""
    folder = (ROOT / ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def inside(link: re.Match[str]) -> str:
        path = (folder / link["target"]).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return link[0]  # mkdocs reports what leads nowhere
        name = path.relative_to(ROOT).as_posix()
        shown = next((page for page, file in ELSEWHERE.items() if file == name), None)
        if shown is None and path.is_relative_to(ROOT / "docs"):
            shown = path.relative_to(ROOT / "docs").as_posix()
        if shown is not None:
            return f"[{link['text']}]({shown}{link['anchor'] or ''})"
        text = link["text"].strip("`")
        return f"`{name}`" if text in (name, path.name) else f"{link['text']} (`{name}`)"

    return _LINK.sub(inside, markdown)
