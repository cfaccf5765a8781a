"""The keys of a recipe in the help of `asli train`: values, default and description of each, from the dataclasses."""

import ast
import dataclasses
import inspect
import json
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions


@dataclass(frozen=True, slots=True)
class RecipeKey:
    """One setting of a recipe.

    Attributes:
        name: `section.key`, as `--set` takes it.
        default: Used where a recipe does not state it, as in TOML.
        description: What it sets.
        choices: What it may be; empty for numbers and text.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...]


def recipe_keys() -> dict[str, list[RecipeKey]]:
    """Return every setting of a recipe by section, in the order of `asli.Recipe`."""
    from asli.recipe import Recipe

    found = {}
    for section, cls in typing.get_type_hints(Recipe).items():
        hints, texts, defaults = typing.get_type_hints(cls), _attribute_docstrings(cls), cls()
        found[section] = [
            RecipeKey(
                name=f"{section}.{field.name}",
                default=json.dumps(getattr(defaults, field.name)),
                description=texts[field.name],
                choices=_choices(hints[field.name]),
            )
            for field in dataclasses.fields(cls)
        ]
    return found


class WithRecipeKeys:
    """Prints a command's parameters, then one panel of keys for each section of a recipe."""

    def __call__(self, console: "Console", options: "ConsoleOptions", panel: "HelpPanel") -> None:
        """Print a panel of the help; those of the recipe follow the parameters."""
        from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel

        draw = DefaultFormatter()
        draw(console, options, panel)
        if panel.title != "Parameters":
            return
        for section, keys in recipe_keys().items():
            entries = [
                HelpEntry(
                    positive_names=(key.name,),
                    description=key.description,
                    choices=key.choices,
                    default=key.default,
                )
                for key in keys
            ]
            draw(
                console,
                options,
                HelpPanel(format="parameter", title=f"Recipe keys for --set: {section}", entries=entries),
            )


def _attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the text below each attribute of a class, on one line."""
    (tree,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for attribute, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(attribute, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(attribute.target, ast.Name)
            found[attribute.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def _choices(hint: Any) -> tuple[str, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
