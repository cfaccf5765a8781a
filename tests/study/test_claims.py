"""Claims on made-up results of known truth."""

import zlib

import numpy as np
import pytest

from asli.study.claims import answer, claims_table, contrasts, verdicts
from asli.study.grid import BUDGETS, cells
from asli.study.results import F1, Results
from asli.study.tables import all_tables

CPU = BUDGETS["cpu"]


def made_up(name: str, seed: int, f1: float, rise: float = 0.0) -> dict:
    figure = {"value": f1, "low": f1 - 0.01, "high": f1 + 0.01, "n": 100}
    names = ("f1", "precision", "recall", "accuracy", "false_positive_rate")
    return {
        "cell": name,
        "seed": seed,
        "status": "done",
        "reason": None,
        "recipe": {"data": {"size": 32}, "loop": {"epochs": 3}},
        "training_images": 10_000,
        "figures": {
            "threshold": dict.fromkeys(names, figure),
            "argmax": dict.fromkeys(names, figure),
            "ranking": {"auroc": figure, "loss": figure},
        },
        "validation": [[1, 0.5, f1], [2, 0.5 + rise, f1]],
        "training": [[1, 0.6, 1e-3], [2, 0.5, 1e-3]],
        "seconds": {"training": 60.0, "judging": 5.0},
    }


def truth(cell, seed: int) -> dict:
    """Residual connections and pretraining help, the depth does not matter, a constant rate overfits."""
    noise = float(np.random.default_rng([seed, zlib.crc32(cell.name.encode())]).normal(0, 0.001))
    f1 = 0.9 - 0.2 * (cell.kind == "plain") - 0.1 * (cell.start == "scratch")
    if cell.name == "network-scratch-resnet152":
        f1 -= 0.3
    return made_up(cell.name, seed, f1 + noise, rise=0.4 + noise if cell.name == "schedule-constant" else 0.01 + noise)


@pytest.fixture
def results():
    known = cells(CPU)
    return Results.of(known, [truth(cell, seed) for cell in known for seed in (1, 2, 3)])


def test_known_truth_is_found(results):
    answers = {(a.contrast.claim, a.contrast.says): a for a in answer(contrasts(CPU), results)}
    said = verdicts(list(answers.values()))
    assert said["pretraining helps"] == "yes"
    assert said["ResNet-152 beats EfficientNet"] == "no"
    assert said["deeper is better"] == "not settled"
    assert said["the scheduler prevents overfitting"] == "mixed: yes, not settled"
    assert said["residual connections help"] == "mixed: yes, yes, not settled, not settled"
    assert said["warm-up helps"] == "not settled"
    table = claims_table(list(answers.values()))
    assert "over all 16 tests" in table.notes[0]


def test_holm_is_over_all_claims(results):
    answers = answer(contrasts(CPU), results)
    raw = [a.test.result.p for a in answers]
    assert all(a.adjusted >= p for a, p in zip(answers, raw, strict=True))
    assert min(a.adjusted for a in answers) == pytest.approx(min(1, len(raw) * min(raw)))


def test_too_few_seeds_or_cells_settle_nothing():
    known = cells(CPU)
    one_seed = Results.of(known, [truth(cell, 1) for cell in known])
    for item in answer(contrasts(CPU), one_seed):
        assert item.verdict == "not settled"
        assert "1 seed" in item.why
    without = [truth(cell, seed) for cell in known for seed in (1, 2) if cell.start == "scratch"]
    gone = [
        {"cell": cell.name, "seed": 1, "status": "unavailable", "reason": "weights unavailable: none"}
        for cell in known
        if cell.start == "pretrained"
    ]
    found = Results.of(known, [*without, *gone])
    answers = {a.contrast.says: a for a in answer(contrasts(CPU), found)}
    assert "not run: weights unavailable" in answers["cifar_resnet56 minus cifar_resnet20, residual, pretrained"].why
    scratch = answers["cifar_resnet56 minus cifar_resnet20, residual, scratch"]
    (deep,) = [c for c in known if c.name.endswith("residual-scratch-cifar_resnet56")]
    (shallow,) = [c for c in known if c.name.endswith("residual-scratch-cifar_resnet20")]
    f1 = [truth(c, seed)["figures"]["threshold"]["f1"]["value"] for c in (deep, shallow) for seed in (1, 2)]
    assert scratch.test.result.difference == pytest.approx((f1[0] + f1[1] - f1[2] - f1[3]) / 2)
    (table,) = [t for t in all_tables(CPU, found) if t.name == "table3"]
    assert table.rows[0][1] == "not run: weights unavailable: none"
    assert set(table.rows[0][4:]) == {"-"}  # never filled in


def test_mean_spread_and_interval_over_seeds():
    known = cells(CPU)[:1]
    values = {1: 0.90, 2: 0.92, 3: 0.94}
    (item,) = Results.of(known, [made_up(known[0].name, s, f1) for s, f1 in values.items()]).cells
    assert item.text(F1) == "0.9200 ± 0.0200"
    # t(0.975, 2) = 4.303; 4.303 * 0.02 / sqrt(3) = 0.0497
    assert item.interval("threshold", "f1") == "0.870 to 0.970"


def test_printed_rows_stand_beside_ours(results):
    tables = {table.name: table for table in all_tables(CPU, results)}
    assert tables["table2"].rows[3][-1] == "resnet152: 0.08 / 0.963"
    seventh = {row[:3]: row[-1] for row in tables["table7"].rows}
    assert seventh["cifar_resnet20", "plain", "scratch"] == "resnet18, 1: 0.798 / 0.479"
    assert seventh["cifar_resnet56", "residual", "scratch"] == "-"
    assert tables["table4"].rows[-1][4:8] == ("0.6287", "0.9657", "0.4660", "0.7226")
    assert all("32 px, 10,000 x 3" in row for row in tables["table2"].rows)
    text = tables["table2"].to_markdown()
    assert text.count("\n| ") == 2 + len(tables["table2"].rows)
    assert "<td>0.9" in tables["table2"].to_html()
    assert tables["table2"].to_csv().startswith("network,start,condition")
