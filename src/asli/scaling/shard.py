"""Which share of a scan a process takes: `--shard i/n`, or what Slurm and Kubernetes state."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from asli.errors import DataError

_GIVEN = re.compile(r"(\d*)/(\d+)")


@dataclass(frozen=True, slots=True)
class Shard:
    """One share of the units of a scan.

    Attributes:
        number: From 1 on.
        of: How many shards there are.
    """

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def divided(self, workers: int) -> list["Shard"]:
        """Return the shards of as many processes, which together have exactly the units of this one."""
        return [Shard(self.number + self.of * worker, self.of * workers) for worker in range(workers)]


def find_shard(given: str | None, environment: Mapping[str, str] = os.environ) -> Shard:
    """Return the share of this process.

    Args:
        given: `i/n`; `/n` takes i from the environment; None takes both, and 1/1 outside of array jobs.
        environment: Slurm's `SLURM_ARRAY_TASK_ID` begins at `SLURM_ARRAY_TASK_MIN`, Kubernetes'
            `JOB_COMPLETION_INDEX` at 0, and Kubernetes states no number of indexes.

    Raises:
        DataError: `given` is no such text, or the environment does not state what it lacks.
    """
    number, of = None, None
    if given is not None:
        found = _GIVEN.fullmatch(given.strip())
        if found is None:
            raise DataError(f"--shard {given} is no share; write it as 3/8, the third of eight, or /8 in an array job")
        number, of = int(found[1]) if found[1] else None, int(found[2])
    if number is None:
        number, count = _stated(environment)
        of = of or count
        if number is None:
            if given is not None:
                raise DataError(f"--shard {given} has no number, and no array job states one; write it as 1{given}")
            return Shard()
        if of is None:
            raise DataError("JOB_COMPLETION_INDEX states no number of shards; give it as --shard /N (1/1 for one)")
    assert of is not None
    if not 1 <= number <= of:
        raise DataError(f"shard {number} of {of} does not exist; shards count from 1, so give --shard 1/{max(of, 1)}")
    return Shard(number, of)


def _stated(environment: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return number, from 1 on, and count of this task in an array job."""

    def number(name: str, default: int | None = None) -> int | None:
        text = environment.get(name, "")
        return int(text) if text.isdecimal() else default

    task = number("SLURM_ARRAY_TASK_ID")
    if task is not None:
        first, step = number("SLURM_ARRAY_TASK_MIN", 0), number("SLURM_ARRAY_TASK_STEP", 1)
        assert first is not None
        place, rest = divmod(task - first, max(step or 1, 1))
        if rest:
            raise DataError("the tasks of this Slurm array have no constant step; give --shard i/n")
        return place + 1, number("SLURM_ARRAY_TASK_COUNT")
    index = number("JOB_COMPLETION_INDEX")
    return (None, None) if index is None else (index + 1, None)
