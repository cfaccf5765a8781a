"""The paper's remarks on its figure 10, the misclassified samples, as directions that a measurement can bear out.

The evaluation measures every image (`asli.metrics.appearance`) and gives the chance that a mistake of one kind measures
higher than a correctly classified image of the same label. That chance, minus a half, is what a remark is about.
"""

from dataclasses import dataclass
from types import MappingProxyType

from asli.study.sweep.contrasts import Contrast, MissingError, Quantity
from asli.study.sweep.results import Results

REAL_CALLED_FAKE, FAKE_CALLED_REAL = "real called fake", "fake called real"


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark.

    Attributes:
        claim: In a few words.
        quote: What the paper, or our digest of it, has.
        directions: Directions by kind of mistake and measure: 1 where mistakes should measure higher, -1 lower.
    """

    claim: str
    quote: str
    directions: MappingProxyType[tuple[str, str], int]


REMARKS = (
    Remark(
        "striking colors mislead the model",
        "striking colours are a challenge",
        MappingProxyType({(REAL_CALLED_FAKE, "colorfulness"): 1, (FAKE_CALLED_REAL, "colorfulness"): 1}),
    ),
    Remark(
        "real images without detail are called fake",
        "real images whose texture lacks detail fool it (are called fake)",
        MappingProxyType({(REAL_CALLED_FAKE, "texture"): -1}),
    ),
    Remark(
        "before a plain background the model answers real",
        "terdapat kecenderungan model untuk memprediksi gambar sebagai real ketika gambar tersebut memiliki latar"
        " belakang yang polos",
        # So plain backgrounds should be commoner among fakes called real, and rarer among reals called fake.
        MappingProxyType({(FAKE_CALLED_REAL, "flatness"): 1, (REAL_CALLED_FAKE, "flatness"): -1}),
    ),
)


def contrasts_of(remark: Remark, cell: str) -> list[Contrast]:
    """Return a remark's contrasts, from the mistakes of one cell's runs."""
    return [
        Contrast(
            f"{kind}: {measure} {'higher' if sign > 0 else 'lower'} than of correctly classified images",
            {"chance above 1/2": _chance(cell, kind, measure, sign)},
        )
        for (kind, measure), sign in remark.directions.items()
    ]


def _chance(cell: str, kind: str, measure: str, sign: int) -> Quantity:
    def quantity(results: Results) -> dict[int, float]:
        item = results.get(cell)
        if item is None or not item.done:
            raise MissingError(f"{cell}: {item.why if item else 'no such cell in this budget'}")
        values = {}
        for result in item.done:
            for line in result.get("mistakes", ()):
                if (line["kind"], line["measure"]) == (kind, measure) and "area" in line:
                    values[result["seed"]] = sign * (line["area"]["value"] - 0.5)
        if not values:
            raise MissingError(f"{cell}: its results lack the measures of mistakes")
        return values

    return quantity
