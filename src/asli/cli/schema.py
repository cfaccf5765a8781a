"""The command that prints JSON schemas."""

import json

from asli.cli.common import OTHER, app, examples


@app.command(group=OTHER, help_epilogue=examples("schema", "schema predict"))
def schema(name: str | None = None) -> None:
    """List the JSON schemas of outputs and files, or print one.

    Args:
        name: The schema to print.
    """
    from asli.schemas import SCHEMAS, json_schema

    if name is not None:
        print(json.dumps(json_schema(name), indent=2))
        return
    for known, source in SCHEMAS.items():
        print(f"{known:<16} {source.content}")
