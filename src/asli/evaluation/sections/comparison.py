"""A comparison as a section of the report: every claim with its interval, and which of them hold."""

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from asli.reports.kit import Picture, Section, Table
from asli.reports.plots import INK, REAL, STYLE

NAMES = {"f1": "F1", "accuracy": "accuracy", "auroc": "AUROC"}


def comparison_section(part: dict[str, Any]) -> Section:
    """Return the section of what `metrics.json` holds under `comparison`."""
    this = part["detectors"][0]
    detectors = Table(
        caption="Detectors, each at its own saved threshold",
        columns=["detector", "seed", "threshold", *NAMES.values(), "hash"],
        rows=[
            [
                line["name"],
                "" if line["seed"] is None else str(line["seed"]),
                f"{line['threshold']:.4f}",
                *(f"{line['figures'][key]:.4f}" for key in NAMES),
                (line["hash"] or "")[:16],
            ]
            for line in part["detectors"]
        ],
    )
    pairs = Table(
        caption=f"{this['name']} against each of the others: two trained models, images as units",
        columns=["against", "figure", "difference", "95% interval", "p", "after Holm", "says"],
        rows=[
            [pair["other"] + _same(pair), NAMES[key], *_cells(claim)]
            for pair in part["pairs"]
            for key, claim in pair["claims"].items()
        ],
    )
    tables = [detectors, pairs]
    if part["recipes"]:
        tables.append(_recipes_table(part["recipes"]))
    disagreements = "; ".join(
        f"{pair['other']}: {pair['first_only']:,} judged rightly by {this['name']} only, {pair['other_only']:,} by"
        f" {pair['other']} only"
        for pair in part["pairs"]
    )
    return Section(
        id="comparison",
        title="Comparison",
        headline=headline(part),
        tables=tables,
        pictures=[
            Picture(
                name="comparison",
                title=f"{this['name']} minus the other, 95% intervals",
                figure=draw(part),
                note="Filled: shown at the 5% level after Holm. Hollow: not shown, which is not the same as equal.",
            )
        ],
        notes=[
            f"{part['images']:,} images{_left_out(part)}. Accuracy: McNemar's exact test on one of each group of"
            f" identical images ({part['independent']:,}), interval by Agresti & Min. AUROC: interval from both"
            " areas' and their correlation (MOVER), p by DeLong, up to 50 images of a label by exchanging detectors."
            " F1: paired bootstrap over groups of identical images, 10,000 resamples; p by exchanging the detectors."
            " Images on which they disagree:"
            f" {disagreements}.",
            f"Holm's correction over all {part['claims']} claims of this table: where none of them is true, some claim"
            " is shown in at most 5 of 100 reports.",
            "Tests over images speak of these trained models. Whether a recipe is better needs two or more seeds of"
            " each; over seeds, Student's t paired by seed where the seeds are the same, else Welch's. It speaks of"
            " these images alone: chance in choosing them is not in its interval.",
        ],
    )


def headline(part: dict[str, Any]) -> list[str]:
    """Return a sentence for each comparison: what was shown first, what was not shown last."""
    figures = {line["name"]: line["figures"] for line in part["detectors"]}
    return [_pair(part, pair, figures) for pair in part["pairs"]] + [_over(part, line) for line in part["recipes"]]


def draw(part: dict[str, Any]) -> Figure:
    """Draw every difference with its interval."""
    lines = [
        (f"{NAMES[key]}, {block['other'] if isinstance(block['other'], str) else 'over seeds'}", claim)
        for block in (*part["pairs"], *part["recipes"])
        for key, claim in block["claims"].items()
    ]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.8 + 0.28 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for place, (_, claim) in enumerate(lines):
            axes.plot([claim["low"], claim["high"]], [place, place], color=REAL, linewidth=1.6)
            face = REAL if claim["shown"] else "white"
            axes.plot(claim["difference"], place, "o", color=REAL, markerfacecolor=face, markersize=6)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(lines)), [name for name, _ in lines])
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("difference")
    return figure


