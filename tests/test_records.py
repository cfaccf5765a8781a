from dataclasses import dataclass, field

import jsonschema
import pytest

from asli.records import FLAT, HIDDEN, OPTIONAL, Record, json_schema, named


@dataclass(frozen=True, slots=True)
class Inner(Record):
    """Inside.

    Attributes:
        name: Of it, which
            goes over two lines.
        pair: Of numbers.
    """

    name: str
    pair: tuple[int, float] = (1, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Record):
    """Outside."""

    plain: float | None
    inner: Inner | None = field(default=None, metadata=OPTIONAL)
    hidden: object = field(default=None, metadata=HIDDEN)
    renamed: tuple[Inner, ...] = field(default=(), metadata=named("other"))
    flat: dict[str, int] = field(default_factory=dict, metadata=FLAT)


def test_fields_become_keys():
    record = Outer(plain=None, renamed=(Inner("a"),), flat={"x": 1})
    assert record.to_dict() == {"plain": None, "other": [{"name": "a", "pair": [1, 0.5]}], "x": 1}
    assert Outer(plain=1.0, inner=Inner("b")).to_dict()["inner"] == {"name": "b", "pair": [1, 0.5]}


def test_the_schema_takes_what_a_record_becomes_and_nothing_else():
    schema = json_schema(Outer)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    good = Outer(plain=2.0, inner=Inner("b"), renamed=(Inner("a"),), flat={"x": 1}).to_dict()
    validator.validate(good)
    validator.validate(Outer(plain=None).to_dict())
    for wrong in ({"plain": "2"}, {"x": "text"}, {"inner": None}, {"other": [{"name": 1}]}, {"other": {}}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**good, **wrong})
    del good["plain"]
    with pytest.raises(jsonschema.ValidationError, match="'plain' is a required property"):
        validator.validate(good)


def test_descriptions_come_from_docstrings():
    inner = json_schema(Outer)["$defs"]["Inner"]
    assert inner["properties"]["name"]["description"] == "Of it, which goes over two lines."
    assert inner["properties"]["pair"]["description"] == "Of numbers."
    assert inner["description"] == "Inside."
