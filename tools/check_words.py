"""Check what a program can see of this project's style: sentence length, numbers without a leading zero, words.

    python tools/check_words.py [--all] [FILE ...]

Without files: README, docs, the other Markdown files, all docstrings of the package (help and recipe keys among them),
templates of model cards, and messages.
Sentences of more than 30 words are errors, of more than 25 warnings (listed with `--all`). Errors exit with status 1.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WARN, FAIL = 25, 30

GENERATED = {"docs/study.md"}
"""Pages that a command writes; their texts are checked where they are written."""

RECORDS = {"CHANGELOG.md"}
"""Files in which everything is a warning, since their entries describe the past."""

_THINGS = "file|folder|flag|card|report|page|message|command|detector|network|recipe|docstring|manifest"
_BRITISH = "optim|normal|quant|initial|recogn|standard|random|regular|equal|organ"

WORDS = {
    r"\btwins?\b": "duplicate",
    r"\bdoors?\b": "entry point, interface",
    r"\bwhat it knows\b": "supported input, domain",
    r"\bknows? again\b": "stores hashes of, recognizes",
    r"\bgoes on\b(?! to)": "resumes, continues",
    r"\bstayed shut\b": "we did not evaluate on",
    r"\blikewise\b": "the same text again",
    r"\bwhoever\b|\bwhomever\b": "anyone who, users who",
    r"\bnot to be (?:told|had)\b": "cannot be detected, is not available",
    rf"\b(?:{_THINGS})s? (?:says?|tells?|knows?|hears?)\b": "holds, prints, states, sets",
    r"\bcolour(?:s|ed|ing|ful)?\b": "color",
    r"\bgrey\b": "gray",
    r"\bcentre[ds]?\b": "center",
    r"\blicences?\b": "license",
    r"\bbehaviours?\b": "behavior",
    r"\bneighbour(?:s|ing)?\b": "neighbor",
    rf"\b(?:{_BRITISH})is(?:e[drs]?|ing|ation)\b": "-ize",
    r"\blearnt\b": "learned",
}
"""Words that style excludes, as patterns, and what to write."""

RIDDLE = re.compile(r"(?:Of|Under|Likewise)\b")
"""First word of a docstring, or of its text on an argument, without the noun it needs: `seed: Of the run`."""

BARE_NUMBER = re.compile(r"(?<![\w.)\]/*}])\.\d+(?![\w.]*\w*\()")
"""A number such as .946."""


@dataclass(frozen=True)
class Text:
    """A piece of prose: a paragraph, a list item, a cell or a message."""

    file: str
    line: int
    words: str
    documents: bool = False
    """Whether it is part of a docstring."""


def markdown(path: Path, name: str) -> Iterator[Text]:
    """Yield paragraphs, list items and cells of tables, without code blocks; statements of templates are left out."""
    lines: list[str] = []
    start, fenced = 1, False
    source = re.sub(r"\{%.*?%\}", "", re.sub(r"\{\{.*?\}\}", "X", path.read_text(encoding="utf-8")))
    for number, line in enumerate([*source.splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            line = ""
        elif fenced:
            continue
        new = re.match(r"\s*(?:[-*]|\d+\.) ", line)
        if lines and (not line.strip() or line.startswith(("#", "|")) or new or lines[-1].endswith(":")):
            yield Text(name, start, " ".join(lines))
            lines = []
        if line.startswith("|"):
            yield from (Text(name, number, cell) for cell in re.split(r"(?<!\\)\|", line))
        elif line.strip() and not line.startswith(("#", "<!--")):
            start = start if lines else number
            lines.append(re.sub(r"^\s*(?:[-*]|\d+\.) ", "", line).strip())


def docstrings(path: Path, name: str) -> Iterator[Text]:
    """Yield the paragraphs of a module's docstrings, those of attributes too; indented blocks are left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for child in getattr(node, "body", []) if isinstance(getattr(node, "body", None), list) else []:
            if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
                continue
            if isinstance(child.value.value, str):
                yield from _paragraphs(child.value.value, child.lineno, name)


