"""XMP: its properties by their local names, of packets in any encoding, damaged ones as far as they can be read."""

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from asli.provenance.texts import text_of

_ROOTS = re.compile(r"<(?:\w+:)?(?:xmpmeta|xapmeta|RDF)\b")
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,100}encoding=["']([\w.-]{1,40})["']""")
_UNCHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_STRUCTURE = frozenset({"Bag", "Seq", "Alt", "Description", "RDF", "xmpmeta", "xapmeta"})
_SYNTAX = frozenset({"about", "resource", "parseType", "ID", "nodeID", "datatype", "lang", "xmptk"})


class XmpError(ValueError):
    """A packet that is no XMP, or one of which only the beginning can be read."""


def properties(packet: bytes) -> Iterator[tuple[str, str]]:
    """Yield local name and value of every property, those of structures and lists included.

    Namespaces are not compared: writers leave them undeclared or get them wrong.

    Args:
        packet: Packet, as it lies in the file. UTF-8 by the standard, yet UTF-16, UTF-32 and Latin-1 occur.

    Raises:
        XmpError: It is damaged, after what comes before the damage.
    """
    declared = _DECLARED.match(packet[:200])
    text = text_of(packet, declared[1].decode() if declared else "utf-8")
    root = _ROOTS.search(text)
    if root is None:
        raise XmpError("no XMP in it")
    # XMP has no document type; one would be there to define entities that expand without end.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise XmpError("it declares a document type, which XMP has none of")
    text = _UNCHARACTERS.sub(" ", text[root.start() :])
    reader = _Reader()
    end = text.rfind("</" + root[0][1:])
    try:
        reader.parse(text[: text.find(">", end) + 1] if end >= 0 else text)
    except expat.ExpatError as error:
        yield from reader.found
        raise XmpError(f"damaged ({error})") from error
    yield from reader.found


class _Reader:
    """Collects properties from a stream of elements, in memory that does not depend on their depth."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._open: list[tuple[str, list[str], list[str]]] = []  # name, own text, items of its list

    def parse(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(text.encode("utf-8", "replace"), True)

    def _start(self, name: str, attributes: dict[str, Any]) -> None:
        self._open.append((_local(name), [], []))
        for key, value in attributes.items():
            if key.startswith("xmlns") or not value.strip():
                continue
            if _local(key) == "resource":
                self._open[-1][1].append(value)
            elif _local(key) not in _SYNTAX:
                self.found.append((_local(key), value.strip()))

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1][1].append(text)

    def _end(self, _: str) -> None:
        name, own, items = self._open.pop()
        value = "; ".join(filter(None, ["".join(own).strip(), *items]))
        if name in ("li", "value") or name in _STRUCTURE:
            if self._open:
                self._open[-1][2].extend([value] if value else [])
        elif value:
            self.found.append((name, value))


def _local(name: str) -> str:
    return name.rpartition(":")[2]
