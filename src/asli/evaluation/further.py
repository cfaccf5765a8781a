"""The parts of an evaluation's result that only some evaluations have: comparison, robustness, mistakes."""

from dataclasses import dataclass, field

from asli.evaluation.side_by_side import SideBySide
from asli.metrics.estimate import Estimate
from asli.records import OPTIONAL, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference(Record):
    """A difference of one metric between two detectors, with its test.

    Attributes:
        difference: First minus second.
        low: Lower end of its 95% interval.
        high: Upper end.
        p: Two-sided, that there is no difference.
        p_holm: After Holm's correction over all tests of the comparison.
        shown: Whether `p_holm` is below the level.
    """

    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDifference(PairedDifference):
    """A difference of one metric between two recipes, seeds as units.

    Attributes:
        method: `paired` by seed or `Welch`.
        means: Means of both recipes.
        spreads: Standard deviation over seeds of both.
        seeds_needed: Seeds of each recipe that find such a difference with 80% power; None where over 1,000 or unknown.
    """

    method: str
    means: tuple[float, float]
    spreads: tuple[float, float]
    seeds_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedDetector(Record):
    """One detector of a comparison.

    Attributes:
        name: In the comparison.
        hash: Hash of the detector or the table of scores.
        family: What runs share that differ by their seed alone.
        seed: Seed of its run.
        threshold: Its own.
        figures: F1, accuracy and AUROC.
        seen_in_training: How many of the images, to the pixel, its training had; None where that is not known.
    """

    name: str
    hash: str | None
    family: str | None
    seed: int | None
    threshold: float
    figures: dict[str, float]
    seen_in_training: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorPair(Record):
    """The first detector against another, images as units.

    Attributes:
        other: Name of the other.
        same_recipe: Whether the two differ by their seed alone.
        first_only: Images that only the first classifies correctly.
        other_only: Images that only the other classifies correctly.
        tests: Tests by metric.
    """

    other: str
    same_recipe: bool
    first_only: int
    other_only: int
    tests: dict[str, PairedDifference]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipePair(Record):
    """The first detector's recipe against another, seeds as units.

    Attributes:
        first: Names of the first recipe's runs.
        other: Names of the other's.
        seeds: Seeds of both.
        tests: Tests by metric.
    """

    first: tuple[str, ...]
    other: tuple[str, ...]
    seeds: tuple[tuple[int | None, ...], tuple[int | None, ...]]
    tests: dict[str, SeedDifference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Record):
    """The evaluated detector against others on the same images.

    Attributes:
        level: Level of significance.
        tests: How many there are, all corrected together.
        images: That all detectors have scores of.
        independent: Independent ones among them: a group of duplicates counts once.
        detectors: The evaluated one first.
        pairs: It against each other one.
        recipes: Its recipe against each other one with two seeds or more.
        left_out: Images that not all have scores of.
        side_by_side: Error rates by group, promises and disagreements of all detectors.
    """

    level: float
    tests: int
    images: int
    independent: int
    detectors: tuple[ComparedDetector, ...]
    pairs: tuple[DetectorPair, ...]
    recipes: tuple[RecipePair, ...]
    left_out: int = 0
    side_by_side: SideBySide | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelMetrics(Record):
    """Metrics at the saved threshold on one version of the images.

    Attributes:
        false_positive_rate: Share of real images called fake.
        false_negative_rate: Share of fake images not called fake.
        unsure: Share of all images in the abstention band.
        f1: F1.
        auroc: AUROC.
    """

    false_positive_rate: Estimate
    false_negative_rate: Estimate
    unsure: Estimate
    f1: Estimate
    auroc: Estimate

    def metric(self, name: str) -> Estimate:
        """Return a metric by its name."""
        found: Estimate = getattr(self, name)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionLevel(LevelMetrics):
    """Metrics at one level of a corruption.

    Attributes:
        corruption: Its name.
        axis: What the level is.
        level: The level.
    """

    corruption: str
    axis: str
    level: float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness(Record):
    """Metrics of corrupted images at the unchanged threshold.

    Attributes:
        ladder: Version of the list of corruptions.
        seed: Seed of the draw and of random corruptions.
        detector: Hash of the detector.
        data: Hash of the data folder.
        rows: Hash of the drawn rows.
        codecs: Versions of the libraries that encode.
        images: Drawn ones.
        real: Real ones.
        fake: Fake ones.
        of: Images they were drawn from.
        threshold: Fake from here on.
        low: Real below.
        clean: On the uncorrupted images.
        levels: At each level of each corruption.
        f1: `clean`, `corrupted` (mean over corruptions of the mean over levels) and the `mean` of the two.
        worst: Number of the level with the worst value of each metric.
    """

    ladder: int
    seed: int
    detector: str
    data: str
    rows: str
    codecs: dict[str, str | None]
    images: int
    real: int
    fake: int
    of: int
    threshold: float
    low: float
    clean: LevelMetrics
    levels: tuple[CorruptionLevel, ...]
    f1: dict[str, Estimate]
    worst: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppearanceTest(Record):
    """Whether mistakes of a kind look different from correctly classified images of the same label.

    Attributes:
        kind: Kind of mistake.
        measure: Measure of appearance.
        mistakes: How many.
        right: Correctly classified images.
        medians: Medians of mistakes and of correctly classified images; missing, as what follows, where too few to
            test.
        area: Probability that a mistake measures higher.
        p: p value of Mann-Whitney's test.
        p_holm: After Holm's correction over all these tests.
        direction: `higher`, `lower` or `not shown`.
    """

    kind: str
    measure: str
    mistakes: int
    right: int
    medians: tuple[float, float] | None = field(default=None, metadata=OPTIONAL)
    area: Estimate | None = field(default=None, metadata=OPTIONAL)
    p: float | None = field(default=None, metadata=OPTIONAL)
    p_holm: float | None = field(default=None, metadata=OPTIONAL)
    direction: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake(Record):
    """One of the most confident mistakes.

    Attributes:
        id: ID of the image.
        category: Category of the image.
        generator: Generator of the image.
        score: P(fake).
        colorfulness: Colorfulness, as measured.
        texture: Texture, as measured.
        flatness: Flatness, as measured.
        row: In the manifest.
    """

    id: str
    category: str | None
    generator: str | None
    score: float
    colorfulness: float
    texture: float
    flatness: float
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes(Record):
    """Mistakes of both kinds: how they look, and the most confident ones.

    Attributes:
        images: Measured ones.
        independent: One of each group of duplicates, without those called unsure: what the tests count.
        threshold: Fake from here on.
        unsure: Images in the abstention band.
        level: Level of significance.
        counts: Mistakes of each kind.
        tests: Tests by kind and measure.
        worst: The most confident ones of each kind.
    """

    images: int
    independent: int
    threshold: float
    unsure: int
    level: float
    counts: dict[str, int]
    tests: tuple[AppearanceTest, ...]
    worst: dict[str, tuple[Mistake, ...]]
