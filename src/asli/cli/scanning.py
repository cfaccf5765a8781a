"""The command that scores many images."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from asli.cli.common import AsJson, Count, Device, IncludeHidden, Threads, app
from asli.datasets.walking import describe
from asli.errors import DataError
from asli.files import visible


@app.command
def scan(
    paths: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    detector: str = "default",
    html: Path | None = None,
    force_domain: Annotated[bool, Parameter(negative="")] = False,
    include_hidden: IncludeHidden = False,
    as_json: AsJson = False,
    device: Device = None,
    runtime: Literal["torch", "onnx"] | None = None,
    threads: Annotated[
        Count | None, Parameter(help="CPU threads of the network, and as many that decode; all cores by default.")
    ] = None,
) -> None:
    """Score everything in folders, archives and lists into a table. Rerun to resume.

    Args:
        paths: Folders, zip and tar archives, Parquet files with images inside, lists of paths (.txt) and image files.
        out: The table to make, one row an image: Parquet, or CSV where it ends in .csv.
        detector: A detector folder, a run folder, hub:owner/name, or the bundled one.
        html: Also write a page that shows the highest and lowest scores, unsure images and errors.
        force_domain: Also give a verdict on pictures outside the detector's domain.
        runtime: What computes; ONNX by default where the detector was exported and ONNX Runtime is installed.
    """
    from asli.scanning.scan import scan as run

    result = run(
        paths,
        out,
        detector,
        html=html,
        force_domain=force_domain,
        include_hidden=include_hidden,
        device=device,
        runtime=runtime,
        threads=threads,
    )
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        _print_scan(result, out, html)
    if result["unreadable"]["count"] == result["images"]:
        reason = next(iter(result["unreadable"]["reasons"]), "")
        raise DataError(f"none of the {result['images']:,} images could be scored ({reason}); see {out}")


def _print_scan(result: dict[str, Any], out: Path, html: Path | None) -> None:
    verdicts, outside, unreadable = result["verdicts"], result["outside_domain"], result["unreadable"]
    said = {"count": result["provenance"]["count"], "reasons": result["provenance"]["says"]}
    if result["images_per_second"] is None:
        print(f"{out} is this very scan, done before: {result['images']:,} images")
    else:
        new = result["images"] - result["done_before"]
        print(f"{new:,} images in {result['seconds']:.1f} s, {result['images_per_second']:,.1f} images/s: {out}")
    print("  " + "  ".join(f"{verdict} {count:,}" for verdict, count in verdicts.items()))
    for caveat in result["detector"]["caveats"]:
        print(f"  the detector is {caveat}")
    for title, found in (
        ("outside the domain", outside),
        ("whose files say where they come from", said),
        ("unreadable", unreadable),
    ):
        if found["reasons"]:
            print(f"  {title} {found['count']:,}")
            for reason, count in list(found["reasons"].items())[:10]:
                print(f"    {count:>9,}  {visible(reason)}")
    if unknown := result["provenance"]["not_understood"]:
        print(f"  with metadata that asli does not interpret {unknown:,} (column provenance)")
    skipped = result["not_images"]
    if skipped:
        endings = ", ".join(f"{ending} {count:,}" for ending, count in list(skipped.items())[:10])
        print(f"  not scanned, no images: {sum(skipped.values()):,} ({endings})")
    if hidden := describe(Counter(result["hidden"])):
        print(f"  {hidden}")
    for reason in result["ignored"][:5]:
        print(f"  not scanned: {visible(reason)}")
    if len(result["ignored"]) > 5:
        print(f"  not scanned: {len(result['ignored']) - 5:,} more (see --json)")
    if result["unsafe_entries"]:
        print(f"  not read, archive entries that would leave their folder: {result['unsafe_entries']:,}")
    if html is not None:
        print(f"page: {html}")


@app.command
def serve(
    *,
    detector: str = "default",
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    max_mb: Count = 32,
    max_images: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 64,
    embed_in: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    device: Device = None,
    runtime: Literal["torch", "onnx"] | None = None,
    threads: Threads = None,
) -> None:
    """Answer over HTTP: a page to drop pictures on, and an API that gives what predict --json gives.

    Args:
        detector: A detector folder, a run folder, hub:owner/name, or the bundled one.
        host: Address to listen at; the default is reached from this machine only.
        port: Port to listen at; 0 takes a free one.
        max_mb: Largest request, in megabytes.
        max_images: Most pictures in a request.
        embed_in: Sites whose pages may show this page within, such as https://huggingface.co; none by default.
        runtime: What computes; ONNX by default where the detector was exported and ONNX Runtime is installed.
    """
    from asli.serving.serve import serve as run

    run(
        detector,
        host=host,
        port=port,
        max_bytes=max_mb * 1_000_000,
        max_images=max_images,
        embed_in=embed_in or (),
        device=device,
        runtime=runtime,
        threads=threads,
    )
