"""The paper's claims, each with the contrasts that answer it."""

from collections.abc import Iterator

from scipy.stats import kendalltau

from asli.study.paper.budgets import STARTS, Budget
from asli.study.paper.claim import PaperClaim, weighted
from asli.study.paper.grid import accumulated, corner, corners_of
from asli.study.paper.printed import DEPTHS, TABLE_7
from asli.study.paper.remarks import REMARKS, contrasts_of
from asli.study.paper.training_claims import scheduler_claims, stability_claims
from asli.study.sweep.contrasts import RANKS, Contrast, MissingError, Quantity, compare
from asli.study.sweep.results import Pick, Results, raw_loss


def claims(budget: Budget) -> list[PaperClaim]:
    """Return the claims that a budget can answer."""
    return [
        *_shortcuts(budget),
        *_depth(budget),
        *_networks(budget),
        *scheduler_claims(budget),
        *stability_claims(budget),
        *_remarks(budget),
        *_credited(budget),
    ]


def _shortcuts(budget: Budget) -> Iterator[PaperClaim]:
    first, last = DEPTHS[0], DEPTHS[-1]
    kinds = (("plain", "without any"), ("plain-stage", "without the first of each stage"))
    yield PaperClaim(
        "Residual connections help",
        "tables 3 to 5 and 7",
        tuple(
            compare(
                f"with minus {words}, {start}, mean of the four depths",
                corners_of(budget, "residual", start),
                corners_of(budget, kind, start),
            )
            for kind, words in kinds
            for start in STARTS
        ),
    )
    yield PaperClaim(
        "Pretrained weights help",
        "tables 5 and 7",
        tuple(
            compare(
                f"pretrained minus scratch, {kind}, mean of the four depths",
                corners_of(budget, kind, "pretrained"),
                corners_of(budget, kind, "scratch"),
            )
            for kind in ("residual", "plain")
        ),
    )
    yield PaperClaim(
        "Pretrained weights help without residual connections, at every depth",
        "table 7: scenario 2 above scenario 1",
        tuple(
            compare(
                f"{network}, plain: pretrained minus scratch",
                [corner("plain", "pretrained", network)],
                [corner("plain", "scratch", network)],
                printed=_printed(((name, 1), 1), ((name, 0), -1)),
            )
            for network, name in zip(budget.depths, DEPTHS, strict=True)
        ),
        universal=True,
    )
    yield PaperClaim(
        "Pretrained weights and residual connections work in synergy",
        "discussion of table 5 and conclusions",
        tuple(
            weighted(f"interaction, {words}, mean of the four depths", _interaction(budget, kind))
            for kind, words in kinds
        ),
    )
    yield PaperClaim(
        "The benefit of residual connections grows with depth",
        "discussion of table 7",
        tuple(
            weighted(
                f"benefit at {budget.depths[-1]} minus benefit at {budget.depths[0]}, {start}",
                {
                    corner("residual", start, budget.depths[-1]): 1.0,
                    corner("plain", start, budget.depths[-1]): -1.0,
                    corner("residual", start, budget.depths[0]): -1.0,
                    corner("plain", start, budget.depths[0]): 1.0,
                },
                _printed(((last, 2), 1), ((last, 1), -1), ((first, 2), -1), ((first, 1), 1))
                if start == "pretrained"
                else None,
            )
            for start in STARTS
        ),
    )


def _printed(*terms: tuple[tuple[str, int], float]) -> float:
    """Return a weighted sum of F1 that table 7 prints.

    Args:
        terms: Network and scenario, counted from 0, with a weight.
    """
    total = 0.0
    for (network, scenario), weight in terms:
        f1 = TABLE_7[network][scenario].f1
        assert f1 is not None, "table 7 prints every F1"
        total += weight * f1
    return total


def _interaction(budget: Budget, kind: str) -> dict[str, float]:
    terms = {}
    for of, sign in (("residual", 1), (kind, -1)):
        for start, way in (("pretrained", 1), ("scratch", -1)):
            for name in corners_of(budget, of, start):
                terms[name] = sign * way / len(budget.depths)
    return terms


