"""XML documents as text: everything from outside is escaped, and what XML cannot hold is replaced."""

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may contain, not even escaped."""


def legal(text: str) -> str:
    """The text with a replacement character for each that is illegal in XML."""
    return _ILLEGAL.sub("\ufffd", text)


def add(parent: Element, tag: str, text: object = None, **attributes: object) -> Element:
    """Add an element with these attributes and this text to another one."""
    element = SubElement(parent, tag, {name: legal(str(value)) for name, value in attributes.items()})
    if text is not None:
        element.text = legal(str(text))
    return element


def document(root: Element, doctype: str = "") -> str:
    """The whole document, indented."""
    indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n' + (f"<!DOCTYPE {doctype}>\n" if doctype else "")
    return head + tostring(root, "unicode") + "\n"
