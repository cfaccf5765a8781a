"""What an audit measures, as records: damaged files, duplicates, and labels that can be read from other properties."""

from dataclasses import dataclass, field

from asli.metrics.estimate import Estimate
from asli.records import FLAT, OPTIONAL, Record

Counts = dict[str, dict[str, dict[str, int]]]
"""Readable images by label: first the property (`split`, `generator`, `category`), then its value, then the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity(Record):
    """Damaged or unusual files of one kind.

    Attributes:
        kind: Kind, in words.
        treatment: What asli does with them.
        count: How many.
        real: Real ones.
        fake: Fake ones.
        names: The first of them, with the error where there is one.
    """

    kind: str
    treatment: str
    count: int
    real: int
    fake: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts(Record):
    """Counts of pairs of duplicates.

    Attributes:
        pairs: Pairs of images.
        within_a_split: Pairs inside a split.
        across_splits: Pairs across splits.
        across_test: Pairs of a test image and one of another split.
        across_labels: Pairs of a real and a fake image.
        test_images: Test images with a duplicate in another split.
        test_images_real: Real ones of these.
        test_images_fake: Fake ones of these.
    """

    pairs: int
    within_a_split: int
    across_splits: int
    across_test: int
    across_labels: int
    test_images: int
    test_images_real: int
    test_images_fake: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactDuplicates(Record):
    """Images with identical pixels.

    Attributes:
        counts: Counts of pairs.
        identical_bytes: Pairs that are equal byte for byte.
        groups_cut: Groups too large for all of their pairs to be counted.
        listed: The first pairs, by name.
    """

    counts: PairCounts = field(metadata=FLAT)
    identical_bytes: int
    groups_cut: int
    listed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlikes(Record):
    """Pictures of which many look alike, such as pages of one template; they are not counted as duplicates.

    Attributes:
        images: Pictures.
        groups: Groups of them.
        largest: Pictures of the largest group.
        pairs_not_taken: Pairs that are near and no duplicates.
        listed: The first pictures, by name.
    """

    images: int
    groups: int
    largest: int
    pairs_not_taken: int
    listed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates(Record):
    """Images that are perceptually the same.

    Attributes:
        counts: Counts of pairs.
        listed: The nearest pairs: both names, and their root mean square difference in gray levels.
        candidates: Pairs that were compared by their pixels.
        radius_bits: Bits in which perceptual hashes may differ.
        rms_limit: Largest root mean square difference, in gray levels of 255.
        rms_share_of_contrast: Largest difference as a share of the weaker picture's contrast.
        candidates_not_looked_at: Pairs beyond the nearest ones of a picture.
        candidates_of_an_image: How many nearest ones are compared.
        bucket_limit: Pictures with equal parts of a hash beyond which these are not searched by hash.
        look_alikes: Pictures of which many look alike.
        not_searched: Pictures whose hashes are too common to search.
        not_searched_names: The first of them.
    """

    counts: PairCounts = field(metadata=FLAT)
    listed: tuple[tuple[str, str, float], ...]
    candidates: int
    radius_bits: int
    rms_limit: float
    rms_share_of_contrast: float
    candidates_not_looked_at: int
    candidates_of_an_image: int
    bucket_limit: int
    look_alikes: LookAlikes
    not_searched: int
    not_searched_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateSummary(Record):
    """Duplicates of a data set.

    Attributes:
        test_total: Test images.
        exact: Images with identical pixels.
        near: Near-duplicates; missing where only a table was read.
    """

    test_total: int
    exact: ExactDuplicates
    near: NearDuplicates | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByChance(Record):
    """AUROC under permuted labels.

    Attributes:
        low: Lower end of the 95 % range.
        high: Upper end.
        images: Images of the permutation test.
        auroc_there: AUROC with the true labels on these.
        p: p value.
    """

    low: float
    high: float
    images: int
    auroc_there: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling(Record):
    """A feature that tells labels by itself.

    Attributes:
        feature: Name of the feature.
        auroc: AUROC of it alone.
    """

    feature: str
    auroc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut(Record):
    """How well labels can be predicted from one kind of feature.

    Attributes:
        auroc: Cross-validated AUROC.
        null: What chance gives.
        telling: The five strongest features by themselves.
    """

    auroc: Estimate
    null: ByChance
    telling: tuple[Telling, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcuts(Record):
    """How well labels can be predicted from what should not matter.

    Attributes:
        images: Images of the classifiers.
        of: Images they were drawn from.
        folds: Folds of the cross-validation.
        permutations: Permutations of the labels.
        why: Why a kind is missing; missing where none is.
        crop: Side of the windows of the spectrum, in pixels; missing without pixels.
        smaller_than_crop: Images without such a window; missing without pixels.
        kinds: Results by kind of feature: `files`, `weight`, `colors`, `spectrum`.
    """

    images: int
    of: int
    folds: int
    permutations: int
    why: str | None = field(default=None, metadata=OPTIONAL)
    crop: int | None = field(default=None, metadata=OPTIONAL)
    smaller_than_crop: int | None = field(default=None, metadata=OPTIONAL)
    kinds: dict[str, Shortcut] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedData(Record):
    """The audited data.

    Attributes:
        name: Name of the data folder or table.
        hash: Content hash of the data folder; None for a table.
        images: Rows.
        readable: Readable ones.
    """

    name: str
    hash: str | None
    images: int
    readable: int
