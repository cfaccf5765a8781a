"""AI origin that signed manifests state, wherever they state it; each file is signed in the test."""

import io

import pytest
from PIL import Image

from asli.provenance.read import provenance

KINDS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
AI, COMPOSITE = KINDS + "trainedAlgorithmicMedia", KINDS + "compositeWithTrainedAlgorithmicMedia"
CREATED = {"action": "c2pa.created", "digitalSourceType": KINDS + "digitalCreation"}
IPTC = {"@context": {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"}}


@pytest.fixture(scope="module")
def picture():
    stream = io.BytesIO()
    Image.effect_noise((48, 32), 40).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


def metadata(label, **fields):
    return {"assertions": [{"label": label, "data": {**IPTC, **fields}}]}


def acting(**more):
    return {"actions": [CREATED, {"action": "c2pa.edited", **more}]}


CASES = {
    "own term of C2PA": {
        "actions": [
            {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData"}
        ]
    },
    "later action": acting(digitalSourceType=COMPOSITE),
    "parameter": acting(parameters={"com.adobe.digitalSourceType": COMPOSITE}),
    "parameter of another maker": acting(parameters={"org.example": {"steps": [{"digitalSourceType": AI}]}}),
    "template": {
        "actions": [CREATED],
        "extra": {"templates": [{"action": "c2pa.edited", "digitalSourceType": COMPOSITE}]},
    },
    "description of an action": acting(description="Generative Fill"),
    "agent as an object": {"actions": [{**CREATED, "softwareAgent": {"name": "DALL-E", "version": "3"}}]},
    "generator": {"actions": [CREATED], "generator": "Adobe_Firefly"},
    "c2pa.metadata": metadata("c2pa.metadata", **{"Iptc4xmpExt:DigitalSourceType": AI}),
    "cawg.metadata": metadata("cawg.metadata", **{"Iptc4xmpExt:DigitalSourceType": {"@id": AI}}),
    "stds.iptc": metadata("stds.iptc", **{"Iptc4xmpExt:DigitalSourceType": [AI]}),
    "stds.exif": metadata("stds.exif", **{"exif:UserComment": "a cat\nSteps: 20, Sampler: Euler, Seed: 1"}),
    "IPTC's fields of 2025": metadata("cawg.metadata", **{"Iptc4xmpExt:AISystemUsed": "Painter 3"}),
    "assertion of a maker": {"assertions": [{"label": "com.example.generative-ai", "data": {"model": "painter"}}]},
    "schema.org": {
        "assertions": [
            {
                "label": "stds.schema-org.CreativeWork",
                "data": {
                    "@context": "https://schema.org",
                    "@type": "CreativeWork",
                    "digitalSourceType": "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
                },
            }
        ]
    },
}


@pytest.mark.parametrize("case", CASES)
def test_ai_origin_is_said_wherever_a_manifest_states_it(signed, picture, case):
    found = provenance(signed(picture, "image/jpeg", **{"actions": [CREATED], **CASES[case]}))
    assert found.credentials.state == "valid"
    assert any(claim.ai for claim in found.credentials.claims)
    assert "AI-generated" in found.says[0]  # before what the same manifest states of a person


@pytest.mark.parametrize("relationship", ["componentOf", "inputTo"])
def test_ingredients_of_every_relation_are_followed_to_the_end(signed, picture, relationship):
    kept = signed(picture, "image/jpeg", actions=[{"action": "c2pa.created", "digitalSourceType": AI}])
    for _ in range(3):
        parts = [({"title": "layer", "relationship": relationship}, kept)]
        kept = signed(picture, "image/jpeg", actions=[CREATED], ingredients=parts)
    found = provenance(signed(kept, "image/jpeg", edited=True))
    assert found.says[0].startswith("AI-generated; C2PA, an ingredient, ")


def test_what_is_no_statement_of_origin_is_not_taken_for_one(signed, picture):
    mining = {"c2pa.ai_generative_training": {"use": "notAllowed"}, "c2pa.ai_inference": {"use": "allowed"}}
    found = provenance(
        signed(
            picture,
            "image/jpeg",
            actions=[{"action": "c2pa.created", "digitalSourceType": KINDS + "digitalCapture"}],
            assertions=[{"label": "cawg.training-mining", "data": {"entries": mining}}],
            ingredients=[({"title": "Midjourney, a novel", "relationship": "componentOf"}, picture)],
        )
    )
    assert [claim.says for claim in found.credentials.claims] == ["camera"]
    assert not any(claim.ai for claim in found.credentials.claims)


def test_without_a_known_statement_none_is_made_up(signed, picture):
    unknown = [{"action": "c2pa.created", "digitalSourceType": KINDS + "somethingOfTomorrow"}]
    found = provenance(signed(picture, "image/jpeg", actions=unknown))
    assert found.says[0].startswith(f"DigitalSourceType '{KINDS}somethingOfTomorrow', which asli does not know; C2PA")
    assert found.not_understood == 1
    found = provenance(signed(picture, "image/jpeg", edited=True))
    assert found.credentials.claims == []
    (line,) = found.says
    assert line.startswith("content credentials (C2PA) unchanged since signing")
    assert line.endswith("asli finds no statement of origin there")
