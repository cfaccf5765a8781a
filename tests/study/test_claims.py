"""Claims on made-up results of known truth."""

import math
import zlib

import numpy as np
import pytest

from asli.study.paper.budgets import BUDGETS
from asli.study.paper.claim import verdict
from asli.study.paper.grid import cells
from asli.study.paper.paper_tables import paper_tables
from asli.study.paper.run_study import answers_of
from asli.study.paper.training_tables import claims_table, training_tables
from asli.study.sweep.results import F1, Results

CPU = BUDGETS["cpu"]
SEEDS = range(1, 6)


def made_up(name: str, seed: int, score: float, *, loss: float = 0.4, rise: float = 0.0, ends: float = 0.3) -> dict:
    metric = {"value": score, "low": score - 0.01, "high": score + 0.01, "n": 100}
    names = ("f1", "precision", "recall", "accuracy", "false_positive_rate")
    return {
        "cell": name,
        "seed": seed,
        "status": "done",
        "reason": None,
        "asli": "0",
        "recipe": {"data": {"size": 32}, "loop": {"epochs": 3}},
        "training_images": 10_000,
        "raw_loss": loss,
        "temperature": 1.5,
        "figures": {
            "threshold": dict.fromkeys(names, metric),
            "argmax": dict.fromkeys(names, metric),
            "ranking": {"auroc": metric, "loss": metric},
        },
        "gradients": {
            "start": {"conv1": 10.0 if name.startswith("plain") else 1.0, "layer3": 1.0, "linear": 1.0},
            "end": {"conv1": 1.0, "layer3": 1.0, "linear": 1.0},
        },
        "mistakes": [],
        "validation": [[1, 0.5, score, score], [2, 0.4, score, score], [3, 0.4 + rise, score, score]],
        "training": [[1, 0.6, 1e-3], [2, ends, 1e-3]],
        "seconds": {"training": 60.0, "wall": 65.0, "process": 60.0},
    }  # fmt: skip


def truth(cell, seed: int) -> dict:
    """Shortcuts and pretraining help, and help each other; depth does not matter; a constant rate overfits."""
    rng = np.random.default_rng([seed, zlib.crc32(cell.name.encode())])
    shared = float(np.random.default_rng(seed).normal(0, 0.02))  # what all runs of a seed have in common
    score = (
        0.85 + shared + float(rng.normal(0, 0.001)) - 0.1 * (cell.kind == "plain") - 0.05 * (cell.start == "scratch")
    )
    score += 0.03 * (cell.kind == "residual" and cell.start == "pretrained")
    rise, ends = 0.01 + abs(float(rng.normal(0, 0.001))), 0.2
    if cell.name == "network-scratch-resnet152":
        score -= 0.1
    if cell.name == "network-scratch-efficientnet_b4":
        score = 0.55 + float(rng.normal(0, 0.001))
    if cell.name.startswith("schedule-constant"):
        rise, ends = 0.4 + float(rng.normal(0, 0.01)), 0.01 + abs(float(rng.normal(0, 0.001)))
    return made_up(cell.name, seed, score, loss=1.2 - score + 0.001 * float(rng.normal()), rise=rise, ends=ends)


@pytest.fixture(scope="module")
def results():
    known = cells(CPU)
    return Results.of(known, [truth(cell, seed) for cell in known for seed in SEEDS])


def answered(results: Results) -> dict:
    return {claim.text: (claim, answers) for claim, answers in answers_of(CPU, results)}


def test_known_truth_is_found(results):
    found = {text: verdict(claim, answers) for text, (claim, answers) in answered(results).items()}
    assert found["Pretrained weights help"] == "yes"
    assert found["Pretrained weights help without residual connections, at every depth"] == "yes"
    assert found["Deeper is better"] == "not settled"
    assert found["The benefit of residual connections grows with depth"] == "not settled"
    assert found["The scheduler prevents overfitting"] == "yes"
    assert found["The loss falls as F1 rises"] == "yes"
    assert found["Warm-up helps"] == "not settled"
    assert found["Residual connections help"] == "mixed: 3 yes, 1 not settled"


def test_synergy_is_the_interaction(results):
    _, answers = answered(results)["Pretrained weights and residual connections work in synergy"]
    plain, stage = answers
    assert plain.verdict == "yes"
    assert [tested.test.result.difference for tested in plain.tested] == pytest.approx([0.03] * 3, abs=0.003)
    assert stage.tested[0].test.result.difference == pytest.approx(0.03, abs=0.003)


def test_a_comparison_with_a_network_that_did_not_learn_is_not_judged(results):
    claim, answers = answered(results)["ResNet-152 beats every other network"]
    by_rival = {item.contrast.says: item for item in answers}
    unlearned = by_rival["resnet152 minus EfficientNet-B4"]
    assert unlearned.verdict.startswith("not judged: efficientnet_b4 (AUROC 0.55, in 5 of 5 runs not surely above 0.6)")
    assert "did not learn enough at this budget" in unlearned.verdict
    assert by_rival["resnet152 minus VGG-16"].verdict == "no"
    assert verdict(claim, answers).startswith("no: ")  # one network that is better refutes "every"
    table = claims_table(list(answered(results).values()))
    rows = [row for row in table.rows if row[2] == "resnet152 minus EfficientNet-B4"]
    assert {row[8] for row in rows} == {"not judged"}
    assert len(rows) == 3


def test_a_loss_above_a_constant_answers_is_not_learned():
    known = [cell for cell in cells(CPU) if cell.name == "network-scratch-resnet152"]
    (item,) = Results.of(known, [made_up(known[0].name, seed, 0.8 + seed / 1000, loss=5.0) for seed in SEEDS]).cells
    assert item.unlearned == f"loss 5.00, a constant answer has {math.log(2):.2f}"


