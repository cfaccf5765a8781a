"""A sharded scan on a Ray cluster: Ray Data hands shards to actors and repeats those of lost ones."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asli.errors import AsliError, DataError, MissingExtraError
from asli.scaling.part_folder import PartFolder
from asli.scaling.parts_result import PartsResult
from asli.scaling.shard import Shard
from asli.scaling.sharded import ScanJob, combined

if TYPE_CHECKING:
    from asli.detector.base import Detector

SHARDS_PER_CPU = 8
"""A lost actor costs what it did since the last part of its shard."""

logger = logging.getLogger("asli")


class _ShardActor:
    """Scores shards; the detector stays loaded between them."""

    def __init__(self, job: ScanJob) -> None:
        self._job = job
        self._detector: Detector | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        from asli.detector.base import Detector

        if self._detector is None:
            job = self._job
            self._detector = Detector.load(job.detector, device=job.device, runtime=job.runtime, threads=job.threads)
        results: list[Any] = []
        for number in batch["id"]:
            try:
                results.append(self._job.run(Shard(int(number) + 1, self._job.shards), self._detector))
            except AsliError as error:  # a wrong input stays wrong: no other attempt
                results.append(str(error))
        return {"id": list(batch["id"]), "result": _objects(results)}


def _objects(values: list[Any]) -> Any:
    import numpy as np

    found = np.empty(len(values), dtype=object)
    found[:] = [_packed(value) for value in values]
    return found


def _packed(value: Any) -> str:
    import json

    return json.dumps(value.to_dict() if isinstance(value, PartsResult) else {"error": value})


def run_on_ray(job: ScanJob, given: str | None, *, address: str | None, workers: int | None) -> PartsResult:
    """Run every shard of a scan on a cluster.

    Args:
        job: The scan; every node must reach its inputs, its folder and its detector.
        given: `/n` for the number of shards; None takes that of the parts that are there, or eight for each CPU.
        address: Address of the cluster, or None.
        workers: Actors at most; None takes one for each CPU.

    Raises:
        MissingExtraError: Ray is not installed.
        DataError: `given` is the share of one process.
        AsliError: A shard cannot be scored.
    """
    import json

    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    if given is not None and not (given.startswith("/") and given[1:].isdecimal() and int(given[1:]) > 0):
        raise DataError(f"--shard {given} is the share of one process; with --engine ray give the number, as /200")
    started = not ray.is_initialized()
    if started:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    try:
        resources: dict[str, float] = ray.cluster_resources()
        cpus = max(1, int(resources.get("CPU", 1)))
        there = PartFolder(job.out).parts()
        shards = int(given[1:]) if given else there[0].of if there else SHARDS_PER_CPU * cpus
        job = replace(job, shards=shards, threads=job.threads or 1)
        logger.info("ray: %d shards, %d CPUs in the cluster", shards, cpus)
        numbers = ray.data.from_items([{"id": number} for number in range(shards)], override_num_blocks=shards)
        # Items, since a range takes worker processes of its own. Ray Data restarts lost actors without end by default.
        done = numbers.map_batches(
            _ShardActor,
            fn_constructor_args=(job,),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(workers or cpus, shards)),
        )
        results = []
        for row in done.iter_rows():
            found = json.loads(row["result"])
            if "error" in found:
                raise AsliError(f"shard {int(row['id']) + 1}/{shards}: {found['error']}")
            results.append(PartsResult.from_dict(found))
            logger.info("ray: %d of %d shards are done", len(results), shards)
        return combined(results, f"1/1 in {shards} shards")
    finally:
        if started:
            ray.shutdown()
