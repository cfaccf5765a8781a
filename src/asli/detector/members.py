"""Common code of ensembles and families: members, each a detector in its own folder inside theirs."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asli.detector.base import Detector
from asli.detector.card import Card
from asli.detector.description import DetectorDescription, MemberSummary
from asli.detector.kinds import load_folder
from asli.detector.model_card import model_card
from asli.detector.store import CARD, INFO, MEMBERS, became, describe_in, rewriting
from asli.errors import DetectorError
from asli.records import Json


class Composite(Detector):
    """A detector made of others.

    Attributes:
        members: Members by name, in their order.
    """

    template = "members_card.md.j2"

    def __init__(self, members: Mapping[str, Detector], card: Card) -> None:
        super().__init__(card)
        self.members = dict(members)

    @property
    def member_names(self) -> list[str]:
        """Return the members' names, in their order."""
        return list(self.members)

    @property
    def name(self) -> str:
        """Return its kind and its members."""
        return f"{self.kind} of {', '.join(self.members)}"

    @property
    def training_images(self) -> npt.NDArray[np.uint64] | None:
        """Return `DataFolder.keys` of the images any member was trained on; None where one did not record them."""
        known = [member.training_images for member in self.members.values()]
        kept = [images for images in known if images is not None]
        return np.unique(np.concatenate(kept)) if len(kept) == len(known) else None

    @property
    def has_onnx(self) -> bool:
        """Return whether ONNX Runtime can compute every member."""
        return all(member.has_onnx for member in self.members.values())

    def own_settings(self) -> Json:
        """Return what this kind adds to `detector.json`."""
        return {}

    def save(self, folder: str | Path) -> None:
        """Write it with copies of its members, all at once."""
        with rewriting(folder, keep=False) as part:
            for name, member in self.members.items():
                if member.folder is None:
                    raise DetectorError(f"member '{name}' is not saved; save it first")
                for file in member.files():
                    target = part / MEMBERS / name / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(member.folder / file, target)
            hashes = {name: member.hash for name, member in self.members.items()}
            info = describe_in(self, part, {"members": hashes, **self.own_settings()})
        became(self, folder, info)

    def files(self) -> list[str]:
        """Return the paths of its files and its members', after comparing them with `detector.json`."""
        own = [CARD, INFO]
        return own + [f"{MEMBERS}/{name}/{file}" for name, member in self.members.items() for file in member.files()]

    def model_card(self, measured: Json | None = None) -> str:
        """Return the model card, in Markdown."""
        return model_card(self.template, detector=self, card=self.card, hash=self.hash, measured=measured)

    def describe(self) -> DetectorDescription:
        """Return what goes beside its scores, with its members."""
        members = {name: MemberSummary(hash=one.hash, kind=one.kind) for name, one in self.members.items()}
        return replace(super().describe(), members=members)


def load_members(folder: Path, hashes: Mapping[str, str | None]) -> dict[str, Detector]:
    """Open the members of a saved detector.

    Raises:
        DetectorError: One is missing, or not the one that `detector.json` names.
    """
    members = {}
    for name, expected in hashes.items():
        place = folder / MEMBERS / name
        if not (place / INFO).is_file():
            raise DetectorError(f"{place} is missing; fetch or combine the detector again")
        members[name] = load_folder(place)
        if members[name].hash != expected:
            raise DetectorError(f"{place} is not the member that detector.json names; combine the detector again")
    return members


def member_names(detectors: Sequence[Detector]) -> list[str]:
    """Return a name for each detector, from its folder or architecture; equal ones are numbered."""
    names: list[str] = []
    for detector in detectors:
        folder = detector.folder.resolve() if detector.folder else None
        if folder is None:
            base = detector.name
        else:
            base = folder.parent.name if folder.name == "detector" else folder.name
        base = "".join(c if c.isalnum() or c in "-_." else "-" for c in base).strip(".") or "member"
        count = sum(name == base or name.startswith(f"{base}-") for name in names)
        names.append(base if base not in names else f"{base}-{count + 1}")
    return names
