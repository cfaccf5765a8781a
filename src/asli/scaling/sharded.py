"""Score inputs by URL, or a share of them, into a folder of parts: the function behind `asli scan -o FOLDER/`."""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from asli.detector.base import Detector
from asli.detector.locate import DEFAULT
from asli.detector.runtimes import Kind
from asli.errors import AsliError, DataError, DetectorError, Interrupted, RunError
from asli.scaling.input_sources import Sources
from asli.scaling.part_folder import PART_ROWS, PartFolder
from asli.scaling.parts_result import PartsResult
from asli.scaling.scan_shard import scan_shard
from asli.scaling.shard import Shard, find_shard
from asli.signals import stop_on_signal
from asli.threads import usable_cpus


@dataclass(frozen=True, slots=True)
class ScanJob:
    """A sharded scan as plain values, so that it can be sent to other processes.

    Attributes:
        paths: Paths and URLs.
        out: The folder of parts.
        detector: Its folder or name.
        hash: Hash of the detector; another one under its name is refused.
        shards: Processes that share the work.
    """

    paths: tuple[str, ...]
    out: str
    detector: str
    hash: str | None
    shards: int
    batch_size: int | None = None
    force_domain: bool = False
    include_hidden: bool = False
    device: str | None = None
    runtime: Kind | None = None
    threads: int | None = None
    part_rows: int = PART_ROWS
    once: bool = False
    allow_hosts: tuple[str, ...] = ()

    def run(self, shard: Shard, detector: Detector | None = None) -> PartsResult:
        """Score one shard in this process.

        Raises:
            DetectorError: The detector is another one here.
        """
        if detector is None:
            detector = Detector.load(self.detector, device=self.device, runtime=self.runtime, threads=self.threads)
        if detector.hash != self.hash:
            raise DetectorError(f"{self.detector} is another detector on this machine; copy the same one there")
        sources = Sources(
            self.paths, shards=self.shards, include_hidden=self.include_hidden, allow_hosts=self.allow_hosts
        )
        return scan_shard(
            sources,
            PartFolder(self.out),
            detector,
            shard,
            batch_size=self.batch_size,
            threads=self.threads,
            force_domain=self.force_domain,
            part_rows=self.part_rows,
            once=self.once,
        )


