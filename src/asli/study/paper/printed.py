"""The paper's printed numbers, as data: Hakim et al. (2024), tables 2 to 7."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Printed:
    """A printed row; None where the paper prints nothing."""

    loss: float | None = None
    f1: float | None = None
    precision: float | None = None
    recall: float | None = None
    accuracy: float | None = None


TEST_REAL = TEST_FAKE = 10_000
"""CIFAKE's test images, all of which the paper says it used."""

DEPTHS = ("resnet18", "resnet50", "resnet101", "resnet152")

TABLE_2 = {
    "resnet18": Printed(loss=0.19, f1=0.928),
    "resnet50": Printed(loss=0.16, f1=0.931),
    "resnet101": Printed(loss=0.16, f1=0.933),
    "resnet152": Printed(loss=0.08, f1=0.963),
    "bird_lotfi": Printed(loss=0.17, f1=0.936),
    "vgg16": Printed(loss=0.22, f1=0.833),
    "efficientnet_b4": Printed(loss=0.17, f1=0.941),
    "efficientnet_b3": Printed(loss=0.20, f1=0.880),
}
"""Networks compared. The printed parameter counts are in `asli.models.profile.PRINTED`."""

TABLE_3 = Printed(f1=0.9634, recall=0.9522, precision=0.9749, accuracy=0.9632)
"""ResNet-152."""

TABLE_4 = Printed(f1=0.6287, recall=0.4660, precision=0.9657, accuracy=0.7226)
"""ResNet-152 without residual connections, with pretrained weights."""

TABLE_5 = (
    Printed(f1=0.5743, recall=0.4178, precision=0.9137, accuracy=0.6857),
    Printed(f1=0.5927, recall=0.4230, precision=0.9321, accuracy=0.7013),
)
"""ResNet-152: first without residual connections or pretrained weights; what the second row is the paper says in two
different ways."""

TABLE_6 = {name: TABLE_2[name] for name in DEPTHS}
"""Depth against F1: repeats table 2."""

TABLE_7 = {
    "resnet18": (Printed(loss=0.798, f1=0.479), Printed(loss=0.532, f1=0.498), Printed(loss=0.19, f1=0.928)),
    "resnet50": (Printed(loss=0.671, f1=0.504), Printed(loss=0.445, f1=0.529), Printed(loss=0.16, f1=0.931)),
    "resnet101": (Printed(loss=0.572, f1=0.521), Printed(loss=0.378, f1=0.542), Printed(loss=0.16, f1=0.933)),
    "resnet152": (Printed(loss=0.558, f1=0.574), Printed(loss=0.281, f1=0.592), Printed(loss=0.08, f1=0.963)),
}
"""Scenarios 1 (plain, scratch), 2 (plain, pretrained) and 3 (residual, pretrained)."""

SCENARIOS = (("plain", "scratch"), ("plain", "pretrained"), ("residual", "pretrained"))
