"""What clients of `asli serve` get when there are many of them: answers, refusals, broken connections, times, memory.

    python benchmarks/serve_load.py [--detector default] [--clients 1 16 128 200] [--seconds 10]
        [--out benchmarks/results/serve_load.json]

Each client is a connection of its own (httpx) that sends one thumbnail, waits for the answer, and sends the next. A
client that is told to come back (503) waits as long as `Retry-After` asks, with `--impatient` not at all. Clients and
server share the machine's CPUs; the CPU time of both is stated. A row of one client is measured before and after the
others. Needs the extra `test`.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from asli.sample import golden_images


async def client(
    url: str, thumbnail: bytes, until: float, counts: Counter[str], took: list[float], patient: bool
) -> None:
    """Send a thumbnail again and again until the time is up."""
    async with httpx.AsyncClient(timeout=120, verify=False) as session:
        while time.perf_counter() < until:
            start = time.perf_counter()
            try:
                answer = await session.post(url, files={"images": ("x.jpg", thumbnail)})
            except httpx.HTTPError as error:
                counts[type(error).__name__] += 1
                continue
            now = time.perf_counter()
            good = answer.status_code == 200 and answer.json()["images"][0]["verdict"] is not None
            told = answer.status_code == 503 and "retry-after" in answer.headers
            counts["200" if good else "503" if told else f"other {answer.status_code}"] += 1
            if good:
                took.append(now - start)
            elif told and patient:
                await asyncio.sleep(min(float(answer.headers["retry-after"]), max(0.0, until - now)))


async def row(url: str, clients: int, seconds: float, server: psutil.Process, patient: bool) -> dict[str, object]:
    """Measure some clients at a time."""
    thumbnails = [data for _, data in golden_images()]
    counts: Counter[str] = Counter()
    took: list[float] = []
    most, before, own, start = 0, cpu_seconds(server), time.process_time(), time.perf_counter()
    until = start + seconds
    tasks = [
        asyncio.create_task(client(url, thumbnails[n % 100], until, counts, took, patient)) for n in range(clients)
    ]
    while not all(task.done() for task in tasks):
        most = max(most, server.memory_info().rss)
        await asyncio.sleep(0.2)
    await asyncio.gather(*tasks)
    elapsed = time.perf_counter() - start
    of_server, own = cpu_seconds(server) - before, time.process_time() - own
    took.sort()
    return {
        "clients": clients,
        "outcomes": dict(counts),
        "answers_per_second": round(len(took) / elapsed, 1),
        "median_ms": round(1000 * statistics.median(took), 1),
        "p99_ms": round(1000 * took[int(0.99 * (len(took) - 1))], 1),
        "most_memory_mb": round(most / 1e6, 1),
        "server_cpu_ms_per_answer": round(1000 * of_server / len(took), 2),
        "client_cpu_ms_per_answer": round(1000 * own / len(took), 2),
        "cpus_in_use": {"server": round(of_server / elapsed, 2), "clients": round(own / elapsed, 2)},
    }


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds that a process has used."""
    used = process.cpu_times()
    return used.user + used.system


@contextmanager
def serving(detector: str) -> Iterator[tuple[str, psutil.Process]]:
    """Start a server; give its address and process."""
    command = [sys.executable, "-m", "asli", "serve", "--detector", detector, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = next(found for line in process.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
        yield found[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def measure(work: Path, shared: Path, case: dict[str, Any], side: str) -> dict[str, Any]:
    """Return the answers a second of a number of clients; a row of `bench.py`."""
    with serving(case["detector"]) as (address, server):
        url = f"{address}/v1/predict"
        asyncio.run(row(url, 1, 1.0, server, patient=True))  # the first answers load the detector
        found = asyncio.run(row(url, int(side.split()[0]), case["seconds"], server, patient=True))
    return {"value": found["answers_per_second"], "cpu_ms": found["server_cpu_ms_per_answer"], **found}


def main() -> None:
    """Start a server, measure, print a line each, write all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="default")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 128, 200])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--impatient", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with serving(asked.detector) as (address, server):
        rows = []
        before = [] if asked.clients[0] == 1 else [1]
        for clients in [*before, *asked.clients, 1]:
            found = row(f"{address}/v1/predict", clients, asked.seconds, server, not asked.impatient)
            rows.append(asyncio.run(found))
            print(json.dumps(rows[-1]), flush=True)
    if asked.out:
        told = {"command": " ".join(["python", "benchmarks/serve_load.py", *sys.argv[1:]]), "rows": rows}
        asked.out.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
