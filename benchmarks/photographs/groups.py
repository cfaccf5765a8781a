"""Write the table of id,group that `asli generalize --group-file` takes, from a manifest of pictures.

Generators and sources get the groups of `families.csv` and `sources.csv`. Pictures outside the development part are
named `unknown`, so `asli generalize` does not use them: the final set stays closed.

    python benchmarks/photographs/groups.py PICTURES/manifest.csv groups.csv
"""

import argparse
import csv
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="CSV with path, label, generator and source")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    with (HERE / "families.csv").open() as stream:
        families = {row["generator"]: (row["family"], row["part"]) for row in csv.DictReader(stream)}
    with (HERE / "sources.csv").open() as stream:
        sources = {row["source"]: (row["group"], row["part"]) for row in csv.DictReader(stream)}
    with given.manifest.open() as stream, given.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "group"])
        for row in csv.DictReader(stream):
            fake = row["label"] == "fake"
            group, part = families[row["generator"]] if fake else sources[row["source"]]
            writer.writerow([row["path"], group if part == "development" else "unknown"])


if __name__ == "__main__":
    main()
