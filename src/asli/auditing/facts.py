"""Facts about the files: counts, unusual files by name, and the file facts of each label side by side."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from asli.auditing.findings import Counts, Oddity
from asli.datasets.folder import DataFolder

GIANT = 20_000_000
"""Pixels from which an image is called giant."""

NAMED = 1000
"""File names kept of each oddity; beyond them the rest is counted."""

COLUMNS = [
    "id",
    "label",
    "split",
    "generator",
    "category",
    "format",
    "mode",
    "width",
    "height",
    "bytes",
    "subsampling",
    "quantization",
    "quality",
    "orientation",
    "has_exif",
    "icc",
    "frames",
    "error",
]


def counts(table: pa.Table) -> Counts:
    """Count readable images per label, by split, generator and category."""
    good = table.filter(pc.is_null(table["error"]))
    labels = good["label"].to_pylist()
    result = {}
    for column in ("split", "generator", "category"):
        pairs = Counter(zip(good[column].to_pylist(), labels, strict=True))
        names = sorted({name for name, _ in pairs if name is not None})
        result[column] = {name: {label: pairs[name, label] for label in ("real", "fake")} for name in names}
    return result


def oddities(table: pa.Table) -> tuple[Oddity, ...]:
    """Name images that are damaged or of an unusual kind, up to `NAMED` of each."""
    mode = pc.fill_null(table["mode"], "")
    area = pc.multiply(pc.cast(table["width"], pa.int64()), pc.cast(table["height"], pa.int64()))
    turned = pc.fill_null(table["orientation"], 1)
    error = pc.fill_null(table["error"], "")
    empty = pc.starts_with(error, "empty file")
    unreadable = pc.and_(pc.is_valid(table["error"]), pc.invert(empty))
    kinds = [
        ("zero bytes", "not used", empty),
        ("corrupt, truncated or refused", "not used", unreadable),
        ("animated", "the first frame is used", pc.greater(pc.fill_null(table["frames"], 1), 1)),
        ("CMYK", "made RGB", pc.equal(mode, "CMYK")),
        ("16 or 32 bits deep", "made 8 bits", pc.match_substring_regex(mode, "^[IF](;|$)|;16")),
        ("transparent", "laid over white", pc.match_substring_regex(mode, "^(RGBA|LA|PA|RGBa|La)(;|$)")),
        ("palette", "made RGB", pc.equal(mode, "P")),
        ("gray", "made RGB", pc.is_in(mode, pa.array(["L", "1"]))),
        ("rotated by EXIF", "turned upright", pc.and_(pc.greater(turned, 1), pc.less(turned, 9))),
        (f"giant (over {GIANT // 10**6} megapixels)", "used", pc.fill_null(pc.greater(area, GIANT), False)),
    ]
    found = []
    for kind, treatment, mask in kinds:
        part = table.filter(mask)
        if not len(part):
            continue
        named = part.slice(0, NAMED)
        names = [
            f"{identity}: {reason}" if reason else identity
            for identity, reason in zip(named["id"].to_pylist(), named["error"].to_pylist(), strict=True)
        ]
        by_label = Counter(part["label"].to_pylist())
        found.append(
            Oddity(
                kind=kind,
                treatment=treatment,
                count=len(part),
                real=by_label["real"],
                fake=by_label["fake"],
                names=tuple(names),
            )
        )
    return tuple(found)


def side_by_side(table: pa.Table) -> dict[str, dict[str, str]]:
    """Describe the file facts of each label and of each generator: fact -> group -> words."""
    good = table.filter(pc.is_null(table["error"]))
    groups = {name: good.filter(pc.equal(good["label"], name)) for name in ("real", "fake")}
    makers = [name for name in pc.unique(good["generator"]).to_pylist() if name is not None]
    if len(makers) > 1:
        groups |= {name: good.filter(pc.equal(good["generator"], name)) for name in sorted(makers)}
    lines: dict[str, dict[str, str]] = {}
    for name, part in groups.items():
        width, height, size = (part[c].to_numpy().astype(np.float64) for c in ("width", "height", "bytes"))
        words = {
            "images": f"{len(part):,}",
            "format": _shares(part["format"]),
            "JPEG tables": _shares(part["quantization"]),
            "JPEG quality": _spread(part["quality"].drop_null().to_numpy()),
            "chroma subsampling": _shares(part["subsampling"]),
            "width": _spread(width),
            "height": _spread(height),
            "width / height": _spread(width / height, 2),
            "mode": _shares(part["mode"]),
            "EXIF": _share_true(part["has_exif"]),
            "color profile": _share_true(part["icc"]),
            "bytes a pixel": _spread(size / (width * height), 3),
        }
        for fact, value in words.items():
            lines.setdefault(fact, {})[name] = value
    return lines


def read(data: DataFolder) -> pa.Table:
    """Return the manifest's columns of file facts."""
    return data.table(COLUMNS)


def _shares(column: pa.ChunkedArray) -> str:
    tally = Counter({line["values"]: line["counts"] for line in column.value_counts().to_pylist()})
    top = tally.most_common(3)
    parts = [f"{value if value is not None else 'none'} {100 * count / len(column):.0f} %" for value, count in top]
    rest = len(tally) - len(top)
    return ", ".join(parts) + (f", {rest} more" if rest else "") if parts else "-"


def _share_true(column: pa.ChunkedArray) -> str:
    known = column.drop_null()
    return f"{100 * np.mean(known.to_numpy()):.0f} %" if len(known) else "-"


def _spread(values: npt.NDArray[np.float64], digits: int = 0) -> str:
    values = values[np.isfinite(values)]  # a table of others may lack some
    if not len(values):
        return "-"
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    if low == high:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"
