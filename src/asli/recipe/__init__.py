"""The recipe: everything that determines a run, and nothing that does not (threads, trackers, recovery interval).

A recipe is a tree of frozen dataclasses, kept as TOML. Unknown keys, wrong types and contradictions are errors.
"""

from asli.recipe.definition import Recipe
from asli.recipe.loading import (
    bundled_recipes,
    list_recipes,
    load_recipe,
    present_names,
    recipe_from_dict,
    recipe_text,
)
from asli.recipe.sections import (
    AugmentSettings,
    CropMode,
    DataSettings,
    Interpolation,
    LoopSettings,
    ModelSettings,
    OptimSettings,
    Pooling,
    PrecisionSettings,
    Resampling,
    ScheduleSettings,
    WeightSettings,
)

__all__ = [
    "AugmentSettings",
    "CropMode",
    "DataSettings",
    "Interpolation",
    "LoopSettings",
    "ModelSettings",
    "OptimSettings",
    "Pooling",
    "PrecisionSettings",
    "Recipe",
    "Resampling",
    "ScheduleSettings",
    "WeightSettings",
    "bundled_recipes",
    "list_recipes",
    "load_recipe",
    "present_names",
    "recipe_from_dict",
    "recipe_text",
]
