"""One catalog of the texts that people read in their own language: report summary, explanation, web page.

`en.toml` and `id.toml` hold the same keys. Values are put in by name. Numbers follow the language: 0.946 and 1,000 in
English, 0,946 and 1.000 in Indonesian.
"""

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

Language = Literal["en", "id"]

LANGUAGES: dict[Language, str] = {"en": "English", "id": "Bahasa Indonesia"}
"""Code and own name of each language; the first is the default."""


class Number(str):
    """A number formatted the English way, to be shown the way of each language."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A text of the catalog with its values, in every language; `str` gives the English one.

    Attributes:
        key: Section and name in the catalog, such as `report.flagged`.
        values: Values by name: text, `Number`, int, another message, or a list of these, which is joined by semicolons.
    """

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: Language = "en") -> str:
        """Return the text in a language.

        Raises:
            KeyError: The catalog lacks the key, or a value is missing.
        """
        return _Formatter(language).vformat(catalog(language)[self.key], (), self.values)

    def __str__(self) -> str:
        return self.text()


def message(key: str, **values: Any) -> Message:
    """Return a message of the catalog.

    Raises:
        KeyError: The catalog lacks the key.
    """
    catalog("en")[key]
    return Message(key, values)


@cache
def catalog(language: Language) -> Mapping[str, str]:
    """Return all texts of a language by key, with names of values in braces."""
    source = resources.files("asli.messages") / f"{language}.toml"
    sections = tomllib.loads(source.read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}


def localized(text: str, language: Language) -> str:
    """Return an English number the way of a language: separators of Indonesian are swapped."""
    return text.translate(_SWAPPED) if language == "id" else text


_SWAPPED = str.maketrans(",.", ".,")


class _Formatter(string.Formatter):
    def __init__(self, language: Language) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return "; ".join(self.format_field(one, "") for one in value)
        if isinstance(value, Message):
            return value.text(self._language)
        if isinstance(value, Number):
            return localized(value, self._language)
        if isinstance(value, int | float):
            return localized(format(value, format_spec or ","), self._language)
        return str(value)