def _paragraphs(doc: str, line: int, name: str) -> Iterator[Text]:
    margin = min((len(t) - len(t.lstrip()) for t in doc.splitlines()[1:] if t.strip()), default=0)
    lines: list[str] = []
    start, section = line, False
    for number, raw in enumerate([*doc.splitlines(), ""], line):
        text = raw.strip()
        heading = re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", text)
        indent = len(raw) - len(raw.lstrip()) - (margin if number > line else 0)
        entry = section and indent == 4 and re.match(r"\w[\w.]*: ", text)
        listed = re.match(r"- |\S+(?:  ?\S+)*   +\S", text)  # an item of a list, or a line of a table
        if lines and (not text or heading or entry or listed):
            yield Text(name, start, " ".join(lines), documents=True)
            lines = []
        if heading or not text:
            section = bool(heading) or (section and not text)
        elif section or indent < 4:
            start = start if lines else number
            lines.append(re.sub(r"^\w[\w.]*: ", "", text) if entry else text)


def messages(path: Path, name: str) -> Iterator[Text]:
    """Yield the texts of a message catalog."""
    source = path.read_text(encoding="utf-8")
    for texts in tomllib.loads(source).values():
        for key, text in texts.items():
            line = source[: source.index(f"\n{key} =") + 1].count("\n") + 1
            yield from (Text(name, line, part) for part in text.split("\n"))


def sentences(text: str) -> list[str]:
    """Split a paragraph into sentences; code, links and values count as one word each."""
    text = re.sub(r"`+[^`]*`+", "Code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\{[^}]*\}", "X", text)
    text = re.sub(r"\[[\d.,%+ -]+\]|\([\d.,%+ CIto-]+\)", "", text)
    text = re.sub(r"\b(e\.g|i\.e|et al|vs|dkk)\. ", r"\1 ", text)
    return [part for part in re.split(r"(?<=[.!?])[\"')*]*\s+(?=[A-Z\"'(*\d])", text) if part.strip()]


def problems(text: Text) -> Iterator[tuple[bool, str]]:
    """Yield what is wrong with a text: whether it is an error, and a line about it."""
    for sentence in sentences(text.words):
        count = len(re.findall(r"\w[\w'.,%/-]*", sentence))
        if count > WARN:
            yield count > FAIL, f"sentence of {count} words: {sentence.strip()[:70]}..."
    prose = re.sub(r"`+[^`]*`+", "", text.words)
    for found in BARE_NUMBER.finditer(prose):
        yield True, f"number without a leading zero: {found[0]}"
    if text.documents and (riddle := RIDDLE.match(prose)):
        yield True, f"'{riddle[0]} ...' without its noun: {prose[:40]}"
    for pattern, better in WORDS.items():
        for found in re.finditer(pattern, prose, flags=re.IGNORECASE):
            yield True, f"'{found[0]}'; better: {better}"


def texts(paths: list[Path]) -> Iterator[Text]:
    """Yield every text of some files."""
    readers = {".md": markdown, ".j2": markdown, ".py": docstrings, ".toml": messages}
    for path in paths:
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        yield from readers[path.suffix](path, name)


def default_files() -> list[Path]:
    """Return the files that are checked where none is given."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
    source = ROOT / "src" / "asli"
    found += [*source.rglob("*.py"), *source.rglob("*.md.j2"), *(source / "messages").glob("*.toml")]
    return sorted(path for path in found if path.relative_to(ROOT).as_posix() not in GENERATED)


def main(arguments: list[str]) -> int:
    """Print problems and return the exit status."""
    files = [Path(name).resolve() for name in arguments if name != "--all"] or default_files()
    errors = warnings = 0
    for text in texts(files):
        for found, line in problems(text):
            wrong = found and text.file not in RECORDS
            errors, warnings = errors + wrong, warnings + (not wrong)
            if wrong or "--all" in arguments:
                print(f"{text.file}:{text.line}: {'error' if wrong else 'warning'}: {line}")
    print(f"{len(files)} files: {errors} errors, {warnings} warnings (sentences of more than {WARN} words)")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
