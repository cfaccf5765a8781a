"""Write docs/speed.md from speed*.json, gpu_peers.json and growth.json in benchmarks/results.

    python benchmarks/speed_page.py [--check]

`--check` writes nothing and exits with status 1 where the page is not what the results give.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "speed.md"
WORK = {
    "training ResNet-18, 32 px": "training ResNet-18 at 32 px, 32 x 4, float32",
    "training ResNet-18, 32 px, bfloat16": "training ResNet-18 at 32 px, 32 x 4, bfloat16",
    "training ResNet-50, 64 px": "training ResNet-50 at 64 px, 32 x 4, float32",
    "training ResNet-152, 32 px": "training ResNet-152 at 32 px, 32 x 4, float32",
    "scan of 10,000 thumbnails": "10,000 CIFAKE JPEG files, ResNet-18 at 32 px",
    "2,000 thumbnails": "2,000 CIFAKE JPEG files, ResNet-18 at 32 px",
    "300 photographs": "300 photographs and AI pictures, ResNet-50 at 224 px",
    "evaluation of 20,000 images": "evaluation of CIFAKE's test part, ResNet-18 at 32 px",
    "server": "server, 32 px thumbnails, detector `thumbnail`",
}
HEAD = """# Speed

`python benchmarks/speed_page.py` writes this page from the JSON files in `benchmarks/results`. Do not edit it.

Measure your own machine: `make bench` takes minutes, `make bench-full` about an hour. Both need idle cores.
"""


PEERS = (
    "Speeds are images per second, of the server answers per second: median (least to most). The sides take turns, each"
    " in a process of its own. A turn's ratio compares neighbors in time.\n\n"
)


def number(value: float) -> str:
    """Return a figure with three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def processor(machine: dict[str, Any]) -> str:
    """Return the processor and its instructions in words."""
    has = ", ".join(machine["instructions"]).upper()
    return f"{machine['processor']}, {machine['cpus']} CPUs ({machine['architecture']}; {has})"


def about(result: dict[str, Any]) -> str:
    """Return the machine and the versions in a paragraph."""
    ours = sorted({run["asli"] for sides in result["measured"].values() for runs in sides.values() for run in runs})
    libraries = {"asli": " and ".join(ours), **result["versions"]}
    machine, versions = result["machine"], ", ".join(f"{name} {number}" for name, number in libraries.items())
    can = {"avx512_bf16", "amx_bf16"} & {*machine["instructions"]}
    low = "" if can else " It has no bfloat16 arithmetic, so no row uses bfloat16."
    threads = f" `OMP_NUM_THREADS` was {machine['threads']}." if machine["threads"].isdigit() else ""
    return (
        f"{processor(machine)},"
        f" {machine['memory_gb']} GB, no GPU, Python {machine['python']}.{low}{threads}\n\nVersions: {versions}.\n"
    )


def spread(runs: list[dict[str, Any]], key: str = "value") -> str:
    """Return the median, and least to most."""
    values = [run[key] for run in runs]
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))} to {number(max(values))})"


def real_name(runs: list[dict[str, Any]], side: str) -> str:
    """Return what a side was in its turns: a peer's batch size may change when the best one is measured."""
    return ", then ".join(dict.fromkeys(run.get("side", side) for run in runs))


def against_peers(result: dict[str, Any], notes: dict[str, Any]) -> str:
    """Return the table of targets, and the reason for each row below its target."""
    rows, reasons = [], []
    for name, found in result["summary"].items():
        for pair, ratio in found["ratios"].items():
            ours, peer = pair.split(" / ")
            measured, middle, target = result["measured"][name], ratio["median"], ratio["target"]
            distance = "reached" if middle >= target else f"{100 * (target / middle - 1):.0f} % faster needed"
            rows.append(
                [
                    WORK[name],
                    f"{ours}: {spread(measured[ours])}",
                    f"{real_name(measured[peer], peer)}: {spread(measured[peer])}",
                    ", ".join(f"{turn:.2f}" for turn in ratio["turns"]),
                    f"**{middle:.2f}**",
                    f"{target:g}",
                    distance,
                ]
            )
            if middle < target:
                reasons.append(f"- {WORK[name]}, {ours}: {notes['below_target'][f'{name}: {pair}']}")
    head = ["work", "asli", "peer", "ratio by turns", "median", "target", "distance"]
    text = table(head, rows) + "\n" + notes["turns"] + "\n"
    return text + ("\nReasons for rows below their target:\n\n" + "\n".join(reasons) + "\n" if reasons else "")


