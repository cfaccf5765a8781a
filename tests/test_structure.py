"""Imports point one way, no two packages import each other, and files are small and named once."""

import ast
import importlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import asli

ROOT = Path(asli.__file__).parent
LAYERS = [
    {"_version", "errors", "pixel_limits"},
    {"files", "threads", "records", "notebook", "plugins"},
    {"messages", "progress", "signals", "recipe", "parallel"},
    {"run"},
    {"transforms"},
    {"datasets"},
    {"metrics", "provenance", "sample"},
    {"models"},
    {"training"},
    {"tracking"},
    {"detector"},
    {"reports"},
    {"evaluation", "auditing"},
    {"explanation", "scanning", "exporting"},
    {"adopting", "scaling"},
    {"tables"},
    {"serving"},
    {"cross_validation", "fitting", "machine"},
    {"head_training", "alignment"},
    {"pipeline"},
    {"study", "demonstration", "generalization"},
    {"schemas"},
    {"cli"},
    {"asli", "__main__"},
]
"""From the bottom to the top; a module imports what is in its own package or in a lower layer."""

HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(("asli", *parts)).removesuffix(".__init__")
        yield name, path


@cache
def import_nodes(path):
    """Return the imports of a file, and those of them that run while it loads."""
    tree = ast.parse(path.read_text())
    kinds = (ast.Import, ast.ImportFrom)
    return [n for n in ast.walk(tree) if isinstance(n, kinds)], [n for n in tree.body if isinstance(n, kinds)]


def imports(path, known):
    for node in import_nodes(path)[0]:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "asli":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield (full if full in known else node.module), node
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names if alias.name.split(".")[0] == "asli")


def top(module):
    return module.split(".")[1] if "." in module else "asli"


def test_every_import_points_down():
    known = {name for name, _ in modules()}
    wrong = []
    for name, path in modules():
        for target, node in imports(path, known):
            if top(name) != top(target) and HEIGHT[top(target)] >= HEIGHT[top(name)]:
                wrong.append(f"{name}:{node.lineno} imports {target}")
    assert wrong == []


def test_no_modules_import_each_other_while_they_load():
    known = dict(modules())
    graph = {}
    for name, path in known.items():
        lines = {node.lineno for node in import_nodes(path)[1]}
        found = {target for target, node in imports(path, known) if node.lineno in lines}
        graph[name] = {target for target in found if target != name and not name.startswith(f"{target}.")}
    seen, path = {}, []

    def visit(name):
        seen[name] = "open"
        path.append(name)
        for target in sorted(graph.get(name, ())):
            assert seen.get(target) != "open", " -> ".join([*path[path.index(target) :], target])
            if target not in seen:
                visit(target)
        path.pop()
        seen[name] = "done"

    for name in graph:
        if name not in seen:
            visit(name)


def test_every_file_has_a_name_of_its_own_and_fits_in_one_reading():
    paths = {name: path for name, path in modules() if path.name not in ("__init__.py", "__main__.py")}
    names = [name.rpartition(".")[2] for name in paths]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert {name: lines for name, path in paths.items() if (lines := len(path.read_text().splitlines())) > 360} == {}


def test_every_class_has_a_name_of_its_own():
    """The HTTP API's schemas describe the classes they are named after."""
    found = {}
    for module, path in modules():
        if module != "asli.serving.api_schema":
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found.setdefault(node.name, []).append(module)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_programs_beside_the_package_import_what_it_has():
    """No type checker reads benchmarks, and most run for hours: a name that moved would be noticed late."""
    root, missing = Path(__file__).parents[1], []
    for file in [*root.glob("benchmarks/**/*.py"), *root.glob("tools/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "asli":
                module = importlib.import_module(node.module)
                there = [hasattr(module, name.name) or find_spec(f"{node.module}.{name.name}") for name in node.names]
                missing += [
                    f"{file.name}: {node.module}.{name.name}"
                    for name, found in zip(node.names, there, strict=True)
                    if not found
                ]
    assert not missing
