"""The command that scores many images."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import cyclopts
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from asli.cli.common import (
    OTHER,
    USE,
    AsJson,
    BatchSize,
    Count,
    DetectorName,
    Device,
    FailOn,
    IncludeHidden,
    InLanguage,
    Threads,
    app,
    examples,
)
from asli.datasets.walking import describe
from asli.errors import AsliError, DataError, FoundError
from asli.files import visible

if TYPE_CHECKING:
    from asli.scaling.parts_result import PartsResult
    from asli.scanning.scan_result import ScanResult

SHARDS = Group("Shards, engines and folders of parts", sort_key=50)


scanning = cyclopts.App(
    name="scan",
    group=USE,
    help_epilogue=examples(
        "scan photos album.zip --out scores.parquet --html gallery.html",
        "scan s3://bucket/shards/{000..999}.tar --out s3://bucket/scores/ --shard 3/8",
    ),
)
app.command(scanning)
for flag in ("--help", "--version"):
    scanning[flag].group = OTHER


@scanning.default
def scan(
    paths: Annotated[list[str | Path], Parameter(negative="")],
    *,
    out: Annotated[str | Path, Parameter(name=["--out", "-o"])],
    detector: DetectorName = "default",
    html: Path | None = None,
    batch_size: BatchSize = None,
    force_domain: Annotated[bool, Parameter(negative="")] = False,
    include_hidden: IncludeHidden = False,
    fail_on: FailOn = None,
    as_json: AsJson = False,
    device: Device = None,
    runtime: Literal["torch", "onnx"] | None = None,
    threads: Annotated[
        Count | None, Parameter(help="CPU threads of the network, and as many that decode; all cores by default.")
    ] = None,
    shard: Annotated[str | None, Parameter(group=SHARDS)] = None,
    workers: Annotated[Count | None, Parameter(group=SHARDS)] = None,
    engine: Annotated[Literal["ray"] | None, Parameter(group=SHARDS)] = None,
    address: Annotated[str | None, Parameter(group=SHARDS)] = None,
    part_rows: Annotated[Count | None, Parameter(group=SHARDS)] = None,
    once: Annotated[bool, Parameter(negative="", group=SHARDS)] = False,
    allow_host: Annotated[list[str] | None, Parameter(negative="", group=SHARDS)] = None,
) -> None:
    """Score everything in folders, archives, lists and URLs into a table or a folder of parts. Rerun to resume.

    Args:
        paths: Folders, zip and tar archives, image files, lists of paths (.txt), and Parquet files with images or with
            id,url. URLs work as well (s3://, gs://, az://, hf://, https://).
        out: The table to make, one row per image: Parquet, or CSV if it ends in .csv. A name ending in / or a URL is a
            folder of Parquet parts.
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large.
        html: Also write a page that shows the highest and lowest scores, unsure images and errors.
        force_domain: Also give a verdict on pictures outside the detector's domain.
        runtime: Library that computes; by default ONNX if the detector was exported and ONNX Runtime is installed.
        shard: The share of this process, such as 3/8; /8 takes the number from a Slurm or Kubernetes array job.
        workers: Processes on this machine, or at most on the cluster; by default one, or one per core where there are
            many small files.
        engine: Run all shards on a Ray cluster.
        address: Address of the Ray cluster; by default a cluster on this machine.
        part_rows: Rows of a part, about; 100,000 by default.
        once: Score pictures of the same bytes once in each process.
        allow_host: HOST:PORT with a private address that URLs in lists and tables may lead to; may be repeated.
    """
    given = [str(path) for path in paths]
    sharded = any((shard, engine, address, part_rows, once, allow_host))
    if sharded or _is_folder(str(out)) or any("://" in path for path in given):
        if not _is_folder(str(out)):
            raise DataError(f"URLs, shards and engines write a folder of parts, and {out} is a table; give -o scores/")
        if html is not None:
            raise DataError("--html shows one table; run asli scan merge FOLDER -o scores.parquet first")
        if fail_on is not None:
            raise DataError("--fail-on needs one table; run asli scan merge FOLDER -o scores.parquet and filter it")
        from asli.scaling.sharded import scan_parts

        found = scan_parts(
            given,
            str(out),
            detector,
            shard=shard,
            workers=workers or 1,
            engine=engine,
            address=address,
            force_domain=force_domain,
            include_hidden=include_hidden,
            device=device,
            runtime=runtime,
            threads=threads,
            batch_size=batch_size,
            once=once,
            allow_hosts=allow_host or (),
            **({"part_rows": part_rows} if part_rows else {}),
        )
        _print_parts(found, as_json=as_json)
        return
    from asli.scanning.scan import scan as run

    result = run(
        given,
        Path(out),
        detector,
        html=html,
        batch_size=batch_size,
        force_domain=force_domain,
        include_hidden=include_hidden,
        device=device,
        runtime=runtime,
        threads=threads,
        workers=workers,
    )
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        _print_scan(result, Path(out), html)
    if result.unreadable.count == result.images:
        reason = next(iter(result.unreadable.reasons), "")
        raise DataError(f"none of the {result.images:,} images could be scored ({reason}); see {out}")
    if fail_on == "fake" and (fakes := result.verdicts.get("fake", 0)):
        raise FoundError(f"{fakes:,} of {result.images:,} images were called fake; see {out}")
    if fail_on is not None and (failed := result.unreadable.count):
        raise AsliError(f"{failed:,} of {result.images:,} images could not be scored; see {out}")


@scanning.command(help_epilogue=examples("scan merge s3://bucket/scores/ --out scores.parquet"))
def merge(
    folder: str | Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    ids: str | Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Check that all parts of a scan are there and no id is missing or duplicated; with -o, join them into a table.

    Args:
        folder: The folder of parts, or its URL.
        out: The table to make, Parquet or CSV.
        ids: A Parquet table or list whose ids must equal those of the rows.
    """
    from asli.scaling.merging import merge_parts

    found = merge_parts(folder, out, ids=ids)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    print(f"{found.folder}: complete, {found.images:,} images in {found.parts:,} parts of {found.shards:,} shards")
    print(f"  {found.units:,} units, each read by one process; no id is lost or doubled")
    if found.compared is not None:
        print(f"  the ids are those of {ids}: {found.compared:,}")
    print("  " + "  ".join(f"{verdict} {count:,}" for verdict, count in found.verdicts.items()))
    if found.errors:
        print(f"  with an error {found.errors:,}")
    if out is not None:
        print(f"table: {out}")


def _is_folder(out: str) -> bool:
    return "://" in out or out.endswith(("/", os.sep))


def _print_parts(found: "PartsResult", *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    elif found.images_per_second is None:
        print(f"shard {found.shard} of {found.out} was done before: {found.images:,} images")
    else:
        new, speed = found.images - found.done_before, found.images_per_second
        print(f"shard {found.shard}: {new:,} images in {found.seconds:.1f} s, {speed:,.1f} images/s: {found.out}")
    if not as_json:
        for caveat in found.detector.caveats:
            print(f"  the detector is {caveat}")
        if found.first_error:
            print(f"  with an error {found.errors:,} (first: {visible(found.first_error)})")
        for ending, count in list(found.not_images.items())[:10]:
            print(f"  not scanned, no images: {count:,} {ending}")
        for reason in found.ignored[:5]:
            print(f"  not scanned: {visible(reason)}")
    new = found.images - found.done_before
    if new and found.errors == new:
        raise DataError(f"none of the {new:,} images could be scored (first: {found.first_error}); see {found.out}")


def _print_scan(result: "ScanResult", out: Path, html: Path | None) -> None:
    if result.images_per_second is None:
        print(f"{out} is finished: {result.images:,} images")
    else:
        new = result.images - result.done_before
        print(f"{new:,} images in {result.seconds:.1f} s, {result.images_per_second:,.1f} images/s: {out}")
    print("  " + "  ".join(f"{verdict} {count:,}" for verdict, count in result.verdicts.items()))
    for caveat in result.detector.caveats:
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
    """Serve a page to drop pictures on, and an HTTP API that returns the same as predict --json.

    Args:
        detector: A detector folder, a run folder, hub:owner/name, or default, photo or photo-large; may be
            repeated, to compare.
        host: Address to listen at; the default can be reached from this machine only.
        port: Port to listen at; 0 takes a free one.
        max_mb: Largest request, in megabytes.
        max_images: Most pictures in a request.
        embed_in: Sites that may show this page in a frame, such as https://huggingface.co; none by default.
        token_file: File with the token that requests to the API need; by default the variable ASLI_TOKEN, if it is set.
        access_log: Log each request: method, address, status, bytes and time, never the name of a file.
        runtime: Library that computes; by default ONNX if the detector was exported and ONNX Runtime is installed.
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
