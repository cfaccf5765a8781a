"""The JSON schema of `metrics.json` and `asli evaluate --json`, which the package ships.

    python -m asli.evaluation.schema > src/asli/evaluation/metrics.schema.json

It follows from the dataclasses of the result; a test compares the two.
"""

import json
from importlib import resources
from typing import Any

from asli.evaluation.result import EvaluationResult
from asli.records import json_schema


def metrics_schema() -> dict[str, Any]:
    """Return the schema that the package ships."""
    source = resources.files("asli") / "evaluation" / "metrics.schema.json"
    found: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    print(json.dumps(json_schema(EvaluationResult), indent=2))
