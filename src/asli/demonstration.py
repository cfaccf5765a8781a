"""The whole way on the bundled sample, in minutes on a laptop: the function behind `asli demo`."""

import logging
from dataclasses import dataclass
from pathlib import Path

from asli.detector.base import Detector
from asli.detector.prediction import Predictions
from asli.evaluation.evaluate import evaluate
from asli.evaluation.result import EvaluationResult
from asli.pipeline import train
from asli.sample import open_sample, sample_images

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """Result of the demonstration.

    Attributes:
        evaluation: Evaluation of the detector on the sample's test part.
        pictures: The predictions of two pictures.
        report: The path of the report.
    """

    evaluation: EvaluationResult
    pictures: Predictions
    report: Path


def demo(out: str | Path = "asli-demo", *, threads: int | None = None) -> Demonstration:
    """Make a data folder of the sample, train on it, evaluate the detector on its test part and score two pictures.

    Args:
        out: Where everything goes; what an earlier call finished is kept.
        threads: CPU threads of one operation; None leaves torch's choice.
    """
    out = Path(out)
    logger.info("1. data: 3,300 images of CIFAKE -> %s", out / "cifake-sample")
    data = open_sample(out / "cifake-sample")
    logger.info("%s", data.describe())
    logger.info("2. training ResNet-20 at 32 px (recipe demo) -> %s", out / "run")
    run = train("demo", data, out / "run", resume=True, threads=threads)
    logger.info("3. evaluating it on the test part")
    folder = run.evaluation(f"{data.name}-test")
    result = evaluate(run.path, data, out=folder, threads=threads)
    test = data.table(["id", "label"], data.rows("test")).to_pylist()
    chosen = [next(line["id"] for line in test if line["label"] == label) for label in ("real", "fake")]
    pictures = Detector.load(run.detector).predict(sample_images(chosen, out / "pictures"))
    return Demonstration(evaluation=result, pictures=pictures, report=folder / "report.html")
