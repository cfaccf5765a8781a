"""What a study leaves to read: study.md, study.html, one CSV a table, results.json."""

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from asli._version import __version__
from asli.files import write_text
from asli.progress import duration
from asli.recipe import load_recipe
from asli.reports.hover import inline
from asli.reports.render import render
from asli.study.paper.budgets import Budget
from asli.study.paper.claim import PaperClaim, verdict
from asli.study.paper.paper_figures import StudyFigure
from asli.study.paper.paper_tables import OVER_SEEDS
from asli.study.paper.printed import TABLE_3
from asli.study.paper.starts import CIFAR_10
from asli.study.sweep.contrasts import Answer
from asli.study.sweep.record import VERSION, Result, recipe_of_result
from asli.study.sweep.results import AUROC, F1, F1_ARGMAX, Results
from asli.study.sweep.runner import Sweep
from asli.study.sweep.tabular import TextTable

TERMS = (
    "`yes` and `no` hold in every metric after Holm's correction over all tests of that metric. `leans`: the 95%"
    " interval of at least one metric lies on that side of 0 and of none on the other, but not all stand up to that"
    " correction. `not settled`: the intervals hold 0; their ends say how large an effect can still be. `depends on the"
    " metric`: metrics contradict each other. `mixed`: several comparisons answer the claim, and differently; one"
    ' refutes a claim on "every" network. `not judged`: a network did not learn enough to be compared. A number above 0'
    " speaks for the claim; its 95% interval over seeds is in brackets.",
    "Measures of an image, for the remarks on mistakes (`asli.metrics.appearance`): `colorfulness` is the spread of its"
    " colors, `texture` the strength of its fine detail, `flatness` the share of flat blocks along its edge. A wrongly"
    " judged image is compared with a rightly judged one of the same label: `chance above 1/2` is the chance that it"
    " measures higher, or lower where the line says so, less 0.5.",
)
"""What the words of the answers mean."""

DIGITS = 4
"""Decimals of the training curves in results.json."""


