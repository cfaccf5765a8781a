"""The report of an evaluation: the result in words, then every section; each function is pure."""

from collections.abc import Sequence
from typing import Any

from asli.evaluation.sections.access import (
    Result,
    at_threshold,
    called,
    is_score_table,
    threshold_free,
    verdict_rates,
)
from asli.evaluation.sections.figures import (
    calibration_section,
    figures_section,
    groups_section,
    verdicts_section,
)
from asli.messages import Language, Message, Number, catalog, message
from asli.messages.reasons import reason_text
from asli.reports import plots
from asli.reports.colors import Status
from asli.reports.kit import BaseRate, KeyNumber, Report, ReportFigure, Section, Text, Triple
from asli.reports.numbers import (
    ends,
    interval_text,
    of_hundred,
    percent,
    percent_interval,
    value_text,
)

Meaning = tuple[Status, Text]
"""What a number means to the reader: as a status, and in words."""

_NO_MEANING: Meaning = (Status.NEUTRAL, "")


def report_of(
    result: Result,
    further: Sequence[Section] = (),
    *,
    command: str | None = None,
    language: Language | None = None,
) -> Report:
    """Return the report of what `metrics.json` holds.

    Args:
        result: The whole of it.
        further: Sections of what only some evaluations measure; they stand before the origin.
        command: That produced it, as typed.
        language: Language of the summary; None takes the browser's.
    """
    data = result["data"]
    sections = [
        figures_section(result),
        verdicts_section(result),
        calibration_section(result),
        groups_section(result),
        *further,
        origin_section(result),
    ]
    return Report(
        title=message("report.title", detector=called(result), name=data["name"], split=data["split"]),
        origin=message(
            "report.origin",
            **{key: data[key] for key in ("images", "real", "fake")},
            date=result["date"][:10],
            version=result["asli"],
            threshold=Number(f"{result['threshold']:.4f}"),
        ),
        warning=optimism(result),
        summary=summary(result),
        key_numbers=key_numbers(result),
        base_rate=base_rate(result),
        limits=limits(result),
        commands=[command] if command else [],
        language=language,
        sections=[section for section in sections if section is not None],
    )


def optimism(result: Result) -> Message | None:
    """Return why the numbers are optimistic, if they are: images that were trained on, or that chose or fitted."""
    data = result["data"]
    if result["seen_in_training"]:
        return message("report.seen", seen=result["seen_in_training"], images=data["images"])
    if data["split"] != "test" and not is_score_table(result):
        return message(f"report.split_{data['split']}")
    return None


def summary(result: Result) -> list[Message]:
    """Return the result in words: how many images are flagged, and whether the detector beats chance."""
    at, rates = at_threshold(result), verdict_rates(result)
    lines = []
    for key, name in (("flagged", "false_positive_rate"), ("found", "recall")):
        value, _, _, n = ends(at[name])
        if value is not None:
            count, low, high = map(Number, of_hundred(at[name]))
            part = round(value * n)
            some = f"report.{key}" + {0: "_none", n: "_all"}.get(part, "")
            lines.append(message(some, count=count, low=low, high=high, part=part, whole=n))
    unsure = {label: rates[label]["unsure"] for label in ("real", "fake")}
    if any(ends(share)[0] for share in unsure.values()):
        lines.append(message("report.unsure", **{label: _unsure(label, share) for label, share in unsure.items()}))
    area = threshold_free(result)["auroc"]
    value, low_end, high_end, _ = ends(area)
    if value is None or low_end is None or high_end is None:
        lines.append(message("report.chance_unknown", label=_only_label(result)))
        return lines
    key = "chance_yes" if low_end > 0.5 else "chance_worse" if high_end < 0.5 else "chance_no"
    if _trained_on(result):
        key = "chance_void"
    low, high = map(Number, interval_text(area).split(" to "))
    lines.append(message(f"report.{key}", auroc=Number(value_text(area)), low=low, high=high))
    return lines


