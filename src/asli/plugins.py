"""What other packages add, each declared as an entry point: metrics, checks, layouts, networks, kinds of detectors."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from asli.errors import AsliError


@dataclass(frozen=True, slots=True)
class Plugin:
    """A part that another package declares; it is not imported yet.

    Attributes:
        what: What it is: metric, check, layout, network or detector.
        point: The entry point that declares it.
    """

    what: str
    point: EntryPoint

    @property
    def name(self) -> str:
        """Return the name it is declared under."""
        return self.point.name

    @property
    def package(self) -> str:
        """Return the package that declares it, for messages."""
        return f"package {self.point.dist.name}" if self.point.dist else "an unnamed package"

    def load(self, kind: type | None = None) -> Any:
        """Import it.

        Args:
            kind: What it must be an instance of.

        Raises:
            AsliError: It cannot be imported, or is something else.
        """
        try:
            found = self.point.load()
        except Exception as error:  # another package may raise anything
            raise AsliError(
                f"{self.what} '{self.name}' of {self.package} cannot be loaded ({type(error).__name__}: {error});"
                " repair or uninstall that package"
            ) from error
        if kind is not None and not isinstance(found, kind):
            raise AsliError(f"entry point '{self.point.value}' of {self.package} is no asli {kind.__name__}")
        return found


def plugins(what: str) -> list[Plugin]:
    """Return what installed packages declare in an entry point group, by name.

    Args:
        what: `metric` for the group `asli.metrics`, and so on.
    """
    return sorted((Plugin(what, point) for point in entry_points(group=f"asli.{what}s")), key=lambda found: found.name)
