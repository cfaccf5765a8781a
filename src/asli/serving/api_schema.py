"""Answers of the API, as types, for `/openapi.json`. The answers themselves are what the detectors' results give."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class Error(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="In one line: what is wrong, and what to do.")


class Band(BaseModel):
    """Scores below `low` are real, from `high` on fake, between them unsure."""

    low: float
    high: float


class Domain(BaseModel):
    """Whether the picture is of the kind that the detector was calibrated on. Outside, the score means nothing."""

    inside: bool
    why: str | None


class Stability(BaseModel):
    """How far the score moves when the picture is saved again or resized a little."""

    low: float
    high: float
    views: dict[str, float | None]


class Image(BaseModel):
    """The answer for one picture, as in `asli predict --json`."""

    path: str = Field(description="The file's name as it was sent.")
    score: float | None = Field(description="P(fake), between 0 and 1; null with an error.")
    verdict: Literal["real", "unsure", "fake"] | None
    reasons: list[str] = Field(description="Why the verdict is unsure, or must be read with care.")
    thresholds: Band | None
    stability: Stability | None = Field(description="null unless it was asked for.")
    domain: Domain | None
    provenance: dict[str, Any] | None = Field(description="What the file states of its own origin.")
    member: str | None = Field(description="Name of the member of a family that answered.")
    error: str | None = Field(description="Why the picture could not be scored.")


class FullThresholds(BaseModel, extra="allow"):
    """Thresholds with how they were chosen."""

    low: float
    high: float


class Detector(BaseModel, extra="allow"):
    """The detector that answered."""

    network: str
    kind: str
    hash: str | None = Field(description="SHA-256 over all that gives its verdicts.")
    recipe_hash: str
    thresholds: FullThresholds
    caveats: list[str] = Field(description="What must be said of every verdict of this detector.")
    trained_on: str
    force_domain: bool = False


class File(BaseModel):
    """A file as it arrived."""

    sha256: str
    bytes: int


class Predictions(BaseModel):
    """The answer to `/v1/predict`."""

    detector: Detector
    images: list[Image] = Field(description="In the order sent.")
    files: list[File] = Field(description="Of the images, in the order sent.")
    asli: str = Field(description="Version.")
    time: str = Field(description="When it was scored, UTC.")


class Check(BaseModel, extra="allow"):
    """Whether the map marks what moves the score."""

    orders: int = Field(description="Random orders that the map was compared with.")
    beats: float = Field(description="Share of them that it beats.")
    needed: float
    likeness_to_random: float | None = Field(description="Rank correlation with maps of networks of random weights.")
    holds: bool


class Explanation(BaseModel):
    """Map of the regions of a picture that change its score."""

    method: Literal["grad-cam", "occlusion"]
    of: str
    layer: str | None
    map_size: int | None
    cells: list[list[float]] = Field(description="The map by cells, in nats of log-odds; positive is for fake.")
    check: Check | None
    check_in_words: dict[str, str] = Field(description="By language.")
    view: str = Field(description="What the detector looks at: a PNG file as a data URL.")
    map: str = Field(description="The map over it, of the same size: a PNG file as a data URL.")


class ExplainedImage(Image):
    """The answer for one picture with its explanation."""

    explanation: Explanation | None = Field(description="null with an error.")


class Explanations(BaseModel):
    """The answer to `/v1/explain`."""

    detector: Detector
    images: list[ExplainedImage] = Field(description="One.")
    files: list[File]
    asli: str
    time: str


class Supported(BaseModel):
    """The kind of file that a detector was calibrated on."""

    formats: list[str]
    sizes: tuple[int, int] = Field(description="Smallest and largest side, in pixels.")
    qualities: tuple[int, int] | None = Field(description="Lowest and highest JPEG quality.")
    generators: list[str] = Field(description="Of its fake training images, as far as they are named.")


class Limits(BaseModel):
    """Limits of a request."""

    bytes: int
    images: int


class About(Detector):
    """A detector of this server."""

    name: str = Field(description="For the parameter `detector`.")
    asli: str
    domain: Supported
    member_domains: dict[str, Supported] = Field(description="Of a family: what each member can judge; else empty.")
    limits: Limits


class Abouts(BaseModel):
    """The detectors of this server; the first is the default."""

    detectors: list[About]


class Health(BaseModel):
    """State of the server."""

    status: Literal["ok"]
    detector: str | None = Field(description="Hash of the default detector.")
