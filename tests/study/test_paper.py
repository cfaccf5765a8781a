"""The paper's own numbers: what the checks find, and that the grid has a cell for every row."""

import dataclasses
from pathlib import Path

import pytest

from asli.errors import RecipeError, WeightsError
from asli.models.plain import plain_cifar_resnet
from asli.recipe import load_recipe
from asli.study.paper import printed as paper
from asli.study.paper.budgets import BUDGETS, STARTS
from asli.study.paper.consistency import balanced_accuracy_of, checks, f1_of, fake_share_of, remarks_possible
from asli.study.paper.grid import KINDS, accumulated, cells, corner, schedule_base, steady
from asli.study.paper.starts import HUB, Pins, starts_from
from asli.study.sweep.cells import chosen, recipe_of, runs_of


def test_remarks_on_figure_9_need_more_fakes():
    def by_counting(fake: int, real: int) -> bool:
        return any(tp > tn and fake - tp > real - tn for tp in range(fake + 1) for tn in range(real + 1))

    for fake in range(8):
        for real in range(8):
            assert remarks_possible(fake, real) == by_counting(fake, real)


def test_f1_and_share_of_fakes_follow_from_counts():
    """A matrix with known counts, printed with four decimals, is given back."""
    tp, fp, tn, fn = 9522, 245, 9600, 478
    row = paper.Printed(
        precision=round(tp / (tp + fp), 4),
        recall=round(tp / (tp + fn), 4),
        accuracy=round((tp + tn) / (tp + fp + tn + fn), 4),
    )
    share = fake_share_of(row)
    assert share.low <= (tp + fn) / (tp + fp + tn + fn) <= share.high
    f1 = f1_of(row)
    assert f1.low <= 2 * tp / (2 * tp + fp + fn) <= f1.high
    assert f1.high - f1.low < 0.0003


def test_table_3_is_not_of_a_balanced_test_set():
    share, balanced = fake_share_of(paper.TABLE_3), balanced_accuracy_of(paper.TABLE_3)
    assert (round(share.low, 3), round(share.high, 3)) == (0.507, 0.510)
    assert balanced.low <= 0.9638 <= balanced.high
    assert not balanced.low <= paper.TABLE_3.accuracy <= balanced.high


@pytest.mark.slow
def test_checks_find_what_contradicts_and_what_agrees():
    made = checks()
    found = {(check.where, check.says.rsplit(", ", 1)[-1].split()[0]): check.verdict for check in made}
    assert found["figure 9", "TP"] == "CONTRADICT"
    assert found["table 3", "F1"] == found["table 4", "F1"] == "agree"
    assert found["table 5 (1)", "F1"] == found["table 5 (2)", "F1"] == "CONTRADICT"
    verdicts = [check.verdict for check in made]
    assert {check.verdict for check in made if check.where == "tables 4 and 7"} == {"CONTRADICT"}
    (largest,) = [check for check in made if check.where == "tables 3 and 5 (2)"]
    assert largest.verdict == "CONTRADICT"
    assert "0.9634" in largest.says
    assert "0.5927" in largest.says
    assert "0.3707 apart" in largest.found
    assert {check.verdict for check in made if check.where == "tables 2 and 7" and "apart" in check.found} == {"agree"}
    trends = {check.says: check for check in made if check.says.startswith("the ")}
    assert trends["the benefit of residual connections grows with depth"].found.endswith("0.430, 0.402, 0.391, 0.371")
    assert "efficientnet_b4 0.17 / 0.941" in trends["the loss falls as F1 rises in every experiment"].found
    assert {check.verdict for check in trends.values()} == {"CONTRADICT"}
    assert verdicts.count("worse than no detector") == 1


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=lambda b: b.name)
def test_every_table_and_figure_has_its_cells(budget):
    known = cells(budget)
    names = [cell.name for cell in known]
    assert len(names) == len(set(names))
    shown = {show for cell in known for show in cell.shows}
    figures = {f"figure {n}" for n in (5, 6, 7, 8, 9, 10, 12)}
    assert {f"table {n}" for n in range(2, 8)} | figures | {"settings"} <= shown
    for kind in KINDS:
        for start in STARTS:
            assert {corner(kind, start, depth) for depth in budget.depths} <= set(names)
    assert schedule_base(budget) in names
    assert all(cell.against in names for cell in known if cell.against)
    assert {budget.champion, *budget.rivals.values(), accumulated(budget)} <= set(names)
    plain = next(cell for cell in known if cell.name == steady(budget, "plain"))
    assert (plain.network, plain.start) == (f"plain_{budget.depths[-1]}", "pretrained")  # the network of table 4
    assert "figure 12" in plain.shows


