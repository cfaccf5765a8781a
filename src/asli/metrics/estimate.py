"""A measured number with its interval; the module needs no library, since detectors hold such numbers."""

from dataclasses import dataclass

from asli.records import Record


@dataclass(frozen=True, slots=True)
class Estimate(Record):
    """A measured number with its 95% interval; None where it is undefined.

    Attributes:
        value: The number.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Images it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def undefined(cls, n: int) -> "Estimate":
        """Return what stands where `n` images leave a number undefined."""
        return cls(None, None, None, n)

    def text(self, format: str = ".4f") -> str:
        """Return value and interval as text, `undefined` where there is none."""
        if self.value is None or self.low is None or self.high is None:
            return "undefined"
        return f"{self.value:{format}} [{self.low:{format}}, {self.high:{format}}]"

    def __str__(self) -> str:
        return self.text()