def key_numbers(result: Result) -> list[KeyNumber]:
    """Return the numbers in large type. A status is given where chance or a promise is a clear line."""
    at, area = at_threshold(result), threshold_free(result)["auroc"]
    alarms, recall = at["false_positive_rate"], at["recall"]
    useful = _beats(recall, (ends(alarms)[1], ends(alarms)[2]))
    kept = _promised(alarms, _target(result)) if useful[0] is Status.GOOD else useful
    numbers = [
        ("key_flagged", alarms, percent(alarms), kept),
        ("key_found", recall, percent(recall), useful),
        ("key_accuracy", at["accuracy"], percent(at["accuracy"]), _NO_MEANING),
        ("key_auroc", area, value_text(area), _beats(area)),
        ("key_f1", at["f1"], value_text(at["f1"]), _NO_MEANING),
    ]
    if optimism(result):  # proves nothing good
        optimistic = (Status.CAUTION, message("report.means_optimistic"))
        numbers = [(*start, optimistic if means[0] is Status.GOOD else means) for *start, means in numbers]
    return [_key_number(key, figure, text, *means) for key, figure, text, means in numbers]


def base_rate(result: Result) -> BaseRate | None:
    """Return what decides how far to trust one verdict; None where a label is missing."""
    at, verdicts = at_threshold(result), verdict_rates(result)
    rates = {name: at[name] for name in ("recall", "false_positive_rate")}
    rates |= {"missed": verdicts["fake"]["real"], "cleared": verdicts["real"]["real"]}
    triples: dict[str, Triple] = {}
    for name, figure in rates.items():
        value, low, high, _ = ends(figure)
        if value is None or low is None or high is None:
            return None
        triples[name] = (value, low, high)
    return BaseRate(**triples, photographs=result["data"]["real"], fakes=result["data"]["fake"])


def limits(result: Result) -> list[Text]:
    """Return what a reader must know who reads nothing else."""
    data, opened, out = result["data"], result["test_opened"], result["unscored"]
    lines: list[Text] = [
        message("report.caveat", caveat=reason_text(one), said=one) for one in result["detector"]["caveats"]
    ]
    lines.append(message("report.like_these", name=data["name"]))
    if not result.get("robustness"):
        lines.append(message(f"report.not_robust{'_scores' if is_score_table(result) else ''}"))
    if is_score_table(result):
        lines.append(message("report.scores_given", threshold=Number(f"{result['threshold']:.4g}")))
    elif data["split"] != "test" and result["seen_in_training"]:  # the first reason stands before the summary
        lines.append(message(f"report.split_{data['split']}"))
    if data["split"] == "test":
        lines.append(message("report.opened", times=opened["times"], recipes=opened["recipes"]))
    if out and out["missing"]:
        every = out["missing"] + data["images"]
        lines.append(message("report.missing", missing=out["missing"], all=every, first=out["missing_names"][0]))
    if out and out["extra"]:
        lines.append(message("report.extra", extra=out["extra"], first=out["extra_names"][0]))
    if result["unreadable"]:
        lines.append(message("report.unreadable", unreadable=result["unreadable"]))
    lines.append(_scale(result))
    for rate, worst in result["by_group"]["worst"].items():
        lines.append(
            message(
                "report.worst",
                of=worst["of"],
                rate=message(f"report.rate_{rate}"),
                property=property_text(worst["property"]),
                name=worst["name"],
                figure=share(worst["figure"]),
            )
        )
    without = result["without_cross_split_duplicates"]
    if without:
        f1 = without["figures"]["f1"]
        low, high = map(Number, interval_text(f1).split(" to "))
        values = {"duplicates": data["cross_split_duplicates"], "f1": Number(value_text(f1)), "low": low, "high": high}
        lines.append(message("report.without_duplicates", **values))
    return lines


def training_section(metrics: list[dict[str, Any]]) -> Section:
    """Return how training went, from the lines of a run's `metrics.jsonl`."""
    return Section(
        id="training",
        title=message("section.training"),
        figures=[
            ReportFigure(name="loss", title="Loss", drawing=plots.losses(metrics)),
            ReportFigure(name="learning_rate", title="Learning rate", drawing=plots.learning_rate(metrics)),
        ],
    )


