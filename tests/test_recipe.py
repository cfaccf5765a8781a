import dataclasses

import pytest

from asli.errors import RecipeError
from asli.recipe import Recipe, bundled_recipes, load_recipe, recipe_from_dict


@pytest.mark.parametrize("name", bundled_recipes())
def test_bundled_recipe_is_complete_and_survives_a_round_trip(name, tmp_path):
    import tomllib
    from importlib import resources

    recipe = load_recipe(name)
    written = tomllib.loads((resources.files("asli") / "recipes" / f"{name}.toml").read_text())
    for section, settings in dataclasses.asdict(recipe).items():
        assert set(written[section]) == set(settings), f"[{section}] leaves keys to defaults"
    path = tmp_path / "copy.toml"
    path.write_text(recipe.to_toml())
    assert load_recipe(path) == recipe
    assert load_recipe(path).hash() == recipe.hash()


def test_paper_is_table_1_to_the_letter():
    recipe = load_recipe("paper")
    assert recipe.model.name == "resnet152"
    assert recipe.data.size == 224
    assert (recipe.loop.micro_batch, recipe.loop.accumulation) == (32, 4)
    assert (recipe.optim.name, recipe.optim.lr, recipe.optim.weight_decay, recipe.optim.clip) == ("adamw", 5e-5, 0, 1)
    assert (recipe.schedule.shape, recipe.schedule.warmup) == ("linear", 0.1)
    assert (recipe.loop.epochs, recipe.loop.evaluate_every, recipe.loop.checkpoint_every) == (5, 600, 1200)
    assert recipe.augment.crop == "random-resized"
    assert recipe.augment.scale == (0.08, 1.0)
    assert recipe.augment.ratio == pytest.approx((3 / 4, 4 / 3))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("optim.lrr=1", "did you mean 'optim.lr'"),
        ("optin.lr=1", "did you mean 'optim'"),
        ("optim.lr=fast", "must be a number"),
        ("optim.lr=-1.0", "must be positive"),
        ("optim.lr=nan", "finite"),
        ("loop.epochs=2.5", "whole number"),
        ("loop.epochs=true", "whole number"),
        ("loop.select=worst", "one of best, last"),
        ("augment.scale=[0.5]", "list of 2"),
        ("augment.scale=[0.9, 0.1]", "smaller first"),
        ("weights.train=stages:0", "stages:K"),
        ("nonsense", "section.key=value"),
    ],
)
def test_wrong_setting_is_refused_with_its_reason(setting, words):
    with pytest.raises(RecipeError, match=words.replace("(", r"\(")):
        load_recipe("smoke", [setting])


def test_unknown_recipe_names_the_known_ones():
    with pytest.raises(RecipeError, match="paper"):
        load_recipe("papr")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe[data]")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "mine.toml")


def test_whole_numbers_pass_for_numbers_and_words_for_text():
    recipe = load_recipe("smoke", ["optim.lr=1", "model.name=resnet18"])
    assert recipe.optim.lr == 1.0
    assert recipe.model.name == "resnet18"
    assert recipe.hash() == load_recipe("smoke", ["optim.lr=1.0", 'model.name="resnet18"']).hash()


def test_hash_covers_every_setting():
    plain = Recipe()
    for section, settings in dataclasses.asdict(plain).items():
        for key, value in settings.items():
            if isinstance(value, bool):
                other = not value
            elif isinstance(value, int | float):
                other = value / 2 if isinstance(value, float) and value else value + 1
                other = 0.5 if key in ("ema", "weight_decay", "label_smoothing") else other
            else:
                continue
            needed = {"views": 1} if key == "consistency" else {}
            changed = recipe_from_dict({section: {**needed, key: other}})
            assert changed.hash() != recipe_from_dict({section: needed}).hash(), f"{section}.{key}"


def test_settings_younger_than_a_recipe_leave_its_hash_while_they_are_off():
    for setting in ("augment.cutmix=0.5", "augment.color=0.5", "loop.select_by=loss", "data.resampling=pillow"):
        assert load_recipe("paper", [setting]).hash() != load_recipe("paper").hash()
    assert load_recipe("paper").hash() == PAPER


PAPER = "3a33512f697e4bda7dc8c9acf7301beda01803157525376f52da80b2eaf80f73"
"""Hash of `paper` since the first version."""


def test_names_of_version_0_1_0_still_load_and_give_the_same_hash(tmp_path):
    old = {"crop_mode": "window", "drop_cross_split_duplicates": "drop_crossing_twins", "color": "colour"}
    text = load_recipe("paper", ["data.crop_mode=center-crop"]).to_toml()
    for present, former in old.items():
        assert f"\n{present} = " in text
        text = text.replace(f"\n{present} = ", f"\n{former} = ")
    text = text.replace("\nema = ", "\naverage = ").replace('"center-crop"', '"centre-crop"')
    (tmp_path / "old.toml").write_text(text)
    assert load_recipe(tmp_path / "old.toml") == load_recipe("paper", ["data.window=centre-crop"])
    assert load_recipe(tmp_path / "old.toml").data.crop_mode == "center-crop"
    assert load_recipe(tmp_path / "old.toml", ["data.window=resize"]).hash() == PAPER


@pytest.mark.parametrize("name", bundled_recipes())
def test_only_the_papers_method_selects_by_a_metric_with_a_floor(name):
    assert load_recipe(name).loop.select_by == ("f1" if name in ("paper", "study/full") else "loss")
