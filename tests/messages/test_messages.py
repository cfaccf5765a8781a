import string

import pytest

from asli.messages import LANGUAGES, Number, catalog, message
from asli.messages.reasons import reason_text


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
    kind = reason_text("outside domain: PNG file; supported formats: JPEG, WEBP")
    assert kind.text("id") == "berkas PNG; detektor menilai JPEG, WEBP"
    pixels = reason_text("pixels unlike the known images' (distance 9.1, limit 6.0; less diagonal detail)")
    assert pixels.text("en").endswith("(less diagonal detail)")
    assert pixels.text("id").endswith("(lebih sedikit detail diagonal)")
    assert reason_text("another sentence") == "another sentence"
