"""Make a detector of a network that somebody else trained: the function behind `asli adopt`."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from asli.adopting.golden import golden_pictures
from asli.adopting.opened import Choices, Processor, set_out
from asli.adopting.prove import TOLERANCE, prove
from asli.adopting.source import AdoptionSource, find
from asli.datasets.folder import DataFolder
from asli.detector.adopted import Adopted
from asli.detector.author import AuthorNetwork, Origin
from asli.detector.base import Detector
from asli.detector.calibrate import calibrate
from asli.detector.card import AUTHOR, Card, Thresholds, TrainingData
from asli.detector.description import DetectorDescription
from asli.detector.domain import Domain
from asli.errors import AsliError, DetectorError, MissingExtraError
from asli.exporting.onnx import export_onnx, require_new
from asli.files import sha256_of_file
from asli.metrics.thresholds import Policy
from asli.models.device import set_threads
from asli.records import FLAT, Record

logger = logging.getLogger("asli")

AUTHORS_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedDetector(Record):
    """Output of `asli adopt --json`.

    Attributes:
        version: Version of this structure.
        folder: Folder of the new detector.
        detector: The detector.
    """

    version: Literal[1] = 1
    folder: Path
    detector: DetectorDescription = field(metadata=FLAT)


def adopt(
    source: str | Path,
    out: str | Path,
    data: str | Path | DataFolder | None = None,
    policy: Policy = Policy(),  # noqa: B008 - it is frozen
    *,
    fake_labels: Sequence[str] = (),
    real_labels: Sequence[str] = (),
    preprocessing: str | Path | None = None,
    processor: Processor | None = None,
    architecture: str | None = None,
    strip_prefix: str = "",
    onnx: bool = True,
    license: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Adopted:
    """Adopt a network as a detector, after proving that its scores stay the same.

    Args:
        source: `hub:owner/name[@revision]`, a folder, a .safetensors file or an .onnx file.
        out: The new detector's folder.
        data: A data folder whose calibration part gives temperature, thresholds and domain; None leaves the detector
            uncalibrated, which every output states.
        policy: How thresholds are chosen.
        fake_labels: The network's labels that mean fake, if their names are unclear.
        real_labels: The network's labels that mean real.
        preprocessing: A file in the form of `preprocessor_config.json` or of timm's `pretrained_cfg`.
        processor: `fast` or `slow` image processor of transformers; None takes the one its pipeline takes.
        architecture: `timm:NAME`, for a bare state dict.
        strip_prefix: Prefix of the names of its tensors.
        onnx: Also export to ONNX where that gives the same scores, so that prediction needs no transformers.
        license: License under which the weights may be used; None takes what the author states.
        device: cuda, mps or cpu, for the calibration; None takes the best there is.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        The new detector.

    Raises:
        DetectorError: The network cannot be opened, or its scores differ from its author's; nothing is written then.
        DataError: The calibration part cannot be used.
        MissingExtraError: transformers is not installed.
    """
    target = Path(out)
    require_new(target)
    set_threads(threads)
    found = find(str(source), architecture)
    choices = Choices(
        fake=fake_labels,
        real=real_labels,
        preprocessing=None if preprocessing is None else Path(preprocessing),
        processor=processor,
        strip_prefix=strip_prefix,
    )
    with tempfile.TemporaryDirectory(prefix="asli-adopt-") as work:
        files, place = Path(work) / "files", Path(work) / target.name
        files.mkdir()
        try:
            made = _proven(found, files, choices, license)
        except DetectorError as error:  # what was copied for the work is gone when the user reads this
            raise DetectorError(str(error).replace(str(files), found.name)) from error
        made.save(place)
        if onnx and not made.only_onnx:
            _add_onnx(place, threads)
        opened = Detector.load(place, device=device, threads=threads)
        assert isinstance(opened, Adopted)
        if data is None:
            opened.save(target)
        else:
            calibrate(opened, data, target, policy, device=device, threads=threads)
    result = Detector.load(target, device=device, threads=threads)
    assert isinstance(result, Adopted)
    return result


def _proven(source: AdoptionSource, files: Path, choices: Choices, license: str | None) -> Adopted:
    opened = set_out(source, files, choices)
    network = AuthorNetwork(library=source.library, name=opened.name, bgr=opened.translated.bgr, outputs=opened.outputs)
    digest = sha256_of_file(source.weights)
    stated = source.stated
    card = Card(
        temperature=1.0,
        thresholds=Thresholds(
            low=AUTHORS_THRESHOLD, high=AUTHORS_THRESHOLD, policy=AUTHOR, n=0, calibration_hash="", real=0, fake=0
        ),
        domain=Domain.unknown(),
        trained_on=TrainingData(name=stated.datasets or "not stated by the author", hash="", images=None),
        figures={},
        recipe_hash=f"adopted {digest}",
        seed=None,
        start_weights=stated.base_model or "not stated by the author",
        license=license or stated.license or "not stated",
    )
    local = not source.name.startswith("hub:")
    origin = Origin(
        # A detector may be published, and the paths of the machine it was made on are no one else's business.
        source=f"{Path(source.name).resolve().name} (local)" if local else source.name,
        commit=source.commit,
        sha256=digest,
        author=stated.author,
        license=stated.license,
        datasets=stated.datasets,
        base_model=stated.base_model,
        processor=opened.translated.matched,
    )
    made = Adopted.made(files, network, opened.translated.preprocessing, card, origin)
    runtime = made.runtime("cpu", "onnx" if made.only_onnx else "torch")
    pictures = golden_pictures()
    parity = prove(made, runtime, opened.reference, pictures, bgr=opened.translated.bgr)
    made.origin = replace(origin, parity=parity)
    logger.info(
        "scores equal those of %s: largest difference %.1e on %d pictures (allowed: %.0e)",
        parity.compared_with,
        parity.largest_score_difference,
        len(pictures),
        TOLERANCE,
    )
    return made


def _add_onnx(place: Path, threads: int | None) -> None:
    """Add the ONNX form where it gives the same scores; otherwise state what prediction then needs."""
    try:
        export_onnx(place, threads=threads)
    except (DetectorError, MissingExtraError) as error:
        opened = Detector.load(place)
        assert isinstance(opened, Adopted)
        needs = "timm" if opened.network_info.library == "timm" else "transformers (extra hf)"
        logger.warning("no ONNX form, so prediction needs %s: %s", needs, _line(error))


def _line(error: AsliError) -> str:
    return " ".join(str(error).split())
