"""The flags that say what a user's own images are, shared by every command that opens them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from asli.cli.common import Share

if TYPE_CHECKING:
    from asli.datasets.cache import OpenOptions, SplitOptions
    from asli.datasets.survey import SurveyOptions

Names = Annotated[list[str] | None, Parameter(negative="")]
Paths = Annotated[list[Path] | None, Parameter(negative="")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Opening:
    """How images are read, and which are used.

    Attributes:
        real: A folder or archive of real images; may be repeated.
        fake: A folder or archive of fake images; may be repeated. With only one of the two, all images have that label.
        layout: How to read the path where several ways fit, for example imagefolder or table (see docs/data.md).
        real_label: A folder name or label value that means real; may be repeated.
        fake_label: A folder name or label value that means fake, for example 1; may be repeated.
        drop: A folder name or label value whose images are not used, for example tampered; may be repeated.
        label_depth: Which folder below the path names the label, 1 being the outermost; by default it is found.
        generator: Generator name for fake images without one.
        include_hidden: Take in hidden files, and those in system and thumbnail folders such as @eaDir.
        split_by: The column of dates, such as release_date: the newest images become the test part.
        holdout: COLUMN=PATTERN: matching images become the test part, for example generator=flux*; may be repeated.
        fractions: Shares of train, validation, calibration and test, such as 60% 10% 15% 15%. Parts named by the
            images are kept. By default the held-out parts of small folders are larger.
    """

    real: Paths = None
    fake: Paths = None
    layout: str | None = None
    real_label: Names = None
    fake_label: Names = None
    drop: Names = None
    label_depth: int | None = None
    generator: str | None = None
    include_hidden: Annotated[bool, Parameter(negative="")] = False
    split_by: str | None = None
    holdout: Names = None
    fractions: Annotated[tuple[Share, Share, Share, Share] | None, Parameter(negative="")] = None

    @property
    def is_pair(self) -> bool:
        """Whether folders are given by their label, and no path."""
        return bool(self.real or self.fake)

    def how(self) -> "OpenOptions":
        """Return the arguments of `asli.open_data`."""
        return {**self.reading(), **self.splitting()}

    def splitting(self, group_by: str | None = None, group_file: Path | None = None) -> "SplitOptions":
        """Return what decides, besides chance, to which part an image belongs."""
        from asli.datasets.division import Division
        from asli.datasets.splits import Shares

        file = None if group_file is None else str(group_file)
        return {
            "division": Division(self.split_by, tuple(self.holdout or ()), group_by, file),
            "fractions": None if self.fractions is None else Shares(*self.fractions),
        }

    def reading(self) -> "SurveyOptions":
        """Return the arguments of `asli.datasets.survey.understand`."""
        from asli.datasets.layouts import LabelNames

        real, fake, drop = (tuple(given or ()) for given in (self.real_label, self.fake_label, self.drop))
        names = LabelNames(real, fake, drop, self.label_depth)
        return {
            "real": self.real or (),
            "fake": self.fake or (),
            "layout": self.layout,
            "labels": names,
            "generator": self.generator,
            "include_hidden": self.include_hidden,
        }


NO_FLAGS = Opening()
