"""A comparison as a section of the report: one row a claim, whether it is shown, and its interval."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from asli.evaluation.further import Comparison, DetectorPair, PairedDifference, RecipePair
from asli.messages import Message, Number, message
from asli.reports.colors import INK, REAL, VOID, Status
from asli.reports.hover import HoverFigure, hover_points
from asli.reports.interval_drawing import interval_drawing
from asli.reports.kit import ReportFigure, ReportTable, Section, TableCell
from asli.reports.numbers import decimals, p_text
from asli.reports.plots import STYLE

NAMES = {"f1": "F1", "accuracy": "accuracy", "auroc": "AUROC"}

_STATUSES = {"better": Status.GOOD, "worse": Status.BAD, "not shown": Status.NEUTRAL}

VOID_RESULT = "void: trained on these images"
"""Result of every test of a detector whose training had some of the tested images."""


def comparison_section(part: Comparison) -> Section:
    """Return the section of a comparison."""
    this = part.detectors[0]
    disagreements = "; ".join(
        f"{pair.first_only:,} by {this.name} and not by {pair.other}, {pair.other_only:,} the other way round"
        for pair in part.pairs
    )
    return Section(
        id="comparison",
        title=message("section.comparison"),
        headline=headline(part),
        tables=[_claims_table(part), _detectors_table(part), *([_seeds_table(part)] if part.recipes else [])],
        figures=[
            ReportFigure(
                name="comparison",
                title=f"{this.name} minus the other, 95 % intervals",
                drawing=draw(part),
                note="Filled: shown at the 5 % level after Holm. Hollow: not shown, which is not the same as equal."
                + (f" Gray and dashed: {VOID_RESULT}; it proves nothing." if trained_on(part) else ""),
            )
        ],
        notes=[
            f"{part.images:,} images{_left_out(part)}. Accuracy: McNemar's exact test on one of each group of"
            f" identical images ({part.independent:,}), interval by Agresti & Min. AUROC: interval from both"
            " areas' and their correlation (MOVER), p by DeLong, up to 50 images of a label by exchanging detectors."
            " F1: paired bootstrap over groups of identical images, 10,000 resamples; p by exchanging the detectors."
            f" Images called rightly at the threshold: {disagreements}.",
            f"Holm's correction over all {part.tests} claims of this table: where none of them is true, some claim"
            " is shown in at most 5 of 100 reports.",
            "Tests over images are about these trained models. Whether a recipe is better needs two or more seeds of"
            " each; over seeds, Student's t paired by seed where the seeds are the same, else Welch's. That test is"
            " about these images alone: chance in choosing them is not in its interval.",
        ],
    )


def headline(part: Comparison) -> list[Message]:
    """Return which detectors were trained on these images, and a sentence for each comparison."""
    figures = {line.name: line.figures for line in part.detectors}
    seen = [
        message("finding.seen", name=line.name, seen=line.seen_in_training, images=part.images)
        for line in part.detectors
        if line.name in trained_on(part)
    ]
    pairs = [_pair(part, pair, figures) for pair in part.pairs]
    return [*seen, *pairs, *(_over(part, line) for line in part.recipes)]


def trained_on(part: Comparison) -> dict[str, str]:
    """Return the detectors whose training had some of the images, each with the words for its row."""
    return {
        line.name: f"void: trained on {line.seen_in_training:,} of these {part.images:,} images"
        for line in part.detectors
        if line.seen_in_training
    }


def draw(part: Comparison) -> Figure:
    """Draw every difference with its interval; void ones hollow, dashed and gray."""
    lines = []
    for block in _blocks(part):
        void = _leaks(part, block)
        other = f"{block.other if isinstance(block, DetectorPair) else 'over seeds'}{' (void)' if void else ''}"
        lines += [(f"{NAMES[key]}, {other}", claim, void) for key, claim in block.tests.items()]
    with mpl.rc_context(STYLE):
        figure = HoverFigure(figsize=(9.6, 0.8 + 0.28 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for place, (_, claim, void) in enumerate(lines):
            color, line = (VOID, (0, (3, 2))) if void else (REAL, "-")
            axes.plot([claim.low, claim.high], [place, place], color=color, linewidth=1.6, linestyle=line)
            face = REAL if claim.shown and not void else "none"
            axes.plot(claim.difference, place, "o", color=color, markerfacecolor=face, markersize=6)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(lines)), [name for name, *_ in lines])
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("difference")
        texts = [
            f"{name}\n{_difference(c)} (95 % CI {_interval(c)})\n{VOID_RESULT if void else _result(c)}"
            for name, c, void in lines
        ]
        hover_points(axes, [claim.difference for _, claim, _ in lines], range(len(lines)), texts)
    return figure


def _claims_table(part: Comparison) -> ReportTable:
    this = part.detectors[0].name
    claims = [(block, key, claim) for block in _blocks(part) for key, claim in block.tests.items()]
    # One scale for each metric: differences of F1 and of AUROC need not be alike.
    reach = {name: max(max(abs(c.low), abs(c.high)) for _, key, c in claims if key == name) for name in NAMES}
    rows: list[list[str | TableCell]] = []
    for block, key, claim in claims:
        result = VOID_RESULT if _leaks(part, block) else _result(claim)
        status = _STATUSES.get(result, Status.VOID)
        drawing = interval_drawing(claim.difference, claim.low, claim.high, reach[key], status)
        rows.append(
            [
                TableCell(text=f"{NAMES[key]} {_against(block)}", note=_units(block)),
                TableCell(
                    text=f"shown: {result}" if result in ("better", "worse") else result, value=result, status=status
                ),
                TableCell(text="", value=claim.difference, drawing=drawing),
                TableCell(
                    text=_difference(claim),
                    value=claim.difference,
                    note=_interval(claim),
                    interval=(claim.low, claim.high),
                ),
                TableCell(text=p_text(claim.p), value=claim.p),
                TableCell(text=p_text(claim.p_holm), value=claim.p_holm),
            ]
        )
    return ReportTable(
        caption=f"Is {this} better or worse?",
        columns=["claim", "result", "interval around zero", "difference, 95 % CI", "p", "p after Holm"],
        rows=rows,
        void={number: "" for number, (block, _, _) in enumerate(claims) if _leaks(part, block)},
    )


def _detectors_table(part: Comparison) -> ReportTable:
    void = trained_on(part)
    return ReportTable(
        caption="Detectors, each at its own saved threshold",
        columns=["detector, hash", "seed", "threshold", *NAMES.values(), "training images among these"],
        rows=[
            [
                TableCell(text=line.name, note=(line.hash or "")[:16]),
                "" if line.seed is None else str(line.seed),
                f"{line.threshold:.4f}",
                *(f"{line.figures[key]:.4f}" for key in NAMES),
                "not known" if line.seen_in_training is None else f"{line.seen_in_training:,}",
            ]
            for line in part.detectors
        ],
        void={number: void[line.name] for number, line in enumerate(part.detectors) if line.name in void},
    )


def _seeds_table(part: Comparison) -> ReportTable:
    rows: list[list[str | TableCell]] = []
    void: dict[int, str] = {}
    for line in part.recipes:
        counts = " and ".join(str(len(seeds)) for seeds in line.seeds)
        for key, claim in line.tests.items():
            needed = "over 1,000" if claim.seeds_needed is None else f"{claim.seeds_needed:,}"
            spread = " and ".join(f"{value:.4f}" for value in claim.spreads)
            if _leaks(part, line):
                void[len(rows)] = VOID_RESULT
            rows.append([f"{NAMES[key]} {_against(line)}", counts, claim.method, spread, needed])
    return ReportTable(
        caption="Recipes: seeds as units",
        columns=["claim", "seeds", "test", "spread over seeds", "seeds each for 80 % power"],
        rows=rows,
        void=void,
    )


def _blocks(part: Comparison) -> list[DetectorPair | RecipePair]:
    return [*part.pairs, *part.recipes]


def _against(block: DetectorPair | RecipePair) -> str:
    return (
        f"against {block.other}{_same(block)}" if isinstance(block, DetectorPair) else f"against {block.other[0]} ..."
    )


def _units(block: DetectorPair | RecipePair) -> str:
    return "two trained models, over images" if isinstance(block, DetectorPair) else "two recipes, over seeds"


def _digits(claim: PairedDifference) -> int:
    return decimals(claim.low, claim.high)


def _difference(claim: PairedDifference) -> str:
    return f"{claim.difference:+.{_digits(claim)}f}"


def _interval(claim: PairedDifference) -> str:
    return f"{claim.low:+.{_digits(claim)}f} to {claim.high:+.{_digits(claim)}f}"


def _result(claim: PairedDifference) -> str:
    if not claim.shown:
        return "not shown"
    return "better" if claim.difference > 0 else "worse"


def _left_out(part: Comparison) -> str:
    missing = part.left_out
    return f" ({missing:,} others are left out, since not all detectors have scores of them)" if missing else ""


def _same(pair: DetectorPair) -> str:
    return " (same recipe, other seed)" if pair.same_recipe else ""


def _pair(part: Comparison, pair: DetectorPair, figures: dict[str, dict[str, float]]) -> Message:
    name = part.detectors[0].name
    if _leaks(part, pair):
        return message("finding.pair_void", name=name, other=pair.other)
    mine, theirs = figures[part.detectors[0].name], figures[pair.other]
    results = _results(pair.tests, {key: (mine[key], theirs[key]) for key in NAMES})
    key = "finding.pair_same" if pair.same_recipe else "finding.pair"
    return message(key, name=name, other=pair.other, answer=_answer(pair.tests), results=results, tests=part.tests)


def _leaks(part: Comparison, block: DetectorPair | RecipePair) -> bool:
    """Return whether a comparison has a detector that was trained on these images."""
    names = {part.detectors[0].name, block.other} if isinstance(block, DetectorPair) else None
    return any(line.seen_in_training for line in part.detectors if names is None or line.name in names)


def _over(part: Comparison, line: RecipePair) -> Message:
    runs, others = len(line.first), len(line.other)
    if _leaks(part, line):
        return message("finding.over_seeds_void", runs=runs, others=others)
    results = _results(line.tests, {key: claim.means for key, claim in line.tests.items()})
    results += [
        message("finding.seeds", metric=message(f"finding.metric_{key}"), seeds=claim.seeds_needed)
        for key, claim in line.tests.items()
        if not claim.shown and claim.seeds_needed is not None
    ]
    answer = _answer(line.tests)
    return message("finding.over_seeds", runs=runs, others=others, answer=answer, results=results, tests=part.tests)


def _answer(claims: Mapping[str, PairedDifference]) -> Message:
    """Return whether it is better: a word, and the metrics that show it."""
    found: dict[str, list[Message]] = {"better": [], "worse": [], "not shown": []}
    for key, claim in claims.items():
        found[_result(claim)].append(message(f"finding.metric_{key}"))
    better, worse = found["better"], found["worse"]
    if better and worse:
        return message("finding.both", better=better, worse=worse)
    if better or worse:
        return message("finding.yes" if better else "finding.no", metrics=better or worse)
    return message("finding.neither")


def _results(claims: Mapping[str, PairedDifference], values: Mapping[str, Sequence[float]]) -> list[Message]:
    """Return the surest of what was shown, or what was not shown; the table has the others."""
    shown = sorted((key for key in claims if claims[key].shown), key=lambda key: float(claims[key].p_holm))
    hidden = [key for key in claims if not claims[key].shown]
    texts = []
    for key in shown[:1] or hidden:
        claim = claims[key]
        low, high = _interval(claim).split(" to ")
        figures = {"difference": _difference(claim), "low": low, "high": high, "p": p_text(claim.p_holm)}
        figures |= dict(zip(("first", "other"), (f"{value:.4f}" for value in values[key]), strict=True))
        kind = _result(claim).replace(" ", "_")
        numbers = {name: Number(text) for name, text in figures.items()}
        texts.append(message(f"finding.{kind}", metric=message(f"finding.metric_{key}"), **numbers))
    return texts