@dataclass(frozen=True, slots=True)
class PaperReport:
    """Everything a study has found.

    Attributes:
        budget: How much was run.
        sweep: Where and on what.
        with_weights: Whether a folder of start weights was given.
        results: Results of its runs.
        answered: The paper's claims, each with its answers.
        tables: The claims' first.
        pictures: All figures.
        seeds: Runs of each cell at most.
    """

    budget: Budget
    sweep: Sweep
    with_weights: bool
    results: Results
    answered: Sequence[tuple[PaperClaim, Sequence[Answer]]]
    tables: Sequence[TextTable]
    pictures: Sequence[StudyFigure]
    seeds: int

    def write(self, out: Path) -> Path:
        """Write all files; return the Markdown's path."""
        for table in self.tables:
            write_text(out / "tables" / f"{table.name}.csv", table.to_csv())
        runs = (_compact(result) for item in self.results.cells for result in item.results)
        lines = (json.dumps(run, separators=(",", ":"), ensure_ascii=False, allow_nan=False) for run in runs)
        write_text(out / "results.json", "[\n" + ",\n".join(lines) + "\n]\n")  # a run a line: a fifth of the size
        write_text(out / "study.html", self._html())
        write_text(out / "study.md", self._markdown())
        return out / "study.md"

    @property
    def origin(self) -> list[str]:
        """Return what the study ran on, what it took, and what is missing."""
        done = list({result["identity"]: result for result in self.results.done}.values())
        sets = dict.fromkeys((r["data"]["name"], r["data"]["hash"][:16], r["data"]["images"]) for r in done)
        tested = "; ".join(f"{name} (hash {digest}), {images:,} test images" for name, digest, images in sets)
        text = (
            f"Budget `{self.budget.name}` ({self.budget.means}), at most {self.seeds}"
            f" seed{'s' if self.seeds != 1 else ''} a cell, {tested or 'no runs yet'}. Tables by asli {__version__}."
            f" {len(done)} runs, {_spent(done)}."
        )
        if done:
            text += f" {_machines(done)}."
        former = sum(result["version"] < VERSION for result in done)
        if former:
            text += (
                f" **{former} of these runs are those of the former version of this study**: weights selected by F1,"
                " one training sample for all seeds, BatchNorm's running averages, heads as each network draws them."
                " Their raw loss is that of the validation images; their training curves and mistakes were not kept."
                " Only their analysis is new."
            )
        waiting = [item.cell.name for item in self.results.cells if any(r["status"] == "missing" for r in item.results)]
        lines = [text]
        if waiting:
            lines.append(
                f"**Not finished**: {len(waiting)} of {len(self.results.cells)} cells lack runs; the command above"
                f" resumes them: {', '.join(waiting)}."
            )
        return lines

    @property
    def command(self) -> str:
        """Return the command that makes all this."""
        data = "" if self.budget.bundled else " --data DATA"
        weights = " --weights WEIGHTS" if self.with_weights else ""
        return f"asli study paper --budget {self.budget.name}{data}{weights} --seeds {self.seeds} --out OUT"

    @property
    def answers(self) -> list[tuple[str, list[str]]]:
        """Return each claim with its verdict, and below it what was measured, a line a contrast."""
        return [
            (f"{claim.text}: **{verdict(claim, answers)}**. ({claim.where})", [_measured(item) for item in answers])
            for claim, answers in self.answered
        ]

    @property
    def threshold_line(self) -> str | None:
        """Return what becomes of the paper's poor plain networks when the threshold is fitted."""
        plain = [item for item in self.results.showing("table 7") if item.cell.network.startswith("plain_")]
        plain = [item for item in plain if item.done and not item.cell.network.endswith("_stage")]
        if not plain:
            return None
        at, f1, area = (
            statistics.mean(value for item in plain for value in item.by_seed(pick).values())
            for pick in (F1_ARGMAX, F1, AUROC)
        )
        return (
            "Are the paper's F1 of 0.48 to 0.63 without residual connections a matter of the threshold? Here networks"
            f" without any shortcut reach a mean F1 of {at:.3f} at argmax and {f1:.3f} at the fitted threshold, with a"
            f" mean AUROC of {area:.3f}; answering fake always gives 0.667."
        )

    @property
    def influence_line(self) -> str | None:
        """Return whether mistakes look different at all: the paper's conclusion on color, texture and background."""
        remarks = [item for claim, answers in self.answered if claim.where.startswith("figure 10") for item in answers]
        found = [item.tested[0].test.result for item in remarks if item.tested[0].test is not None]
        if not found:
            return None
        shown = sum(c.low > 0 or c.high < 0 for c in found)
        return (
            f"Color, texture and background influence the model: **{'yes' if shown == len(found) else 'in part'}**;"
            f" {shown} of {len(found)} differences of the three remarks have an interval without 0, whatever their"
            " direction. (conclusions)"
        )

    @property
    def level_line(self) -> str | None:
        """Return how near these runs come to the paper's best figure."""
        means = {item.cell.name: item.mean(F1_ARGMAX) for item in self.results.cells if item.done}
        known = {name: value for name, value in means.items() if value is not None}
        if not known or TABLE_3.f1 is None:
            return None
        best = max(known, key=lambda name: known[name])
        level = "reached" if known[best] >= TABLE_3.f1 else "not reached at this budget"
        return (
            f"The paper's best F1, {TABLE_3.f1} (table 3): **{level}**; the highest mean F1 at argmax of a cell here is"
            f" {known[best]:.4f} ({best}, {self.results[best].condition})."
        )

    @property
    def not_comparable(self) -> list[str]:
        """Return why these figures are not the paper's, whatever they are."""
        budget, paper = self.budget, load_recipe("paper")
        made = next((result for item in self.results.showing("table 7") for result in item.done), None)
        ours = recipe_of_result(made) if made else load_recipe(budget.base)
        lines = [
            "Weights are chosen on a validation part and the threshold fitted on a calibration part, both taken out"
            " of train; the paper names neither, and probably chose on test.",
            "The paper gives one run of each network, without seeds or intervals.",
            "Its start weights are not named; `paper.toml` marks what else it leaves open.",
            "Its review asks that VGG and DenseNet be compared on generalization and Inception on varied features. The"
            " paper measures neither. They are compared on the test part (table 2), and on costs (table 2, costs),"
            " where EfficientNet's compute and speed stand, too.",
            "Vanishing gradients are measured in the ResNets with and without shortcuts, not in VGG-16.",
        ]
        if budget.name != "full":
            lines += [
                f"Networks: {', '.join(budget.depths)} stand for ResNet-18, 50, 101 and 152. They are other networks;"
                " the printed figure beside them is that of the network in the same place.",
                f"Input {ours.data.size} px, the paper {paper.data.size}; {ours.data.sample:,} training images"
                f" x {ours.loop.epochs} epochs in batches of {ours.loop.micro_batch} x {ours.loop.accumulation},"
                f" the paper 100,000 x {paper.loop.epochs} in {paper.loop.micro_batch} x {paper.loop.accumulation};"
                f" peak rate {ours.optim.lr:g}, the paper {paper.optim.lr:g}. Each row states its own condition.",
                f"{CIFAR_10}. `pretrained` means these weights for cifar_resnet networks, ImageNet's for others.",
                "No ImageNet weights of the paper's networks could be had: its ResNet-18 to 152, VGG-16 and"
                " EfficientNets are trained from scratch here, and `pretrained` rows of theirs state so.",
                "Fewer images and updates than the paper's: networks that learn slowly, such as deep plain ones, may"
                " only lack time. A `yes` or a `no` here is one at this budget.",
            ]
        failed = [f"{item.cell.name} ({item.unlearned})" for item in self.results.cells if item.done and item.unlearned]
        if failed:
            lines.append(
                f"Networks that did not beat a constant answer: {', '.join(failed)}. Comparisons of networks leave them"
                " out. Answers on shortcuts and pretraining count them: there, that a network does not learn is the"
                " finding, at this budget."
            )
        if budget.name == "smoke":
            lines.insert(0, "**The smoke budget tests the installation. Its numbers have no meaning.**")
        return lines

    def _markdown(self) -> str:
        parts = [
            "# The paper's study, measured again",
            "",
            f"Made by `{self.command}`; do not edit. `asli study paper --help` explains the terms.",
            "",
            *(f"{line}\n" for line in self.origin),
            "## Answers",
            "",
            *(f"{line}\n" for line in TERMS),
        ]
        for line, measured in self.answers:
            parts += [f"- {line}", *(f"  - {of}" for of in measured)]
        parts += [f"- {self.threshold_line}"] if self.threshold_line else []
        parts += [f"- {line}" for line in (self.influence_line, self.level_line) if line]
        parts += [
            "",
            "## What is not comparable with the paper",
            "",
            *(f"- {line}" for line in self.not_comparable),
            "",
        ]
        parts += ["## Claims and tables", "", OVER_SEEDS, "", *(table.to_markdown() for table in self.tables)]
        parts += ["## Figures", ""]
        for picture in self.pictures:
            parts += [f"### {picture.title}", ""]
            parts += [f"![{picture.title}](figures/{picture.name}.png)", ""] if picture.svg else []
            parts += [f"From: {picture.origin}." if picture.svg else f"Not drawn: {picture.origin}.", ""]
        parts += ["## What changed since the last version, and why", "", changes()]
        return "\n".join(parts).rstrip() + "\n"

    def _html(self) -> str:
        source = (resources.files("asli") / "study" / "paper" / "study.html.j2").read_text(encoding="utf-8")
        lines = (self.threshold_line, self.influence_line, self.level_line)
        extra: list[tuple[str, list[str]]] = [(line, []) for line in lines if line]
        return render(
            source,
            "en",
            command=self.command,
            origin=self.origin,
            over_seeds=OVER_SEEDS.replace("*", ""),
            terms=TERMS,
            answers=[*self.answers, *extra],
            changes=[line.removeprefix("- ") for line in changes().splitlines()],
            limits=self.not_comparable,
            tables=self.tables,
            pictures=[
                (p.title, p.origin, Markup(inline(p.svg.encode(), p.name, p.title)) if p.svg else None)  # noqa: S704
                for p in self.pictures
            ],
        )


