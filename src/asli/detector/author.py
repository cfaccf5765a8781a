"""Facts about an adopted network: its origin, its outputs, and how its scores were proven equal to its author's."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from asli.records import OPTIONAL, Record

if TYPE_CHECKING:
    import torch

Library = Literal["transformers", "timm", "onnx"]
Activation = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs(Record):
    """Meaning of the outputs of an author's network.

    Attributes:
        activation: `softmax`: P(fake) is the sum over `fake`; `sigmoid`: one output is used by itself.
        labels: Name of each output.
        fake: Numbers of the outputs that stand for fake.
        real: Numbers of those that stand for real. With `sigmoid`, one of `fake` and `real` has one number.
    """

    activation: Activation
    labels: tuple[str, ...]
    fake: tuple[int, ...]
    real: tuple[int, ...]

    def describe(self) -> str:
        """Return in a few words which labels are taken for fake and real."""
        fake, real = (" + ".join(self.labels[number] for number in which) for which in (self.fake, self.real))
        return f"fake: {fake or f'not {real}'}; real: {real or f'not {fake}'} ({self.activation})"

    def real_fake(self, logits: "torch.Tensor") -> "torch.Tensor":
        """Map the author's logits, n x outputs, to logits of (real, fake), n x 2, whose softmax gives P(fake)."""
        import torch

        if self.activation == "sigmoid":
            (number,) = self.fake or self.real
            one = logits[:, number]
            pair = (torch.zeros_like(one), one) if self.fake else (one, torch.zeros_like(one))
        else:
            pair = (_summed(logits, self.real), _summed(logits, self.fake))
        return torch.stack(pair, dim=1)


def _summed(logits: "torch.Tensor", which: tuple[int, ...]) -> "torch.Tensor":
    import torch

    return logits[:, which[0]] if len(which) == 1 else torch.logsumexp(logits[:, list(which)], dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorNetwork(Record):
    """An author's network.

    Attributes:
        library: The library that opens it.
        name: Its architecture.
        bgr: Whether it takes blue first.
        outputs: Meaning of its outputs.
    """

    library: Library
    name: str
    bgr: bool
    outputs: Outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity(Record):
    """Comparison of a detector with its original on pictures.

    Attributes:
        images: Pictures.
        largest_score_difference: Largest difference of a score.
        largest_input_difference: Largest difference of a value of the network's inputs.
        compared_with: The original's program.
    """

    images: int
    largest_score_difference: float
    largest_input_difference: float
    compared_with: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin(Record):
    """Where an adopted network comes from, as far as its author states it.

    Attributes:
        source: Repository, folder or file.
        commit: Commit of the repository; None without one.
        sha256: SHA-256 of the author's weights.
        author: Author.
        license: License of the weights.
        datasets: Training data.
        base_model: What training started from.
        processor: The image processor that the preprocessing equals.
        parity: Proof that scores are those of the original.
    """

    source: str
    commit: str | None
    sha256: str
    author: str | None
    license: str | None
    datasets: str | None
    base_model: str | None
    processor: str
    parity: Parity | None = field(default=None, metadata=OPTIONAL)