@pytest.mark.parametrize("name", ["full", "cpu"])
def test_table_2_has_every_network_of_the_paper_and_of_its_review(name):
    networks = {cell.network for cell in cells(BUDGETS[name]) if "table 2" in cell.shows}
    assert {*paper.TABLE_2, "densenet121", "googlenet", "inception_v3", "tf_efficientnet_lite0"} <= networks


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=lambda b: b.name)
def test_every_cell_is_a_recipe_of_its_own(budget):
    recipes = {cell.name: recipe_of(budget.base, cell, 1, cell.start) for cell in cells(budget)}
    assert len({recipe.hash() for recipe in recipes.values()}) == len(recipes)
    for cell in cells(budget):
        if cell.against is not None and not cell.name.startswith(("accumulation", "unnormalized", "tanh")):
            ours, base = (dataclasses.asdict(recipes[name]) for name in (cell.name, cell.against))
            differing = {section for section in ours if ours[section] != base[section]}
            assert differing <= {"augment", "optim", "schedule", "weights"}
            assert differing


def test_full_is_the_paper_itself():
    budget = BUDGETS["full"]
    cell = next(c for c in cells(budget) if c.name == "residual-pretrained-resnet152")
    assert recipe_of(budget.base, cell, 42, starts_from(budget, None)(cell)) == load_recipe("paper")


def test_each_seed_draws_its_own_sample():
    budget = BUDGETS["cpu"]
    cell = next(c for c in cells(budget) if c.name == "residual-scratch-cifar_resnet20")
    assert [recipe_of(budget.base, cell, seed, "scratch").data.sample_seed for seed in (1, 2)] == [1, 2]
    whole = next(c for c in cells(budget) if c.name == "network-scratch-resnet18-64px")
    assert recipe_of(budget.base, whole, 2, "scratch").data.sample_seed == 0


def test_important_cells_have_several_seeds_before_others_have_one():
    runs = [(cell.name, seed) for cell, seed in runs_of(cells(BUDGETS["cpu"]), 5)]
    assert len(set(runs)) == len(runs)
    corner_3 = runs.index(("residual-pretrained-cifar_resnet56", 3))
    assert corner_3 < runs.index(("network-scratch-vgg16", 1))
    assert ("network-scratch-bird_lotfi-authors", 3) not in runs  # two runs at most


def test_rates_of_equal_sum():
    from asli.training.schedule import Schedule

    budget = BUDGETS["cpu"]
    found = {c.name: recipe_of(budget.base, c, 1, "scratch") for c in cells(budget) if c.name.startswith("schedule")}
    sums = {}
    for name, recipe in found.items():
        schedule = Schedule(recipe.schedule, recipe.optim.lr, 240)
        sums[name] = sum(schedule(update) for update in range(240))
    assert sums["schedule-constant-half"] == pytest.approx(sums["schedule-linear"])
    assert sums["schedule-constant"] == pytest.approx(2 * sums["schedule-linear"])


