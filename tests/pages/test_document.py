"""The page's skeleton: nothing in its data can leave it, and only its own scripts run."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from pages.document import as_json, document, is_ours, part

TEXTS = ["</script>", "<!--", "]]>", "&amp;", "\u2028\u2029", "'\"\\", "\ud800"]


@pytest.mark.parametrize("text", TEXTS)
def test_data_is_safe_inside_a_script_element(text: str) -> None:
    written = as_json({text: [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    expected = text.encode("utf-8", "replace").decode()
    assert json.loads(written) == {expected: [expected]}


def test_the_policy_has_the_hashes_of_what_is_in_the_page() -> None:
    page = document("<b>", [("a", 1)], ["elements.js"], ["theme.css"])
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    for tag, name in (("script", "elements.js"), ("style", "theme.css")):
        text = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert text
        assert part(name) in text[1]
        digest = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none';")
    assert "<title>&lt;b&gt;</title>" in page


def test_a_page_of_ours_is_known_again(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(document("a", [], [], []))
    (tmp_path / "b.html").write_text("<p>mine")
    assert is_ours(str(tmp_path / "a.html"))
    assert not is_ours(str(tmp_path / "b.html"))
