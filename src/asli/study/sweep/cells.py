"""A sweep as data: a cell is a recipe, a run is a cell with a seed."""

import dataclasses
import fnmatch
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from asli.errors import RecipeError
from asli.recipe import Recipe, load_recipe

Start = Literal["pretrained", "scratch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A recipe of a sweep.

    Attributes:
        name: Unique in its grid, and the name of its folders.
        shows: Tables and figures it appears in.
        says: What it is, for a person.
        network: Network, as in a recipe.
        start: Where training starts.
        settings: In place of the base recipe's.
        against: The cell it differs from in one setting, where that is its purpose.
        seeds: Runs of this cell at most; None takes the sweep's number.
        after: Rounds by which its first run waits, so that the most important cells have several seeds early.
    """

    name: str
    shows: tuple[str, ...]
    says: str
    network: str
    start: Start
    settings: tuple[str, ...] = ()
    against: str | None = None
    seeds: int | None = None
    after: int = 0


AnyCell = TypeVar("AnyCell", bound=Cell)


def recipe_of(base: str, cell: Cell, seed: int, start: str) -> Recipe:
    """Return the recipe of a run.

    Where a cell trains on a sample, its seed draws the sample too: what is found then holds for other samples.

    Args:
        base: Name of the base recipe.
        cell: What differs from it.
        seed: Seed of the run.
        start: `weights.start`.
    """
    settings = [f"model.name={cell.network}", f"weights.start={json.dumps(start)}", *cell.settings]
    recipe = load_recipe(base, [*settings, f"loop.seed={seed}"])
    if not recipe.data.sample:
        return recipe
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, sample_seed=seed))


def chosen(known: Sequence[AnyCell], only: Sequence[str] = ()) -> list[AnyCell]:
    """Return the cells that `--only` names: by name or pattern, or by what they show, as `table7` or `figure-8`.

    Raises:
        RecipeError: A name fits no cell.
    """
    taken = set()
    for wanted in only:
        plain = "".join(c for c in wanted.lower() if c.isalnum())
        found = [
            cell.name
            for cell in known
            if fnmatch.fnmatchcase(cell.name, wanted) or plain in {show.replace(" ", "") for show in cell.shows}
        ]
        if not found:
            raise RecipeError(
                f"no cell named '{wanted}' in this budget; give a name that --plan lists, a pattern such as 'plain-*',"
                " or a table or figure such as table7"
            )
        taken.update(found)
    return [cell for cell in known if not only or cell.name in taken]


def seeds_of(cell: Cell, seeds: int) -> list[int]:
    """Return the seeds of a cell's runs: 1, 2, ... up to `seeds`, or to the cell's own number where that is smaller."""
    return list(range(1, 1 + min(seeds, cell.seeds or seeds)))


def runs_of(cells: Sequence[AnyCell], seeds: int) -> list[tuple[AnyCell, int]]:
    """Return all runs in the order in which they are made: seed after seed, later cells `after` rounds later."""
    todo = [(cell, seed) for cell in cells for seed in seeds_of(cell, seeds)]
    return sorted(todo, key=lambda run: run[1] + run[0].after)
