"""Several detectors for different kinds of image: the first whose domain holds an image answers for it."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from asli.datasets.images import Facts
from asli.detector.base import Detector
from asli.detector.card import Card
from asli.detector.description import DetectorDescription, MemberSummary
from asli.detector.domain import Domain
from asli.detector.members import Composite, load_members
from asli.detector.runtimes import Kind, Logits, Runtime
from asli.errors import DetectorError
from asli.records import Json
from asli.transforms.preprocessing import Preparation

if TYPE_CHECKING:
    import torch

    from asli.datasets.folder import DataFolder


@dataclass(frozen=True, slots=True)
class Routed:
    """An image prepared for the member that answers.

    Attributes:
        member: Its number.
        prepared: What the member computes on.
        outside: Why the image lies outside every member's domain, or None.
    """

    member: int
    prepared: Any
    outside: str | None = None


class FamilyRuntime:
    """Hands each image to its member's runtime, which is made for the first one: a thumbnail does not wait for torch.

    Args:
        makers: Makes the runtime of each member.
    """

    def __init__(self, makers: Sequence[Callable[[], Runtime]]) -> None:
        self._makers, self._made, self._lock = makers, dict[int, Runtime](), threading.Lock()

    def member(self, number: int) -> Runtime:
        """Return the runtime of a member."""
        with self._lock:
            if number not in self._made:
                self._made[number] = self._makers[number]()
            return self._made[number]

    def make_all(self) -> None:
        """Make the runtimes of all members now."""
        for number in range(len(self._makers)):
            self.member(number)

    def logits(self, prepared: Sequence[Routed]) -> Logits:
        """Return each image's logits by its member, n x 2 (real, fake)."""
        result = np.zeros((len(prepared), 2))
        numbers = np.array([image.member for image in prepared], dtype=np.int64)
        for number in np.unique(numbers).tolist():
            own = np.flatnonzero(numbers == number)
            result[own] = self.member(number).logits([prepared[index].prepared for index in own.tolist()])
        return result


class Family(Composite):
    """Detectors for different inputs, in order; each keeps its own thresholds."""

    kind = "family"

    @classmethod
    def of(cls, members: Mapping[str, Detector]) -> Self:
        """Make a family; its card describes all members' inputs, with the thresholds of the first.

        Raises:
            DetectorError: There are fewer than two members.
        """
        if len(members) < 2:
            raise DetectorError(f"a family needs two members or more, not {len(members)}")
        cards = [member.card for member in members.values()]
        card = replace(
            cards[0],
            domain=Domain.union([card.domain for card in cards]),
            trained_on=replace(cards[0].trained_on, name=", ".join(card.trained_on.name for card in cards)),
            figures={},
            license="; ".join(dict.fromkeys(card.license for card in cards)),
        )
        return cls(members, card)

    @classmethod
    def from_folder(cls, folder: Path, info: Json) -> Self:
        """Open a saved family; see `Detector.from_folder`."""
        return cls(load_members(folder, info["members"]), Card.from_dict(info["card"]))

    @property
    def preparation(self) -> Preparation:
        """Return nothing: images of a data folder go to one member, see `answering_for`.

        Raises:
            DetectorError: Always.
        """
        raise DetectorError(
            "a family has no preprocessing and thresholds of its own: name a member, such as"
            f" {self.folder}/members/{self.member_names[0]}, and combine the family again afterwards"
        )

    @property
    def batch_size(self) -> int:
        """Return how many images are computed at a time: what the largest member takes."""
        return min(member.batch_size for member in self.members.values())

    def prepare(self, pixels: npt.NDArray[np.uint8], facts: Facts) -> Routed:
        """Prepare an image for the first member whose domain holds it; else for the first that takes such files.

        Where none takes them the last member answers, and the reason is that of the member nearest in size.
        """
        fallback = None
        for number, member in enumerate(self.members.values()):
            if member.card.domain.why_file_outside(facts) is None:
                prepared = member.prepare(pixels, facts)
                (reason,) = member.outside([facts], [prepared])
                if reason is None:
                    return Routed(number, prepared)
                fallback = fallback or Routed(number, prepared, reason)
        if fallback is not None:
            return fallback
        domains = [member.card.domain for member in self.members.values()]
        nearest = min(domains, key=lambda domain: domain.size_ratio(facts))
        last = len(self.members) - 1
        prepared = list(self.members.values())[last].prepare(pixels, facts)
        return Routed(last, prepared, nearest.why_file_outside(facts))

    def outside(self, facts: Sequence[Facts], prepared: Sequence[Any]) -> list[str | None]:
        """Return for each prepared image why it lies outside every member's domain, or None."""
        return [image.outside for image in prepared]

    def answering(self, prepared: Any) -> tuple[Detector, str | None, Any]:
        """Return the member that answers for a prepared image, its name, and what it computes on."""
        name = self.member_names[prepared.member]
        leaf, inner, inside = self.members[name].answering(prepared.prepared)
        return leaf, f"{name}/{inner}" if inner else name, inside

    def answering_for(self, data: "DataFolder", split: str) -> Detector:
        """Return the one member that answers for a part of a data folder, by its files' size, format and quality.

        Raises:
            DetectorError: None or several do.
        """
        table = data.table(["format", "width", "height", "quality"], data.rows(split))
        counts: Counter[str | None] = Counter()
        for row in table.to_pylist():
            facts = Facts(**row)
            fitting = (n for n, m in self.members.items() if m.card.domain.why_file_outside(facts) is None)
            counts[next(fitting, None)] += 1
        if len(counts) == 1 and None not in counts:
            (name,) = counts
            return self.members[str(name)].answering_for(data, split)
        found = ", ".join(f"{name or 'none'} {count:,}" for name, count in counts.most_common())
        raise DetectorError(
            f"the images of the {split} part belong to several members of this family ({found});"
            f" evaluate one member at a time: {self.folder}/members/{self.member_names[0]}"
        )

    def runtime(
        self, device: "torch.device | str | None" = None, kind: Kind | None = None, threads: int | None = None
    ) -> FamilyRuntime:
        """Return what computes its logits; see `Detector.runtime`."""
        made = FamilyRuntime([partial(member.runtime, device, kind, threads) for member in self.members.values()])
        if device is not None or kind is not None:
            made.make_all()  # what was asked for and cannot be had is an error before the first image
        return made

    def warm_up(self) -> None:
        """Load every member now; see `Detector.warm_up`."""
        engine = self.engine
        assert isinstance(engine, FamilyRuntime), "a family's runtime"
        engine.make_all()

    def describe(self) -> DetectorDescription:
        """Return what goes beside its scores; each member has its own thresholds."""
        members = {
            name: MemberSummary(hash=one.hash, kind=one.kind, thresholds=one.thresholds)
            for name, one in self.members.items()
        }
        return replace(super().describe(), members=members)
