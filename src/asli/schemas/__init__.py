"""JSON schemas of what asli prints and writes: each follows from the dataclass of a result, and the package ships it.

    python -m asli.schemas

writes them anew; a test compares them with the code.
"""

import importlib
import json
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from asli.errors import AsliError
from asli.records import Json, json_schema


class SchemaOf(NamedTuple):
    """Origin of a schema.

    Attributes:
        record: Dataclass, as `module:name`.
        content: What has this structure.
        rows: Whether that is a list of such records.
    """

    record: str
    content: str
    rows: bool = False


SCHEMAS = {
    "predict": SchemaOf("asli.detector.prediction:Predictions", "asli predict --json"),
    "predict-several": SchemaOf("asli.detector.several:SeveralPredictions", "asli predict --json, several detectors"),
    "explain": SchemaOf("asli.explanation.explain:Explanations", "asli explain --json, explain.json"),
    "scan": SchemaOf("asli.scanning.scan_result:ScanResult", "asli scan --json"),
    "scan-parts": SchemaOf("asli.scaling.parts_result:PartsResult", "asli scan --json, folder of parts"),
    "scan-merge": SchemaOf("asli.scaling.parts_result:MergeResult", "asli scan merge --json"),
    "metrics": SchemaOf("asli.evaluation.result:EvaluationResult", "asli evaluate --json, metrics.json"),
    "compare": SchemaOf("asli.evaluation.compare:ComparisonResult", "asli compare --json, compare.json"),
    "domain-study": SchemaOf("asli.evaluation.domain_study_result:DomainStudy", "asli domain-study --json"),
    "generalize": SchemaOf("asli.generalization:Generalization", "asli generalize --json, generalize.json"),
    "audit": SchemaOf("asli.auditing.audit:AuditResult", "asli audit --json, asli table audit --json"),
    "equalize": SchemaOf("asli.auditing.equalize:EqualizedCopy", "asli audit --equalize --json, equalize.json"),
    "info": SchemaOf("asli.detector.info:DetectorInfo", "asli info --json"),
    "adopt": SchemaOf("asli.adopting.adopt:AdoptedDetector", "asli adopt --json"),
    "doctor": SchemaOf("asli.machine:MachineReport", "asli doctor --json"),
    "models": SchemaOf("asli.models.profile:ProfileRow", "asli models --json", rows=True),
    "trunks": SchemaOf("asli.models.trunks:TrunkRow", "asli trunk list --json", rows=True),
    "cache": SchemaOf("asli.datasets.cache:Cached", "asli data cache --json", rows=True),
}
"""Schemas by name."""


def schema(name: str) -> Json:
    """Return a schema that the package ships.

    Args:
        name: Its name in `SCHEMAS`.

    Raises:
        AsliError: There is none of that name.
    """
    if name not in SCHEMAS:
        raise AsliError(f"no schema named '{name}'; there are {', '.join(SCHEMAS)}")
    text = (resources.files("asli.schemas") / _file(name)).read_text(encoding="utf-8")
    found: Json = json.loads(text)
    return found


def generated(name: str) -> str:
    """Return the text of a schema as it follows from its dataclass."""
    source = SCHEMAS[name]
    module, _, record = source.record.partition(":")
    made = json_schema(getattr(importlib.import_module(module), record), rows=source.rows)
    return json.dumps(made, indent=2) + "\n"


def write_all(folder: Path = Path(__file__).parent) -> None:
    """Write every schema into a folder, by default the package's."""
    for name in SCHEMAS:
        (folder / _file(name)).write_text(generated(name), encoding="utf-8")


def _file(name: str) -> str:
    return f"{name}.schema.json"
