"""The label or split that a name means, by aliases. The meaning of numbers differs by data set and is never guessed."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from asli.errors import DataError

LABELS = ("real", "fake")
"""Label names at their index: fake is 1, the positive class, everywhere."""

SPLITS = ("train", "validation", "calibration", "test")

LABEL_ALIASES = {
    **dict.fromkeys(("real", "nature", "natural", "human", "authentic", "camera", "photo", "original"), "real"),
    **dict.fromkeys(("fake", "ai", "synthetic", "generated", "artificial", "gen"), "fake"),
    "0_real": "real",
    "1_fake": "fake",
}
"""Names that say a label, in lower case."""

SPLIT_ALIASES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("calibration", "calib"), "calibration"),
    **dict.fromkeys(("test", "testing"), "test"),
}

_WORDS = {
    **LABEL_ALIASES,
    **dict.fromkeys(("photos", "photograph", "photographs", "photography", "originals", "genuine", "humans"), "real"),
    **dict.fromkeys(("fakes", "aigc", "aigi", "synth", "synthesized", "synthesised", "deepfake", "deepfakes"), "fake"),
}
"""Words inside a longer name that let a label be proposed."""

_DOUBTS = frozenset(
    {
        "not",
        "no",
        "non",
        "none",
        "without",
        "never",
        "isnt",
        "anti",
        "free",
        "un",
        "semi",
        "half",
        "partly",
        "partially",
    }
)
"""Words that take back what others in the name say."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_NUMBERED = re.compile(r"(?:gen|generator|model)[ _-]?\d+", re.IGNORECASE)

_PAIRS = (("0", "1"), ("false", "true"), ("no", "yes"))
"""Names that say nothing of which of the two is the fake one; each with its opposite."""

OPPOSITE = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}


@dataclass(frozen=True, slots=True)
class Meaning:
    """Meaning of a name.

    Attributes:
        label: real or fake.
        word: The word inside the name that says it; None where the whole name does.
    """

    label: str
    word: str | None = None


@dataclass(frozen=True, slots=True)
class LabelNames:
    """Meaning of names: the known aliases, and further ones that the user gives.

    Attributes:
        real: Further names of real images; of a pair such as 0 and 1 the other one is then fake.
        fake: Further names of fake images, in the same form.
        drop: Names of images that are not used.
        depth: Level of the folder that names the label, counted from 1; None finds it.

    Raises:
        DataError: A name is given for both labels.
    """

    real: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    depth: int | None = None

    def __post_init__(self) -> None:
        given = [name for names in (self.real, self.fake, self.drop) for name in {_key(name) for name in names}]
        both = sorted(name for name, count in Counter(given).items() if count > 1)
        if both:
            raise DataError(f"{', '.join(both)} is given as the name of real, fake or dropped images; give it once")

    def label(self, name: str) -> str | None:
        """Return the label that a whole name says, in any case, or None."""
        key = _key(name)
        for label, given in zip(LABELS, (self.real, self.fake), strict=True):
            if key in map(_key, given):
                return label
        opposite = OPPOSITE.get(key, "")
        for label, given in zip(LABELS, (self.fake, self.real), strict=True):
            if opposite and opposite in map(_key, given):
                return label
        return None if self.drops(name) else LABEL_ALIASES.get(key)

    def meaning(self, name: str) -> Meaning | None:
        """Return the label that a name says, as a whole or by a word in it; None where it says none, or both.

        `Real images` and `my-ai-art` say one. A negation (`not_ai`) or words of both labels (`real_vs_fake`) say none.
        """
        label = self.label(name)
        if label is not None:
            return Meaning(label)
        words = words_of(name)
        found = {word: _WORDS[word] for word in words if word in _WORDS}
        if self.drops(name) or len(set(found.values())) != 1 or _DOUBTS.intersection(words):
            return None
        return Meaning(*next((label, word) for word, label in found.items()))

    def drops(self, name: str) -> bool:
        """Return whether images of this name are not used."""
        return _key(name) in map(_key, self.drop)

    def trouble(self, where: str, said: Collection[str], counts: Counter[str] | None = None) -> DataError:
        """Return the error for a label that cannot be told.

        Args:
            where: What carries the names.
            said: The names, none of which says a label.
            counts: How many images have each name without a label, where all were counted.
        """
        unclear = next((name for name in said if _key(name) in OPPOSITE), None)
        if unclear is not None:
            either = max(_key(unclear), OPPOSITE[_key(unclear)])
            return DataError(
                f"cannot tell the label of {where}: '{unclear}' means real in some data sets and fake in others;"
                f" say which name means fake, for example --fake-label {either}{_of(counts)}"
            )
        both = next((name for name in said if self._is_unclear(name)), None)
        known = {label: ", ".join(alias for alias, to in LABEL_ALIASES.items() if to == label) for label in LABELS}
        if both is not None:
            what = f"'{both}' has words of both labels, or a negation"
        else:
            what = f"{', '.join(map(repr, said))} is no known name" if said else "no folder says it"
        if not said:
            return DataError(
                f"cannot tell the label of {where}: {what} (real: {known['real']}; fake: {known['fake']}); put real and"
                " fake images into folders of such names, or name folders with --real DIR and --fake DIR"
            )
        name = next(iter(counts or said))
        quoted = f"'{name}'" if " " in name else name
        return DataError(
            f"cannot tell the label of {where}: {what}; say what it means with --fake-label {quoted} or"
            f" --real-label {quoted}, or leave its images out with --drop {quoted}{_of(counts)}"
            f" (known names: real: {known['real']}; fake: {known['fake']})"
        )

    def _is_unclear(self, name: str) -> bool:
        words = words_of(name)
        return any(word in _WORDS for word in words) and self.meaning(name) is None


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: `RealImages_v2` has real, images, v and 2."""
    return [word.lower() for word in _WORD.findall(name.replace("'", ""))]


def numbered_generator(name: str) -> str | None:
    """Return a name such as `gen_1` that numbers a generator, else None."""
    return name if _NUMBERED.fullmatch(name.strip()) else None


def split_named(name: str, where: str) -> str:
    """Return the split a name says.

    Raises:
        DataError: It is no known name.
    """
    try:
        return SPLIT_ALIASES[_key(name)]
    except KeyError:
        raise DataError(f"{where} has the unknown split {name!r}; known: {', '.join(SPLIT_ALIASES)}") from None


def _key(name: str) -> str:
    return name.strip().lower()


def _of(counts: Counter[str] | None) -> str:
    if not counts:
        return ""
    return "; images without a label: " + ", ".join(f"'{name}' {count:,}" for name, count in counts.most_common(10))
