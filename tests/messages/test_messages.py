import string
from dataclasses import replace

import numpy as np
import pytest

from asli.datasets.images import Facts, decode
from asli.detector.card import AUTHOR, CalibrationEvidence, Thresholds
from asli.detector.domain import LARGEST, Domain
from asli.detector.drawn import why_drawn
from asli.errors import ImageError
from asli.messages import LANGUAGES, Number, catalog, message
from asli.messages.reasons import reason_text
from asli.metrics.estimate import Estimate
from asli.provenance.claims import SOURCE_TYPES, Claim, claim, meaning
from asli.provenance.credentials import _EARLIER, _OTHER, _PART, Credentials
from asli.provenance.metadata import Unread
from asli.provenance.read import _statements
from asli.sample import golden_images


def names(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_values(language):
    english, other = catalog("en"), catalog(language)
    assert english.keys() == other.keys()
    for key, text in english.items():
        assert names(text) == names(other[key]), key
        assert other[key].strip()


def test_numbers_follow_the_language():
    text = message("report.always_fake", f1=Number("0.667"), accuracy=Number("1,000.5"))
    assert "F1 0.667 and accuracy 1,000.5" in str(text)
    assert "F1 0,667 dan akurasi 1.000,5" in text.text("id")
    assert "1.200 dari 3.000" in message("report.seen", seen=1200, images=3000).text("id")


def test_names_are_not_taken_for_numbers():
    assert "v1.0, a" in message("report.like_these", name="v1.0, a").text("id")


def test_an_unknown_key_is_refused():
    with pytest.raises(KeyError):
        message("report.nothing")


def test_reasons_of_a_domain_are_recognized_by_their_form():
    size = reason_text("outside domain: 300 x 200 pixels; supported are images of 256 to 1024 px a side")
    assert size.text("id") == "300 \u00d7 200 piksel; detektor menilai gambar bersisi 256\u20131024 px"
    small = reason_text(
        "outside domain: 150 x 100 pixels; supported are images of 200 px or more a side; give the original, larger"
        " picture"
    )
    assert small.text("en").endswith("images of 200 px or more a side: use the original, larger picture")
    assert small.text("id").startswith("150 \u00d7 100 piksel; detektor menilai gambar bersisi 200 px atau lebih: ")
    kind = reason_text("outside domain: PNG file; supported formats: JPEG, WEBP")
    assert kind.text("id") == "berkas PNG; detektor menilai JPEG, WEBP"
    pixels = reason_text("pixels unlike the known images' (distance 9.1, limit 6.0; less diagonal detail)")
    assert pixels.text("en").endswith("(less diagonal detail)")
    assert pixels.text("id").endswith("(lebih sedikit detail diagonal)")
    assert reason_text("another sentence") == "another sentence"
    for damaged in (b"", b"x", golden_images()[0][1][:400]):
        with pytest.raises(ImageError) as caught:
            decode(damaged)
        said = reason_text(str(caught.value))
        assert said.text("id") != said.text("en")


def test_every_reason_and_caveat_that_asli_gives_is_translated():
    facts = [Facts(format="PNG", width=width, height=height) for width, height in ((20, 40), (40, 4000), (300, 400))]
    domains = [Domain(("JPEG",), sizes, (75, 95), ()) for sizes in ((32, 64), (64, 64), (200, LARGEST))]
    reasons = {domain.why_file_outside(one) for domain in domains for one in facts}
    reasons |= {
        domains[0].why_file_outside(Facts(format="JPEG", width=40, height=40, quality=50)),
        why_drawn(np.array([0.95, 1.0, 0.0])),
    }
    given = {"low": 0.4, "high": 0.5, "n": 20, "calibration_hash": ""}
    weak = CalibrationEvidence(auroc=Estimate(0.5, 0.4, 0.6, 20), loss_gain=Estimate(0.0, -0.1, 0.1, 20))
    for more in ({"policy": AUTHOR}, {"policy": "max-f1", "real": 8, "fake": 12, "evidence": weak}):
        reasons |= set(Thresholds(**given, **more).caveats)
    assert len(reasons) > 9
    for reason in reasons:
        said = reason_text(reason)
        assert not isinstance(said, str), reason
        assert said.text("id") != said.text("en")


def test_every_statement_of_a_file_is_translated():
    words = {said for said, _ in SOURCE_TYPES.values()} | {
        meaning(field, value)[0]
        for field, value in (
            ("AISystemUsed", "x"),
            ("sd-metadata", "x"),
            ("parameters", "Steps: 20, Sampler: Euler a"),
            ("comment", '{"invokeai_metadata": 1}'),
            ("prompt", '{"class_type": "KSampler"}'),
            ("comment", '{"prompt": "x", "steps": 3, "model": "y"}'),
            ("Description", "Job ID: 01234567-89ab-cdef-0123-456789abcdef"),
            ("Software", "Midjourney"),
            ("Keywords", "generative ai"),
            ("dcterms:provenance", "https://example.org/x"),
            *(("AIGC", label) for label in "123"),
        )
    }
    signed = [Credentials(state, "why", "a signer") for state in ("valid", "trusted", "unchecked", "invalid")]
    claims = [Claim(f"C2PA{rest}", "x", "y", "camera") for rest in ("", _EARLIER[4:], _PART[4:], _OTHER[4:])]
    lines = {f"{said}; EXIF Software, not signed" for said in words}
    lines |= {line for one in signed for line in _statements([], [Unread("EXIF", "damaged")], one)}
    lines |= {line for one in signed for line in _statements([], [], replace(one, claims=claims))}
    lines |= set(_statements([claim("XMP", "DigitalSourceType", "news; or old")], [], None))
    assert len(words) > 30
    for line in lines:
        assert str(reason_text(line)) == line
        other = reason_text(line).text("id")
        for english in ("generated", "signed", "camera", "could not", "not know", "screenshot", "edited", "unchanged"):
            assert english not in other.replace("tidak ditandatangani", ""), line
