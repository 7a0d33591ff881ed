"""No text from outside changes the structure of a document, or makes it one that parsers refuse."""

from xml.etree.ElementTree import Element, fromstring

from hypothesis import given
from hypothesis import strategies as st

from archive.exports.xml_text import add, document, legal
from tests.archive.exports.made import EVIL


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    root = Element("root")
    add(root, "child", text.replace("\r", ""), name=text)
    child = fromstring(document(root).encode())[0]
    assert (child.text or "") == legal(text.replace("\r", ""))
    assert child.attrib == {"name": legal(text)}


def test_illegal_characters_are_replaced() -> None:
    assert legal(EVIL) == '</dog> & "x" --> \ufffd\ufffd\ufffd =1+1'
    assert legal("a\ud800b") == "a\ufffdb"
    assert legal("Hund 🐕\t\n") == "Hund 🐕\t\n"