def scan_parts(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    detector: str | Path | Detector = DEFAULT,
    *,
    shard: str | None = None,
    workers: int = 1,
    engine: Literal["ray"] | None = None,
    address: str | None = None,
    batch_size: int | None = None,
    force_domain: bool = False,
    include_hidden: bool = False,
    device: str | None = None,
    runtime: Kind | None = None,
    threads: int | None = None,
    part_rows: int = PART_ROWS,
    once: bool = False,
    allow_hosts: Sequence[str] = (),
) -> PartsResult:
    """Score pictures into a folder of Parquet parts; repeat a call that was cut to resume it.

    Args:
        paths: Paths and URLs of tar shards, zip archives, Parquet files (image bytes, or `id,url`), lists (`.txt`),
            pictures and local folders. `{000..999}` in a URL stands for as many.
        out: The folder, local or by URL.
        detector: A saved detector, its folder, a run folder, `hub:owner/name[@revision]`, or `default`.
        shard: `i/n`, `/n` to take i from an array job, or None to take both; with an engine, `/n`.
        workers: Processes here, each with a share of the shard; with an engine, its processes at most.
        engine: `ray` runs the shards on a Ray cluster.
        address: Address of the cluster; None starts one on this machine or takes what `RAY_ADDRESS` states.
        batch_size: Images computed at a time; None chooses by input size.
        force_domain: Give a verdict on images outside the detector's domain too.
        include_hidden: Also score hidden files and those in system and thumbnail folders.
        device: cuda, mps or cpu; None leaves it to the runtime.
        runtime: torch or onnx; None takes ONNX where there is nothing against it.
        threads: CPU threads of the network in each process; None shares the cores.
        part_rows: Rows of a part, about.
        once: Score pictures of the same bytes once in each process.
        allow_hosts: `host:port` of private servers that URLs in data may lead to.

    Raises:
        DataError: An input or the shard is wrong.
        RunError: The folder holds another scan, or a process was killed.
        DetectorError, MissingExtraError: The detector, a store or the engine cannot be used.
        Interrupted: Ctrl-C or SIGTERM; what was scored is kept.
    """
    given = [paths] if isinstance(paths, (str, Path)) else paths
    if isinstance(detector, Detector):
        if detector.folder is None:
            raise DetectorError("this detector was not saved; save it where every process can read it")
        opened, name = detector, str(detector.folder)
    else:
        opened, name = Detector.load(detector, device=device, runtime=runtime, threads=threads), str(detector)
    job = ScanJob(
        paths=tuple(map(str, given)),
        out=str(out),
        detector=name,
        hash=opened.hash,
        shards=1,
        batch_size=batch_size,
        force_domain=force_domain,
        include_hidden=include_hidden,
        device=device,
        runtime=runtime,
        threads=threads,
        part_rows=part_rows,
        once=once,
        allow_hosts=tuple(allow_hosts),
    )
    Sources(job.paths, include_hidden=include_hidden, allow_hosts=allow_hosts)  # wrong inputs are refused here
    if engine == "ray":
        from asli.scaling.ray_engine import run_on_ray

        return run_on_ray(job, shard, address=address, workers=workers if workers > 1 else None)
    if address is not None:
        raise DataError("--address is that of a Ray cluster; give --engine ray too")
    own = find_shard(shard)
    job = replace(job, shards=own.of * workers)
    if workers == 1:
        return job.run(own, opened)
    job = replace(job, threads=threads or max(1, usable_cpus() // workers))
    return combined(_in_processes(job, own.divided(workers)), str(own))


def combined(results: Sequence[PartsResult], shard: str) -> PartsResult:
    """Return the results of several shards as one."""
    seconds = max(result.seconds for result in results)
    images, before = sum(r.images for r in results), sum(r.done_before for r in results)
    skipped: dict[str, int] = {}
    for result in results:
        for ending, count in result.not_images.items():
            skipped[ending] = skipped.get(ending, 0) + count
    return replace(
        results[0],
        shard=shard,
        images=images,
        errors=sum(r.errors for r in results),
        first_error=next((r.first_error for r in results if r.first_error), None),
        parts=sum(r.parts for r in results),
        done_before=before,
        not_images=skipped,
        ignored=[reason for r in results for reason in r.ignored],
        seconds=seconds,
        images_per_second=(images - before) / seconds if images > before else None,
    )


def _in_processes(job: ScanJob, shards: Sequence[Shard]) -> list[PartsResult]:
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[Any, Shard]] = {}
    for shard in shards:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job, shard, theirs), name=f"asli-{shard}")
        process.start()
        theirs.close()
        running[ours] = process, shard
    results: list[PartsResult] = []
    failed: AsliError | None = None
    with stop_on_signal() as stop:
        told = False
        while running:
            if (stop.requested or failed) and not told:
                told = True
                for process, _ in running.values():
                    process.terminate()  # asks: each writes what it has
            for ready in wait(list(running), timeout=0.2):
                assert isinstance(ready, Connection)
                process, shard = running.pop(ready)
                try:
                    answer = ready.recv()
                except EOFError:
                    answer = None
                process.join()
                if isinstance(answer, PartsResult):
                    results.append(answer)
                elif not told:
                    reason = answer or f"its process ended with status {process.exitcode}; rerun to resume"
                    failed = failed or RunError(f"shard {shard}: {reason}")
    if failed:
        raise failed
    if stop.requested:
        raise Interrupted(f"stopped; what was scored is in {job.out}; rerun to resume")
    return results


def _work(job: ScanJob, shard: Shard, answer: Connection) -> None:
    import logging

    os.environ["OMP_NUM_THREADS"] = str(job.threads or 1)  # before torch is loaded
    logger = logging.getLogger("asli")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.StreamHandler())
    try:
        answer.send(job.run(shard))
    except AsliError as error:
        answer.send(str(error))