def origin_section(result: Result) -> Section:
    """Return where every figure comes from."""
    detector, data = result["detector"], result["data"]
    if is_score_table(result):
        facts = [("scores", detector["network"]), ("SHA-256", detector["hash"])]
    else:
        facts = [
            ("detector", called(result)),
            ("network", detector["network"]),
            ("trained on", detector["trained_on"]),
            ("start weights", detector["start_weights"]),
            ("recipe, seed", f"{detector['recipe_hash']}, {result['seed']}"),
            ("SHA-256 of the detector", detector["hash"]),
        ]
    facts += [
        ("evaluated on", f"{data['name']}, {data['split']} split, data hash {data['hash']}"),
        ("as data", "metrics.json holds every number in full precision, scores.parquet (if written) every score"),
    ]
    return Section(id="origin", title=message("section.origin"), facts=facts)


def _key_number(key: str, figure: Any, text: str, status: Status, meaning: Text) -> KeyNumber:
    title = message(f"report.{key}")
    value, _, _, n = ends(figure)
    if value is None:
        return KeyNumber(title=title, value="–", detail=message("report.key_undefined"))  # noqa: RUF001
    shares = key not in ("key_auroc", "key_f1")
    low, high = map(Number, (percent_interval if shares else interval_text)(figure).split(" to "))
    interval = message("report.key_interval", low=low, high=high)
    detail = interval
    if shares:
        detail = message("report.key_counted", part=round(value * n), whole=n, interval=interval)
    shown = message("report.key_value", value=Number(text))
    return KeyNumber(title=title, value=shown, detail=detail, status=status, meaning=meaning)


def _beats(figure: Any, other: tuple[float | None, float | None] = (0.5, 0.5)) -> Meaning:
    """Return whether a figure's interval lies above another one, by default above chance."""
    _, low, high, _ = ends(figure)
    if low is None or high is None or other[0] is None or other[1] is None:
        return _NO_MEANING
    if low > other[1]:
        return Status.GOOD, message("report.means_chance_yes")
    if high < other[0]:
        return Status.BAD, message("report.means_chance_worse")
    return Status.CAUTION, message("report.means_chance_no")


def _target(result: Result) -> float | None:
    target: float | None = result["detector"]["thresholds"].get("target")
    return target


def _promised(alarms: Any, target: float | None) -> Meaning:
    """Return whether a promised share of false alarms was kept; neutral where none was promised."""
    value, low, _, _ = ends(alarms)
    if target is None or value is None or low is None:
        return _NO_MEANING
    at_most = {"target": Number(f"{100 * target:.3g} %")}
    if value <= target:
        return Status.GOOD, message("report.means_kept", **at_most)
    if low > target:
        return Status.BAD, message("report.means_broken", **at_most)
    return Status.CAUTION, message("report.means_unclear", **at_most)


def _trained_on(result: Result) -> bool:
    return bool(result["seen_in_training"]) or (result["data"]["split"] == "train" and not is_score_table(result))


def property_text(name: str) -> Message | str:
    """Return the name of a property of images in the reader's language; one that the catalog lacks as it is."""
    key = f"property.{name}"
    return message(key) if key in catalog("en") else name


def share(figure: Any) -> Message:
    """Return a share of images in words: `10.5 % (21 of 200; 95 % CI 7.0 % to 15.5 %)`."""
    value, _, _, n = ends(figure)
    if value is None:
        return message("report.key_undefined")
    low, high = map(Number, percent_interval(figure).split(" to "))
    return message(
        "report.share", percent=Number(percent(figure)), part=round((value or 0) * n), whole=n, low=low, high=high
    )


def _unsure(label: str, figure: Any) -> Message:
    value, _, _, n = ends(figure)
    part = round((value or 0) * n)
    key = f"report.unsure_{label}{'' if part else '_none'}"
    return message(key, count=Number(of_hundred(figure)[0]), part=part, whole=n)


def _only_label(result: Result) -> Message:
    return message("label.fake" if result["data"]["fake"] else "label.real")


def _scale(result: Result) -> Message:
    always, data = result["always_fake"], result["data"]
    if not data["real"] or not data["fake"]:
        return message("report.one_label", label=_only_label(result))
    f1, accuracy = Number(f"{always['f1']:.3f}"), Number(f"{always['accuracy']:.3f}")
    return message("report.always_fake", f1=f1, accuracy=accuracy)