def every_side(result: dict[str, Any]) -> str:
    """Return the table of all sides, those without a target included."""
    rows = []
    for name, sides in result["measured"].items():
        if name in ("profile", "limits"):
            continue
        far = result["largest_score_difference"].get(name, {})
        for side, runs in sides.items():
            if runs:
                real = real_name(runs, side)
                cpu = number(statistics.median(run["cpu_ms"] for run in runs))
                difference = f"{far[side]:.1e}" if far.get(side) else ""
                others = f"{max(run.get('busy_cpus', 0) for run in runs):.1f}"
                rows.append([WORK.get(name, name), real, str(len(runs)), spread(runs), cpu, others, difference])
    head = [
        "work",
        "side",
        "turns",
        "per second",
        "CPU ms each",
        "CPUs of others",
        "largest difference of a score from the pipeline's",
    ]
    return (
        "## Every measurement\n\nBatch sizes of the peers are chosen in the rows named *batch sizes*. CPU time counts"
        " all threads; of the server, its own only. *CPUs of others* is the most that other processes used.\n\n"
        + table(head, rows)
    )


def server(result: dict[str, Any]) -> str:
    """Return the table of the server's load."""
    sides = result["measured"].get("server", {})
    rows = [
        [
            side,
            spread(runs),
            *(spread(runs, key) for key in ("median_ms", "p99_ms")),
            *(spread(runs, f"{who}_cpu_ms_per_answer") for who in ("server", "client")),
            *(f"{statistics.median(run['cpus_in_use'][who] for run in runs):.2f}" for who in ("server", "clients")),
        ]
        for side, runs in sides.items()
        if runs
    ]
    head = [
        "clients",
        "answers/s",
        "median ms",
        "p99 ms",
        "server CPU ms",
        "client CPU ms",
        "CPUs: server",
        "CPUs: clients",
    ]
    text = "### Server\n\nClients and server share the CPUs. CPU milliseconds are those of an answer.\n\n"
    return text + table(head, rows)


def shares(result: dict[str, Any], notes: dict[str, Any]) -> str:
    """Return where the time of each row goes, beside what the machine can do."""
    measured = result["measured"]
    limits = {side: max(run["value"] for run in runs) for side, runs in measured.get("limits", {}).items() if runs}
    profile = {side: runs[0] for side, runs in measured.get("profile", {}).items() if runs}
    text = "## Where the time goes\n\n"
    if limits:
        decoding = {kind: measured["limits"][f"decoding {kind}"][0] for kind in ("thumbnails", "photographs")}
        text += (
            f"Limits of this machine: {number(limits['GEMM float32'])} GFLOP/s for a product of two float32 matrices"
            f" (torch), {number(limits['GEMM int8'])} GOP/s for 8-bit matrices (ONNX Runtime). Decoding alone (Pillow,"
            " a thread for each CPU): "
            + ", ".join(
                f"{number(limits[f'decoding {kind}'])} {kind}/s (mean {of['megapixels']:.3f} megapixels,"
                f" {of['kilobytes']:.1f} kB)"
                for kind, of in decoding.items()
            )
            + ".\n\n"
        )
    text += training_shares(measured, profile, limits) + scan_shares(measured, profile, limits)
    if "server" in measured:
        text += server(result) + "\n"
    text += "### Faster JPEG decoders\n\n" + notes["decoders"] + "\n\n"
    return text + "### Tried without effect\n\n" + "\n".join(f"- {one}" for one in notes["without_effect"]) + "\n"


def training_shares(measured: dict[str, Any], profile: dict[str, Any], limits: dict[str, float]) -> str:
    """Return the training rows' table."""
    rows = []
    for name, found in profile.items():
        if not name.startswith("training"):
            continue
        speed = statistics.median(run["value"] for run in measured[name]["asli train"])
        rate = speed * found["gflop_per_image"]
        rows.append(
            [
                WORK[name],
                *(f"{100 * share:.0f} %" for share in found["shares"].values()),
                f"{found['stream_ms'] * speed / 10:.1f} %",
                f"{found['gflop_per_image']:.2f}",
                number(rate),
                f"{100 * rate / limits['GEMM float32']:.0f} %",
            ]
        )
    if not rows:
        return ""
    head = [
        "row",
        *next(iter(profile.values()))["shares"],
        "input stream",
        "GFLOP an image",
        "GFLOP/s",
        "of the GEMM peak",
    ]
    return (
        "### Training\n\nThe first five columns are shares of torch's own time, the input stream a share of the wall"
        " time. GFLOP count forward and backward pass.\n\n" + table(head, rows) + "\n"
    )


