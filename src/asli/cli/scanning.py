"""The command that scores many images."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from asli.cli.common import USE, AsJson, Count, DetectorName, Device, IncludeHidden, InLanguage, Threads, app, examples
from asli.datasets.walking import describe
from asli.errors import DataError
from asli.files import visible

if TYPE_CHECKING:
    from asli.scanning.scan_result import ScanResult


@app.command(group=USE, help_epilogue=examples("scan photos album.zip --out scores.parquet --html gallery.html"))
def scan(
    paths: Annotated[list[Path], Parameter(negative="")],
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    detector: DetectorName = "default",
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
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large.
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
        print(json.dumps(result.to_dict(), indent=2))
    else:
        _print_scan(result, out, html)
    if result.unreadable.count == result.images:
        reason = next(iter(result.unreadable.reasons), "")
        raise DataError(f"none of the {result.images:,} images could be scored ({reason}); see {out}")


def _print_scan(result: "ScanResult", out: Path, html: Path | None) -> None:
    if result.images_per_second is None:
        print(f"{out} is this very scan, done before: {result.images:,} images")
    else:
        new = result.images - result.done_before
        print(f"{new:,} images in {result.seconds:.1f} s, {result.images_per_second:,.1f} images/s: {out}")
    print("  " + "  ".join(f"{verdict} {count:,}" for verdict, count in result.verdicts.items()))
    for caveat in result.detector["caveats"]:
        print(f"  the detector is {caveat}")
    for title, images, reasons in (
        ("outside the domain", result.outside_domain.count, result.outside_domain.reasons),
        ("whose files state where they come from", result.provenance.count, result.provenance.says),
        ("unreadable", result.unreadable.count, result.unreadable.reasons),
    ):
        if reasons:
            print(f"  {title} {images:,}")
            for reason, count in list(reasons.items())[:10]:
                print(f"    {count:>9,}  {visible(reason)}")
    if unknown := result.provenance.not_understood:
        print(f"  with metadata that asli does not interpret {unknown:,} (column provenance)")
    skipped = result.not_images
    if skipped:
        endings = ", ".join(f"{ending} {count:,}" for ending, count in list(skipped.items())[:10])
        print(f"  not scanned, no images: {sum(skipped.values()):,} ({endings})")
    if hidden := describe(Counter(result.hidden)):
        print(f"  {hidden}")
    for reason in result.ignored[:5]:
        print(f"  not scanned: {visible(reason)}")
    if len(result.ignored) > 5:
        print(f"  not scanned: {len(result.ignored) - 5:,} more (see --json)")
    if result.unsafe_entries:
        print(f"  not read, archive entries that would leave their folder: {result.unsafe_entries:,}")
    if html is not None:
        print(f"page: {html}")


@app.command(group=USE, help_epilogue=examples("serve --port 8080"))
def serve(
    *,
    detector: Annotated[list[str] | None, Parameter(negative="")] = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    max_mb: Count = 32,
    max_images: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 64,
    embed_in: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    token_file: Path | None = None,
    access_log: Annotated[bool, Parameter(negative="")] = False,
    language: InLanguage = None,
    device: Device = None,
    runtime: Literal["torch", "onnx"] | None = None,
    threads: Threads = None,
) -> None:
    """Answer over HTTP: a page to drop pictures on, and an API that gives what predict --json gives.

    Args:
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large; may be
            repeated, to compare.
        host: Address to listen at; the default is reached from this machine only.
        port: Port to listen at; 0 takes a free one.
        max_mb: Largest request, in megabytes.
        max_images: Most pictures in a request.
        embed_in: Sites whose pages may show this page within, such as https://huggingface.co; none by default.
        token_file: File with the token that the API then asks for; by default the variable ASLI_TOKEN, if it is set.
        access_log: Log each request: method, address, status, bytes and time, never the name of a file.
        runtime: What computes; ONNX by default where the detector was exported and ONNX Runtime is installed.
    """
    from asli.serving.serve import serve as run

    run(
        detector or ["default"],
        host=host,
        port=port,
        max_bytes=max_mb * 1_000_000,
        max_images=max_images,
        embed_in=embed_in or (),
        token=token_file.read_text(encoding="utf-8").strip() if token_file else os.environ.get("ASLI_TOKEN") or None,
        access_log=access_log,
        language=language,
        device=device,
        runtime=runtime,
        threads=threads,
    )
