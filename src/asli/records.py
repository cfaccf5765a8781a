"""Results as plain JSON, and the JSON schema of it: both follow from the fields of frozen dataclasses by one rule.

A field becomes a key of its own name unless its metadata says otherwise, see `HIDDEN`, `OPTIONAL`, `FLAT` and `named`.
"""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

HIDDEN = {"json": "hidden"}
"""Metadata of a field that is not part of the JSON."""

OPTIONAL = {"json": "optional"}
"""Metadata of a field that is left out where it is None."""

FLAT = {"json": "flat"}
"""Metadata of a mapping whose items become keys beside the other fields."""

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.+?)(?=^ {0,4}\S|^\s*$|\Z)", re.MULTILINE | re.DOTALL)
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def named(key: str) -> dict[str, str]:
    """Return the metadata of a field whose key in the JSON differs from its name."""
    return {"key": key}


class Record:
    """A frozen dataclass that becomes plain JSON."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as dictionaries, lists, text, numbers, booleans and None."""
        result: dict[str, Any] = plain(self)
        return result


def plain(value: Any) -> Any:
    """Return a value with dataclasses and mappings in it as dictionaries, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    result: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        how, item = field.metadata.get("json"), getattr(value, field.name)
        if how == "flat":
            result.update(plain(item))
        elif how != "hidden" and not (how == "optional" and item is None):
            result[field.metadata.get("key", field.name)] = plain(item)
    return result


def json_schema(record: type[Any]) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of what `plain` makes of a dataclass.

    Descriptions come from the sections `Attributes` of docstrings.
    """
    definitions: dict[str, Any] = {}
    schema = _object(record, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": record.__name__,
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(record: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    hints, described = typing.get_type_hints(record), _descriptions(record)
    properties, required, further = {}, [], False
    for field in dataclasses.fields(record):
        how, key = field.metadata.get("json"), field.metadata.get("key", field.name)
        if how == "hidden":
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


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
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
