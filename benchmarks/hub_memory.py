"""Peak memory of taking a hub data set of many images to a data folder: download, read, pack.

    python benchmarks/hub_memory.py SOURCE [--images 2000 20000] [--out benchmarks/results/hub_memory.json]

SOURCE is a folder of CIFAKE's zips. Its images are put into one Parquet file with one row group (the worst case for
memory), served on localhost in the hub's protocol and fetched by `asli data cifake DIR --hub`, in a process of its own
with an empty cache.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from asli.datasets.archived import open_source

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.datasets.servers import Hub, Shop, serving

RUN = """
import sys
from asli.cli import main
main(sys.argv[1:])
with open("/proc/self/status") as lines:
    print(next(line for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""


def parquet_of(source: Path, images: int) -> bytes:
    """Put every so-many-th image of CIFAKE into one Parquet file."""
    files = open_source(source)
    names = files.names()
    names = names[:: len(names) // images][:images]
    table = pa.table(
        {
            "image": [{"bytes": files.read(name), "path": name.rpartition("/")[2]} for name in names],
            "label": [name.split("/")[-2] for name in names],
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=len(names), compression="none")
    return stream.getvalue()


def measure(data: bytes, commit: str) -> dict[str, object]:
    shop = Shop({"data/train-00000-of-00001.parquet": data})
    with tempfile.TemporaryDirectory() as place, serving(Hub, shop, revisions={"main": commit, commit: commit}) as hub:
        done = subprocess.run(
            [sys.executable, "-c", RUN, "data", "cifake", f"{place}/out", "--hub", "owner/mirror"],
            env={**os.environ, "HF_ENDPOINT": hub, "HF_HOME": f"{place}/cache", "HF_HUB_OFFLINE": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stderr)
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", done.stderr)[1])
        said = done.stdout.splitlines()[0]
        return {"peak_mb": round(peak / 1024), "file_mb": round(len(data) / 1e6, 1), "said": said}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = {"command": "python benchmarks/hub_memory.py SOURCE", "images": {}}
    for images in options.images:
        result["images"][str(images)] = measure(parquet_of(options.source, images), "c" * 40)
        print(images, result["images"][str(images)], flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
