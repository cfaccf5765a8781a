"""A small drawing of a value and its interval, for a cell of a table."""

from markupsafe import Markup

from asli.reports.colors import Status

_WIDTH, _HEIGHT = 176.0, 20.0


def interval_drawing(value: float, low: float, high: float, reach: float, status: Status) -> Markup:
    """Draw an interval on a line around zero; zero has a mark, so whether the interval holds it can be seen.

    Args:
        value: In the middle or so.
        low: Lower end of the interval.
        high: Upper end of the interval.
        reach: The largest distance from zero that the cells of a column share.
        status: Its color. Neutral and void intervals have a hollow point; void ones are dashed.
    """

    def place(x: float) -> float:
        return _WIDTH / 2 + x / (reach or 1) * (_WIDTH / 2 - 8)

    middle, color = _HEIGHT / 2, f"var(--{status})"
    template = (
        '<svg class="interval" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">'
        '<path d="M{zero:.1f} 0V{height:.0f}" stroke="var(--faint)" stroke-dasharray="2 2"/>'
        '<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{color}" stroke-width="2"{dashes}/>'
        '<circle cx="{value:.1f}" cy="{middle}" r="4" stroke="{color}" stroke-width="2" fill="{fill}"/></svg>'
    )
    drawn = template.format(
        width=_WIDTH,
        height=_HEIGHT,
        label=f"{'void: ' if status is Status.VOID else ''}{value:+.4f}, interval {low:+.4f} to {high:+.4f}",
        zero=place(0),
        low=place(low),
        high=place(high),
        value=place(value),
        middle=middle,
        color=color,
        dashes=Markup(' stroke-dasharray="3 3"') if status is Status.VOID else "",
        fill="var(--ground)" if status in (Status.NEUTRAL, Status.VOID) else color,
    )
    return Markup(drawn)  # noqa: S704 - numbers only
