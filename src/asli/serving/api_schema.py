"""Answers of the API as records, and the description of the API that follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from asli.detector.description import DetectorDescription
from asli.detector.domain import Domain
from asli.detector.prediction import Prediction
from asli.explanation.map_check_result import MapCheck
from asli.explanation.view import Method
from asli.records import FLAT, Json, Record, json_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Record):
    """Why a request was refused.

    Attributes:
        error: In one line: what is wrong, and what to do.
    """

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Record):
    """A file as it arrived.

    Attributes:
        sha256: SHA-256 of its bytes.
        bytes: Its size.
    """

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Record):
    """The answer to `/v1/predict`: what `asli predict --json` prints, and what identifies it.

    Attributes:
        version: Version of this structure.
        detector: The detector that answered.
        images: Predictions, in the order sent; paths are file names as they were sent.
        files: The files as they arrived, in the order sent.
        asli: Version of asli.
        time: When it was scored, UTC.
    """

    version: Literal[1] = 1
    detector: DetectorDescription
    images: tuple[Prediction, ...]
    files: tuple[File, ...]
    asli: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebExplanation(Record):
    """Map of the regions of a picture that change its score.

    Attributes:
        method: `grad-cam` or `occlusion`.
        of: The quantity that the map adds up to.
        layer: Layer of the map; null for occlusion.
        map_size: Side of that layer's map.
        cells: The map by cells, in nats of log-odds; positive is for fake.
        check: Whether the map marks what moves the score; null before it is checked.
        check_in_words: The same by language.
        view: What the detector looks at: a PNG file as a data URL.
        map: The map over it, of the same size: a PNG file as a data URL.
    """

    method: Method
    of: str
    layer: str | None
    map_size: int | None
    cells: tuple[tuple[float, ...], ...]
    check: MapCheck | None
    check_in_words: dict[str, str]
    view: str
    map: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebExplainedImage(Record):
    """The prediction for one picture and, beside it, its explanation.

    Attributes:
        prediction: The prediction.
        explanation: The explanation; null with an error.
    """

    prediction: Prediction = field(metadata=FLAT)
    explanation: WebExplanation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainAnswer(Record):
    """The answer to `/v1/explain`.

    Attributes:
        version: Version of this structure.
        detector: The detector that answered.
        images: One.
        files: The file as it arrived.
        asli: Version of asli.
        time: When it was scored, UTC.
    """

    version: Literal[1] = 1
    detector: DetectorDescription
    images: tuple[WebExplainedImage, ...]
    files: tuple[File, ...]
    asli: str
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported(Record):
    """The kind of file that a detector was calibrated on.

    Attributes:
        formats: Formats.
        sizes: Smallest and largest side, in pixels.
        qualities: Lowest and highest JPEG quality.
        generators: Generators of its fake training images, as far as they are named.
    """

    formats: tuple[str, ...]
    sizes: tuple[int, int]
    qualities: tuple[int, int] | None
    generators: tuple[str, ...]

    @classmethod
    def of(cls, domain: Domain) -> "Supported":
        """Describe a domain without its pixel statistics."""
        return cls(formats=domain.formats, sizes=domain.sizes, qualities=domain.qualities, generators=domain.generators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Record):
    """Limits of a request.

    Attributes:
        bytes: Largest body.
        images: Most pictures.
    """

    bytes: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class About(Record):
    """A detector of this server.

    Attributes:
        detector: The detector.
        name: For the parameter `detector`.
        asli: Version of asli.
        domain: What it can judge.
        member_domains: What each member of a family can judge; empty for other kinds.
        limits: What a request may bring.
    """

    detector: DetectorDescription = field(metadata=FLAT)
    name: str
    asli: str
    domain: Supported
    member_domains: dict[str, Supported]
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Abouts(Record):
    """The detectors of this server; the first is the default.

    Attributes:
        detectors: The detectors.
    """

    detectors: tuple[About, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Record):
    """State of the server.

    Attributes:
        status: It answers.
        detector: Hash of the default detector.
    """

    status: Literal["ok"]
    detector: str | None


ANSWERS: Sequence[type[Record]] = (Error, Answer, ExplainAnswer, About, Abouts, Health)

_COMPONENTS = "#/components/schemas/"


def content(record: type[Record]) -> Json:
    """Return what OpenAPI says of an answer that is one of `ANSWERS`."""
    return {"content": {"application/json": {"schema": {"$ref": f"{_COMPONENTS}{record.__name__}"}}}}


class DescribedApp(FastAPI):
    """An application whose description has the schemas of `ANSWERS`, by the rule of `asli.records`."""

    def openapi(self) -> Json:
        """Return the OpenAPI description."""
        if self.openapi_schema is None:
            found: Json = get_openapi(title=self.title, version=self.version, routes=self.routes)
            found.setdefault("components", {}).setdefault("schemas", {}).update(_schemas())
            self.openapi_schema = found
        return self.openapi_schema


def _schemas() -> Json:
    found: Json = {}
    for record in ANSWERS:
        schema = json_schema(record)
        found |= schema.pop("$defs")
        schema.pop("$schema")
        found[record.__name__] = schema
    return {name: _moved(schema) for name, schema in sorted(found.items())}


def _moved(value: Any) -> Any:
    """Return a schema whose references lead to the components of an OpenAPI description."""
    if isinstance(value, Mapping):
        return {key: _target(item) if key == "$ref" else _moved(item) for key, item in value.items()}
    return [_moved(item) for item in value] if isinstance(value, list) else value


def _target(reference: str) -> str:
    return reference.replace("#/$defs/", _COMPONENTS)
