"""The paper's remarks on its misclassified samples, each with its sentence."""

import pytest

from asli.study.paper.budgets import BUDGETS
from asli.study.paper.grid import cells
from asli.study.paper.remarks import REMARKS, contrasts_of
from asli.study.sweep.contrasts import answer
from asli.study.sweep.results import Results

CELL = "residual-pretrained-cifar_resnet56"


def verdicts(quote: str, **areas: float) -> list[str]:
    """Answer the remark with this sentence from five runs whose mistakes have these chances of measuring higher."""
    (remark,) = [remark for remark in REMARKS if quote in remark.quote]
    names = {"real": "real called fake", "fake": "fake called real"}
    known = [cell for cell in cells(BUDGETS["cpu"]) if cell.name == CELL]
    results = [
        {
            "cell": CELL,
            "seed": seed,
            "status": "done",
            "mistakes": [
                {"kind": names[key.split("_")[0]], "measure": key.split("_")[1], "area": {"value": area + seed / 1000}}
                for key, area in areas.items()
            ],
        }
        for seed in range(1, 6)
    ]
    return [item.verdict for item in answer(contrasts_of(remark, CELL), Results.of(known, results))]


def test_striking_colors():
    """The paper: "striking colours are a challenge": mistakes of both kinds should be more colorful."""
    quote = "striking colours are a challenge"
    assert verdicts(quote, real_colorfulness=0.7, fake_colorfulness=0.7) == ["yes", "yes"]
    assert verdicts(quote, real_colorfulness=0.3, fake_colorfulness=0.7) == ["no", "yes"]


def test_texture_without_detail():
    """The paper: "real images whose texture lacks detail fool it (are called fake)"."""
    quote = "real images whose texture lacks detail"
    assert verdicts(quote, real_texture=0.3, fake_texture=0.9) == ["yes"]
    assert verdicts(quote, real_texture=0.7, fake_texture=0.1) == ["no"]


def test_plain_background():
    """The paper: "terdapat kecenderungan model untuk memprediksi gambar sebagai real ketika gambar tersebut memiliki
    latar belakang yang polos": it tends to answer *real* before a plain background, so plain backgrounds should be
    commoner among fakes called real and rarer among real images called fake.
    """
    quote = "sebagai real ketika gambar tersebut memiliki latar belakang yang polos"
    assert verdicts(quote, fake_flatness=0.7, real_flatness=0.3) == ["yes", "yes"]
    assert verdicts(quote, fake_flatness=0.3, real_flatness=0.7) == ["no", "no"]  # plain photographs called fake


@pytest.mark.parametrize("remark", REMARKS, ids=lambda remark: remark.claim)
def test_without_mistakes_nothing_is_settled(remark):
    found = answer(contrasts_of(remark, CELL), Results.of([c for c in cells(BUDGETS["cpu"]) if c.name == CELL], []))
    assert {item.verdict for item in found} == {"not settled"}