def changes() -> str:
    """Return what changed since the last version of the study, and why, as a Markdown list."""
    return (resources.files("asli") / "study" / "paper" / "changes.md").read_text(encoding="utf-8")


def _measured(item: Answer) -> str:
    parts = []
    for tested in item.tested:
        if tested.test is None:
            continue
        c = tested.test.result
        text = f"{tested.metric} {c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}]"
        alone = len(item.tested) == 1 or item.hindrance
        parts.append(text if alone else f"{text} {tested.verdict}")
    reasons = list(dict.fromkeys(tested.why for tested in item.tested if tested.test is None))
    reasons += [_beside_printed(item)] if item.contrast.printed is not None else []
    short = item.verdict if item.hindrance else item.verdict.partition(":")[0]
    return f"{item.contrast.says}: **{short}**; " + "; ".join([", ".join(parts)] * bool(parts) + reasons)


def _beside_printed(item: Answer) -> str:
    """Return whether the intervals of F1 hold what the paper's own F1 give."""
    printed = item.contrast.printed
    assert printed is not None, "the caller looked"
    tests = [tested.test.result for tested in item.tested if tested.test and tested.metric.startswith("F1")]
    held = sum(c.low <= printed <= c.high for c in tests)
    where = "neither interval" if not held else "one interval" if held < len(tests) else "both intervals"
    return f"the paper's {printed:+.3f} lies in {where} of F1"


def _machines(done: Sequence[Result]) -> str:
    """Return on what runs were made, with the number of runs where they were made on several."""
    counts = Counter(
        f"torch {m['torch']} on {m['device']} ({m['cpu_capability']}, threads: {m['threads']})"
        for m in (result["machine"] for result in done)
    )
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{count} runs with {machine}" for machine, count in counts.most_common())


def _spent(done: Sequence[Result]) -> str:
    """Return wall and process time of runs; asli 0.1.0 measured wall time alone."""
    wall = sum(r["seconds"].get("wall", r["seconds"]["training"] + r["seconds"].get("judging", 0.0)) for r in done)
    process = [r["seconds"]["process"] for r in done if "process" in r["seconds"]]
    text = f"{duration(wall)} of wall time"
    if len(process) == len(done):
        return f"{text} and {duration(sum(process))} of process time"
    return f"{text} (process time was not measured{' of all' if process else ''})"


def _compact(result: Result) -> Result:
    """Return a result small enough to keep in a repository: its curves with fewer decimals."""
    small: dict[str, Any] = dict(result)
    if "training" in small:
        small["training"] = [
            [update, round(loss, DIGITS), float(f"{lr:.3g}")] for update, loss, lr in small["training"]
        ]
    return small
