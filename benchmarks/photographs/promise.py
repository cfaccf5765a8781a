"""Test the promise of the thresholds on sources they did not see: each source is left out once.

For each source of photographs the threshold is set from the other sources, as `build.py` sets it, and false alarms are
counted in the one left out. Scores are those that `build.py` reads: the head had not seen the source either.

    python benchmarks/photographs/promise.py
"""

import numpy as np
from build import CONFIDENCE, LARGE, RECIPES, TARGET, left_out, threshold

from asli.metrics.thresholds import upper_bound


def main() -> None:
    """Print a table for each detector."""
    for name, recipe in RECIPES.items():
        odds, labels, groups = left_out(recipe)
        real, sources = odds[labels == 0], groups[labels == 0]
        names = [str(source) for source in np.unique(sources) if (sources == source).sum() >= LARGE]
        parts = {source: sources == source for source in names}
        parts["small sources together"] = ~np.isin(sources, names)
        print(f"{name}: promised at most {TARGET:.0%} of each source")
        broken, alarms = 0, 0
        for source, out in parts.items():
            high, _ = threshold(real[~out], sources[~out])
            count, images = int((real[out] >= high).sum()), int(out.sum())
            lower = 1 - upper_bound(images - count, images, CONFIDENCE)
            verdict = "above, beyond chance" if lower > TARGET else "above" if count / images > TARGET else "kept"
            called = float((odds[labels == 1] >= high).mean())
            print(
                f"  {source:<24} {count:>3} of {images:>3} ({count / images:.1%})  {verdict:<20} AI fake {called:.1%}"
            )
            broken, alarms = broken + (count / images > TARGET), alarms + count
        print(f"  above the promise: {broken} of {len(parts)}; all together {alarms} of {len(real)}")


if __name__ == "__main__":
    main()
