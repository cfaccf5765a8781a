"""The whole way on the bundled sample, in minutes on a laptop: the verb behind `asli demo`."""

import logging
from pathlib import Path
from typing import Any

from asli.detector.predict import predict
from asli.evaluation.evaluate import evaluate
from asli.pipeline import train
from asli.sample import open_sample, sample_images

logger = logging.getLogger("asli")


def demo(out: str | Path = "asli-demo", *, threads: int | None = None) -> dict[str, Any]:
    """Make a data folder of the sample, train on it, judge the detector on its test part and score two pictures.

    Args:
        out: Where everything goes; what an earlier call finished is kept.
        threads: CPU threads of one operation; None leaves torch's choice.

    Returns:
        What `evaluate` returns, with the two pictures' results under `pictures`.
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
    pictures = predict(sample_images(chosen, out / "pictures"), run.detector)
    return {**result, "pictures": pictures["images"]}
