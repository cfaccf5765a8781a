"""What a study leaves to read: study.md, study.html, one CSV a table, results.json."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from asli._version import __version__
from asli.files import write_json, write_text
from asli.progress import duration
from asli.recipe import load_recipe
from asli.reports.pages import MARK
from asli.study.paper.budgets import Budget
from asli.study.paper.claim import PaperClaim, verdict
from asli.study.paper.paper_figures import StudyFigure
from asli.study.paper.paper_tables import OVER_SEEDS
from asli.study.paper.starts import CIFAR_10
from asli.study.sweep.contrasts import Answer
from asli.study.sweep.record import VERSION, Result, recipe_of_result
from asli.study.sweep.results import AUROC, F1, F1_ARGMAX, Results
from asli.study.sweep.runner import Sweep
from asli.study.sweep.tabular import TextTable

DIGITS = 4
"""Decimals of the training curves in results.json."""


@dataclass(frozen=True, slots=True)
class Report:
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
        every = [_compact(result) for item in self.results.cells for result in item.results]
        write_json(out / "results.json", every)
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
            (f"{claim.text}: **{verdict(answers)}**. ({claim.where})", [_measured(item) for item in answers])
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
            "`yes` and `no` hold in every metric after correction for all tests made here. `leans`: every 95 % interval"
            " is on that side of 0, but not every one after the correction; more seeds are needed. A difference above 0"
            " supports the claim; its 95 % interval is in brackets.",
            "",
        ]
        for line, measured in self.answers:
            parts += [f"- {line}", *(f"  - {of}" for of in measured)]
        parts += [f"- {self.threshold_line}"] if self.threshold_line else []
        parts += ["", "## What changed since the last version, and why", "", changes()]
        parts += ["## What is not comparable with the paper", "", *(f"- {line}" for line in self.not_comparable), ""]
        parts += ["## Claims and tables", "", OVER_SEEDS, "", *(table.to_markdown() for table in self.tables)]
        parts += ["## Figures", ""]
        for picture in self.pictures:
            parts += [f"### {picture.title}", ""]
            parts += [f"![{picture.title}](figures/{picture.name}.png)", ""] if picture.svg else []
            parts += [f"From: {picture.origin}." if picture.svg else f"Not drawn: {picture.origin}.", ""]
        return "\n".join(parts).rstrip() + "\n"

    def _html(self) -> str:
        source = (resources.files("asli") / "study" / "paper" / "study.html.j2").read_text(encoding="utf-8")
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        extra: list[tuple[str, list[str]]] = [(self.threshold_line, [])] if self.threshold_line else []
        return environment.from_string(source).render(
            mark=MARK,
            command=self.command,
            origin=[_bold(line) for line in self.origin],
            over_seeds=OVER_SEEDS,
            answers=[(_bold(line), [_bold(of) for of in measured]) for line, measured in [*self.answers, *extra]],
            changes=[_bold(line.removeprefix("- ")) for line in changes().splitlines()],
            limits=[_bold(line) for line in self.not_comparable],
            tables=[Markup(table.to_html()) for table in self.tables],  # noqa: S704 - escaped there
            pictures=[(p.title, p.origin, Markup(p.svg) if p.svg else None) for p in self.pictures],  # noqa: S704
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
    short = item.verdict if item.hindrance else item.verdict.partition(":")[0]
    return f"{item.contrast.says}: **{short}**; " + "; ".join([", ".join(parts)] * bool(parts) + reasons)


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


def _bold(line: str) -> Markup:
    """Return a line of Markdown whose only marks are ** and backquotes as HTML."""
    pieces = [Markup.escape(piece) for piece in line.replace("`", "").split("**")]
    return Markup("").join(Markup("<b>{}</b>").format(p) if i % 2 else p for i, p in enumerate(pieces))
