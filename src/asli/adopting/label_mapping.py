"""Which outputs of an author's network stand for fake: by their names, never by their order."""

from collections.abc import Sequence

from asli.datasets.layouts import LabelNames
from asli.detector.author import Activation, Outputs
from asli.errors import DetectorError


def outputs_of(
    names: Sequence[str], activation: Activation, fake: Sequence[str] = (), real: Sequence[str] = ()
) -> Outputs:
    """Return what a network's outputs mean.

    Args:
        names: Names of the outputs, in their order.
        activation: `softmax` over all, or `sigmoid` of each.
        fake: Names the user gave for fake; all others are then real.
        real: Names the user gave for real; without `fake` all others are then fake.

    Raises:
        DetectorError: A given name is not among them, a name does not tell what it stands for, or a label is missing.
    """
    known = ", ".join(names)
    for flag, given in (("--fake-label", fake), ("--real-label", real)):
        wrong = next((name for name in given if name not in names), None)
        if wrong is not None:
            raise DetectorError(f"{flag} {wrong} is none of the network's labels ({known})")
    both = sorted(set(fake) & set(real))
    if both:
        raise DetectorError(f"{both[0]} is given as --fake-label and as --real-label; give it once")
    if fake or real:
        meaning = ["fake" if name in fake or (not fake and name not in real) else "real" for name in names]
    else:
        meaning = [_meaning(name, known) for name in names]
    fakes, reals = (tuple(n for n, one in enumerate(meaning) if one == which) for which in ("fake", "real"))
    if activation == "sigmoid":
        return Outputs(activation=activation, labels=tuple(names), **_single(names, fakes, reals))
    if not fakes or not reals:
        lacking = "fake" if not fakes else "real"
        raise DetectorError(
            f"none of the network's labels ({known}) stands for {lacking}; name the fake ones with --fake-label"
        )
    return Outputs(activation=activation, labels=tuple(names), fake=fakes, real=reals)


def _meaning(name: str, known: str) -> str:
    found = LabelNames().meaning(name)
    if found is None:
        raise DetectorError(
            f"the network's label '{name}' does not tell whether it means real or fake (labels: {known}); name the fake"
            " ones, as the author states them: --fake-label NAME"
        )
    return found.label


def _single(names: Sequence[str], fakes: tuple[int, ...], reals: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Return the one output that a sigmoid is taken of."""
    if len(fakes) == 1:
        return {"fake": fakes, "real": ()}
    if len(reals) == 1 and not fakes:
        return {"fake": (), "real": reals}
    raise DetectorError(
        f"the network gives a probability of its own to each of several fake labels ({', '.join(names)}), and these do"
        " not add up to one; name a single one with --fake-label"
    )
