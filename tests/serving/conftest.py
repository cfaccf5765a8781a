"""Pictures, a server and its page in a browser."""

import shutil

import pytest
from PIL import Image

from asli.detector.locate import find_detector
from asli.detector.predict import predict
from asli.sample import golden_images
from tests.serving.browsing import opened
from tests.serving.test_serve import start

XMP = (
    b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF"
    b" xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description"
    b" xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/' Iptc4xmpExt:DigitalSourceType="
    b"'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia'/></rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """One picture of each kind that the page shows differently, by the bundled detector's own answers."""
    folder = tmp_path_factory.mktemp("pictures")
    images = [data for _, data in golden_images()]
    found = list(predict(images, "thumbnail", stability=True))

    def unstable(one):
        low, high = one.thresholds.low, one.thresholds.high
        return (one.verdict == "fake" and one.stability.low < high <= one.stability.high) or (
            one.verdict == "real" and one.stability.low < low <= one.stability.high
        )

    steady = [(one, data) for one, data in zip(found, images, strict=True) if one.domain.inside and not unstable(one)]
    chosen = {verdict: next(data for one, data in steady if one.verdict == verdict) for verdict in ("real", "fake")}
    chosen["unstable"] = next(data for one, data in zip(found, images, strict=True) if unstable(one))
    real = chosen["real"]
    chosen["states-ai"] = real[:2] + b"\xff\xe1" + (len(XMP) + 2).to_bytes(2, "big") + XMP + real[2:]
    for name, data in chosen.items():
        (folder / f"{name}.jpg").write_bytes(data)
    Image.effect_noise((300, 200), 50).convert("RGB").save(folder / "outside.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    second = shutil.copytree(find_detector("thumbnail"), tmp_path_factory.mktemp("other") / "second")
    process, address = start("thumbnail", "--detector", second)
    yield address
    process.terminate()
    process.wait(30)


@pytest.fixture
def page(browser, address):
    yield from opened(browser, address)
