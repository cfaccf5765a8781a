"""Results as plain JSON, back, and its JSON schema: all follow from the fields of frozen dataclasses by one rule.

A field becomes a key of its own name unless its metadata says otherwise, see `HIDDEN`, `OPTIONAL`, `FLAT` and `named`.
"""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Self, Union

Json = dict[str, Any]
"""A JSON object whose structure is stated elsewhere: by the dataclass it comes from, or by the file it is read from."""

HIDDEN = {"json": "hidden"}
"""Metadata of a field that is not part of the JSON."""

OPTIONAL = {"json": "optional"}
"""Metadata of a field that is left out where it is None."""

FLAT = {"json": "flat"}
"""Metadata of a mapping or record whose items become keys beside the other fields."""

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+?)(?=^ {0,4}\S|^\s*$|\Z)", re.MULTILINE | re.DOTALL)
_NAMES = {str: "string", Path: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def named(key: str) -> dict[str, str]:
    """Return the metadata of a field whose key in the JSON differs from its name."""
    return {"key": key}


class Record:
    """A frozen dataclass that becomes plain JSON."""

    __slots__ = ()

    def to_dict(self) -> Json:
        """Return it as dictionaries, lists, text, numbers, booleans and None."""
        result: Json = plain(self)
        return result

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Build it from what `to_dict` returns; a missing key takes the field's default.

        Records with a `FLAT` field cannot be read back: nothing states which keys are that field's.

        Raises:
            TypeError: A key is unknown, or one without a default is missing.
        """
        found: Self = _read(cls, value)
        return found


def plain(value: Any) -> Any:
    """Return a value with dataclasses and mappings in it as dictionaries, tuples as lists, paths and enums as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value
    result: Json = {}
    for field in dataclasses.fields(value):
        how, item = field.metadata.get("json"), getattr(value, field.name)
        if how == "flat":
            result.update(plain(item))
        elif how != "hidden" and not (how == "optional" and item is None):
            result[field.metadata.get("key", field.name)] = plain(item)
    return result


def _read(hint: Any, value: Any) -> Any:
    """Return what `plain` made `value` of, by the type of the field."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin in (Union, types.UnionType):
        kinds = [one for one in inner if one is not type(None)]
        return _read(kinds[0], value) if len(kinds) == 1 else value
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        hints = typing.get_type_hints(hint)
        names = {field.metadata.get("key", field.name): field.name for field in dataclasses.fields(hint)}
        unknown = sorted(value.keys() - names)
        if unknown:
            raise TypeError(f"{hint.__name__} has no key {unknown[0]!r}")
        return hint(**{names[key]: _read(hints[names[key]], item) for key, item in value.items()})
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(inner[1], item) for key, item in value.items()}
    if origin is tuple:
        several = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_read(one, item) for one, item in zip(several, value, strict=True))
    if origin is list:
        return [_read(inner[0], item) for item in value]
    return hint(value) if isinstance(hint, type) and issubclass(hint, (Enum, Path)) else value


def json_schema(record: type[Any], *, rows: bool = False) -> Json:
    """Return the JSON schema (draft 2020-12) of what `plain` makes of a dataclass.

    Descriptions come from the sections `Attributes` of docstrings.

    Args:
        record: The dataclass.
        rows: Describe a list of them.
    """
    definitions: Json = {}
    schema = {"type": "array", "items": _schema(record, definitions)} if rows else _object(record, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": record.__name__,
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(record: type[Any], definitions: Json) -> Json:
    hints, described = typing.get_type_hints(record), _descriptions(record)
    properties: Json = {}
    required: list[str] = []
    further: Any = False
    for field in dataclasses.fields(record):
        how, key = field.metadata.get("json"), field.metadata.get("key", field.name)
        if how == "hidden":
            continue
        if how == "flat" and dataclasses.is_dataclass(hints[field.name]):
            inner = _object(hints[field.name], definitions)
            properties |= inner["properties"]
            required += inner["required"]
            continue
        schema = _schema(hints[field.name], definitions)
        if how == "flat":
            further = schema["additionalProperties"]
            continue
        if how == "optional":  # where it is None it is not there
            schema = schema["anyOf"][0]
        else:
            required.append(key)
        properties[key] = {**schema, **({"description": described[field.name]} if field.name in described else {})}
    return {
        "description": (record.__doc__ or "").split("\n\n")[0].strip(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": further,
    }


def _schema(hint: Any, definitions: Json) -> Json:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}  # so that a record may hold its like
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint in _NAMES:
        return {"type": _NAMES[hint]}
    if hint is Any:
        return {}
    if origin is Literal:
        return {"enum": list(inner)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [one.value for one in hint]}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(one, definitions) for one in inner]}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(inner[1], definitions)}
    if isinstance(origin, type) and issubclass(origin, (list, tuple)):
        if origin is tuple and inner[-1] is not Ellipsis:
            items = [_schema(one, definitions) for one in inner]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        return {"type": "array", "items": _schema(inner[0], definitions)}
    raise TypeError(f"no JSON schema for {hint}")


def _descriptions(record: type[Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        _, _, attributes = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        found.update((name, " ".join(said.split())) for name, said in _ATTRIBUTE.findall(attributes))
    return found
