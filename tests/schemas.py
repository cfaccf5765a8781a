"""What tests of JSON output share: validation against the schema that the package ships."""

import json

import jsonschema

from asli.schemas import json_schema


def require_schema(name, content):
    """Validate JSON, as text or parsed, against a schema; return it parsed."""
    found = json.loads(content if isinstance(content, str) else json.dumps(content))
    jsonschema.Draft202012Validator(json_schema(name)).validate(found)
    return found
