"""Result of a domain study, as records, as text, and as the part that a detector's card keeps."""

from dataclasses import dataclass
from typing import Any, Literal

from asli.evaluation.described import DetectorSummary
from asli.metrics.estimate import Estimate
from asli.notebook import html_text
from asli.records import Record, plain

PHOTOGRAPHS = "photographs"
"""Source of all real pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyData(Record):
    """The pictures of a study.

    Attributes:
        name: Name of the data folder.
        hash: Hash of the data folder.
        pictures: How many are large enough.
        too_small: How many are not.
    """

    name: str
    hash: str
    pictures: int
    too_small: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRates(Record):
    """Shares of the pictures of one source through one kernel.

    Attributes:
        called_fake: At the saved threshold.
        called_fake_with_rule: The same, without those that the domain rule holds back.
        outside: Held back by the domain rule.
    """

    called_fake: Estimate
    called_fake_with_rule: Estimate
    outside: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelResult(Record):
    """Pictures through one kernel.

    Attributes:
        sources: Shares by source: photographs, and each generator.
        auroc: Against the photographs, of all fakes and of each generator; None where there is nothing to rank.
    """

    sources: dict[str, SourceRates]
    auroc: dict[str, Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms(Record):
    """How far false alarms on photographs move between kernels; None where there are no photographs.

    Attributes:
        spread: Highest minus lowest share.
        spread_antialiased: The same without nearest.
        lowest: Kernel with the lowest share.
        highest: Kernel with the highest share.
    """

    spread: float | None = None
    spread_antialiased: float | None = None
    lowest: str | None = None
    highest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DomainStudy(Record):
    """Verdicts on ordinary pictures, shrunk by every kernel.

    Attributes:
        version: Version of this structure.
        detector: The detector.
        threshold: Fake from here on.
        data: The pictures.
        encoding: How the small pictures were encoded.
        kernels: Results by kernel.
        false_alarms: How far they move between kernels.
    """

    version: Literal[1] = 1
    detector: DetectorSummary
    threshold: float
    data: StudyData
    encoding: str
    kernels: dict[str, KernelResult]
    false_alarms: FalseAlarms

    def __repr__(self) -> str:
        return self.describe()

    def _repr_html_(self) -> str:
        return html_text(self.describe())

    def describe(self) -> str:
        """Return the study as a table for a person."""
        of_kernels = list(self.kernels.values())
        lines = [
            f"{self.data.pictures:,} pictures of {self.data.name}, shrunk by each kernel, {self.encoding};",
            f"share called fake at the saved threshold {self.threshold:.4f}, in brackets with the domain rule:",
            f"{'':<28}{'n':>5}" + "".join(f"{name:>14}" for name in self.kernels),
        ]
        for source in of_kernels[0].sources:
            cells = [kernel.sources[source] for kernel in of_kernels]
            shares = [f"{c.called_fake.value:.2f} ({c.called_fake_with_rule.value:.2f})" for c in cells]
            lines.append(f"{source:<28}{cells[0].called_fake.n:>5}" + "".join(f"{share:>14}" for share in shares))
        ranked = [group for group, area in of_kernels[0].auroc.items() if area is not None]
        if ranked:
            lines.append("AUROC within each kernel, against the photographs:")
        for group in ranked:
            areas = [area.value for kernel in of_kernels if (area := kernel.auroc[group]) is not None]
            lines.append(f"{group:<33}" + "".join(f"{area:>14.3f}" for area in areas))
        alarms = self.false_alarms
        if alarms.spread is not None:
            ends = f"{alarms.lowest} to {alarms.highest}; without nearest by {alarms.spread_antialiased:.2f}"
            lines.append(f"false alarms move by {alarms.spread:.2f} with the kernel alone ({ends})")
        return "\n".join(lines)

    def for_card(self) -> dict[str, Any]:
        """Return what of the study a detector's card keeps: its tables, kernels as columns."""
        of_kernels = list(self.kernels.values())
        sources = []
        for source in sorted(of_kernels[0].sources, key=lambda name: (name != PHOTOGRAPHS, name)):
            rates = [kernel.sources[source] for kernel in of_kernels]
            sources.append(
                {
                    "name": source,
                    "n": rates[0].called_fake.n,
                    "called_fake": [rate.called_fake for rate in rates],
                    "called_fake_with_rule": [rate.called_fake_with_rule for rate in rates],
                }
            )
        kept: dict[str, Any] = plain(
            {
                "data": self.data,
                "encoding": self.encoding,
                "threshold": self.threshold,
                "kernels": list(self.kernels),
                "sources": sources,
                "auroc": [kernel.auroc.get("all fakes") for kernel in of_kernels],
                "spread": self.false_alarms.spread,
                "spread_antialiased": self.false_alarms.spread_antialiased,
            }
        )
        return kept
