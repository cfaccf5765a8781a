"""What a study leaves to read: study.md, study.html, one CSV a table, results.json."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from asli._version import __version__
from asli.files import write_json, write_text
from asli.progress import duration
from asli.recipe import load_recipe
from asli.reports.pages import MARK
from asli.study.claims import Answer, verdicts
from asli.study.figures import Picture
from asli.study.results import AUROC, F1, Results
from asli.study.runner import Study
from asli.study.starts import CIFAR_10
from asli.study.tables import OVER_SEEDS
from asli.study.tabular import Table

LEARNED = 0.65
"""Mean AUROC from which a network has learned something; .5 is chance."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a study has found.

    Attributes:
        study: Where and on what.
        results: Of its runs.
        answers: To the paper's claims.
        claims: The same as a table.
        tables: All others.
        pictures: All figures.
        seeds: Runs of each cell.
    """

    study: Study
    results: Results
    answers: Sequence[Answer]
    claims: Table
    tables: Sequence[Table]
    pictures: Sequence[Picture]
    seeds: int

    def write(self, out: Path) -> Path:
        """Write all files; return the Markdown's path."""
        for table in [self.claims, *self.tables]:
            write_text(out / "tables" / f"{table.name}.csv", table.to_csv())
        every = [result for item in self.results.cells for result in item.results]
        # Small enough to keep in a repository: what is measured at every update stays in results/ and in the figures.
        write_json(out / "results.json", [{k: v for k, v in r.items() if k != "training"} for r in every])
        write_text(out / "study.html", self._html())
        write_text(out / "study.md", self._markdown())
        return out / "study.md"

    @property
    def origin(self) -> str:
        """Return what the study ran on, in a sentence or two."""
        study, done = self.study, self.results.done
        scored = ", ".join(f"{len(study.data.rows(part)):,} {part}" for part in ("validation", "calibration", "test"))
        seconds = sum(r["seconds"]["training"] + r["seconds"]["judging"] for r in done)
        text = (
            f"Budget `{study.budget.name}` ({study.budget.means}), {self.seeds} seed{'s' if self.seeds != 1 else ''},"
            f" data {study.data.name} (hash {study.data.hash[:16]}), judged on {scored} images. asli {__version__}."
            f" {len(done)} runs, {duration(seconds)} of one process."
        )
        if done:
            m = done[0]["machine"]
            text += f" torch {m['torch']} on {m['device']} ({m['cpu_capability']}, threads: {m['threads']})."
        return text

    @property
    def command(self) -> str:
        """Return the command that makes all this."""
        budget = self.study.budget
        data = "" if budget.bundled else " --data DATA"
        weights = " --weights WEIGHTS" if self.study.weights else ""
        return f"asli study paper --budget {budget.name}{data}{weights} --seeds {self.seeds} --out OUT"

    @property
    def lines(self) -> list[str]:
        """Return the claims with their verdicts, the paper's tables' first, then what its abstract credits."""
        credited = {item.contrast.claim for item in self.answers if item.contrast.credited}
        said = verdicts(self.answers)
        order = sorted(said, key=lambda claim: claim in credited)
        return [f"{claim[0].upper()}{claim[1:]}: **{said[claim]}**." + self._measured(claim) for claim in order]

    def _measured(self, claim: str) -> str:
        of = [item for item in self.answers if item.contrast.claim == claim]
        parts = []
        for item in of:
            if item.test is not None:
                c = item.test.claim
                unit = "" if item.contrast.figure == "F1" else f" {item.contrast.figure}"
                parts.append(f"{item.contrast.says}: {c.difference:+.4f} [{c.low:+.4f}, {c.high:+.4f}]{unit}")
        parts += dict.fromkeys(item.why for item in of if item.test is None)
        return " " + "; ".join(parts) + "."

    @property
    def threshold_line(self) -> str | None:
        """Return what becomes of the paper's poor plain networks when the threshold is fitted."""
        plain = [item for item in self.results.showing("table 7") if item.cell.kind == "plain" and item.done]
        if not plain:
            return None
        f1 = statistics.mean(value for item in plain for value in item.by_seed(F1).values())
        at = statistics.mean(r["figures"]["argmax"]["f1"]["value"] for item in plain for r in item.done)
        area = statistics.mean(value for item in plain for value in item.by_seed(AUROC).values())
        return (
            f"Are the paper's F1 of .48 to .63 without residual connections a matter of the threshold? Here networks"
            f" without any shortcut reach a mean F1 of {f1:.3f} at the fitted threshold and {at:.3f} at the argmax,"
            f" with a mean AUROC of {area:.3f}; answering FAKE always gives .667."
        )

    @property
    def not_comparable(self) -> list[str]:
        """Return why these figures are not the paper's, whatever they are."""
        budget, ours, paper = self.study.budget, load_recipe(self.study.budget.base), load_recipe("paper")
        lines = [
            "Weights are chosen on a validation part and the threshold fitted on a calibration part, both carved out"
            " of train; the paper names neither, and probably chose on test.",
            "The paper gives one run of each network, without seeds or intervals.",
            "Its start weights are not named; `paper.toml` marks what else it leaves open.",
        ]
        if budget.name != "full":
            lines += [
                f"Networks: {', '.join(budget.depths)} stand for ResNet-18, 50, 101 and 152. They are other networks;"
                " the printed figure beside them is that of the network in the same place.",
                f"Input {ours.data.size} px, the paper {paper.data.size}; {ours.data.sample:,} training images x"
                f" {ours.loop.epochs} epochs, the paper 100,000 x {paper.loop.epochs}; peak rate {ours.optim.lr:g},"
                f" the paper {paper.optim.lr:g}. Rows with others say so.",
                f"{CIFAR_10}. `pretrained` means these weights for cifar_resnet networks, ImageNet's for others.",
                "Fewer images and updates than the paper's: networks that learn slowly, such as deep plain ones, may"
                " only lack time. A `yes` or a `no` here is one at this budget.",
            ]
        unlearned = self._unlearned()
        if unlearned:
            lines.append(
                f"Networks that learned next to nothing here (mean AUROC below {LEARNED:g}): {', '.join(unlearned)}. A"
                " claim about one of them says that it did not learn at this budget, not that it is the worse network."
            )
        if budget.name == "smoke":
            lines.insert(0, "**The smoke budget shows that all works. None of its figures means anything.**")
        return lines

    def _unlearned(self) -> list[str]:
        areas = [(item.cell.name, item.mean(AUROC)) for item in self.results.cells]
        return [f"{name} ({area:.2f})" for name, area in areas if area is not None and area < LEARNED]

    def _markdown(self) -> str:
        parts = [
            "# The paper's study, measured again",
            "",
            "Made by `" + self.command + "`; do not edit. `asli study paper --help` says what the words mean.",
            "",
            "## Answers",
            "",
            *(f"- {line}" for line in self._all_lines),
            "",
            self.origin,
            "",
            "## What is not comparable with the paper",
            "",
            *(f"- {line}" for line in self.not_comparable),
            "",
            "## Claims and tables",
            "",
            OVER_SEEDS,
            "",
            *(table.to_markdown() for table in (self.claims, *self.tables)),
            "## Figures",
            "",
        ]
        for picture in self.pictures:
            parts += [f"### {picture.title}", ""]
            parts += [f"![{picture.title}](figures/{picture.name}.png)", ""] if picture.svg else []
            parts += [f"From: {picture.origin}." if picture.svg else f"Missing: {picture.origin}.", ""]
        return "\n".join(parts).rstrip() + "\n"

    @property
    def _all_lines(self) -> list[str]:
        extra = self.threshold_line
        return [*self.lines, *([extra] if extra else [])]

    def _html(self) -> str:
        source = (resources.files("asli") / "study" / "study.html.j2").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        return environment.from_string(source).render(
            mark=MARK,
            command=self.command,
            origin=self.origin,
            over_seeds=OVER_SEEDS,
            lines=[_bold(line) for line in self._all_lines],
            limits=[_bold(line) for line in self.not_comparable],
            tables=[Markup(table.to_html()) for table in (self.claims, *self.tables)],  # noqa: S704 - escaped there
            pictures=[(p.title, p.origin, Markup(p.svg) if p.svg else None) for p in self.pictures],  # noqa: S704
        )


def _bold(line: str) -> Markup:
    pieces = [Markup.escape(piece) for piece in line.replace("`", "").split("**")]
    return Markup("").join(Markup("<b>{}</b>").format(p) if i % 2 else p for i, p in enumerate(pieces))
