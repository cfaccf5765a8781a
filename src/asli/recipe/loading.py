"""Reading recipes, strictly: unknown keys, wrong types and contradictions are errors.

Not by cyclopts, which reads dataclasses and TOML, too: former names must load, and hashes come from them.
"""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from asli.errors import RecipeError
from asli.recipe.definition import FORMER_NAMES, FORMER_VALUES, Recipe


def load_recipe(recipe: str | Path, overrides: typing.Sequence[str] = ()) -> Recipe:
    """Read a recipe strictly.

    Args:
        recipe: Name of a bundled recipe (`bundled_recipes` lists them) or path of a TOML file.
        overrides: Settings that replace the file's, each `section.key=value` with the value as in TOML; a bare word
            is taken as text.

    Raises:
        RecipeError: No such recipe, or a key, type or value that is not allowed.
    """
    path = Path(recipe)
    if path.suffix == ".toml":
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise RecipeError(f"cannot read recipe {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"recipe {path} is not UTF-8 text: {error}") from error
    elif str(recipe) in bundled_recipes():
        text = (resources.files("asli") / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8")
    else:
        known = ", ".join(bundled_recipes())
        raise RecipeError(f"no recipe named '{recipe}'; bundled: {known}; or give the path of a .toml file")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {recipe} is not valid TOML: {error}") from error
    tree = present_names(tree)
    for override in overrides:
        _apply(tree, override)
    return recipe_from_dict(tree)


def present_names(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the sections of a recipe with the keys and values that asli 0.1.0 called otherwise under present names."""
    return {
        section: dict(_present(section, key, value) for key, value in settings.items())
        if isinstance(settings, dict)
        else settings
        for section, settings in tree.items()
    }


def bundled_recipes() -> list[str]:
    """Return the names of the recipes inside the package, those of the study as `study/NAME`."""
    root = resources.files("asli") / "recipes"
    names = []
    for item in root.iterdir():
        if item.is_dir():
            names += [f"{item.name}/{child.name[:-5]}" for child in item.iterdir() if child.name.endswith(".toml")]
        elif item.name.endswith(".toml"):
            names.append(item.name[:-5])
    return sorted(names)


def list_recipes() -> dict[str, str]:
    """Return what each bundled recipe is for, by name: the first line of its file."""
    root = resources.files("asli") / "recipes"
    texts = {name: (root / f"{name}.toml").read_text(encoding="utf-8") for name in bundled_recipes()}
    return {name: text.splitlines()[0].removeprefix("# ") for name, text in texts.items()}


def recipe_text(name: str) -> str:
    """Return the file of a bundled recipe, with its comments.

    Raises:
        RecipeError: There is none of that name.
    """
    load_recipe(name)  # names what there is, where this is not
    path = Path(name)
    return (
        path.read_text(encoding="utf-8")
        if path.suffix == ".toml"
        else (resources.files("asli") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    )


def recipe_from_dict(tree: dict[str, Any]) -> Recipe:
    """Build a recipe from nested dictionaries, as TOML gives them.

    Raises:
        RecipeError: A key, type or value that is not allowed.
    """
    return typing.cast(Recipe, _build(Recipe, tree, ""))


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and name):
        raise RecipeError(f"--set takes section.key=value, for example optim.lr=1e-3; got '{override}'")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    if not isinstance(tree.setdefault(section, {}), dict):
        raise RecipeError(f"'{section}' is not a section of a recipe")
    tree[section].update([_present(section, name, value)])


def _present(section: str, key: str, value: Any) -> tuple[str, Any]:
    """Return a setting under its present name."""
    names = {former: present for present, former in FORMER_NAMES.get(section, {}).items()}
    key = names.get(key, key)
    values = {former: present for present, former in FORMER_VALUES.get((section, key), {}).items()}
    return key, values.get(value, value) if isinstance(value, str) else value


def _build(cls: type, tree: dict[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(cls)
    unknown = [key for key in tree if key not in hints]
    if unknown:
        close = difflib.get_close_matches(unknown[0], hints, n=1)
        advice = f"did you mean '{prefix}{close[0]}'?" if close else f"allowed: {', '.join(hints)}"
        raise RecipeError(f"unknown recipe key '{prefix}{unknown[0]}'; {advice}")
    values = {}
    for key, value in tree.items():
        hint, name = hints[key], f"{prefix}{key}"
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise RecipeError(f"recipe key '{name}' must be a section, [{name}]")
            values[key] = _build(typing.cast(type, hint), value, f"{name}.")
        else:
            values[key] = _convert(hint, value, name)
    return cls(**values)


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in arguments:
            return value
        raise RecipeError(f"recipe key '{name}' must be one of {', '.join(map(str, arguments))}; got {value!r}")
    if origin is tuple:
        if isinstance(value, list) and len(value) == len(arguments):
            return tuple(_convert(part, item, name) for part, item in zip(arguments, value, strict=True))
        raise RecipeError(f"recipe key '{name}' must be a list of {len(arguments)} numbers; got {value!r}")
    assert not isinstance(hint, types.UnionType), "recipes have no optional keys"
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise RecipeError(f"recipe key '{name}' must be {_KINDS[hint]}; got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"recipe key '{name}' must be a finite number; got {value!r}")
    return value


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