def test_metrics_that_disagree_are_named():
    known = cells(CPU)
    made = [truth(cell, seed) for cell in known for seed in SEEDS]
    for result in made:
        if result["cell"].startswith("residual-pretrained"):
            result["figures"]["argmax"] = {
                name: {**of, "value": 0.3 + result["seed"] / 1000} for name, of in result["figures"]["argmax"].items()
            }
    _, answers = answered(Results.of(known, made))["Pretrained weights help"]
    assert answers[0].verdict == "depends on the metric: F1 argmax no, F1 fitted yes, AUROC yes"


def test_what_a_seed_shares_cancels(results):
    """Runs of a seed share 0.02 of noise and have 0.001 of their own; the interval is that of the latter."""
    _, answers = answered(results)["Pretrained weights help"]
    c = answers[0].tested[1].test.result
    assert c.high - c.low < 0.01
    spread = np.std([result["figures"]["threshold"]["f1"]["value"] for result in results[known_cell()].done], ddof=1)
    assert spread > 0.01


def known_cell() -> str:
    return "residual-pretrained-cifar_resnet20"


def test_a_training_loss_that_never_approached_0_answers_nothing():
    known = cells(CPU)
    made = [truth(cell, seed) for cell in known for seed in SEEDS]
    for result in made:
        if result["cell"].startswith("schedule-"):
            result["training"] = [[1, 0.6, 1e-3], [2, 0.36 + result["seed"] / 1000, 1e-3]]
    _, answers = answered(Results.of(known, made))["The scheduler prevents overfitting"]
    assert {item.verdict for item in answers} == {
        "not judged: at a constant rate the training loss ended at 0.36, not near 0: this budget cannot answer"
    }


def test_gradients_that_explode_are_no_vanishing_gradients(results):
    _, answers = answered(results)["Without residual connections gradients vanish"]
    before = [item for item in answers if "before training" in item.contrast.says]
    assert {item.tested[0].test.result.difference for item in before} == {-1.0}  # ten times larger, in log10
    assert {item.verdict for item in before} == {"no"}


def test_too_few_seeds_or_cells_settle_nothing():
    known = cells(CPU)
    one_seed = Results.of(known, [truth(cell, 1) for cell in known])
    for _, answers in answered(one_seed).values():
        for item in answers:
            assert "yes" not in item.verdict
            assert all(tested.test is None for tested in item.tested)
    without = [truth(cell, seed) for cell in known for seed in (1, 2) if cell.start == "scratch"]
    gone = [
        {"cell": cell.name, "seed": 1, "status": "unavailable", "reason": "weights unavailable: none"}
        for cell in known
        if cell.start == "pretrained"
    ]
    found = Results.of(known, [*without, *gone])
    _, (pretrained, scratch) = answered(found)["Deeper is better"]
    assert "not run: weights unavailable" in pretrained.tested[0].why
    difference = scratch.tested[0].test.result
    assert difference.low <= difference.difference <= difference.high
    assert 0 < difference.p < 1
    (table,) = [t for t in paper_tables(CPU, found) if t.name == "table3"]
    assert table.rows[0][1] == "not run: weights unavailable: none"
    assert set(table.rows[0][4:]) == {"-"}  # never filled in


@pytest.mark.parametrize("which", [[], ["plain-scratch-cifar_resnet20"], ["schedule-constant"]])
def test_every_selection_has_tables_and_answers(which):
    known = cells(CPU)
    found = Results.of(known, [truth(cell, seed) for cell in known if cell.name in which for seed in SEEDS])
    assert all(table.to_markdown() for table in [*paper_tables(CPU, found), *training_tables(CPU, found)])
    assert claims_table(list(answered(found).values())).rows


def test_mean_spread_and_interval_over_seeds():
    known = cells(CPU)[:1]
    values = {1: 0.90, 2: 0.92, 3: 0.94}
    (item,) = Results.of(known, [made_up(known[0].name, s, f1) for s, f1 in values.items()]).cells
    assert item.text(F1) == "0.9200 ± 0.0200"
    # t(0.975, 2) = 4.303; 4.303 * 0.02 / sqrt(3) = 0.0497
    assert item.interval("threshold", "f1") == "0.870 to 0.970"


def test_a_temperature_at_its_bound_is_marked():
    known = cells(CPU)[:1]
    made = [{**made_up(known[0].name, seed, 0.9), "temperature": 19.9999 if seed == 2 else 2.0} for seed in (1, 2)]
    (item,) = Results.of(known, made).cells
    assert item.temperature.endswith("(1 at the bound)")


def test_printed_rows_stand_beside_ours(results):
    tables = {table.name: table for table in paper_tables(CPU, results)}
    second = {row[0]: row for row in tables["table2"].rows}
    assert second["resnet152, scratch"][-1] == "resnet152: 0.08 / 0.963"
    assert second["efficientnet_b4, scratch"][-3].startswith("no: AUROC 0.55")
    seventh = {row[:3]: row[-1] for row in tables["table7"].rows}
    assert seventh["cifar_resnet20", "plain", "scratch"] == "resnet18, 1: 0.798 / 0.479"
    assert seventh["cifar_resnet56", "residual", "scratch"] == "-"
    assert tables["table4"].rows[-1][4:8] == ("0.6287", "0.9657", "0.4660", "0.7226")
    text = tables["table2"].to_markdown()
    assert text.count("\n| ") == 2 + len(tables["table2"].rows)
    assert tables["table2"].to_csv().startswith("network,condition,seeds,loss,calibrated,T")
