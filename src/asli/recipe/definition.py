"""A recipe as a whole: all sections, their hash, and what settings were called before."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from asli.files import sha256_of_json
from asli.recipe.sections import (
    AugmentSettings,
    DataSettings,
    LoopSettings,
    ModelSettings,
    OptimSettings,
    PrecisionSettings,
    ScheduleSettings,
    WeightSettings,
)

FORMER_NAMES = {
    "data": {"crop_mode": "window", "drop_cross_split_duplicates": "drop_crossing_twins"},
    "augment": {"color": "colour"},
    "loop": {"ema": "average"},
}
"""Keys as asli 0.1.0 called them, by section and present name: recipes are hashed under them, and still load."""

FORMER_VALUES = {("data", "crop_mode"): {"center-crop": "centre-crop"}}
"""Values as asli 0.1.0 called them, by section and present key."""

YOUNGER = (
    ("augment", "cutmix", 0.0),
    ("augment", "color", 0.0),
    ("data", "sample_seed", 0),
    ("augment", "views", 0),
    ("augment", "consistency", 0.0),
    ("data", "balance", 0.0),
    ("data", "crops", 4),
    ("data", "pooling", "mean"),
    ("data", "short_side", 0),
    ("data", "resampling", "fast"),
    ("weights", "head", "network"),
    ("loop", "select_by", "f1"),
    ("loop", "reestimate_batchnorm", 0),
    ("precision", "tf32", "convolutions"),
    ("precision", "deterministic", False),
)
"""Settings added since, each with the value at which it does nothing: so the hashes of older recipes stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that determines a run."""

    data: DataSettings = field(default_factory=DataSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)
    precision: PrecisionSettings = field(default_factory=PrecisionSettings)

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return what is hashed: every setting under its first name, without younger settings at their defaults."""
        tree = dataclasses.asdict(self)
        for section, key, off in YOUNGER:
            if tree[section][key] == off:
                del tree[section][key]
        for (section, key), names in FORMER_VALUES.items():
            tree[section][key] = names.get(tree[section][key], tree[section][key])
        for section, names in FORMER_NAMES.items():
            tree[section] = {names.get(key, key): value for key, value in tree[section].items()}
        return tree

    def hash(self) -> str:
        """Return the SHA-256 of the settings' canonical JSON, defaults included."""
        return sha256_of_json(self.settings())

    def family(self) -> str:
        """Return the hash without the seed: runs that share it differ by chance alone."""
        tree = self.settings()
        del tree["loop"]["seed"]
        return sha256_of_json(tree)

    def to_toml(self) -> str:
        """Return the whole recipe as TOML, defaults included."""
        sections = []
        for section, settings in dataclasses.asdict(self).items():
            # JSON's strings, numbers, booleans and lists of them are TOML's too.
            lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
            sections.append("\n".join([f"[{section}]", *lines]) + "\n")
        return "\n".join(sections)
