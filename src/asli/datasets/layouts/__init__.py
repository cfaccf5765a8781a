"""Find images and their label, split, category, generator, source, prompt and date.

`trees` and `imagefolder` read folder names, `tables` reads tables, and `webdataset` reads tar shards. `published` has
data sets whose labels are numbers. `registry` takes layouts of other packages. `labels` holds the meaning of names.
"""

from asli.datasets.layouts.labels import LABEL_ALIASES, LABELS, SPLIT_ALIASES, SPLITS, LabelNames
from asli.datasets.layouts.listing import Entry, Listing, summary
from asli.datasets.layouts.trees import folders

__all__ = [
    "LABELS",
    "LABEL_ALIASES",
    "SPLITS",
    "SPLIT_ALIASES",
    "Entry",
    "LabelNames",
    "Listing",
    "folders",
    "summary",
]
