"""Commands that use a detector."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asli.cli.table import AsJson, Device, app, image_text
from asli.errors import AsliError


@app.command
def predict(
    images: list[Path],
    *,
    detector: Path,
    force_domain: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
    device: Device = None,
) -> None:
    """Score pictures: P(fake), a verdict and its reasons.

    Args:
        images: Image files.
        detector: A detector folder or a run folder.
        force_domain: Give a verdict on pictures unlike those the detector knows, too.
    """
    from asli.detector.predict import predict as run

    result = run(images, detector, force_domain=force_domain, device=device)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        for image in result["images"]:
            print(image_text(image))
    failed = [image for image in result["images"] if image["error"]]
    if failed:
        raise AsliError(f"{len(failed)} of {len(images)} images could not be scored; each is named above")