def _recipes_table(recipes: list[dict[str, Any]]) -> Table:
    rows = []
    for line in recipes:
        counts = " and ".join(str(len(seeds)) for seeds in line["seeds"])
        for key, claim in line["claims"].items():
            needed = "over 1,000" if claim["seeds_needed"] is None else f"{claim['seeds_needed']:,}"
            spread = " and ".join(f"{value:.4f}" for value in claim["spreads"])
            rows.append(
                [f"{line['other'][0]} ...", NAMES[key], f"{counts}, {claim['method']}", spread, *_cells(claim), needed]
            )
    return Table(
        caption="Recipes: seeds as units",
        columns=[
            "against",
            "figure",
            "seeds, test",
            "spread over seeds",
            "difference",
            "95% interval",
            "p",
            "after Holm",
            "says",
            "seeds each for 80% power",
        ],
        rows=rows,
    )


def _cells(claim: dict[str, Any]) -> list[str]:
    return [
        f"{claim['difference']:+.4f}",
        f"{claim['low']:+.4f} to {claim['high']:+.4f}",
        _p(claim["p"]),
        _p(claim["p_holm"]),
        _says(claim),
    ]


def _says(claim: dict[str, Any]) -> str:
    if not claim["shown"]:
        return "not shown"
    return "better" if claim["difference"] > 0 else "worse"


def _left_out(part: dict[str, Any]) -> str:
    missing = part.get("left_out", 0)
    return (
        f" ({missing:,} of those judged are left out, since not all detectors have scores of them)" if missing else ""
    )


def _p(value: float) -> str:
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def _same(pair: dict[str, Any]) -> str:
    return " (same recipe, other seed)" if pair["same_recipe"] else ""


def _pair(part: dict[str, Any], pair: dict[str, Any], figures: dict[str, dict[str, float]]) -> str:
    mine, theirs = figures[part["detectors"][0]["name"]], figures[pair["other"]]
    pairs = {key: f"{mine[key]:.4f} against {theirs[key]:.4f}" for key in NAMES}
    said = _claims(pair["claims"], pairs)
    return f"Compared with {pair['other']}{_same(pair)} on the same images: {said}{_holm(part)}."


def _over(part: dict[str, Any], line: dict[str, Any]) -> str:
    means = {key: "means {:.4f} against {:.4f}".format(*claim["means"]) for key, claim in line["claims"].items()}
    said = _claims(line["claims"], means)
    needed = [
        f"{NAMES[key]} {claim['seeds_needed']:,}"
        for key, claim in line["claims"].items()
        if not claim["shown"] and claim["seeds_needed"] is not None
    ]
    more = f"; seeds of each that such a difference needs: {', '.join(needed)}" if needed else ""
    return f"Over seeds ({len(line['first'])} against {len(line['other'])} runs): {said}{_holm(part)}{more}."


def _claims(claims: dict[str, dict[str, Any]], values: dict[str, str]) -> str:
    """Return what was shown, the surest first, and then what was not."""
    shown = sorted((key for key in claims if claims[key]["shown"]), key=lambda key: float(claims[key]["p_holm"]))
    hidden = [key for key in claims if not claims[key]["shown"]]
    parts = [f"{NAMES[key]} is {_says(claims[key])} ({values[key]}, {_difference(claims[key])})" for key in shown]
    if hidden:
        parts.append("not shown: " + ", ".join(f"{NAMES[key]} ({_difference(claims[key])})" for key in hidden))
    return "; ".join(parts)


def _difference(claim: dict[str, Any]) -> str:
    return f"{claim['difference']:+.4f}, 95% {claim['low']:+.4f} to {claim['high']:+.4f}, p {_p(claim['p_holm'])}"


def _holm(part: dict[str, Any]) -> str:
    return f" (p after Holm over {part['claims']} claims)"