def scan_shares(measured: dict[str, Any], profile: dict[str, Any], limits: dict[str, float]) -> str:
    """Return the scan and evaluation rows' table of CPU milliseconds an image."""
    rows, of_scan = [], {"thumbnails": "2,000 thumbnails", "photographs": "300 photographs"}
    for kind, row in of_scan.items():
        if kind not in profile or row not in measured:
            continue
        found = profile[kind]
        stages = found["cpu_ms"]
        for side, network, peak in (("onnx", "float32", "GEMM float32"), ("int8", "int8", "GEMM int8")):
            runs = measured[row][f"scan {side}"]
            total = statistics.median(run["cpu_ms"] for run in runs)
            speed = statistics.median(run["value"] for run in runs)
            before = [stages[stage] for stage in ("read, hash", "decode", "resize", "provenance", "domain")]
            alone = stages[f"network, {network}"]
            rate = found["network_images_per_second"][f"network, {network}"] * found["gflop_per_image"]
            rows.append(
                [
                    f"{row}, scan {side}",
                    *(f"{value:.2f}" for value in before),
                    f"{alone:.2f}",
                    f"{max(0.0, total - sum(before) - alone):.2f}",
                    f"{total:.2f}",
                    f"{number(rate)} ({100 * rate / limits[peak]:.0f} %)",
                    f"{100 * speed / limits[f'decoding {kind}']:.1f} %",
                ]
            )
    if not rows:
        return ""
    head = ["row", "read, hash", "decode", "resize", "provenance", "domain check", "network", "table, threads", "all"]
    text = (
        "### Scan\n\nCPU milliseconds of an image; stages were timed one after the other. The network's GFLOP/s are"
        " those of the network alone; the percentage is of the machine's product of matrices.\n\n"
        + table([*head, "network GFLOP/s", "speed against decoding alone"], rows)
        + "\n"
    )
    if "evaluation" in profile and "evaluation of 20,000 images" in measured:
        stages, sides = profile["evaluation"]["cpu_ms"], measured["evaluation of 20,000 images"]
        cpu = {side: statistics.median(run["cpu_ms"] for run in runs) for side, runs in sides.items() if runs}
        text += (
            f"Evaluation: {cpu['asli evaluate']:.2f} CPU ms an image. Of these, the network takes"
            f" {stages['network']:.2f} ({profile['evaluation']['runtime']}) and preparing its input"
            f" {stages['prepare']:.2f}. Metrics, intervals and the search for mistakes take"
            f" {cpu['asli evaluate'] - cpu['asli, scores only']:.2f}.\n\n"
        )
    return text


def on_gpu(result: dict[str, Any], note: str) -> str:
    """Return the table of training and scoring on a GPU beside peers."""
    rows = []
    for name, found in result["summary"].items():
        for pair, ratio in found["ratios"].items():
            ours, peer = pair.split(" / ")
            sides = result["measured"][name]
            turns = ", ".join(f"{turn:.2f}" for turn in ratio["turns"])
            rows.append(
                [
                    name,
                    f"{ours}: {spread(sides[ours])}",
                    f"{peer}: {spread(sides[peer])}",
                    turns,
                    f"**{ratio['median']:.2f}**",
                ]
            )
    machine, versions = result["machine"], ", ".join(f"{name} {one}" for name, one in result["versions"].items())
    return (
        f"## On a GPU\n\n{machine['device']}, {machine['cpus']} CPUs, Python {machine['python']}, {versions}."
        " Images per second. The sides take turns in one process. Training has 32 x 4 images an update.\n\n"
        + table(["work", "asli", "peer", "ratio by turns", "median"], rows)
        + f"\n{note}\n"
    )


def growth(found: dict[str, Any]) -> str:
    """Return time and memory by the number of images."""
    counts = sorted({int(count) for step in found["steps"].values() for count in step})
    rows = []
    for step, by_count in found["steps"].items():
        cells = []
        for count in counts:
            one = by_count.get(str(count))
            cells += (
                [f"{number(one['wall_seconds'])} s", f"{number(one['cpu_seconds'])} s", f"{one['peak_mb']:,.0f} MB"]
                if one
                else ["not measured", "", ""]
            )
        rows.append([step, *cells])
    head = ["command", *(cell for count in counts for cell in (f"{count:,} images: time", "CPU", "peak memory"))]
    threads = found["machine"]["threads"]
    limit = f" with `OMP_NUM_THREADS={threads}`, the larger ones beside other work" if threads.isdigit() else ""
    return (
        "## Growth\n\nThe images are CIFAKE's files; for `domain-study`, distinct crops of 100 to 160 px of larger"
        f" pictures. The detector is `thumbnail`. Measured on {processor(found['machine'])}{limit}."
        " Starting Python and loading libraries are included.\n\n" + table(head, rows)
    )


def page() -> str:
    """Return the page."""
    result = json.loads((RESULTS / "speed.json").read_text())
    older = json.loads((RESULTS / "speed_avx2.json").read_text())
    notes = json.loads((RESULTS / "speed_notes.json").read_text())
    parts = [
        HEAD,
        "## Machine and versions\n\n" + about(result),
        "## Beside peers\n\n" + PEERS + against_peers(result, notes) + "\n" + notes["spin"] + "\n",
        "## Beside peers without AVX-512\n\n" + about(older) + "\n" + against_peers(older, notes["avx2"]),
        every_side(result),
        shares(result, notes),
        on_gpu(gpu := json.loads((RESULTS / "gpu_peers.json").read_text()), notes["gpu"]),
        growth(grown := json.loads((RESULTS / "growth.json").read_text())),
    ]
    parts[-1] += "\n" + "\n".join(f"- {one}" for one in notes["growth"]) + "\n"
    commands = [f"`{one['command']}`" for one in (result, gpu, grown)]
    parts.append("## Commands\n\n" + "\n".join(f"- {command}" for command in commands) + "\n\n" + notes["older"] + "\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        sys.exit(0 if PAGE.read_text() == text else "docs/speed.md is out of date: python benchmarks/speed_page.py")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
