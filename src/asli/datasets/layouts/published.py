"""Published data sets whose numbers of labels have a meaning that their authors state."""

from dataclasses import replace

from asli.datasets.layouts.label_tables import table_layout, usable_tables
from asli.datasets.layouts.labels import LabelNames
from asli.datasets.layouts.layout_registry import Found
from asli.datasets.layouts.listing import Listing


def one_is_fake(names: LabelNames) -> LabelNames:
    """Return the names with 1 as fake, unless the user said what 0 or 1 means."""
    return names if names.label("1") else replace(names, fake=(*names.fake, "1"))


def ntire(found: Found) -> Listing | None:
    """Read NTIRE 2026's robust detection set: `[shard_i/]labels.csv` with `,image_name,label`, images in `images/`.

    0 is real and 1 is generated, says its data card (deepfakesMSU/NTIRE-RobustAIGenDetection-train).
    """
    tables = [name for name in found.others if name.rpartition("/")[2].lower() == "labels.csv"]
    if not tables:
        return None
    usable = usable_tables(found)
    if not usable or not all(is_ntire(known.table.known) for known in usable):
        return None
    return table_layout(replace(found, labels=one_is_fake(found.labels)))


def is_ntire(columns: list[str]) -> bool:
    """Return whether a table has the columns of NTIRE's: a number without a name, `image_name` and `label`."""
    return [column.strip().lower() for column in columns] == ["", "image_name", "label"]


def is_community_forensics(columns: list[str]) -> bool:
    """Return whether a Parquet file has the columns of Community Forensics (arXiv 2411.04125): 1 is generated."""
    return {"image_data", "model_name", "label", "image_name"} <= {column.lower() for column in columns}
