"""The whole way on the bundled sample, in minutes on a laptop: the verb behind `asli demo`."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asli.detector.base import Detector
from asli.detector.prediction import Predictions
from asli.evaluation.evaluate import evaluate
from asli.pipeline import train
from asli.sample import open_sample, sample_images

logger = logging.getLogger("asli")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What `demo` returns.

    Attributes:
        evaluation: On the test part of the sample (`asli.evaluate`).
        pictures: The predictions of two test images.
    """

    evaluation: dict[str, Any]
    pictures: Predictions


def demo(out: str | Path = "asli-demo", *, threads: int | None = None) -> Demonstration:
    """Make a data folder of the sample, train on it, judge the detector on its test part and score two pictures.

    Args:
        out: Where everything goes; what an earlier call finished is kept.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        The evaluation, and the predictions of two images.
    """
    out = Path(out)
    logger.info("1. data: 3,300 real images of CIFAKE -> %s", out / "cifake-sample")
    data = open_sample(out / "cifake-sample")
    logger.info("%s", data.describe())
    logger.info("2. training ResNet-20 at 32 px (recipe demo) -> %s", out / "run")
    run = train("demo", data, out / "run", resume=True, threads=threads)
    logger.info("3. judging it on the test part")
    result = evaluate(run.path, data, threads=threads)
    test = data.table(["id", "label"], data.rows("test")).to_pylist()
    chosen = [next(line["id"] for line in test if line["label"] == label) for label in ("real", "fake")]
    pictures = Detector.load(run.detector).predict(sample_images(chosen, out / "pictures"))
    return Demonstration(result, pictures)
