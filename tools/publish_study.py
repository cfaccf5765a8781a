"""Copy what a study found, without its runs, to where it is kept: its page, tables, figures and results.

    python tools/publish_study.py STUDY [docs]

STUDY is the --out of `asli study paper`. The page becomes DOCS/study.md, the rest lies in DOCS/study/.
"""

import shutil
import sys
from pathlib import Path

from asli.files import write_text


def publish(study: Path, docs: Path) -> Path:
    """Copy a study; what was published before is replaced. Return the page's path."""
    beside = docs / "study"
    shutil.rmtree(beside, ignore_errors=True)
    for folder in ("tables", "figures"):
        shutil.copytree(study / folder, beside / folder)
    shutil.copy(study / "results.json", beside)
    page = (study / "study.md").read_text(encoding="utf-8")
    write_text(docs / "study.md", page.replace("](figures/", "](study/figures/"))
    return docs / "study.md"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(publish(Path(sys.argv[1]), Path(*sys.argv[2:] or ["docs"])))
