"""Fill in what the documentation site takes from the code: a hook of MkDocs.

A page asks for generated text by a comment such as `<!-- asli:commands -->`. `make docs` builds the site.
"""

import ast
import dataclasses
import inspect
import itertools
import json
import posixpath
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

MIRRORED = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/conduct.md",
    "benchmarks/README.md": "project/benchmarks.md",
}
"""Files outside `docs` and the pages that show them."""

_MARKER = re.compile(r"<!-- asli:([a-z-]+)(?: (\S+))? -->")
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?(?=\))")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return a page with its generated parts, and links that lead to pages of the site."""
    own = f"docs/{page.file.src_uri}"
    text = relinked(markdown, own, own)
    return _MARKER.sub(lambda found: generated(found[1], found[2], own), text)


def generated(name: str, argument: str | None, own: str) -> str:
    """Return the text that a marker stands for.

    Raises:
        KeyError: Nothing has that name.
    """
    if name == "include":
        assert argument is not None, "asli:include needs a file"
        return relinked((ROOT / argument).read_text(encoding="utf-8"), argument, own)
    return GENERATORS[name]()


def relinked(markdown: str, source: str, own: str) -> str:
    """Return Markdown whose links, relative to the file `source`, lead from the page `own` to pages of the site.

    Paths are relative to the repository. A link to a file that is no part of the site becomes its text in code style.
    """

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        target = f"docs/{MIRRORED[target]}" if target in MIRRORED else target
        if not target.startswith("docs/"):
            return f"{_OUTSIDE}{target}"
        return posixpath.relpath(target, posixpath.dirname(own)) + (found[2] or "")

    text = _LINK.sub(link, markdown)
    return re.sub(rf"\[([^\]]*)\]\({_OUTSIDE}([^)]*)\)", r"\1 (`\2`)", text)


_OUTSIDE = "outside:"


def commands() -> str:
    """Return the help of every command as Markdown."""
    import asli.cli  # noqa: F401  enters the commands
    from asli.cli.common import app

    text = app.generate_docs(output_format="markdown")
    body = text[text.index("\n## asli") :].replace(" -m mkdocs ", " ")  # as usage has it under `python -m mkdocs`
    return "\n".join(_escaped(line) for line in body.splitlines())


def _escaped(line: str) -> str:
    return line if line.startswith(("#", "```", "    ")) else line.replace("<", "&lt;")


def recipe_keys() -> str:
    """Return a table of the keys of each section of a recipe."""
    from asli import recipe

    parts = []
    for section in dataclasses.fields(recipe.Recipe):
        kind = typing.get_type_hints(recipe.Recipe)[section.name]
        texts, hints = dict(attribute_docs(kind)), typing.get_type_hints(kind)
        rows = ["| key | values | default | meaning |", "|---|---|---|---|"]
        for field in dataclasses.fields(kind):
            values, default = _values(hints[field.name]), json.dumps(field.default)
            rows.append(f"| `{section.name}.{field.name}` | {values} | `{default}` | {texts[field.name]} |")
        parts += [f"## {section.name}", inspect.getdoc(kind) or "", "\n".join(rows)]
    return "\n\n".join(parts)


def attribute_docs(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of each attribute of a class, on one line."""
    body = typing.cast(ast.ClassDef, ast.parse(inspect.getsource(kind)).body[0]).body
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            yield typing.cast(ast.Name, node.target).id, " ".join(str(after.value.value).split())


def _values(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return f"{len(typing.get_args(hint))} numbers"
    return {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}[hint]


def api() -> str:
    """Return a directive for each public name, by kind."""
    import asli

    return "\n\n".join(f"::: asli.{name}" for name in asli.__all__ if name != "__version__")


def manifest() -> str:
    """Return the types of a manifest's columns."""
    from asli.datasets.manifest import SCHEMA

    return _columns(SCHEMA)


def scan() -> str:
    """Return the types of the columns that a scan writes."""
    from asli.scanning.score_table import SCHEMA

    return _columns(SCHEMA)


def _columns(schema: Any) -> str:
    return "```text\n" + "\n".join(f"{field.name}: {field.type}" for field in schema) + "\n```"


def prediction() -> str:
    """Return a table of the keys of an image in `asli predict --json`."""
    from asli.detector.prediction import Prediction

    texts = dict(re.findall(r"^    (\w+): (.*?)(?=\n    \w+: |\Z)", _attributes(Prediction), flags=re.M | re.S))
    keys = Prediction(path="").to_dict()
    rows = [f"| `{key}` | {' '.join(texts[key].split())} |" for key in keys]
    return "| key | content |\n|---|---|\n" + "\n".join(rows)


def _attributes(kind: type) -> str:
    doc = inspect.getdoc(kind) or ""
    return doc[doc.index("Attributes:") :]


def metrics() -> str:
    """Return tables of `metrics.json` from its schema: the whole and each of its parts."""
    from asli.schemas import json_schema

    whole = json_schema("metrics")
    parts = [_object(whole)]
    for name, part in whole["$defs"].items():
        if "properties" in part:
            parts += [f"#### {name}", part.get("description", ""), _object(part)]
    return "\n\n".join(parts)


def schemas() -> str:
    """Return a table of the JSON schemas."""
    from asli.schemas import SCHEMAS, json_schema

    rows = []
    for name, source in SCHEMAS.items():
        version = json_schema(name).get("properties", {}).get("version", {"enum": ["none: a list"]})["enum"][0]
        rows.append(f"| `{name}` | {source.content} | {version} |")
    return "| schema | output | version |\n|---|---|---|\n" + "\n".join(rows)


def _object(schema: Mapping[str, Any]) -> str:
    rows = [
        f"| `{key}` | {_kind(value)} | {' '.join(value.get('description', '').split()).replace('|', chr(92) + '|')} |"
        for key, value in schema["properties"].items()
    ]
    return "| key | type | content |\n|---|---|---|\n" + "\n".join(rows)


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


GENERATORS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "recipe-keys": recipe_keys,
    "api": api,
    "manifest": manifest,
    "scan": scan,
    "prediction": prediction,
    "metrics": metrics,
    "schemas": schemas,
}
"""What each marker stands for."""
