"""Which images there are, and what their names say: label, split, category, generator.

`trees` reads folder names, `tables` reads rows of a table; `names` knows what a name means.
"""

from asli.data.layouts.listing import Entry, Layout, Listing, summary
from asli.data.layouts.names import LABEL_ALIASES, LABELS, SPLIT_ALIASES, SPLITS, LabelNames
from asli.data.layouts.trees import folders

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
