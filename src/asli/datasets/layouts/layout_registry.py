"""The registry of layouts: each reads one form of data set. A user's package adds its own by an entry point.

    [project.entry-points."asli.layouts"]
    my-lab = "my_package:read"

`read(found)` returns a `Listing`, or None where the files do not have that form.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from asli.datasets.layouts.labels import LabelNames
from asli.datasets.layouts.listing import Listing
from asli.datasets.sources import Files, is_image_of
from asli.errors import AsliError, DataError
from asli.plugins import plugins

logger = logging.getLogger("asli")


@dataclass(frozen=True)
class Found:
    """Files at a path.

    Attributes:
        path: The folder, archive or file.
        source: Reads its files.
        names: Every file that may be read, relative, `/`-separated, sorted.
        labels: What names of labels mean, with what the user said.
    """

    path: Path
    source: Files
    names: Sequence[str]
    labels: LabelNames

    @cached_property
    def images(self) -> list[str]:
        """Return the files that are images, by name or by their first bytes."""
        return [name for name in self.names if is_image_of(self.source, name)]

    @cached_property
    def others(self) -> list[str]:
        """Return the files that are no images."""
        images = set(self.images)
        return [name for name in self.names if name not in images]


Layout = Callable[[Found], Listing | None]
"""Reads what was found, or returns None where it does not have the layout's form.

Raises:
    DataError: It has that form and cannot be understood.
"""


@cache
def registered() -> dict[str, Layout]:
    """Return the layouts of other packages, by name; one that cannot be loaded is a warning: others may fit."""
    found: dict[str, Layout] = {}
    for plugin in plugins("layout"):
        try:
            found[plugin.name] = plugin.load()
        except AsliError as error:
            logger.warning("%s", error)
    return found


def find(name: str, layouts: dict[str, Layout]) -> Layout:
    """Return a layout by its name.

    Raises:
        DataError: There is none.
    """
    try:
        return layouts[name]
    except KeyError:
        raise DataError(f"there is no layout {name!r}; known: {', '.join(layouts)}") from None