def test_weights_that_cannot_be_had_are_named(tmp_path):
    budget = BUDGETS["cpu"]
    by_name = {cell.name: cell for cell in cells(budget)}
    plain = by_name["plain-stage-pretrained-cifar_resnet20"]
    with pytest.raises(WeightsError, match=r"cifar10_resnet20\.safetensors"):
        starts_from(budget, None)(plain)
    (tmp_path / "cifar10_resnet20.safetensors").touch()
    assert starts_from(budget, tmp_path)(plain).endswith("cifar10_resnet20.safetensors")
    with pytest.raises(WeightsError, match="resnet152.safetensors"):
        starts_from(budget, tmp_path)(by_name["network-pretrained-resnet152"])
    googlenet = next(c for c in cells(BUDGETS["full"]) if c.network == "googlenet")
    with pytest.raises(WeightsError, match="hub has no"):
        starts_from(BUDGETS["full"], None)(googlenet)


def test_hub_weights_are_pinned_to_the_commit_first_seen(tmp_path, monkeypatch):
    from asli.models import hub

    commits = iter(["a" * 40, "b" * 40])
    monkeypatch.setattr(hub, "header_of", lambda name: hub.Header(next(commits), {}, 0))
    pins = Pins(tmp_path / "study/weights.json")
    start = HUB["resnet18"]
    assert pins.pinned(start) == pins.pinned(start) == f"{start}@{'a' * 40}"
    assert Pins(tmp_path / "study/weights.json").pinned(start).endswith("a" * 40)  # kept for later calls


def test_cells_are_chosen_by_name_pattern_or_what_they_show():
    budget = BUDGETS["cpu"]
    known = cells(budget)
    assert [cell.name for cell in chosen(known, ["warmup-none"])] == ["warmup-none"]
    assert {cell.kind for cell in chosen(known, ["plain-stage-*"])} == {"plain-stage"}
    assert len(chosen(known, ["table7"])) == 24
    assert {cell.kind for cell in chosen(known, ["figure-12"])} == {"plain", "residual"}
    assert chosen(known) == known
    with pytest.raises(RecipeError, match="no cell named 'tabel7'"):
        chosen(known, ["tabel7"])


def test_shortcuts_are_found_by_what_comes_through():
    from asli.study.paper.diagrams import blocks_of, has_shortcut

    kinds = {
        name: [[block.shortcut for block in blocks] for blocks in blocks_of(name, 32).values()]
        for name in ("cifar_resnet20", "plain_cifar_resnet20", "plain_cifar_resnet20_stage")
    }
    assert kinds["cifar_resnet20"] == [["identity"] * 3, *[["projection", "identity", "identity"]] * 2]
    assert kinds["plain_cifar_resnet20"] == [[None] * 3] * 3
    assert kinds["plain_cifar_resnet20_stage"] == [[None, "identity", "identity"]] * 3
    assert not has_shortcut(plain_cifar_resnet(3, "all", 2).layer1[0])


@pytest.mark.parametrize("mode", ["resize", "mirrored", "center-crop", "tiles"])
def test_preprocessing_is_drawn_for_every_crop_mode(mode):
    from asli.study.paper.diagrams import preprocessing_flow

    figure = preprocessing_flow(load_recipe("paper", [f"data.crop_mode={mode}"]), (0.485, 0.456, 0.406), (0.229,) * 3)
    texts = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert "mean 0.485, 0.456, 0.406" in texts


def test_stem_is_drawn_with_its_maps():
    from asli.study.paper.diagrams import stem

    assert stem("resnet50", 224) == (
        "7x7 convolution, stride 2, 64 x 112 x 112 -> BatchNorm, 64 x 112 x 112 -> ReLU, 64 x 112 x 112"
        " -> 3x3 max pooling, stride 2, 64 x 56 x 56"
    )


def test_the_sweep_knows_nothing_of_the_paper():
    import asli.study.sweep as sweep

    (folder,) = sweep.__path__
    for file in Path(folder).glob("*.py"):
        assert "asli.study.paper" not in file.read_text(), file.name
