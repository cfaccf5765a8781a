"""What a name means: label or split, by aliases. Numbers mean real here and fake there and are never guessed."""

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

_PAIRS = (("0", "1"), ("false", "true"), ("no", "yes"))
"""Names that say nothing of which of the two is the fake one; each with its opposite."""

_OPPOSITE = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}


@dataclass(frozen=True, slots=True)
class LabelNames:
    """What names mean: the known aliases, and what the user says beyond them.

    Attributes:
        real: Further names of real images; of a pair such as 0 and 1 the other one is then fake.
        fake: Further names of fake images, likewise.

    Raises:
        DataError: A name is given for both labels.
    """

    real: tuple[str, ...] = ()
    fake: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        both = set(map(str.lower, self.real)) & set(map(str.lower, self.fake))
        if both:
            raise DataError(f"{', '.join(sorted(both))} is given as the name of real and of fake images; give it once")

    def label(self, name: str) -> str | None:
        """Return the label a name says, in any case, or None."""
        key = name.strip().lower()
        for label, given in zip(LABELS, (self.real, self.fake), strict=True):
            if key in (other.lower() for other in given):
                return label
        opposite = _OPPOSITE.get(key, "")
        for label, given in zip(LABELS, (self.fake, self.real), strict=True):
            if opposite and opposite in (other.lower() for other in given):
                return label
        return LABEL_ALIASES.get(key)

    def trouble(self, where: str, said: list[str]) -> DataError:
        """Return the error for a label that cannot be told.

        Args:
            where: What carries the names.
            said: The names, none of which says a label.
        """
        unclear = next((name for name in said if name.strip().lower() in _OPPOSITE), None)
        if unclear is not None:
            either = max(unclear.strip().lower(), _OPPOSITE[unclear.strip().lower()])
            return DataError(
                f"cannot tell the label of {where}: '{unclear}' means real in some data sets and fake in others;"
                f" say which name means fake, for example --fake-label {either}"
            )
        known = {label: ", ".join(alias for alias, to in LABEL_ALIASES.items() if to == label) for label in LABELS}
        what = f"{', '.join(map(repr, said))} is no known name" if said else "no folder says it"
        return DataError(
            f"cannot tell the label of {where}: {what} (real: {known['real']}; fake: {known['fake']});"
            " rename it, or say what a name means with asli data open ... --real-label NAME or --fake-label NAME"
        )


def split_named(name: str, where: str) -> str:
    """Return the split a name says.

    Raises:
        DataError: It is no known name.
    """
    try:
        return SPLIT_ALIASES[name.strip().lower()]
    except KeyError:
        raise DataError(f"{where} has the unknown split {name!r}; known: {', '.join(SPLIT_ALIASES)}") from None
