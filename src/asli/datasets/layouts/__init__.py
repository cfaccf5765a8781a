"""Which images there are, and what their names say: label, split, category, generator.

`trees` reads folder names, `tables` reads rows of a table; `names` knows what a name means.
"""

from asli.datasets.layouts.labels import LABEL_ALIASES, LABELS, SPLIT_ALIASES, SPLITS, LabelNames
from asli.datasets.layouts.listing import Entry, Layout, Listing, summary
from asli.datasets.layouts.trees import folders

__all__ = [
    "LABELS",
    "LABEL_ALIASES",
    "SPLITS",
    "SPLIT_ALIASES",
    "Entry",
    "LabelNames",
    "Layout",
    "Listing",
    "folders",
    "summary",
]
