"""What a sharded scan goes through: pictures, and the units they come in."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ROWS = 1000
"""Pictures in a unit of what can be read at any place: zip archives, lists, tables of URLs."""


@dataclass(slots=True)
class Picture:
    """One picture of a sharded scan.

    Attributes:
        id: ID, as in the table.
        path: Path, as in the table.
        data: Its bytes, where they are at hand.
        load: Returns its bytes, where they are not.
        error: Why it has no bytes.
        place: Number of its unit among the shard's own, and of the next picture in it.
        stamp: State of the file that the unit is in; a scan resumes within an unchanged file only.
    """

    id: str
    path: str
    data: bytes | None = None
    load: Callable[[], bytes] | None = None
    error: str | None = None
    place: tuple[int, int] = (0, 0)
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of work of one process: a shard, a row group, or some rows of a larger file.

    Attributes:
        name: The same in every process; its hash decides which shard of the scan it belongs to.
        pictures: Yields its pictures from one on, in an order that stays.
    """

    name: str
    pictures: Callable[[int], Iterator[Picture]]


@dataclass(slots=True)
class PictureTally:
    """Contents that have no row.

    Attributes:
        skipped: Files that are no images, by ending.
        hidden: Hidden and system files, by what they are left out for.
        ignored: Damaged parts, each with its reason.
        unsafe: Entries of archives that would leave their folder, never read.
    """

    skipped: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)
    ignored: list[str] = field(default_factory=list)
    unsafe: int = 0


class Pictures:
    """Gives the bytes and names of pictures to what reads and scores a local scan."""

    def read(self, item: Picture) -> bytes:
        """Return a picture's bytes.

        Raises:
            OSError: It has none, or they cannot be read.
        """
        if item.error is not None:
            raise OSError(item.error)
        if item.data is not None:
            return item.data
        if item.load is None:
            raise OSError("the row holds neither image bytes nor a URL")
        return item.load()

    def ids(self, item: Picture) -> tuple[str, str]:
        """Return a picture's id and path."""
        return item.id, item.path
