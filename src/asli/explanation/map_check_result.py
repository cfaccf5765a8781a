"""Result of the check of a map, apart from its computation, which needs scipy: a server describes it at its start."""

from dataclasses import dataclass

from asli.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class MapAndRandom(Record):
    """Mean log-odds of the more likely label over all steps.

    Attributes:
        map: In the map's order.
        random: Mean over random orders.
    """

    map: float
    random: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCheck(Record):
    """Whether a map marks what changes the score. A good map makes `deletion` low and `insertion` high.

    Attributes:
        deletion: While cells are removed.
        insertion: While cells are put back.
        orders: Random orders that the map was compared with.
        beats: Share of them whose difference of insertion and deletion the map exceeds.
        needed: Share that it must exceed.
        holds: Whether it does, and is unlike maps of random weights.
        likeness_to_random: Rank correlation with maps of networks of random weights; None where there are none.
    """

    deletion: MapAndRandom
    insertion: MapAndRandom
    orders: int
    beats: float
    needed: float
    holds: bool
    likeness_to_random: float | None = None