def _depth(budget: Budget) -> Iterator[PaperClaim]:
    first, second, third, fourth = budget.depths
    yield PaperClaim(
        "Deeper is better",
        "tables 2, 6 and 7",
        tuple(
            compare(
                f"{fourth} minus {first}, residual, {start}",
                [corner("residual", start, fourth)],
                [corner("residual", start, first)],
                learned=True,
                printed=_printed(((DEPTHS[3], 2), 1), ((DEPTHS[0], 2), -1)),
            )
            for start in STARTS
        ),
    )

    def gains(start: str, *weights: float) -> dict[str, float]:
        return dict(zip(corners_of(budget, "residual", start), weights, strict=True))

    deep = [(name, 2) for name in DEPTHS]
    shrink, jump = (_printed(*zip(deep, of, strict=True)) for of in ((-1, 2, -1, 0), (0, 1, -2, 1)))
    yield PaperClaim(
        "Gains from depth shrink up to the third network, then jump",
        "table 6: 0.003, 0.002, 0.030",
        tuple(
            contrast
            for start in STARTS
            for contrast in (
                weighted(f"{start}: gain to {second} minus gain to {third}", gains(start, -1, 2, -1, 0), shrink),
                weighted(f"{start}: gain to {fourth} minus gain to {third}", gains(start, 0, 1, -2, 1), jump),
            )
        ),
    )
    yield PaperClaim(
        "The loss falls as F1 rises",
        "table 7, in every experiment; tested as a trend over its cells",
        (
            Contrast(
                "rank correlation of raw loss and score over the cells of table 7, its sign changed",
                {metric: _concordance(pick) for metric, pick in RANKS.items()},
            ),
        ),
    )


def _concordance(pick: Pick) -> Quantity:
    """Return minus Kendall's tau of the raw loss and a score over the cells of table 7, by seed."""

    def quantity(results: Results) -> dict[int, float]:
        items = [item for item in results.showing("table 7") if item.done]
        found: dict[int, list[tuple[float, float]]] = {}
        for item in items:
            scores = item.by_seed(pick)
            for seed, loss in item.by_seed(raw_loss).items():
                found.setdefault(seed, []).append((loss, scores[seed]))
        full = {seed: of for seed, of in found.items() if len(of) == len(items)}
        if len(items) < 3 or not full:
            raise MissingError("fewer than three cells of table 7 with a common seed")
        return {seed: -float(kendalltau(*zip(*of, strict=True)).statistic) for seed, of in full.items()}

    return quantity


def _networks(budget: Budget) -> Iterator[PaperClaim]:
    champion = budget.champion.rpartition("-")[2]
    yield PaperClaim(
        "ResNet-152 beats every other network",
        "table 2 and conclusions; the review adds DenseNet and Inception",
        tuple(
            compare(f"{champion} minus {rival}", [budget.champion], [cell], learned=True)
            for rival, cell in budget.rivals.items()
        ),
        universal=True,
    )


def _remarks(budget: Budget) -> Iterator[PaperClaim]:
    cell = corner("residual", "pretrained", budget.depths[-1])
    for remark in REMARKS:
        text = remark.claim[0].upper() + remark.claim[1:]
        yield PaperClaim(text, f'figure 10: "{remark.quote}"', tuple(contrasts_of(remark, cell)))


def _credited(budget: Budget) -> Iterator[PaperClaim]:
    network = budget.setting_network
    setting = corner("residual", budget.setting_start, network)
    grouped = accumulated(budget)
    for text, pairs in (
        ("Warm-up helps", ((setting, "warmup-none", "with minus without"),)),
        (
            "Gradient accumulation helps",
            ((grouped, "accumulation-large-batch", "four micro-batches an update minus one batch of their size"),),
        ),
        (
            "The larger effective batch helps",
            ((grouped, "accumulation-none", "four micro-batches an update minus one, a quarter of the updates"),),
        ),
        (
            "RandomResizedCrop helps",
            (
                (setting, "crop-padded", "with it minus padded crop"),
                (setting, "crop-none", "with it minus no crop or flip"),
            ),
        ),
    ):
        contrasts = tuple(compare(f"{network}: {words}", [first], [second]) for first, second, words in pairs)
        yield PaperClaim(text, "credited in the abstract, not ablated", contrasts, credited=True)
